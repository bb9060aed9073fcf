#include "limit/quota.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/least.h"

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

bool refill_rate_is_written(struct bytes text)
{
	struct bytes duration = text, tokens;

	(void)bytes_next_item(&duration, '/', &tokens);
	return is_written_as_decimal(tokens) &&
	       (duration.data == NULL || is_written_as_duration(duration));
}

/* Whether factor * a * b + c <= 2^53, for numbers of any size above 0. */
static bool is_exact(int64_t factor, int64_t a, int64_t b, int64_t c)
{
	int64_t sum;

	return !__builtin_mul_overflow(factor, a, &sum) && !__builtin_mul_overflow(sum, b, &sum) &&
	       !__builtin_add_overflow(sum, c, &sum) && sum <= QUOTA_EXACT_MAX;
}

bool quota_set_bucket(struct quota *quota, enum algorithm algorithm, int64_t capacity,
		      struct ratio tokens_per_us, struct err *err)
{
	ASSERT(algorithm_traits(algorithm)->is_by_rate);
	if (capacity < 1)
		return err_set(err, "capacity: must be a whole number of at least 1");
	if (capacity > QUOTA_UNITS_MAX)
		return err_set(err, "capacity: must be at most %lld", (long long)QUOTA_UNITS_MAX);
	/* The level of a bucket is kept in 1/refill_us tokens, and twice the full one must fit. */
	if (!is_exact(2, capacity, tokens_per_us.den, tokens_per_us.num))
		return err_set(err,
			       "refill_rate: with a capacity of %lld it can't be kept exactly; "
			       "write a ratio of small numbers, such as \"1000/1m\"",
			       (long long)capacity);
	*quota = (struct quota){
		.algorithm = algorithm,
		.limit = capacity,
		.refill_tokens = tokens_per_us.num,
		.refill_us = tokens_per_us.den,
	};
	return true;
}

bool quota_set_window(struct quota *quota, enum algorithm algorithm, int64_t limit,
		      int64_t window_us, struct err *err)
{
	const struct algorithm_traits *traits = algorithm_traits(algorithm);
	struct quota new = {.algorithm = algorithm, .limit = limit, .window_us = window_us};

	ASSERT(!traits->is_by_rate);
	if (window_us < QUOTA_WINDOW_MIN_US || window_us > QUOTA_WINDOW_MAX_US)
		return err_set(err, "window: must be from 1ms to 3650d");
	if (limit < 1)
		return err_set(err, "limit: must be a whole number of at least 1");
	if (traits->limit_max > 0 && limit > traits->limit_max)
		return err_set(err, "limit: a %s takes at most %lld; use %s", traits->name,
			       (long long)traits->limit_max, traits->above_limit_max);
	int64_t parts = traits->parts != NULL ? traits->parts(&new) : 1;
	if (!is_exact(2, limit, parts, 0))
		return err_set(err, "limit: must be at most %lld with this window",
			       (long long)least_i64(QUOTA_EXACT_MAX / 2 / parts, QUOTA_UNITS_MAX));
	if (limit > QUOTA_UNITS_MAX)
		return err_set(err, "limit: must be at most %lld", (long long)QUOTA_UNITS_MAX);
	*quota = new;
	return true;
}

uint8_t *quota_header_at(uint8_t *at, const struct quota *quota)
{
	bool is_by_rate = algorithm_traits(quota->algorithm)->is_by_rate;
	int64_t window_us = is_by_rate ? quota_full_us(quota) : quota->window_us;

	COPY_CONSTANT(at, ";q=", 3);
	at = decimal_put(at + 3, (uint64_t)quota->limit);
	if (window_us < US_PER_SECOND)
		return at;
	COPY_CONSTANT(at, ";w=", 3);
	return decimal_put(at + 3, (uint64_t)divide_up(window_us, US_PER_SECOND));
}

int64_t quota_lease_units(const struct quota *quota, int64_t lease_us)
{
	if (!algorithm_traits(quota->algorithm)->is_by_rate)
		return 0;
	__int128 refilled = (__int128)quota->refill_tokens * lease_us;
	return (int64_t)((refilled + quota->refill_us - 1) / quota->refill_us);
}

bool quota_can_be_leased(const struct quota *quota, int64_t lease_us)
{
	if (!algorithm_traits(quota->algorithm)->is_by_rate)
		return true;
	return (__int128)2 * quota->refill_tokens * lease_us <=
		       (__int128)quota->limit * quota->refill_us &&
	       quota_lease_units(quota, lease_us) < quota->limit;
}

int64_t quota_full_us(const struct quota *quota)
{
	return algorithm_traits(quota->algorithm)->full_us(quota);
}

int64_t quota_tick_us(const struct quota *quota)
{
	return divide_up(quota->window_us, QUOTA_COUNTER_TICKS);
}

int64_t quota_ticks(const struct quota *quota)
{
	return divide_up(quota->window_us, quota_tick_us(quota));
}
