#include "limit/quota.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"

static const char *const algorithm_names[] = {
	[TOKEN_BUCKET] = "token_bucket",
	[SLIDING_WINDOW] = "sliding_window",
	[SLIDING_WINDOW_COUNTER] = "sliding_window_counter",
	[FIXED_WINDOW] = "fixed_window",
};

bool algorithm_find(struct bytes name, enum algorithm *ret_algorithm)
{
	for (size_t i = 0; i < ARRAY_SIZE(algorithm_names); i++) {
		if (bytes_equal(name, bytes_from_text(algorithm_names[i]))) {
			*ret_algorithm = (enum algorithm)i;
			return true;
		}
	}
	return false;
}

const char *algorithm_name(enum algorithm algorithm)
{
	return algorithm_names[algorithm];
}

bool refill_rate_parse(struct bytes text, struct ratio *ret_tokens_per_us)
{
	const uint8_t *slash = text.len > 0 ? memchr(text.data, '/', text.len) : NULL;
	int64_t per_us = US_PER_SECOND;
	struct ratio tokens;

	if (slash != NULL) {
		struct bytes duration = bytes_skip(text, (size_t)(slash - text.data) + 1);
		if (!parse_duration(duration, &per_us) || per_us == 0)
			return false;
		text.len = (size_t)(slash - text.data);
	}
	return parse_decimal(text, &tokens) &&
	       ratio_multiply(tokens, (struct ratio){1, per_us}, ret_tokens_per_us);
}

/* Whether factor * a * b + c <= 2^53, for numbers of any size above 0. */
static bool is_exact(int64_t factor, int64_t a, int64_t b, int64_t c)
{
	int64_t sum;

	return !__builtin_mul_overflow(factor, a, &sum) && !__builtin_mul_overflow(sum, b, &sum) &&
	       !__builtin_add_overflow(sum, c, &sum) && sum <= QUOTA_EXACT_MAX;
}

bool quota_set_bucket(struct quota *quota, int64_t capacity, struct ratio tokens_per_us,
		      struct err *err)
{
	if (capacity < 1)
		return err_set(err, "capacity: must be a whole number of at least 1");
	/* The level of a bucket is kept in 1/refill_us tokens, and twice the full one must fit. */
	if (!is_exact(2, capacity, 1, 0))
		return err_set(err, "capacity: must be at most %lld",
			       (long long)(QUOTA_EXACT_MAX / 2));
	if (!is_exact(2, capacity, tokens_per_us.den, tokens_per_us.num))
		return err_set(err,
			       "refill_rate: with a capacity of %lld it can't be kept exactly; "
			       "write a ratio of small numbers, such as \"1000/1m\"",
			       (long long)capacity);
	*quota = (struct quota){
		.algorithm = TOKEN_BUCKET,
		.limit = capacity,
		.refill_tokens = tokens_per_us.num,
		.refill_us = tokens_per_us.den,
	};
	return true;
}

bool quota_set_window(struct quota *quota, enum algorithm algorithm, int64_t limit,
		      int64_t window_us, struct err *err)
{
	struct quota new = {.algorithm = algorithm, .limit = limit, .window_us = window_us};

	if (window_us < QUOTA_WINDOW_MIN_US || window_us > QUOTA_WINDOW_MAX_US)
		return err_set(err, "window: must be from 1ms to 3650d");
	if (limit < 1)
		return err_set(err, "limit: must be a whole number of at least 1");
	if (algorithm == SLIDING_WINDOW && limit > QUOTA_LOG_LIMIT_MAX)
		return err_set(err, "limit: a sliding_window takes at most 1000000; use "
				    "sliding_window_counter");
	int64_t ticks = algorithm == SLIDING_WINDOW_COUNTER ? quota_ticks(&new) : 1;
	if (!is_exact(2, limit, ticks, 0))
		return err_set(err, "limit: must be at most %lld here",
			       (long long)(QUOTA_EXACT_MAX / 2 / ticks));
	*quota = new;
	return true;
}

int64_t quota_full_us(const struct quota *quota)
{
	if (quota->algorithm == TOKEN_BUCKET)
		return divide_up(quota->limit * quota->refill_us, quota->refill_tokens);
	if (quota->algorithm == SLIDING_WINDOW_COUNTER)
		return 2 * quota->window_us;
	return quota->window_us;
}

int64_t quota_tick_us(const struct quota *quota)
{
	return divide_up(quota->window_us, QUOTA_COUNTER_TICKS);
}

int64_t quota_ticks(const struct quota *quota)
{
	return divide_up(quota->window_us, quota_tick_us(quota));
}
