#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/clock.h"
#include "contract.h"
#include "limit/request.h"
#include "store/balances.h"
#include "store/cells.h"
#include "store/memory.h"
#include "support/chance.h"
#include "support/test.h"

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

#define START_US INT64_C(1700000000000000)
#define SECOND   INT64_C(1000000)

static struct store *make_default(void)
{
	return memory_store_new(1 << 20);
}

static struct outcome take(struct store *store, const char *key, const struct quota *quota,
			   int64_t cost, int64_t now_us)
{
	struct check check;

	ask(store, (struct check *[]){check_make(&check, key, quota, cost)}, 1, now_us);
	assert_true(check.is_decided);
	return check.outcome;
}

static void take_numbered(struct store *store, const char *prefix, int first, int count,
			  const struct quota *quota, int64_t now_us)
{
	char key[32];

	for (int i = first; i < first + count; i++) {
		snprintf(key, sizeof key, "%s%d", prefix, i);
		assert_true(take(store, key, quota, 1, now_us).allowed);
	}
}

TEST(ask_a_million_keys_are_all_remembered)
{
	struct store *store = memory_store_new(UINT64_C(256) << 20);
	struct quota quota = window_of(FIXED_WINDOW, 2, 3600 * SECOND);

	take_numbered(store, "k", 0, 1000000, &quota, START_US);

	assert_int_equal(memory_store_stats(store).balances, 1000000);
	assert_int_equal(memory_store_stats(store).evicted, 0);
	for (int i = 0; i < 1000000; i += 997) {
		char key[32];
		snprintf(key, sizeof key, "k%d", i);
		assert_int_equal(take(store, key, &quota, 0, START_US).remaining, 1);
	}
	store_free(store);
}

TEST(ask_full_memory_forgets_the_least_recently_used)
{
	struct store *store = memory_store_new(MEMORY_LIMIT_MIN);
	struct quota quota = window_of(FIXED_WINDOW, 2, 3600 * SECOND);
	int fits = (int)(MEMORY_LIMIT_MIN / BALANCE_BYTES) - 1;

	take_numbered(store, "k", 0, fits, &quota, START_US);
	assert_int_equal(memory_store_stats(store).evicted, 0);
	assert_int_equal(take(store, "k0", &quota, 0, START_US).remaining, 1); /* used again */
	take_numbered(store, "n", 0, 10, &quota, START_US);

	assert_int_equal(memory_store_stats(store).evicted, 10);
	assert_int_equal(take(store, "k0", &quota, 0, START_US).remaining, 1);
	assert_int_equal(take(store, "k1", &quota, 0, START_US).remaining, 2);
	assert_int_equal(take(store, "k100", &quota, 0, START_US).remaining, 1);
	store_free(store);
}

TEST(ask_full_memory_forgets_what_is_full_again_first)
{
	struct store *store = memory_store_new(MEMORY_LIMIT_MIN);
	struct quota day = window_of(FIXED_WINDOW, 2, 86400 * SECOND);
	struct quota soon = bucket_of(1, "1");
	int fits = (int)(MEMORY_LIMIT_MIN / BALANCE_BYTES) - 1;

	take_numbered(store, "day", 0, 10, &day, START_US); /* the least recently used */
	take_numbered(store, "soon", 0, fits - 10, &soon, START_US);
	take_numbered(store, "new", 0, fits - 10, &soon, START_US + 2 * SECOND);

	assert_int_equal(memory_store_stats(store).evicted, 0);
	for (int i = 0; i < 10; i++) {
		char key[32];
		snprintf(key, sizeof key, "day%d", i);
		assert_int_equal(take(store, key, &day, 0, START_US + 2 * SECOND).remaining, 1);
	}
	store_free(store);
}

static void make_half(struct check *checks, struct check **pointers, size_t from, int round,
		      const struct quota *quota)
{
	for (size_t i = 0; i < REQUEST_CHECKS_MAX / 2; i++) {
		char key[32];
		snprintf(key, sizeof key, "r%d-%zu", round, i);
		pointers[from + i] = check_make(&checks[from + i], key, quota, 1);
	}
}

/*
 * Half of a request are balances of the request before, full again by now; for the other half,
 * which are new, room has to be made. The sweep then forgets some that the request has found
 * already.
 */
TEST(ask_room_is_made_from_full_balances_of_the_same_request)
{
	struct store *store = memory_store_new(MEMORY_LIMIT_MIN);
	struct quota soon = bucket_of(3, "3");
	struct check checks[REQUEST_CHECKS_MAX], *pointers[REQUEST_CHECKS_MAX];

	memory_store_keep_full(store,
			       3600 * SECOND); /* so that only the lack of room forgets them */
	for (int round = 1; round < 600; round++) {
		int64_t now_us = START_US + round * 2 * SECOND;
		for (int left = 2; left >= 1;
		     left--) { /* what is left when it is asked once, twice */
			make_half(checks, pointers, 0, round - 1, &soon);
			make_half(checks, pointers, REQUEST_CHECKS_MAX / 2, round, &soon);
			ask(store, pointers, REQUEST_CHECKS_MAX, now_us);
			for (size_t i = 0; i < REQUEST_CHECKS_MAX; i++)
				assert_int_equal(checks[i].outcome.remaining, left);
		}
	}

	assert_int_equal(memory_store_stats(store).evicted, 0);
	store_free(store);
}

/*
 * Full ones and others in any order, some used again since: as many new keys come as there
 * are full ones, and nobody else is forgotten.
 */
TEST(ask_full_memory_forgets_every_full_one_before_any_other)
{
	struct store *store = memory_store_new(1 << 20);
	struct chance chance = {.state = 7};
	struct quota day = window_of(FIXED_WINDOW, 3, 86400 * SECOND), soon = bucket_of(3, "1");
	int fits = (int)((1 << 20) / BALANCE_BYTES) - 1, full = 0, used[16384];
	char key[32];

	for (int i = 0; i < fits; i++) {
		bool is_soon = chance_is_one_in(&chance, 17);
		snprintf(key, sizeof key, "k%d", i);
		assert_true(take(store, key, is_soon ? &soon : &day, 1, START_US).allowed);
		used[i] = is_soon ? 0 : 1;
		full += is_soon;
	}
	for (int i = 0; i < fits; i += 5) {
		snprintf(key, sizeof key, "k%d", i);
		const struct quota *quota = used[i] > 0 ? &day : &soon;
		assert_true(take(store, key, quota, 2, START_US + SECOND / 2).allowed);
		full -= used[i] == 0; /* full in three seconds only */
		used[i] += used[i] > 0 ? 2 : 0;
	}
	take_numbered(store, "new", 0, full, &day, START_US + 2 * SECOND);
	assert_int_equal(memory_store_stats(store).evicted, 0);
	for (int i = 0; i < fits; i++) {
		snprintf(key, sizeof key, "k%d", i);
		if (used[i] > 0)
			assert_int_equal(take(store, key, &day, 0, START_US + 2 * SECOND).remaining,
					 3 - used[i]);
	}
	take_numbered(store, "more", 0, 1, &day, START_US + 2 * SECOND);
	assert_int_equal(memory_store_stats(store).evicted, 1);
	store_free(store);
}

/* ---- attacks on the memory ---- */

static struct outcome take_one(struct store *store, const char *prefix, uint64_t number,
			       const struct quota *quota, int64_t now_us)
{
	char key[32];

	snprintf(key, sizeof key, "%s%llu", prefix, (unsigned long long)number);
	return take(store, key, quota, 1, now_us);
}

/* A thousand times more junk than fits: exhausted clients stay exhausted, however long they
 * rest.
 */
TEST(ask_a_flood_of_new_keys_forgives_no_exhausted_client)
{
	struct store *store = memory_store_new(MEMORY_LIMIT_MIN);
	struct chance chance = {.state = 1};
	struct quota quota = window_of(FIXED_WINDOW, 100, 86400 * SECOND);

	for (int client = 0; client < 100; client++)
		for (int i = 0; i < 100; i++)
			assert_true(take_one(store, "client", client, &quota, START_US).allowed);
	for (int i = 0; i < 1000000; i++)
		assert_true(
			take_one(store, "junk", chance_bits(&chance), &quota, START_US).allowed);
	for (int client = 0; client < 100; client++)
		assert_false(take_one(store, "client", client, &quota, START_US).allowed);
	assert_true(memory_store_stats(store).evicted > 900000);
	store_free(store);
}

/* The attacker exhausts each of his keys: who comes now and then meanwhile is counted all
 * the same.
 */
TEST(ask_a_flood_of_exhausted_keys_leaves_newcomers_counted)
{
	struct store *store = memory_store_new(MEMORY_LIMIT_MIN);
	struct chance chance = {.state = 2};
	struct quota junk = window_of(FIXED_WINDOW, 5, 86400 * SECOND),
		     quota = window_of(FIXED_WINDOW, 100, 86400 * SECOND);
	int64_t visits = 0;

	for (int i = 0; i < 100000; i++) {
		uint64_t key = chance_bits(&chance);
		for (int used = 0; used < 6; used++)
			(void)take_one(store, "junk", key, &junk, START_US);
		if (i % 2000 != 0)
			continue;
		visits++;
		for (int client = 0; client < 20; client++)
			assert_int_equal(
				take_one(store, "client", client, &quota, START_US).remaining,
				100 - visits);
	}
	store_free(store);
}

TEST(ask_balances_that_are_full_again_make_room)
{
	struct store *store = memory_store_new(UINT64_C(16) << 20);
	struct quota soon = bucket_of(1, "1");

	for (int second = 0; second < 100; second++)
		take_numbered(store, "k", second * 1000, 1000, &soon,
			      START_US + second * 2 * SECOND);

	/* A thousand live at a time; four places are swept for each new one. */
	assert_in_range(memory_store_stats(store).balances, 1000, 5000);
	assert_int_equal(memory_store_stats(store).evicted, 0);
	store_free(store);
}

TEST(ask_a_log_that_takes_all_memory_is_an_error_and_keeps_counting)
{
	struct store *store = memory_store_new(MEMORY_LIMIT_MIN);
	struct quota quota = window_of(SLIDING_WINDOW, 1000000, 3600 * SECOND);
	struct check check;
	int64_t now_us = START_US, allowed = -1;

	do {
		ask(store, (struct check *[]){check_make(&check, "log", &quota, 1)}, 1, now_us++);
		allowed++;
	} while (check.is_decided);

	assert_int_equal(check.error, STORE_OOM);
	assert_true(allowed > 3000);
	assert_int_equal(take(store, "log", &quota, 0, now_us).remaining, 1000000 - allowed);
	store_free(store);
}

/* Memory is full of the log of `shadow`, which can't be forgotten to make room for itself.
 */
static int64_t fill_with_log(struct store *store, const struct quota *quota)
{
	struct check check;
	int64_t now_us = START_US;

	do {
		ask(store, (struct check *[]){check_make(&check, "shadow", quota, 1)}, 1, now_us++);
	} while (check.is_decided);
	return now_us;
}

static struct store_op op_of_both(struct check **both, int64_t now_us)
{
	return (struct store_op){.checks = both, .count = 2, .shadow = 1, .now_us = now_us};
}

TEST(ask_full_memory_shadow_without_room_stops_nothing)
{
	struct store *store = memory_store_new(MEMORY_LIMIT_MIN);
	struct quota log = window_of(SLIDING_WINDOW, 1000000, 3600 * SECOND),
		     day = window_of(FIXED_WINDOW, 100, 86400 * SECOND);
	struct check limits, shadow;
	int64_t now_us = fill_with_log(store, &log);
	struct store_op op = op_of_both((struct check *[]){&limits, &shadow}, now_us);

	for (int i = 1; i <= 3; i++) {
		check_make(&limits, "limits", &day, 1);
		check_make(&shadow, "shadow", &log, 1);
		assert_int_equal(store_ask(store, &op), STORE_DONE);
		assert_true(limits.is_decided && limits.outcome.allowed);
		assert_int_equal(limits.error, STORE_OK);
		assert_int_equal(limits.outcome.remaining, 100 - i);
		assert_false(shadow.is_decided);
		assert_int_equal(shadow.error, STORE_OOM);
	}
	store_free(store);
}

/* It has no room as long as it would push out the others of its own request. */
TEST(ask_full_memory_shadow_does_not_push_out_the_others)
{
	struct store *store = memory_store_new(MEMORY_LIMIT_MIN);
	struct quota log = window_of(SLIDING_WINDOW, 1000000, 3600 * SECOND);
	struct check limits, shadow;
	int64_t now_us = fill_with_log(store, &log);
	struct store_op op = op_of_both((struct check *[]){&limits, &shadow}, now_us);

	/* The first one pushes out the log of `shadow`, which then begins anew. */
	for (int64_t i = 1; i <= 20000; i++) {
		op.now_us = now_us + i;
		check_make(&limits, "limits", &log, 1);
		check_make(&shadow, "shadow", &log, 1);
		(void)store_ask(store, &op);
		if (!limits.is_decided)
			break;
		assert_int_equal(limits.outcome.remaining, 1000000 - i);
		assert_true(shadow.is_decided || shadow.error == STORE_OOM);
		if (i < 1000)
			assert_int_equal(shadow.outcome.remaining, 1000000 - i);
	}
	assert_int_equal(limits.error, STORE_OOM);
	store_free(store);
}

TEST(ask_together_at_full_memory_survives_what_was_full)
{
	struct store *store = memory_store_new(MEMORY_LIMIT_MIN);
	struct quota soon = bucket_of(1, "1000"), day = window_of(FIXED_WINDOW, 2, 86400 * SECOND);
	struct check old, new;
	char key[32];

	/* Each request asks for one that is full by now and for one that needs a cell. */
	for (int i = 0; i < 5000; i++) {
		int64_t now_us = START_US + i * SECOND;
		snprintf(key, sizeof key, "k%d", i - 1);
		check_make(&old, key, &soon, 1);
		snprintf(key, sizeof key, "d%d", i);
		check_make(&new, key, &day, 1);
		ask(store, (struct check *[]){&old, &new}, 2, now_us);
		assert_true(old.is_decided && old.outcome.allowed && new.outcome.allowed);
		snprintf(key, sizeof key, "k%d", i);
		assert_true(take(store, key, &soon, 1, now_us).allowed);
	}
	store_free(store);
}

TEST(ask_log_of_many_entries_frees_what_expires)
{
	struct store *store = memory_store_new(UINT64_C(1) << 20);
	struct quota quota = window_of(SLIDING_WINDOW, 20000, SECOND);

	/* Ten times what fits at once: 20,000 entries a second, one each 50 us. */
	for (int64_t i = 0; i < 200000; i++)
		assert_true(take(store, "log", &quota, 1, START_US + i * 50).allowed);

	assert_false(take(store, "log", &quota, 1, START_US + 199999 * 50).allowed);
	assert_int_equal(memory_store_stats(store).evicted, 0);
	store_free(store);
}

TEST(ask_with_another_key_in_the_same_place_keeps_them_apart)
{
	struct store *store = memory_store_new(1 << 20);
	struct quota quota = window_of(FIXED_WINDOW, 1000, 3600 * SECOND);

	/* 64 places, 3,000 keys: each chain is walked, each place split. */
	for (int i = 0; i < 3000; i++) {
		char key[32];
		snprintf(key, sizeof key, "k%d", i);
		assert_int_equal(take(store, key, &quota, i % 7 + 1, START_US).remaining,
				 1000 - (i % 7 + 1));
	}
	for (int i = 0; i < 3000; i++) {
		char key[32];
		snprintf(key, sizeof key, "k%d", i);
		assert_int_equal(take(store, key, &quota, 0, START_US).remaining,
				 1000 - (i % 7 + 1));
	}
	store_free(store);
}

TEST(ask_clock_far_back_mends_the_balance_on_a_denial)
{
	struct store *store = memory_store_new(1 << 20);
	struct quota quotas[] = {bucket_of(2, "1"), window_of(SLIDING_WINDOW, 2, 2 * SECOND),
				 window_of(SLIDING_WINDOW_COUNTER, 2, 2 * SECOND),
				 window_of(FIXED_WINDOW, 2, 2 * SECOND)};

	for (size_t i = 0; i < 4; i++) {
		const char *key = algorithm_name(quotas[i].algorithm);
		int64_t then_us = START_US - 1000 * SECOND;
		assert_true(take(store, key, &quotas[i], 2, START_US).allowed);
		int64_t wait_us = take(store, key, &quotas[i], 1, then_us).retry_after_us;
		assert_true(wait_us > 0);
		assert_false(take(store, key, &quotas[i], 1, then_us + wait_us - 1).allowed);
		assert_true(take(store, key, &quotas[i], 1, then_us + wait_us).allowed);
	}
	store_free(store);
}

/* Many others come, which has the full ones looked for; then the clock steps back. */
static bool passes_after_a_step_back(int64_t keep_full_us)
{
	struct store *store = memory_store_new(UINT64_C(16) << 20);
	struct quota quota = {.algorithm = SLIDING_WINDOW, .limit = 1, .window_us = SECOND};
	char key[32];

	assert_non_null(store);
	memory_store_keep_full(store, keep_full_us);
	assert_true(take(store, "k", &quota, 1, START_US).allowed);
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof key, "other%d", i);
		assert_true(take(store, key, &quota, 1, START_US + 2 * SECOND).allowed);
	}
	bool passes = take(store, "k", &quota, 1, START_US + SECOND / 2).allowed;
	store_free(store);
	return passes;
}

TEST(keep_full_a_clock_that_steps_back_refills_nothing)
{
	assert_true(passes_after_a_step_back(0));
	assert_true(passes_after_a_step_back(SECOND / 2));
	assert_false(passes_after_a_step_back(2 * SECOND));
}

TEST_CONSTRUCTOR add_contract(void)
{
	static const struct store_under_test memory = {.make = make_default};

	store_contract_add(&memory);
}

TEST(describe_is_up_since_it_was_made)
{
	int64_t before_us = clock_mono_us();
	struct store *store = memory_store_new(MEMORY_LIMIT_MIN);
	assert_non_null(store);
	struct store_description description = store_describe(store);

	assert_string_equal(description.kind, "memory");
	assert_string_equal(description.address, "memory:");
	assert_true(description.is_up);
	assert_int_equal(description.error, STORE_OK);
	assert_string_equal(description.why, "");
	assert_in_range(description.since_us, before_us, clock_mono_us());
	assert_int_equal(description.stats.calls, 0);
	store_free(store);
}

/* ---- other terms, as after a reload ---- */

/* Drained, a bucket of 10 is full after a second, and then it is one of 10,000. */
TEST(ask_drained_bucket_that_is_raised_keeps_its_level_until_it_was_full)
{
	struct quota low = bucket_of(10, "10"), high = bucket_of(10000, "10");
	static const struct {
		int64_t after_us, remaining;
	} cases[] = {{0, 0}, {100000, 1}, {999999, 9}, {1000000, 10000}, {1300000, 10000}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct store *store = make_default();
		int64_t now_us = START_US + cases[i].after_us;
		assert_true(take(store, "k", &low, 10, START_US).allowed);
		assert_int_equal(take(store, "k", &high, 0, now_us).remaining, cases[i].remaining);
		store_free(store);
	}
}

/* The first write by the new terms counts from then on: 10,000 tokens take 1,000 s. */
TEST(ask_raised_bucket_that_was_written_is_full_by_its_new_terms)
{
	struct store *store = make_default();
	struct quota low = bucket_of(10, "10"), high = bucket_of(10000, "10");

	assert_true(take(store, "k", &low, 10, START_US).allowed);
	assert_true(take(store, "k", &high, 5, START_US + SECOND / 2).allowed);

	assert_int_equal(take(store, "k", &high, 0, START_US + 3 * SECOND / 2).remaining, 10);
	assert_int_equal(take(store, "k", &high, 0, START_US + 1000 * SECOND).remaining, 9995);
	store_free(store);
}

TEST(ask_bucket_with_another_rate_converts_the_fraction_of_a_token)
{
	struct store *store = make_default();
	struct quota seconds = bucket_of(10, "1"), thirds = bucket_of(10, "1/3s");

	/* 2.5 tokens; at one in 3 s another half takes 1.5 s. */
	assert_true(take(store, "k", &seconds, 10, START_US).allowed);
	assert_true(take(store, "k", &seconds, 1, START_US + 3500000).allowed);

	struct outcome outcome = take(store, "k", &thirds, 3, START_US + 3500000);
	assert_int_equal(outcome.remaining, 2);
	assert_int_equal(outcome.retry_after_us, 1500000);
	store_free(store);
}

TEST(ask_window_keeps_what_was_used_above_a_lowered_limit)
{
	static const enum algorithm windows[] = {SLIDING_WINDOW, SLIDING_WINDOW_COUNTER,
						 FIXED_WINDOW};

	for (size_t i = 0; i < ARRAY_SIZE(windows); i++) {
		struct store *store = make_default();
		struct quota high = window_of(windows[i], 100, 10 * SECOND);
		struct quota low = window_of(windows[i], 10, 10 * SECOND);
		assert_true(take(store, "k", &high, 60, START_US).allowed);

		assert_false(take(store, "k", &low, 1, START_US + 1).allowed);
		assert_int_equal(take(store, "k", &high, 0, START_US + 2).remaining, 40);
		/* One passes when 9 of the 60 count: with 8.5 s of the next window gone. */
		if (windows[i] == SLIDING_WINDOW_COUNTER) {
			int64_t wait_us = take(store, "k", &low, 1, START_US).retry_after_us;
			assert_int_equal(wait_us, 18500000);
		}
		store_free(store);
	}
}

/* ---- in place of Redis ---- */

/* What Redis replies of a state, as lua/contract.lua has it, after `cost` was taken. */
static void keep(struct store *store, const char *key, const struct quota *quota, int64_t cost,
		 int64_t now_us, const int64_t *numbers)
{
	struct log_excerpt excerpt;
	struct state_reply reply = {.now_us = now_us, .cost = cost, .excerpt = &excerpt};
	struct balance balance;
	struct check check;

	memcpy(reply.numbers, numbers, sizeof reply.numbers);
	assert_true(balance_read_reply(&balance, quota, &reply));
	if (cost > 0 && cost <= balance_remaining(&balance, quota))
		balance_take(&balance, quota, cost);
	store->keep(store, check_make(&check, key, quota, cost), &balance, now_us);
}

static struct outcome stand_in(struct store *store, const char *key, const struct quota *quota,
			       int64_t cost, int64_t now_us)
{
	struct check check;
	struct store_op op = {
		.checks = (struct check *[]){check_make(&check, key, quota, cost)},
		.count = 1,
		.now_us = now_us,
		.is_stand_in = true,
	};

	assert_int_equal(store_ask(store, &op), STORE_DONE);
	assert_true(check.is_decided);
	return check.outcome;
}

#define T START_US
#define S SECOND

/* START_US is 20 s after the begin of a minute. */
static const struct kept {
	const char *name;
	enum algorithm algorithm;
	int64_t limit, full_us, cost;
	int64_t numbers[ALGORITHM_REPLY_MAX];
	struct {
		int64_t after_us, remaining;
	} later[4];
} kept_replies[] = {
	{"bucket, 1 a second: 3 of 10, 2 taken",
	 TOKEN_BUCKET,
	 10,
	 10 * S,
	 2,
	 {3, T},
	 {{0, 1}, {S - 1, 1}, {S, 2}, {9 * S, 10}}},
	{"bucket, exhausted", TOKEN_BUCKET, 10, 10 * S, 1, {0, T}, {{0, 0}, {S, 1}, {2 * S, 2}}},
	{"bucket, half a second ahead of the clock",
	 TOKEN_BUCKET,
	 10,
	 10 * S,
	 1,
	 {0, T + S / 2},
	 {{0, 0}, {S, 0}, {S + S / 2, 1}}},
	/* Of the 3 that were made at times between, only the first and the last are known. */
	{"log: 4 of 5, 1 taken",
	 SLIDING_WINDOW,
	 5,
	 60 * S,
	 1,
	 {4, T, T - 10 * S, T - 50 * S, T - 10 * S},
	 {{0, 0}, {10 * S, 1}, {50 * S, 4}, {60 * S, 5}}},
	{"log: 4 of 5, for 3 two have to leave",
	 SLIDING_WINDOW,
	 5,
	 60 * S,
	 3,
	 {4, T, T - 10 * S, T - 50 * S, T - 30 * S},
	 {{0, 1}, {10 * S, 2}, {30 * S, 3}, {50 * S, 5}}},
	{"log: 9 of a limit that was lowered to 5",
	 SLIDING_WINDOW,
	 5,
	 60 * S,
	 1,
	 {9, T, T - 10 * S, T - 40 * S, T - 40 * S},
	 {{0, 0}, {20 * S - 1, 0}, {20 * S, 1}, {50 * S, 5}}},
	{"counter: 6 in the minute before, 2 and 1 in this",
	 SLIDING_WINDOW_COUNTER,
	 10,
	 60 * S,
	 1,
	 {6, 2, T},
	 {{0, 2}, {20 * S, 4}, {40 * S, 7}, {100 * S, 10}}},
	{"counter: 100 of a limit that was lowered to 10",
	 SLIDING_WINDOW_COUNTER,
	 10,
	 60 * S,
	 1,
	 {0, 100, T},
	 {{0, 0}, {94600000 - 1, 0}, {94600000, 1}}},
	{"fixed window: 4 of 5, 1 taken",
	 FIXED_WINDOW,
	 5,
	 60 * S,
	 1,
	 {4, T},
	 {{0, 0}, {40 * S - 1, 0}, {40 * S, 5}}},
};
TEST_ROWS(kept_replies)
{
	struct quota quota = quota_of(row->algorithm, row->limit, row->full_us);
	struct store *store = make_default();
	int64_t numbers[ALGORITHM_REPLY_MAX];

	memcpy(numbers, row->numbers, sizeof numbers);
	if (row->algorithm == TOKEN_BUCKET)
		numbers[0] *= quota.refill_us;
	keep(store, "k", &quota, row->cost, START_US, numbers);

	for (size_t i = 0; i < ARRAY_SIZE(row->later); i++)
		if (i == 0 || row->later[i].after_us > 0)
			assert_int_equal(
				stand_in(store, "k", &quota, 0, START_US + row->later[i].after_us)
					.remaining,
				row->later[i].remaining);
	store_free(store);
}

/* 12 of 20 are left; 5 are granted here, of which Redis never hears, and 4 elsewhere. */
TEST(keep_takes_off_what_was_granted_here)
{
	for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
		struct quota quota = quota_of((enum algorithm)i, 20, 3600 * SECOND);
		bool is_bucket = algorithm_traits(quota.algorithm)->is_by_rate;
		bool is_counter = quota.algorithm == SLIDING_WINDOW_COUNTER;
		struct store *store = make_default();
		for (int64_t used = 8; used <= 12; used += 4) {
			int64_t level = (20 - used) * quota.refill_us;
			int64_t numbers[ALGORITHM_REPLY_MAX] = {is_bucket    ? level
								: is_counter ? 0
									     : used,
								is_counter ? used : START_US,
								START_US, START_US, START_US};
			keep(store, "k", &quota, 0, START_US, numbers);
			int64_t left = used == 8 ? 12 : 3;
			assert_int_equal(stand_in(store, "k", &quota, 0, START_US).remaining, left);
			for (int n = 0; n < 5; n++)
				assert_true(stand_in(store, "k", &quota, 1, START_US).allowed ==
					    (n < left));
		}
		assert_int_equal(memory_store_stats(store).balances, 1);
		/* All that is in the past two hours later. */
		assert_int_equal(
			stand_in(store, "k", &quota, 0, START_US + 7200 * SECOND).remaining, 20);
		store_free(store);
	}
}

/*
 * Units are granted here, and Redis charges some of them late. `left` is what is left here when
 * Redis then says that all is left there: the limit, less what is granted still.
 */
static const struct forgotten {
	const char *name;
	enum algorithm algorithm;
	struct {
		int64_t after_us, units;
	} grants[3];
	struct {
		int64_t granted_after_us, units, after_us;
	} forgotten;
	struct {
		int64_t after_us, remaining;
	} left[3];
} forgotten_grants[] = {
	/* The limit is 20, in a minute. A bucket refills one in 3 s. A window has 40 s to go. */
	{"bucket: at once", TOKEN_BUCKET, {{0, 5}}, {0, 3, 0}, {{0, 18}, {3 * S, 19}}},
	{"bucket: all", TOKEN_BUCKET, {{0, 5}}, {0, 5, 0}, {{0, 20}}},
	{"bucket: some has refilled, and more was granted",
	 TOKEN_BUCKET,
	 {{0, 4}, {6 * S, 3}},
	 {0, 4, 6 * S},
	 {{6 * S, 17}, {15 * S, 20}}},
	{"bucket: all has refilled, and more was granted",
	 TOKEN_BUCKET,
	 {{0, 4}, {30 * S, 3}},
	 {0, 4, 30 * S},
	 {{30 * S, 17}, {36 * S, 19}}},
	{"bucket: granted by a clock that is ahead", TOKEN_BUCKET, {{S, 4}}, {S, 4, 0}, {{S, 20}}},
	{"fixed window: some of it", FIXED_WINDOW, {{0, 5}}, {0, 3, 0}, {{0, 18}, {40 * S, 20}}},
	{"fixed window: the last of the window",
	 FIXED_WINDOW,
	 {{0, 5}},
	 {0, 5, 40 * S - 1},
	 {{40 * S - 1, 20}}},
	{"fixed window: in the next one, where more was granted",
	 FIXED_WINDOW,
	 {{0, 5}, {40 * S, 2}},
	 {0, 5, 40 * S},
	 {{40 * S, 18}}},
	{"fixed window: granted as the window begins",
	 FIXED_WINDOW,
	 {{40 * S, 2}},
	 {40 * S, 2, 41 * S},
	 {{41 * S, 20}}},
	{"counter: some of it", SLIDING_WINDOW_COUNTER, {{0, 5}}, {0, 3, 0}, {{0, 18}}},
	{"counter: in the next window, where more was granted",
	 SLIDING_WINDOW_COUNTER,
	 {{0, 6}, {40 * S, 2}},
	 {0, 5, 40 * S},
	 {{40 * S, 17}, {70 * S, 17}, {99 * S, 17}}},
	{"counter: in the window after the next",
	 SLIDING_WINDOW_COUNTER,
	 {{0, 6}, {40 * S, 4}},
	 {0, 6, 100 * S},
	 {{100 * S, 16}, {130 * S, 18}}},
	{"log: some of an entry",
	 SLIDING_WINDOW,
	 {{0, 5}},
	 {0, 3, 0},
	 {{0, 18}, {60 * S - 1, 18}, {60 * S, 20}}},
	{"log: all of it", SLIDING_WINDOW, {{0, 5}}, {0, 5, 0}, {{0, 20}}},
	{"log: the oldest entry and some of the next",
	 SLIDING_WINDOW,
	 {{0, 3}, {10 * S, 4}, {20 * S, 2}},
	 {10 * S, 4, 20 * S},
	 {{20 * S, 15}, {70 * S, 18}, {80 * S, 20}}},
	{"log: just before it leaves",
	 SLIDING_WINDOW,
	 {{0, 3}, {10 * S, 4}},
	 {0, 3, 60 * S - 1},
	 {{60 * S - 1, 16}, {60 * S, 16}, {70 * S, 20}}},
	{"log: it has left, and more was granted",
	 SLIDING_WINDOW,
	 {{0, 3}, {10 * S, 4}},
	 {0, 3, 60 * S},
	 {{60 * S, 16}, {70 * S, 20}}},
};

static struct store *forget_grants(const struct forgotten *row, const struct quota *quota)
{
	struct store *store = make_default();
	struct check check;

	for (size_t i = 0; i < ARRAY_SIZE(row->grants); i++)
		if (row->grants[i].units > 0)
			assert_true(stand_in(store, "k", quota, row->grants[i].units,
					     START_US + row->grants[i].after_us)
					    .allowed);
	store->forget_grant(store, check_make(&check, "k", quota, row->forgotten.units),
			    START_US + row->forgotten.granted_after_us,
			    START_US + row->forgotten.after_us);
	return store;
}

/* After Redis said that nothing is used. */
static int64_t left_when_unused(struct store *store, const struct quota *quota, int64_t now_us)
{
	bool is_bucket = algorithm_traits(quota->algorithm)->is_by_rate;
	bool is_counter = quota->algorithm == SLIDING_WINDOW_COUNTER;
	int64_t numbers[ALGORITHM_REPLY_MAX] = {is_bucket ? quota->limit * quota->refill_us : 0,
						is_counter ? 0 : now_us, now_us, now_us, now_us};

	keep(store, "k", quota, 0, now_us, numbers);
	return stand_in(store, "k", quota, 0, now_us).remaining;
}

TEST_ROWS(forgotten_grants)
{
	struct quota quota = quota_of(row->algorithm, 20, 60 * SECOND);

	for (size_t i = 0; i < ARRAY_SIZE(row->left); i++) {
		struct store *store = forget_grants(row, &quota);
		if (row->left[i].remaining > 0)
			assert_int_equal(
				left_when_unused(store, &quota, START_US + row->left[i].after_us),
				row->left[i].remaining);
		store_free(store);
	}
}

/* Of 3, 4 and 2 units that leave at 60, 70 and 80 s, 2 and 2 are left: the grant lasts 80 s. */
TEST(forget_grant_keeps_the_rest_until_it_is_over)
{
	struct store *store = make_default();
	struct quota quota = window_of(SLIDING_WINDOW, 20, 60 * SECOND);
	struct check check;
	char key[16];

	assert_true(stand_in(store, "k", &quota, 3, START_US).allowed);
	assert_true(stand_in(store, "k", &quota, 4, START_US + 10 * SECOND).allowed);
	assert_true(stand_in(store, "k", &quota, 2, START_US + 20 * SECOND).allowed);
	store->forget_grant(store, check_make(&check, "k", &quota, 5), START_US,
			    START_US + 20 * SECOND);

	/* Others that come give the store cause to forget what is full. */
	for (int i = 0; i < 8; i++) {
		snprintf(key, sizeof key, "x%d", i);
		assert_true(take(store, key, &quota, 1, START_US + 75 * SECOND).allowed);
	}
	assert_int_equal(left_when_unused(store, &quota, START_US + 75 * SECOND), 18);
	store_free(store);
}

TEST(forget_grant_that_is_not_remembered_does_nothing)
{
	struct store *store = make_default();
	struct quota quota = window_of(FIXED_WINDOW, 5, 60 * SECOND);
	struct check check;

	assert_true(stand_in(store, "other", &quota, 1, START_US).allowed);
	uint64_t before = memory_store_stats(store).bytes;
	store->forget_grant(store, check_make(&check, "k", &quota, 1), START_US, START_US);
	store->forget_grant(store, check_make(&check, "other", &quota, 0), START_US, START_US);

	assert_int_equal(memory_store_stats(store).bytes, before);
	assert_int_equal(left_when_unused(store, &quota, START_US), 5);
	store_free(store);
}

/* So the store forgets it at the first request after one that brought a new balance. */
TEST(give_back_of_all_units_makes_a_balance_full_at_once)
{
	struct store *store = make_default();
	struct quota quota = quota_of(TOKEN_BUCKET, 1000, 3600 * SECOND);
	struct check check;
	struct check *checks[] = {check_make(&check, "k", &quota, 500)};
	struct store_op op = {.checks = checks,
			      .count = 1,
			      .now_us = START_US,
			      .taken_us = (int64_t[]){START_US}};

	assert_true(take(store, "k", &quota, 500, START_US).allowed);
	assert_int_equal(store_ask(store, &op), STORE_DONE);
	assert_true(take(store, "other", &quota, 1, START_US + SECOND).allowed);
	assert_true(take(store, "other", &quota, 1, START_US + SECOND).allowed);

	assert_int_equal(memory_store_stats(store).balances, 1);
	store_free(store);
}

TEST(keep_full_balance_that_is_not_remembered_takes_no_memory)
{
	struct store *store = make_default();
	struct quota quota = window_of(FIXED_WINDOW, 5, 60 * SECOND);
	uint64_t before = memory_store_stats(store).bytes;

	keep(store, "k", &quota, 0, START_US, (int64_t[ALGORITHM_REPLY_MAX]){0, START_US});

	assert_int_equal(memory_store_stats(store).bytes, before);
	store_free(store);
}

/* A log of 1,000 entries that was counted here makes way for what Redis says of it. */
TEST(keep_log_is_a_few_entries)
{
	struct store *store = make_default();
	struct quota quota = window_of(SLIDING_WINDOW, 2000, 60 * SECOND);

	for (int i = 0; i < 1000; i++)
		assert_true(take(store, "k", &quota, 1, START_US + i).allowed);
	uint64_t before = memory_store_stats(store).bytes;
	keep(store, "k", &quota, 1, START_US + 1000,
	     (int64_t[ALGORITHM_REPLY_MAX]){1000, START_US + 1000, START_US + 999, START_US,
					    START_US + 999});

	assert_true(memory_store_stats(store).bytes < before - 900 * 16);
	assert_int_equal(stand_in(store, "k", &quota, 0, START_US + 1000).remaining, 999);
	store_free(store);
}

/* In a memory that is full of exhausted ones, those that come are kept, and none is lost for a full
 * one. */
TEST(keep_in_a_full_memory_forgets_others)
{
	struct store *store = memory_store_new(MEMORY_LIMIT_MIN);
	struct quota quota = window_of(FIXED_WINDOW, 2, 3600 * SECOND);
	int64_t exhausted[ALGORITHM_REPLY_MAX] = {2, START_US};
	int fits = (int)(MEMORY_LIMIT_MIN / BALANCE_BYTES) - 1;
	char key[32];

	for (int i = 0; i < 3 * fits; i++) {
		snprintf(key, sizeof key, "k%d", i);
		keep(store, key, &quota, 1, START_US, exhausted);
		assert_false(stand_in(store, key, &quota, 1, START_US).allowed);
	}

	assert_true(memory_store_stats(store).balances > (uint64_t)fits / 2);
	store_free(store);
}

/* Redis still has what makes room for a newer reply. What was granted here it never had. */
TEST(keep_in_a_full_memory_counts_forgotten_grants_only)
{
	struct store *store = memory_store_new(MEMORY_LIMIT_MIN);
	struct quota quota = window_of(FIXED_WINDOW, 2, 3600 * SECOND);
	int64_t exhausted[ALGORITHM_REPLY_MAX] = {2, START_US};
	int fits = (int)(MEMORY_LIMIT_MIN / BALANCE_BYTES) - 1, granted = fits / 8;
	char key[32];

	for (int i = 0; i < granted; i++) {
		snprintf(key, sizeof key, "granted%d", i);
		assert_true(stand_in(store, key, &quota, 1, START_US).allowed);
	}
	for (int i = 0; i < 10 * fits; i++) {
		snprintf(key, sizeof key, "kept%d", i);
		keep(store, key, &quota, 1, START_US, exhausted);
	}

	assert_in_range(memory_store_stats(store).evicted, 1, granted);
	store_free(store);
}

TEST(keep_in_a_full_memory_is_no_eviction)
{
	struct store *store = memory_store_new(MEMORY_LIMIT_MIN);
	struct quota quota = window_of(FIXED_WINDOW, 2, 3600 * SECOND);
	int64_t exhausted[ALGORITHM_REPLY_MAX] = {2, START_US};
	char key[32];

	for (int i = 0; i < 10 * (int)(MEMORY_LIMIT_MIN / BALANCE_BYTES); i++) {
		snprintf(key, sizeof key, "k%d", i);
		keep(store, key, &quota, 1, START_US, exhausted);
	}

	assert_int_equal(memory_store_stats(store).evicted, 0);
	store_free(store);
}
