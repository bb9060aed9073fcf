/*
 * http_answer.h - a request as its handler sees it, and what it is answered by.
 *
 * The handler is told of a request in two steps, so that it can refuse a request whose body has not
 * come yet. It answers each request once: in either step, or any time after the second one.
 *
 *   ignores_body()  is called first, when the head is complete and good. If the handler returns
 *                   true, requested() is called right after begun() and without a body. The peer
 *                   does not read an announced body; if the body is not here yet, the connection
 *                   ends with the answer. NULL means false.
 *   takes_large_body()  is called after that; NULL means false.
 *   begun()         the body may still be missing.
 *   requested()     all of the request is there. It comes only if begun() did not answer.
 *   refused()       the request is broken or too large, or the server ends: the handler answers at
 *                   once, in its own words, by the given status. It may come in place of begun() or
 *                   of requested(), or while the request waits for its answer.
 *   ended()         once for each request that begun(), requested() or refused() was called for,
 *                   when its answer is on its way or its client is gone.
 *
 * The views in an exchange, and the fields that http_head_find reads, live only inside begun() and
 * requested(), and inside refused() if `head.status` is not 0: then the head was refused, and its
 * `path` and `query` are what its request line names.
 */
#ifndef NET_HTTP_ANSWER_H
#define NET_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/writer.h"
#include "net/http/http_head.h"
#include "net/http/http_stats.h"
#include "net/stream.h"

struct http_exchange {
	struct http_head head;
	struct bytes body;
	bool ignores_body;     /* what the handler said */
	bool takes_large_body; /* the same: HTTP_LARGE_BODY_MAX */
	unsigned door;         /* what its listener was opened with */
	bool is_local;         /* the client is on this machine */
	bool is_unix;          /* it came over a Unix socket */
	struct streams *streams;
	struct http_server_stats *stats;
	/* The handler's own: an empty list and NULL at first. */
	struct list open;
	void *data;
	const void *route;     /* a page */
	const void *operation; /* or an operation of a path */
};

struct http_handler {
	bool (*ignores_body)(void *owner, const struct http_exchange *exchange);
	bool (*takes_large_body)(void *owner, const struct http_exchange *exchange);
	void (*begun)(void *owner, struct http_exchange *exchange);
	void (*requested)(void *owner, struct http_exchange *exchange);
	void (*refused)(void *owner, struct http_exchange *exchange, unsigned status,
			const char *why);
	void (*ended)(void *owner, struct http_exchange *exchange);
	void *owner;
};

struct http_field {
	const char *name;
	const char *value;
};

#define HTTP_FIELDS_MAX 12

struct http_answer {
	unsigned status;
	struct bytes body;         /* copied */
	struct stream_body *large; /* in place of `body`: the reference is taken */
	size_t field_count;
	struct http_field fields[HTTP_FIELDS_MAX]; /* copied */
};

void http_answer_add(struct http_answer *answer, const char *name, const char *value);
/*
 * Puts the status line and the fields, with the empty line behind them. `date` is the value of
 * Date, `connection` that of Connection; without `connection` there is no such field.
 */
void http_answer_put_head(struct writer *w, const struct http_answer *answer, const char *date,
			  const char *connection);

/* These two are in http_peer.c, which knows the connection. The first is called once for each
 * exchange. */
void http_answer_send(struct http_exchange *exchange, const struct http_answer *answer);
/* The connection's. Nobody but the connection reads from it, writes to it or closes it. */
int http_exchange_descriptor(const struct http_exchange *exchange);
/* Answers by what is wrong with the request (RFC 9457), and counts it. */
void http_answer_problem(struct http_exchange *exchange, unsigned status, const char *detail);
/* With one more field, such as Allow. */
void http_answer_problem_with(struct http_exchange *exchange, unsigned status, const char *detail,
			      struct http_field field);

#endif
