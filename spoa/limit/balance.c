#include "limit/balance.h"

#include "limit/algorithms.h"

void balance_look(struct balance *b, const struct quota *quota, int64_t now_us)
{
	b->mended = false;
	switch (quota->algorithm) {
	case TOKEN_BUCKET:
		token_bucket_look(b, quota, now_us);
		break;
	case SLIDING_WINDOW:
		window_log_look(b, quota, now_us);
		break;
	case SLIDING_WINDOW_COUNTER:
		window_counter_look(b, quota, now_us);
		break;
	case FIXED_WINDOW:
		fixed_window_look(b, quota, now_us);
		break;
	}
}

int64_t balance_remaining(const struct balance *b, const struct quota *quota)
{
	switch (quota->algorithm) {
	case TOKEN_BUCKET:
		return token_bucket_remaining(&b->bucket);
	case SLIDING_WINDOW:
		return window_log_remaining(&b->log, quota);
	case SLIDING_WINDOW_COUNTER:
		return window_counter_remaining(&b->counter, quota);
	case FIXED_WINDOW:
		return fixed_window_remaining(&b->fixed, quota);
	}
	return 0;
}

/* `remaining` is what balance_remaining says; a division less for those who know it. */
static int64_t wait_us(const struct balance *b, const struct quota *quota, int64_t now_us,
		       int64_t units, int64_t remaining)
{
	if (units <= remaining)
		return 0;
	if (units > quota->limit)
		return -1;
	switch (quota->algorithm) {
	case TOKEN_BUCKET:
		return token_bucket_wait_us(&b->bucket, quota, now_us, units);
	case SLIDING_WINDOW:
		return window_log_wait_us(&b->log, quota, now_us, units);
	case SLIDING_WINDOW_COUNTER:
		return window_counter_wait_us(&b->counter, quota, now_us, units);
	case FIXED_WINDOW:
		return fixed_window_wait_us(&b->fixed, quota, now_us);
	}
	return -1;
}

int64_t balance_wait_us(const struct balance *b, const struct quota *quota, int64_t now_us,
			int64_t units)
{
	return wait_us(b, quota, now_us, units, balance_remaining(b, quota));
}

void balance_take(struct balance *b, const struct quota *quota, int64_t units)
{
	switch (quota->algorithm) {
	case TOKEN_BUCKET:
		token_bucket_take(&b->bucket, units);
		break;
	case SLIDING_WINDOW:
		b->log.used += units;
		break;
	case SLIDING_WINDOW_COUNTER:
		b->counter.current += units;
		break;
	case FIXED_WINDOW:
		b->fixed.used += units;
		break;
	}
}

struct outcome balance_outcome(const struct balance *b, const struct quota *quota, int64_t now_us,
			       int64_t cost, bool charged)
{
	int64_t remaining = balance_remaining(b, quota);
	int64_t retry_after_us = charged ? 0 : wait_us(b, quota, now_us, cost, remaining);

	return (struct outcome){
		.allowed = retry_after_us == 0,
		.remaining = remaining,
		.retry_after_us = retry_after_us,
		.reset_us = wait_us(b, quota, now_us, quota->limit, remaining),
		.grows_us = remaining == quota->limit
				    ? 0
				    : wait_us(b, quota, now_us, remaining + 1, remaining),
	};
}
