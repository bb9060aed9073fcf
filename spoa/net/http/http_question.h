/*
 * http_question.h - the attributes of one check as they are gathered from a request: by http_map.h
 * from a query, headers or JSON, by http_auth_map.h from what a proxy says.
 *
 * Attributes and reserved names (policy, key, cost ...) are in one list; limit/reserved.h knows
 * what the reserved names mean. Their texts are views of the request, or of the question's memory.
 */
#ifndef NET_HTTP_QUESTION_H
#define NET_HTTP_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/writer.h"
#include "limit/value.h"
#include "net/http/http_bounds.h"

/* The attributes of one check. It is large, so one is allocated once and cleared for each check. */
struct http_question {
	struct attribute items[HTTP_ATTRIBUTES_MAX]; /* views of the request, or of `memory` */
	size_t count;
	size_t text_len; /* of `memory` in use */
	uint8_t memory[HTTP_BODY_MAX];
};

static inline void http_question_clear(struct http_question *question)
{
	question->count = 0;
	question->text_len = 0;
}

static inline struct attributes http_question_attributes(const struct http_question *question)
{
	return (struct attributes){question->items, question->count};
}

/* On what is left of the memory. http_question_keep keeps what was written. */
static inline struct writer http_question_writer(struct http_question *question)
{
	return writer_on(question->memory + question->text_len,
			 sizeof question->memory - question->text_len);
}

static inline void http_question_keep(struct http_question *question, const struct writer *w)
{
	question->text_len += w->len;
}

/* Sets `err` to "<place><name>: <why>", and returns false. */
bool http_question_refuse(struct err *err, const char *place, struct bytes name, const char *why);
/* A part of a path, decoded into the memory. NULL, or what is wrong: a constant. */
MUST_CHECK const char *http_question_decode_path(struct http_question *question, struct bytes text,
						 struct bytes *ret_decoded);
/* "name=value" of a query, both decoded into the memory. */
MUST_CHECK bool http_question_read_pair(struct http_question *question, struct bytes pair,
					struct bytes *ret_name, struct bytes *ret_value,
					struct err *err);
/* Adds an attribute; refuses a name that is empty or there already, and the 256th attribute. */
MUST_CHECK bool http_question_add(struct http_question *question, const char *place,
				  struct bytes name, struct value value, struct err *err);

/* These two return NULL, or what is wrong with the text: a constant. */

/* NUL characters and what is no UTF-8. */
MUST_CHECK const char *http_question_why_bad(struct bytes text);
/* The name of a header field, in lower case in the memory. */
MUST_CHECK const char *http_question_lower(struct http_question *question, struct bytes name,
					   struct bytes *ret_lower);

#endif
