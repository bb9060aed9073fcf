/*
 * replay_ask.h - what a line asks is asked, counted, and its answer put out: that of a POST /check,
 * and `at_ms`.
 *
 * The checks of a batch are asked one after the other; what is wrong with one of them is its
 * answer.
 */
#ifndef APP_REPLAY_ASK_H
#define APP_REPLAY_ASK_H

#include "app/replay/replay_counts.h"
#include "app/replay/replay_engine.h"
#include "app/replay/replay_line.h"
#include "app/replay/replay_output.h"
#include "net/http/http_reply.h"

/* Large: on the heap. The first three are the caller's. */
struct replay_asker {
	struct replay_engine *engine;
	struct replay_output *output;
	struct replay_counts *counts;
	struct http_question question; /* of the check that is asked */
	int64_t at_us;
	struct writer answer; /* to it */
	bool is_counted;      /* there was memory for that */
	uint8_t memory[HTTP_VERDICT_MAX];
};

/* For the engine: of the asker that is the owner. */
void replay_ask_answered(void *owner, const struct verdict *verdict);

/* REPLAY_FAILED: also for want of memory, or of somebody who takes the answers. */
MUST_CHECK enum replay_answer replay_ask_line(struct replay_asker *asker,
					      const struct replay_line *line, struct err *err);
/* What stands in the question. */
MUST_CHECK enum replay_answer replay_ask_question(struct replay_asker *asker, int64_t at_us,
						  struct err *err);

#endif
