/*
 * http_ask.h - what /check and /auth share: one question to the engine, and an answer by its
 * verdict.
 */
#ifndef NET_HTTP_ASK_H
#define NET_HTTP_ASK_H

#include "engine/engine.h"
#include "net/http/http_answer.h"
#include "net/http/http_question.h"
#include "net/http/http_reply.h"

struct http_checks {
	struct engine *engine;         /* not owned */
	struct http_question question; /* of the check that is being read */
};

/* NULL when memory is short. */
struct http_checks *http_checks_new(struct engine *engine);
void http_checks_free(struct http_checks *checks);

/*
 * Asks the engine the question. Returns 200 when the verdict is there: the caller takes it from
 * the inquiry and ends the inquiry. Returns 0 when the verdict comes later. Any other value is the
 * status of a problem, `err` has its reason, and the engine was not asked.
 */
MUST_CHECK unsigned http_ask(struct http_checks *checks, const struct asker *asker,
			     struct inquiry **ret_inquiry, struct err *err);
/* Asks the question, and answers the exchange now or when the verdict comes. */
void http_ask_one(struct http_checks *checks, struct http_exchange *exchange,
		  struct http_denial denial);

/* The fields of every answer that has JSON of verdicts. */
void http_ask_add_common_fields(struct http_answer *answer);

#endif
