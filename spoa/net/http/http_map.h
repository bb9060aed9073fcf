/*
 * http_map.h - where HTTP and the limiter's meaning meet: a query with headers, or a JSON body,
 * becomes attributes (docs/reference.md, section HTTP). http_reply.h is the way back.
 *
 * It reads strictly: what is not understood, or stands there twice, is an error that names the
 * field. What the reserved names mean, and whether their values are good, is limit/reserved.h's to
 * say; all attributes and reserved names end in one list.
 */
#ifndef NET_HTTP_MAP_H
#define NET_HTTP_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/json_reader.h"
#include "limit/request.h"
#include "limit/value.h"
#include "net/http/http_bounds.h"

/* What one check is asked with. Large: it is allocated once and cleared for each. */
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

/* What a POST asks: one check, or a batch of them. */
struct http_body {
	struct json_value check; /* or the array of them */
	bool is_batch;
	size_t count;             /* of the batch */
	struct json_value beside; /* null when it is not there */
};

/*
 * All that can be wrong with a body, except for what is wrong with one check of a batch. `beside`,
 * or no text, is the name of a field that is the caller's.
 */
MUST_CHECK bool http_map_read_body(struct bytes body, struct bytes beside,
				   struct http_body *ret_body, struct err *err);
/* Adds one check to the question; a field `beside` is not looked at. */
MUST_CHECK bool http_map_read_check(struct http_question *question, struct json_value check,
				    struct bytes beside, struct err *err);
/* Adds the parameters; `deny_status` is not one of the attributes. 0 when it is absent. */
MUST_CHECK bool http_map_read_query(struct http_question *question, struct bytes query,
				    unsigned *ret_deny_status, struct err *err);
/* Adds the attribute of an X-Attr- header; others are not looked at. */
MUST_CHECK bool http_map_read_header(struct http_question *question, struct bytes name,
				     struct bytes value, struct err *err);

/* Why nothing was asked: the status of the problem, which `err` tells of. */
unsigned http_map_refuse(const struct http_question *question, const struct request *request,
			 struct err *err);

#endif
