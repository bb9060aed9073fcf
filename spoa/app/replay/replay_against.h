/*
 * replay_against.h - the second policy file of a replay (--against): policies, an engine and
 * balances of its own, which are asked each question after the first ones were.
 */
#ifndef APP_REPLAY_AGAINST_H
#define APP_REPLAY_AGAINST_H

#include "app/options.h"
#include "app/replay/replay_changes.h"
#include "app/replay/replay_counts.h"
#include "app/replay/replay_engine.h"

struct replay_against {
	const char *first_file, *file;
	struct options options; /* those of the replay, with the other file */
	struct policies *policies;
	struct replay_engine *engine;
	struct replay_counts counts;
	struct replay_changes changes;
	struct replay_decisions first, second; /* about the last question */
	int64_t at_us;
	bool is_counted; /* false: no memory to count it */
};

struct replay_against_config {
	const char *file;
	const struct options *options;
	const struct policies *policies; /* of the first file */
	struct ev_loop *loop;
	const bool *is_stopped;
	bool has_steps; /* for a picture */
};

/*
 * NULL when the file is not good, *ret_is_usage is true then; or when memory is short. `err` says
 * why.
 */
struct replay_against *replay_against_new(const struct replay_against_config *config,
					  bool *ret_is_usage, struct err *err);
void replay_against_free(struct replay_against *against);
/*
 * Asks a question that the first file has answered; `first` in `against` says how. A question that
 * means nothing to the second file, since the policy that it names is not there, is allowed by it.
 */
MUST_CHECK enum replay_answer replay_against_ask(struct replay_against *against,
						 const struct http_question *question,
						 int64_t at_us, struct err *err);

#endif
