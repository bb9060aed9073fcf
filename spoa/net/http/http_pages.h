/*
 * http_pages.h - the pages that the owner of the server writes, such as /metrics and /status.
 *
 * A small page is written at once. The loop has other answers to give while a large page is
 * written, so a large page is written in pieces of 0.5 ms, one piece in each turn of the loop.
 * Clients that ask for the page in that time wait for the same copy. Clients that ask while a copy
 * is being sent, and is less than a second old, get that copy too.
 */
#ifndef NET_HTTP_PAGES_H
#define NET_HTTP_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "net/http/http_access.h"
#include "net/http/http_answer.h"

struct ev_loop;
struct http_pages;

struct http_page {
	const char *path;
	const char *content_type;
	enum http_access access;
	bool is_admin;                              /* with --admin-listen only there */
	unsigned (*status)(const void *owner);      /* NULL: 200, and the body may be shared */
	bool (*write)(const void *owner, FILE *to); /* the body; false: out of memory */
	/*
	 * In place of `write`, for a large page. `begin` makes what a copy is written by, or NULL
	 * when memory is short. `write_some` writes a little (0.1 ms), and returns false when that
	 * was all of the page. `end` frees what `begin` made; it may come early.
	 */
	void *(*begin)(const void *owner);
	bool (*write_some)(void *writing, FILE *to);
	void (*end)(void *writing);
	const char *(*headers)(void); /* NULL, or more lines: "Name: value\n" */
};

/* `pages` and `owner` live as long as the result, which is NULL when memory is short. */
struct http_pages *http_pages_new(struct ev_loop *loop, const struct http_page *pages, size_t count,
				  const void *owner, int64_t (*mono_us)(void));
/* Answers by the page that is the exchange's route: at once, or when the page is written. */
void http_pages_answer(struct http_pages *pages, struct http_exchange *exchange);
/* The exchange, whose route is a page, waits for it no longer. */
void http_pages_forget(struct http_exchange *exchange);
/* No exchange waits any more. */
void http_pages_free(struct http_pages *pages);

#endif
