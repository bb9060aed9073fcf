/*
 * model.h - computes what the limiters must answer, by definition and without their arithmetic.
 *
 * One function says how many units would pass at a given time (model_remaining_at). A wait ends at
 * the first microsecond at which enough units would pass, which is found by halving. Numbers have
 * 128 bits.
 */
#ifndef UNIT_LIMIT_MODEL_H
#define UNIT_LIMIT_MODEL_H

#include "limit/balance.h"

#define MODEL_TAKES_MAX 4096

struct model {
	bool exists;
	int64_t last_us;
	int64_t full_us; /* when it is full, by the terms of its last write */
	/* token_bucket: tokens, as a fraction */
	__int128 tokens_num, tokens_den;
	int64_t refill_us; /* of the quota by which the tokens were counted */
	/* fixed_window and sliding_window_counter: in the window of last_us and in the one before
	 */
	int64_t current, previous;
	/* sliding_window: all units that were taken */
	struct {
		int64_t time_us;
		int64_t units;
	} takes[MODEL_TAKES_MAX];
	size_t take_count;
};

/* `vetoed`: another check of the same request is denied, so this one takes nothing. */
struct outcome model_ask(struct model *m, const struct quota *quota, int64_t now_us, int64_t cost,
			 bool vetoed);

#endif
