/*
 * algorithms.h - the four algorithms, one file each, behind balance.h, which is the only caller.
 *
 * Each has the same four functions, with the meaning that balance.h gives them. `units` in _wait is
 * at most the limit and more than what remains; in _take it is from 1 to what remains.
 */
#ifndef LIMIT_ALGORITHMS_H
#define LIMIT_ALGORITHMS_H

#include "limit/balance.h"

/*
 * The time that a balance counts by: the clock's, or the balance's own when the clock stepped back;
 * *ret_mended when the balance's own is too far ahead to be believed.
 */
static inline int64_t balance_time(int64_t last_us, int64_t now_us, int64_t full_us,
				   bool *ret_mended)
{
	*ret_mended = last_us > now_us && last_us - now_us > full_us;
	return last_us > now_us && !*ret_mended ? last_us : now_us;
}

void token_bucket_look(struct balance *b, const struct quota *quota, int64_t now_us);
int64_t token_bucket_remaining(const struct token_bucket *bucket);
int64_t token_bucket_wait_us(const struct token_bucket *bucket, const struct quota *quota,
			     int64_t now_us, int64_t units);
void token_bucket_take(struct token_bucket *bucket, int64_t units);

void fixed_window_look(struct balance *b, const struct quota *quota, int64_t now_us);
int64_t fixed_window_remaining(const struct fixed_window *window, const struct quota *quota);
int64_t fixed_window_wait_us(const struct fixed_window *window, const struct quota *quota,
			     int64_t now_us);

void window_counter_look(struct balance *b, const struct quota *quota, int64_t now_us);
int64_t window_counter_remaining(const struct window_counter *counter, const struct quota *quota);
int64_t window_counter_wait_us(const struct window_counter *counter, const struct quota *quota,
			       int64_t now_us, int64_t units);

void window_log_look(struct balance *b, const struct quota *quota, int64_t now_us);
int64_t window_log_remaining(const struct window_log *log, const struct quota *quota);
int64_t window_log_wait_us(const struct window_log *log, const struct quota *quota, int64_t now_us,
			   int64_t units);

#endif
