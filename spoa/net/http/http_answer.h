/*
 * http_answer.h - what a request is answered by.
 */
#ifndef NET_HTTP_ANSWER_H
#define NET_HTTP_ANSWER_H

#include <stddef.h>

#include "base/bytes.h"
#include "base/writer.h"

struct http_field {
	const char *name;
	const char *value;
};

#define HTTP_FIELDS_MAX 12

struct http_answer {
	unsigned status;
	struct bytes body; /* copied, or in `heap` */
	void *heap;        /* NULL, or memory from malloc that holds the body: it is taken */
	size_t field_count;
	struct http_field fields[HTTP_FIELDS_MAX]; /* copied */
};

void http_answer_add(struct http_answer *answer, const char *name, const char *value);
/* The last answer of a connection, as HTTP/1.1 has it; `phrase` is what its status is called. */
void http_answer_put(struct writer *w, const struct http_answer *answer, const char *phrase);

#endif
