/*
 * http_text.h - what a request says, kept while it is needed: its target, then its body.
 *
 * Most fit into memory that the connection has anyway; more is allocated, for one request.
 */
#ifndef NET_HTTP_TEXT_H
#define NET_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"

#define HTTP_TEXT_SMALL 1024

struct http_text {
	uint8_t *data; /* `small`, or allocated */
	size_t target_len;
	size_t len; /* target and body */
	size_t max;
	uint8_t small[HTTP_TEXT_SMALL];
};

void http_text_init(struct http_text *text);
void http_text_clear(struct http_text *text);

/* Both are false when memory is short. The target comes first. */
MUST_CHECK bool http_text_set_target(struct http_text *text, const char *target);
MUST_CHECK bool http_text_add_body(struct http_text *text, struct bytes piece);

/* The views are good until more is added. */
struct bytes http_text_body(const struct http_text *text);
void http_text_split_target(const struct http_text *text, struct bytes *ret_path,
			    struct bytes *ret_query);

#endif
