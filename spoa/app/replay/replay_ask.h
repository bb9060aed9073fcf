/*
 * replay_ask.h - asks the question of a line, counts the verdict and puts the answer out: the
 * answer of POST /check, with `at_ms` in front.
 *
 * The checks of a batch are asked one after the other. A check with a fault gets a problem as its
 * answer, as over HTTP.
 */
#ifndef APP_REPLAY_ASK_H
#define APP_REPLAY_ASK_H

#include "app/replay/replay_against.h"
#include "app/replay/replay_counts.h"
#include "app/replay/replay_engine.h"
#include "app/replay/replay_line.h"
#include "app/replay/replay_output.h"
#include "net/http/http_reply.h"

/* Large, so it lives on the heap. The caller sets and owns the first four. */
struct replay_asker {
	struct replay_engine *engine;
	struct replay_output *output;
	struct replay_counts *counts;
	struct replay_against *against; /* NULL without a second policy file */
	struct http_question question;  /* the check that is being asked */
	int64_t at_us;
	struct writer answer; /* its verdict as JSON */
	bool is_counted;      /* false: no memory to count it */
	uint8_t memory[HTTP_VERDICT_MAX];
};

/* For replay_engine_config.answered: `owner` is the asker. */
void replay_ask_answered(void *owner, const struct verdict *verdict);

/* REPLAY_FAILED also when memory is short or the answer can't be written. */
MUST_CHECK enum replay_answer replay_ask_line(struct replay_asker *asker,
					      const struct replay_line *line, struct err *err);
/* Asks what stands in `question` of the asker. */
MUST_CHECK enum replay_answer replay_ask_question(struct replay_asker *asker, int64_t at_us,
						  struct err *err);

#endif
