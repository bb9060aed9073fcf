/*
 * model.h - what the limiters must say, by definition and without any of their arithmetic.
 *
 * One function says how many units would pass at a time (model_remaining_at); every wait is then
 * the first microsecond, found by halving, at which enough would. Numbers have 128 bits.
 */
#ifndef UNIT_LIMIT_MODEL_H
#define UNIT_LIMIT_MODEL_H

#include "limit/balance.h"

#define MODEL_TAKES_MAX 4096

struct model {
	bool exists;
	int64_t last_us;
	/* token_bucket: tokens, as a fraction */
	__int128 tokens_num, tokens_den;
	int64_t refill_us; /* of the quota that it was counted by */
	/* fixed_window and sliding_window_counter: in the window of last_us and in the one before
	 */
	int64_t current, previous;
	/* sliding_window: everything that was taken */
	struct {
		int64_t time_us;
		int64_t units;
	} takes[MODEL_TAKES_MAX];
	size_t take_count;
};

/* `vetoed`: another check of the same request is denied, so that this one takes nothing. */
struct outcome model_ask(struct model *m, const struct quota *quota, int64_t now_us, int64_t cost,
			 bool vetoed);

#endif
