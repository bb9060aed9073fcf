/*
 * replay_counts.h - counts what the engine does not count: the busiest second of each policy, and
 * what each policy did in each step of time, for the picture.
 *
 * All steps have one length. It grows, from 1 ms on, so that REPLAY_STEPS_MAX steps hold the whole
 * replay: memory does not grow with the input. A step begins at a multiple of its length.
 *
 * The busiest second is exact when time only goes forward. When the input comes back to an earlier
 * second, that second is counted from 0 again.
 */
#ifndef APP_REPLAY_COUNTS_H
#define APP_REPLAY_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "limit/verdict.h"

#define REPLAY_STEPS_MAX 150

/* The requests of one policy, in one step or in the whole replay. */
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
	struct replay_step *steps; /* NULL without a picture, and before the first check */
};

struct replay_counts {
	const struct policies *policies; /* not owned */
	struct replay_row *rows;         /* as policies_row_of counts them */
	size_t row_count;
	bool has_steps;
	uint64_t requests, denied;
	int64_t first_us, last_us; /* the earliest and the latest time */
	int64_t step_us;
	int64_t first_step; /* where the first step begins, divided by step_us */
	size_t step_count;
	/* NULL, or what a second policy file made of the same requests; not owned. */
	const struct replay_against *against;
};

/* `has_steps`: for a picture. False when memory is short. */
MUST_CHECK bool replay_counts_init(struct replay_counts *counts, const struct policies *policies,
				   bool has_steps);
void replay_counts_release(struct replay_counts *counts);
/* False when memory is short; what was counted until then stays. */
MUST_CHECK bool replay_counts_add(struct replay_counts *counts, const struct verdict *verdict,
				  int64_t at_us);
const struct replay_row *replay_counts_row(const struct replay_counts *counts,
					   const struct policy *policy);

#endif
