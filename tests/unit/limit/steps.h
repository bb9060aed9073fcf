/*
 * steps.h - random steps through one of the four algorithms, which C and the model take together.
 *
 * Keys are tried one after the other, for a hundred steps and more each: quotas, costs and times
 * are drawn so that about half is denied and many steps stand at an edge. On every step all fields
 * of what C says must be what the model says, and that must come true: a test that calls this fails
 * otherwise. Whoever else is to say the same gets every step by its observer.
 *
 * MODEL_SEED and MODEL_STEPS in the environment choose others than a million, over the four
 * algorithms; the seed of a failure is printed.
 */
#ifndef UNIT_LIMIT_STEPS_H
#define UNIT_LIMIT_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "limit/balance.h"

struct step {
	int64_t run; /* which key; a new one starts without a balance */
	int64_t number;
	struct quota quota;
	int64_t now_us;
	int64_t cost;
	bool vetoed; /* another check of the same request is denied: this one takes nothing */
	struct outcome outcome;
};

/* Called for each step, in their order; `step` is good until it returns. */
typedef void step_fn(void *owner, const struct step *step);

/* `observe` may be NULL. */
void steps_take(enum algorithm algorithm, step_fn *observe, void *owner);

#endif
