/*
 * http_check.h - /check: a request of HTTP becomes one inquiry of the engine, or a hundred, and
 * what comes back becomes its answer.
 *
 * The checks of a batch are asked in one turn of the loop, so that they leave for the store in one
 * write, and each is charged on its own. The answer leaves when the last one has its verdict.
 */
#ifndef NET_HTTP_CHECK_H
#define NET_HTTP_CHECK_H

#include "engine/engine.h"
#include "net/http/http_answer.h"

struct http_checks;

/* The engine is not owned. NULL when memory is short. */
struct http_checks *http_checks_new(struct engine *engine);
void http_checks_free(struct http_checks *checks);

/* The head is complete: answers what is refused before the body has come. */
void http_check_begin_get(struct http_exchange *exchange);
void http_check_begin_post(struct http_exchange *exchange);
/* The request is complete and was not answered. It is answered now, or when the engine has the
 * verdicts. */
void http_check_get(struct http_checks *checks, struct http_exchange *exchange);
void http_check_post(struct http_checks *checks, struct http_exchange *exchange);
/* Nobody waits for the answer any more; also for an exchange that asked nothing. */
void http_check_forget(struct http_exchange *exchange);

#endif
