/*
 * quota.h - the numbers of a limit: which algorithm, how much, how fast.
 *
 * Everything is a whole number, in units and microseconds, and small enough that every sum and
 * product that the algorithms make of it stays below 2^53: C's int64 and the doubles of Lua, in
 * Redis, then agree to the unit. The bounds are checked here, once, when a policy is read.
 */
#ifndef LIMIT_QUOTA_H
#define LIMIT_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/decimal.h"
#include "base/err.h"
#include "base/parse.h"
#include "limit/algorithm.h"

struct quota {
	enum algorithm algorithm;
	int64_t limit;         /* units: the capacity of a bucket, the limit of a window */
	int64_t refill_tokens; /* by rate: so many tokens ... */
	int64_t refill_us;     /* ... every so many microseconds, in lowest terms */
	int64_t window_us;     /* by window */
};

#define QUOTA_EXACT_MAX (INT64_C(1) << 53)
/*
 * A capacity or a limit, and what remains of it, stand in the fields RateLimit and
 * RateLimit-Policy, whose integers have at most 15 digits (RFC 8941, section 3.3.1): a client that
 * reads a longer one throws the whole field away.
 */
#define QUOTA_UNITS_MAX     999999999999999
#define QUOTA_LOG_LIMIT_MAX INT64_C(1000000) /* units in the log of a sliding_window */
#define QUOTA_WINDOW_MIN_US INT64_C(1000)
#define QUOTA_WINDOW_MAX_US (INT64_C(3650) * 86400 * 1000000) /* waits may be four of them */
#define QUOTA_COUNTER_TICKS INT64_C(1000000)                  /* ticks a window, at most */

/* "0.5", or "1000/1m": tokens per second, or tokens per duration, as tokens per microsecond. */
MUST_CHECK bool refill_rate_parse(struct bytes text, struct ratio *ret_tokens_per_us);

/* Whether it has the form of a rate above 0, though it may not be kept exactly. */
bool refill_rate_is_written(struct bytes text);

/*
 * The numbers of an algorithm that is by rate, and of one that is by window. Both check the bounds;
 * `err` begins with the name of the number that is wrong and says what is accepted.
 */
MUST_CHECK bool quota_set_bucket(struct quota *quota, enum algorithm algorithm, int64_t capacity,
				 struct ratio tokens_per_us, struct err *err);
MUST_CHECK bool quota_set_window(struct quota *quota, enum algorithm algorithm, int64_t limit,
				 int64_t window_us, struct err *err);

/*
 * The parameters of RateLimit-Policy, `;q=100;w=60`, for a caller that has room for the longest
 * ones; returns the end of what was put.
 */
#define QUOTA_HEADER_MAX (2 * (3 + DECIMAL_MAX))
uint8_t *quota_header_at(uint8_t *at, const struct quota *quota);

/*
 * A policy with a lease (docs/reference.md, section "Leases"). An agent may spend what it took from
 * a bucket for `lease_us` longer. So the bucket holds what it refills in that time, rounded up,
 * less, and all agents together never grant more than the bucket of the policy file would.
 */
#define QUOTA_LEASE_MIN_US INT64_C(10000)
#define QUOTA_LEASE_MAX_US INT64_C(10000000)

/* By how much the capacity is reduced: whole units; 0 of a window, and without a lease. */
int64_t quota_lease_units(const struct quota *quota, int64_t lease_us);
/* Whether a lease's time refills at most half of the capacity, and a unit stays. */
MUST_CHECK bool quota_can_be_leased(const struct quota *quota, int64_t lease_us);

/* How long a balance of this quota takes from empty to full. */
int64_t quota_full_us(const struct quota *quota);

/* sliding_window_counter: the length of a tick, and how many make a window (the last may be short).
 */
int64_t quota_tick_us(const struct quota *quota);
int64_t quota_ticks(const struct quota *quota);

#endif
