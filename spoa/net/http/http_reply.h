/*
 * http_reply.h - writes a verdict or a problem for HTTP: the status, the JSON and the values of
 * header fields (docs/reference.md, section HTTP).
 */
#ifndef NET_HTTP_REPLY_H
#define NET_HTTP_REPLY_H

#include "base/writer.h"
#include "limit/verdict.h"

#define HTTP_VERDICT_MAX 5120 /* sixteen policies with long names and large numbers fit */
#define HTTP_PROBLEM_MAX 2048

/* The statuses of a denial: by a limit, and by on_error. */
struct http_denial {
	unsigned limited;
	unsigned error;
};

/* The status of a verdict that is not `invalid`. */
unsigned http_reply_status(const struct verdict *verdict, struct http_denial denial);
/* What the status is called (RFC 9110, section 15; RFC 6585). */
const char *http_reply_status_text(unsigned status);
void http_reply_put_verdict(struct writer *w, const struct verdict *verdict);
/* RFC 9457; `detail` may be any text. */
void http_reply_put_problem(struct writer *w, unsigned status, const char *detail);

#define HTTP_LIMITS_MAX 2048 /* sixteen policies fit */

/* The values of three header fields; a field whose value is empty is not sent. */
struct http_limits {
	char ratelimit[HTTP_LIMITS_MAX];
	char ratelimit_policy[HTTP_LIMITS_MAX];
	char retry_after[24];
};

void http_reply_set_limits(struct http_limits *limits, const struct verdict *verdict);

#endif
