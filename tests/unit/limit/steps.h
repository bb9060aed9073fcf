/*
 * steps.h - random steps through one of the four algorithms, which the limiter in C and the model
 * take together.
 *
 * The steps use one key after the other, each for a hundred steps and more. Quotas, costs and times
 * are drawn so that about half of the checks are denied and many steps stand at an edge. At every
 * step all fields of the limiter's answer must be those of the model, and the answered wait must
 * turn out to be right; otherwise the test fails. An observer gets every step, to compare another
 * limiter.
 *
 * MODEL_SEED and MODEL_STEPS of the environment set another seed, and another number of steps over
 * the four algorithms than a million. A failure prints its seed.
 */
#ifndef UNIT_LIMIT_STEPS_H
#define UNIT_LIMIT_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "limit/balance.h"

struct step {
	int64_t run; /* the number of the key; a new key has no balance */
	int64_t number;
	struct quota quota;
	int64_t now_us;
	int64_t cost;
	bool vetoed; /* another check of the same request is denied, so this one takes nothing */
	/*
	 * The balance is a bucket that was full by the terms of its last write, which were others
	 * than these. In Redis its key is gone, by Redis' own time.
	 */
	bool is_gone;
	bool is_mended; /* the time of the state was so far ahead that the step mends it */
	struct outcome outcome;
};

/* Called for each step, in order. `step` is good until the function returns. */
typedef void step_fn(void *owner, const struct step *step);

/* `observe` may be NULL. */
void steps_take(enum algorithm algorithm, step_fn *observe, void *owner);
/* Takes so many steps, whatever MODEL_STEPS is. */
void steps_take_some(enum algorithm algorithm, int64_t steps, step_fn *observe, void *owner);

#endif
