/*
 * replay_counts.h - what the engine's counters do not say of a replay: the busiest second of each
 * policy, and what came when, for the picture.
 *
 * Time is cut into steps of one length, which grows so that at most REPLAY_STEPS_MAX of them hold
 * all that came: memory does not grow with what is replayed. Steps begin at whole multiples of
 * their length. A second that the input leaves and comes back to is counted anew.
 */
#ifndef APP_REPLAY_COUNTS_H
#define APP_REPLAY_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "limit/verdict.h"

#define REPLAY_STEPS_MAX 150

/* Of one policy, in one step or in all. */
struct replay_step {
	uint64_t allowed;
	uint64_t denied;
	uint64_t shadow_denied;
};

struct replay_second {
	int64_t at_s;
	uint64_t count;
};

struct replay_row {
	struct replay_step total;
	struct replay_second current, busiest;
	struct replay_step *steps; /* NULL until its first check, and without a picture */
};

struct replay_counts {
	const struct policies *policies; /* not owned */
	struct replay_row *rows;         /* one a policy, and one for inline ones */
	size_t row_count;
	bool has_steps;
	uint64_t requests, denied;
	int64_t first_us, last_us; /* the earliest and the latest */
	int64_t step_us;
	int64_t first_step; /* its begin / step_us */
	size_t step_count;
};

/* False when memory is short. */
MUST_CHECK bool replay_counts_init(struct replay_counts *counts, const struct policies *policies,
				   bool has_steps);
void replay_counts_release(struct replay_counts *counts);
MUST_CHECK bool replay_counts_add(struct replay_counts *counts, const struct verdict *verdict,
				  int64_t at_us);
const struct replay_row *replay_counts_row(const struct replay_counts *counts,
					   const struct policy *policy);

#endif
