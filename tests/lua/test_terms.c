/*
 * Agents with different numbers for one policy on one Redis, as after a reload and during a
 * rollout: a balance keeps its level, or what was used, whoever wrote it; what was full by the
 * terms of its last write is full; no write shortens the life of a key; and by asking in turns
 * nobody wins a unit that the terms do not give.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "stage.h"
#include "support/chance.h"
#include "support/test.h"
#include "unit/store/contract.h"

#define KEY       "rl:key"
#define START_US  INT64_C(1700000000000000)
#define WINDOW_US (10 * US_PER_SECOND)

BEFORE_EACH
{
	*state = stage_new(false);
}

static void begin_with_given_time(TEST_STATE)
{
	*state = stage_new(true);
}

AFTER_EACH
{
	stage_free(*state);
}

static int64_t number(struct stage *stage, const char *command)
{
	return redis_server_ask_number(stage_server(stage), command);
}

static void await_end(struct stage *stage)
{
	redis_server_await_number(stage_server(stage), "EXISTS " KEY, 0);
}

/* ---- a bucket whose capacity is raised ---- */

/* A second after it was drained it is full, and so it is one of 10,000 tokens. */
TEST(drained_bucket_that_is_raised_keeps_its_level_until_it_was_full)
{
	struct quota low = bucket_of(10, "10"), high = bucket_of(10000, "10");
	int64_t begin_us = clock_mono_us();

	assert_true(stage_ask_one(*state, "key", &low, 10, 0).allowed);
	int64_t level = stage_ask_one(*state, "key", &high, 0, 0).remaining;
	int64_t gained = (clock_mono_us() - begin_us) * 10 / US_PER_SECOND;
	if (gained < 9) /* else the machine stood still, and it may have been full */
		assert_in_range(level, 0, gained);
	await_end(*state);
	assert_true(clock_mono_us() - begin_us >= US_PER_SECOND - 2 * US_PER_MS);

	assert_int_equal(stage_ask_one(*state, "key", &high, 0, 0).remaining, 10000);
}

/* The new agent has written that it takes 1,000 s; the old one knows of 1 s. */
TEST(drained_bucket_stays_drained_when_an_agent_with_a_lower_capacity_writes)
{
	struct quota low = bucket_of(10, "10"), high = bucket_of(10000, "10");
	int64_t begin_us = clock_mono_us();
	int64_t taken = 10000;

	assert_true(stage_ask_one(*state, "key", &high, 10000, 0).allowed);
	int64_t ends_ms = number(*state, "PEXPIRETIME " KEY);
	while (clock_mono_us() - begin_us < 2 * US_PER_SECOND) {
		taken += stage_ask_one(*state, "key", &low, 1, 0).allowed;
		assert_true(number(*state, "PEXPIRETIME " KEY) >= ends_ms);
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
	taken += stage_ask_one(*state, "key", &high, 0, 0).remaining;

	assert_in_range(taken, 10001, 10000 + (clock_mono_us() - begin_us) * 10 / US_PER_SECOND);
}

/* ---- a bucket whose rate changes ---- */

/* The level that is left when a drained bucket has refilled for so long, and one was taken. */
static int64_t level_after(const struct quota *quota, int64_t elapsed_us)
{
	return elapsed_us * quota->refill_tokens - quota->refill_us;
}

static int64_t reset_by(const struct quota *before, const struct quota *after, int64_t level)
{
	__int128 converted = (__int128)level * after->refill_us / before->refill_us;
	__int128 missing = (__int128)after->limit * after->refill_us - converted;

	return (int64_t)((missing + after->refill_tokens - 1) / after->refill_tokens);
}

/* The products have up to 90 bits; the level is seen in the time until the bucket is full. */
TEST_BEFORE(level_is_converted_exactly_and_rounded_down, begin_with_given_time)
{
	static const char *const rates[] = {"1/1h",  "1/7d",     "1000003/999983s", "7/13s",
					    "0.001", "999/1h",   "1/59m",           "3/100003s",
					    "1",     "1000/1ms", "123.456"};
	struct chance chance = {(uint64_t)environment_number("MODEL_SEED", 9)};
	int64_t now_us = START_US;

	for (int i = 0; i < 1000; i++) {
		struct quota before = bucket_of(100, CHANCE_PICK(&chance, rates));
		struct quota after = bucket_of(100, CHANCE_PICK(&chance, rates));
		int64_t token_us = divide_up(before.refill_us, before.refill_tokens);
		int64_t elapsed_us = chance_between(&chance, token_us, 50 * token_us);
		(void)number(*state, "FLUSHALL");
		assert_true(stage_ask_one(*state, "key", &before, 100, now_us).allowed);
		assert_true(stage_ask_one(*state, "key", &before, 1, now_us + elapsed_us).allowed);

		struct outcome outcome =
			stage_ask_one(*state, "key", &after, 0, now_us + elapsed_us);
		int64_t level = level_after(&before, elapsed_us);
		assert_int_equal(outcome.reset_us, reset_by(&before, &after, level));
	}
}

/* ---- the life of a key ---- */

/* A bucket fills sooner by other terms; a window is as long for any limit. */
static struct quota other_terms(const struct quota *quota)
{
	return algorithm_traits(quota->algorithm)->is_by_rate
		       ? bucket_of(quota->limit / 10, "1000")
		       : window_of(quota->algorithm, quota->limit / 10, quota->window_us);
}

/* Both take, one after the other: 40 entries make a hash of the log of sliding_window. */
TEST(write_by_other_terms_never_shortens_the_life_of_a_key)
{
	for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
		struct quota high = quota_of((enum algorithm)i, 1000, 3600 * US_PER_SECOND);
		struct quota low = other_terms(&high);
		int64_t ends_ms = 0;
		(void)number(*state, "FLUSHALL");
		for (int n = 0; n < 40; n++) {
			const struct quota *quota = n % 2 == 0 ? &high : &low;
			assert_true(stage_ask_one(*state, "key", quota, 1, 0).allowed);
			int64_t ended_ms = ends_ms;
			ends_ms = number(*state, "PEXPIRETIME " KEY);
			assert_true(ends_ms > 0 && ends_ms >= ended_ms);
		}
	}
}

/* ---- in turns ---- */

/* What was granted to any agent, and when. */
struct grants {
	struct {
		int64_t time_us, units;
	} all[4096];
	size_t count;
};

static int64_t granted_within(const struct grants *grants, int64_t from_us, int64_t to_us)
{
	int64_t units = 0;

	for (size_t i = 0; i < grants->count; i++)
		if (grants->all[i].time_us >= from_us && grants->all[i].time_us < to_us)
			units += grants->all[i].units;
	return units;
}

static int64_t rate_per_second(const struct quota *quota)
{
	if (!algorithm_traits(quota->algorithm)->is_by_rate)
		return INT64_C(1) << 40; /* no bound */
	return divide_up(quota->refill_tokens * US_PER_SECOND, quota->refill_us);
}

/* By both terms a bucket never gives more than the larger capacity and what the faster adds. */
static void assert_bucket_gives(const struct grants *grants, const struct quota *terms,
				int64_t now_us)
{
	int64_t capacity = terms[0].limit > terms[1].limit ? terms[0].limit : terms[1].limit;
	int64_t rate = rate_per_second(&terms[0]) > rate_per_second(&terms[1])
			       ? rate_per_second(&terms[0])
			       : rate_per_second(&terms[1]);
	int64_t seconds = divide_up(now_us - START_US, US_PER_SECOND);

	assert_true(granted_within(grants, 0, now_us + 1) <= capacity + rate * seconds);
}

/* By definition, of all that was granted to anybody; the last grant is in it. */
static void assert_within_own_limit(const struct grants *grants, const struct quota *quota,
				    int64_t now_us)
{
	int64_t begin_us = now_us - now_us % WINDOW_US;
	int64_t current = granted_within(grants, begin_us, now_us + 1);

	switch (quota->algorithm) {
	case SLIDING_WINDOW:
		assert_true(granted_within(grants, now_us - WINDOW_US + 1, now_us + 1) <=
			    quota->limit);
		break;
	case SLIDING_WINDOW_COUNTER: {
		int64_t previous = granted_within(grants, begin_us - WINDOW_US, begin_us);
		int64_t ticks = quota_ticks(quota);
		int64_t gone = now_us % WINDOW_US / quota_tick_us(quota);
		assert_true(previous * (ticks - gone) + current * ticks <= quota->limit * ticks);
		break;
	}
	case FIXED_WINDOW:
		assert_true(current <= quota->limit);
		break;
	case TOKEN_BUCKET:
	case ALGORITHM_COUNT:
		break;
	}
}

static void ask_in_turns(struct stage *stage, struct chance *chance, const struct quota *terms)
{
	static struct grants grants;
	int64_t now_us = START_US;
	int64_t denied = 0, granted[2] = {0, 0};

	grants.count = 0;
	for (int n = 0; n < 2000; n++) {
		size_t who = chance_bits(chance) % 2;
		int64_t cost = chance_between(chance, 1, terms[who].limit / 4);
		now_us += chance_between(chance, 0, WINDOW_US / 20);
		if (!stage_ask_one(stage, "key", &terms[who], cost, now_us).allowed) {
			denied++;
			continue;
		}
		granted[who] += cost;
		grants.all[grants.count].time_us = now_us;
		grants.all[grants.count++].units = cost;
		assert_bucket_gives(&grants, terms, now_us);
		assert_within_own_limit(&grants, &terms[who], now_us);
	}
	assert_true(denied > 200 && granted[0] > 0 && granted[1] > 0);
}

TEST_BEFORE(asking_in_turns_wins_no_unit_but_those_of_the_terms, begin_with_given_time)
{
	struct chance chance = {(uint64_t)environment_number("MODEL_SEED", 7)};

	for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
		struct quota terms[2] = {quota_of((enum algorithm)i, 100, WINDOW_US),
					 quota_of((enum algorithm)i, 40, WINDOW_US)};
		if (algorithm_traits(terms[1].algorithm)->is_by_rate)
			terms[1] = bucket_of(40, "7/3s");
		ask_in_turns(*state, &chance, terms);
		(void)number(*state, "FLUSHALL");
	}
}

/* The clock was an hour ahead when a bucket was drained, and an agent brings it back to now. */
TEST(mended_state_keeps_what_was_used_above_a_lower_limit)
{
	for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
		struct quota high = quota_of((enum algorithm)i, 100, WINDOW_US);
		struct quota low = quota_of((enum algorithm)i, 40, WINDOW_US);
		struct stage *given = stage_new(true);
		int64_t ahead_us = START_US + 3600 * US_PER_SECOND;
		assert_true(stage_ask_one(given, "key", &high, 100, ahead_us).allowed);

		assert_false(stage_ask_one(given, "key", &low, 1, START_US).allowed);

		assert_int_equal(stage_ask_one(given, "key", &high, 0, START_US).remaining, 0);
		stage_free(given);
	}
}
