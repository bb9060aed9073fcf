/*
 * http_check.h - /check: asks the engine what an HTTP request asks, and answers by the verdict.
 *
 * A request is one inquiry of the engine, or up to a hundred (a batch). The checks of a batch are
 * asked in one turn of the loop, so that they go to the store in one write, and each of them is
 * charged on its own. A batch is answered when its last check has a verdict.
 */
#ifndef NET_HTTP_CHECK_H
#define NET_HTTP_CHECK_H

#include "net/http/http_answer.h"
#include "net/http/http_ask.h"

/* The head is complete: answers what is refused before the body has come. */
void http_check_begin_get(struct http_exchange *exchange);
void http_check_begin_post(struct http_exchange *exchange);
/* Whether the body is said to be JSON. Parameters such as charset are ignored; what is compressed
 * is not JSON. */
MUST_CHECK bool http_check_is_json(const struct http_head *head);
/* Answers a request whose body is not. */
void http_check_refuse_type(struct http_exchange *exchange);
/* The request is complete: it is answered now, or when the engine has the verdicts. */
void http_check_get(struct http_checks *checks, struct http_exchange *exchange);
void http_check_post(struct http_checks *checks, struct http_exchange *exchange);
/* The request is over: its inquiries are abandoned and its batch is freed, if it has any. */
void http_check_forget(struct http_exchange *exchange);

#endif
