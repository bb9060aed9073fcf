/*
 * http_map.h - makes the attributes of a check from a query and headers, or from a JSON body
 * (docs/reference.md, section HTTP). http_reply.h writes the verdict as JSON and headers.
 *
 * The reader is strict: a field that is unknown or given twice is an error that names the field.
 */
#ifndef NET_HTTP_MAP_H
#define NET_HTTP_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/json_reader.h"
#include "limit/request.h"
#include "net/http/http_bounds.h"
#include "net/http/http_question.h"

/* What a POST asks: one check, or a batch of them. */
struct http_body {
	struct json_value check; /* the check; of a batch the array of its checks */
	bool is_batch;
	size_t count;             /* how many checks the batch has */
	struct json_value beside; /* the value of the field `beside`; null without that field */
};

/*
 * Finds everything that is wrong with the body, but not what is wrong with single checks of a
 * batch. `beside` is the name of a field that the caller reads itself, or empty.
 */
MUST_CHECK bool http_map_read_body(struct bytes body, struct bytes beside,
				   struct http_body *ret_body, struct err *err);
/* Adds the attributes of one check to the question. The field `beside` is skipped. */
MUST_CHECK bool http_map_read_check(struct http_question *question, struct json_value check,
				    struct bytes beside, struct err *err);
/* Adds the parameters as attributes, but for deny_status, which is returned; 0 when it is absent.
 */
MUST_CHECK bool http_map_read_query(struct http_question *question, struct bytes query,
				    unsigned *ret_deny_status, struct err *err);
/* The statuses that a denial may have. */
MUST_CHECK bool http_map_read_deny_status(struct bytes text, unsigned *deny_status,
					  struct err *err);
/* Adds the attribute of an X-Attr- header; other headers are skipped. */
MUST_CHECK bool http_map_read_header(struct http_question *question, struct bytes name,
				     struct bytes value, struct err *err);

/* Of a request that is invalid: sets `err` to the reason and returns the status of the answer. */
unsigned http_map_refuse(const struct http_question *question, const struct request *request,
			 struct err *err);

#endif
