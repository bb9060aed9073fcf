/*
 * sliding_window with many entries. Redis keeps the entries in a ring, of which a call reads
 * little, and the memory store keeps them in a tree. Both must answer alike while the log fills,
 * wraps around, grows, expires, shrinks, is asked by another limit, and meets a clock that steps
 * back. LOG_ENTRIES of the environment sets the entries of the large log, from a thousand to
 * 400,000: with 400,000 the log reaches the largest number of units, and its ring the largest size.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>
#include <sodium.h>

#include "base/clock.h"
#include "stage.h"
#include "store/memory.h"
#include "support/chance.h"
#include "support/test.h"
#include "unit/store/contract.h"

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

#define LIMIT    QUOTA_LOG_LIMIT_MAX
#define HOUR_US  (3600 * US_PER_SECOND)
#define START_US INT64_C(1700000000000000)
#define SMALL    512 /* a shorter string is no ring */
#define RING     64  /* slots of the first ring of a log */

struct pair {
	struct stage *stage;
	struct store *memory;
	struct chance chance;
	char key[16];
	int64_t window_us;
	int64_t now_us;
	int64_t used; /* of LIMIT, when that was asked for last */
};

BEFORE_EACH
{
	static struct pair pair;

	pair = (struct pair){
		.stage = stage_new(true),
		.memory = memory_store_new(UINT64_C(64) << 20),
		.chance = {(uint64_t)environment_number("MODEL_SEED", 5)},
		.key = "log",
		.window_us = HOUR_US,
		.now_us = START_US,
	};
	assert_non_null(pair.memory);
	*state = &pair;
}

AFTER_EACH
{
	struct pair *pair = *state;

	stage_free(pair->stage);
	store_free(pair->memory);
}

/* ---- asking both ---- */

/* Returns whether it passes. */
static bool ask_with_limit(struct pair *pair, int64_t limit, int64_t cost)
{
	struct question *question = stage_question(pair->stage, pair->now_us);
	struct quota quota = window_of(SLIDING_WINDOW, limit, pair->window_us);

	(void)question_add(question, pair->key, &quota, cost);
	question_expect(question, pair->memory);
	pair->used = limit == LIMIT ? limit - question->outcomes[0].remaining : pair->used;
	bool is_allowed = question->outcomes[0].allowed;
	stage_ask(pair->stage, question);
	return is_allowed;
}

static bool take(struct pair *pair, int64_t cost)
{
	return ask_with_limit(pair, LIMIT, cost);
}

/*
 * Costs that a few of the units, many, and all must leave for, and the same of a lower limit. None
 * passes: each asks for more than what remains.
 */
static void ask_about_waits(struct pair *pair)
{
	assert_true(take(pair, 0));
	int64_t used = pair->used;

	for (int i = 0; i < 20; i++) {
		int64_t kept = chance_between(&pair->chance, 0, used - 1);
		int64_t limit = chance_between(&pair->chance, kept + 1, used);
		assert_false(take(pair, LIMIT - kept));
		assert_false(ask_with_limit(pair, limit, limit - kept));
	}
	assert_false(take(pair, LIMIT));
	assert_false(take(pair, LIMIT + 1));
	assert_false(ask_with_limit(pair, 1, 1));
	assert_true(ask_with_limit(pair, used, 0));
}

/* An entry each, a millisecond apart. */
static void fill(struct pair *pair, int64_t entries)
{
	for (int64_t i = 0; i < entries; i++) {
		pair->now_us += US_PER_MS;
		assert_true(take(pair, 1 + i % 2));
	}
	ask_about_waits(pair);
	stage_settle(pair->stage);
}

/* ---- what stands in Redis (lua/sliding_window.lua) ---- */

struct ring {
	int64_t slots, head, count;
};

static int64_t read_number(const char *bytes)
{
	uint64_t number = 0;

	for (int i = 0; i < 8; i++)
		number = number << 8 | (uint8_t)bytes[i];
	return (int64_t)number;
}

static struct ring ring_of(struct pair *pair)
{
	const redisReply *reply = redis_server_ask(stage_server(pair->stage), "GETRANGE rl:%s 0 %d",
						   pair->key, SMALL - 1);

	assert_int_equal(reply->type, REDIS_REPLY_STRING);
	assert_int_equal(reply->len, SMALL);
	return (struct ring){read_number(reply->str), read_number(reply->str + 8),
			     read_number(reply->str + 16)};
}

static int64_t bytes_of(struct pair *pair)
{
	return redis_server_ask_number(stage_server(pair->stage), "STRLEN rl:%s", pair->key);
}

static void assert_ring(struct pair *pair, int64_t slots, int64_t head, int64_t count)
{
	struct ring ring = ring_of(pair);

	assert_int_equal(ring.slots, slots);
	assert_int_equal(ring.head, head);
	assert_int_equal(ring.count, count);
}

/* ---- the tests ---- */

static void expire_all_but(struct pair *pair, int64_t entries)
{
	struct ring ring = ring_of(pair);

	/* A millisecond apart: as many milliseconds before the newest one leaves. */
	assert_true(entries < ring.count);
	pair->now_us += pair->window_us - (entries + 1) * US_PER_MS;
	assert_true(take(pair, 1));
	stage_settle(pair->stage);
}

static void grow_with_a_head(struct pair *pair)
{
	struct ring ring = ring_of(pair);

	assert_true(ring.head > 0);
	fill(pair, ring.slots - ring.count + 10);
	assert_int_equal(ring_of(pair).slots, 2 * ring.slots);
	fill(pair, ring.slots / 4);
}

TEST(large_log_agrees_while_it_fills_wraps_grows_and_shrinks)
{
	struct pair *pair = *state;
	int64_t entries = environment_number("LOG_ENTRIES", 110000);

	fill(pair, entries);
	assert_in_range(ring_of(pair).slots, entries, 2 * entries);

	expire_all_but(pair, entries / 3);
	ask_about_waits(pair);
	assert_true(ring_of(pair).head > 0);
	fill(pair, ring_of(pair).slots / 2);
	assert_true(ring_of(pair).head + ring_of(pair).count > ring_of(pair).slots);

	grow_with_a_head(pair);
	expire_all_but(pair, 40);
	ask_about_waits(pair);
	expire_all_but(pair, 20);
	ask_about_waits(pair);
	stage_settle(pair->stage);
	assert_true(bytes_of(pair) < SMALL);
	fill(pair, 100);
	assert_true(bytes_of(pair) >= SMALL);
}

TEST(large_log_agrees_with_equal_times_and_other_limits)
{
	struct pair *pair = *state;

	fill(pair, 300);
	struct ring before = ring_of(pair);
	for (int i = 0; i < 500; i++) {
		assert_true(take(pair, 1));
		ask_about_waits(pair);
	}
	stage_settle(pair->stage);
	assert_int_equal(ring_of(pair).count, before.count);

	pair->now_us += US_PER_MS;
	assert_false(ask_with_limit(pair, 100, 1));
	assert_true(ask_with_limit(pair, 2000, 100));
	assert_true(take(pair, 1000));
	ask_about_waits(pair);
	stage_settle(pair->stage);
	assert_int_equal(ring_of(pair).count, before.count + 1);
}

TEST(large_log_agrees_when_the_clock_steps_back)
{
	struct pair *pair = *state;

	fill(pair, 300);
	struct ring before = ring_of(pair);
	for (int i = 0; i < 100; i++) { /* all at the balance's own time */
		pair->now_us -= chance_between(&pair->chance, 0, pair->window_us / 101);
		assert_true(take(pair, 1));
		ask_about_waits(pair);
	}
	stage_settle(pair->stage);
	assert_int_equal(ring_of(pair).count, before.count);
	pair->now_us += pair->window_us;
	fill(pair, 100);
}

/* Denied, and so written though nothing is taken; then with something taken. */
TEST(large_log_of_the_future_is_mended)
{
	struct pair *pair = *state;

	for (int64_t cost = 1; cost <= LIMIT; cost += LIMIT - 1) {
		fill(pair, 300);
		pair->now_us -= pair->window_us + 1;
		assert_true(take(pair, cost) == (cost == 1));
		stage_settle(pair->stage);
		assert_int_equal(bytes_of(pair), 24); /* one entry */
		ask_about_waits(pair);
		fill(pair, 100);
	}
}

/*
 * A new log, of as many entries as its ring has slots: each further one makes one expire, so that
 * the ring does not grow and its head goes on.
 */
static void begin_ring_with_head(struct pair *pair, int64_t head)
{
	static int number;

	snprintf(pair->key, sizeof pair->key, "log%d", number++);
	pair->window_us = RING * US_PER_MS;
	fill(pair, RING + head);
	assert_ring(pair, RING, head, RING);
}

TEST(ring_grows_wherever_its_head_is)
{
	struct pair *pair = *state;

	for (int64_t head = 0; head < RING; head++) {
		begin_ring_with_head(pair, head);
		for (int i = 0; i < 10; i++) {
			pair->now_us++;
			assert_true(take(pair, 1));
		}
		ask_about_waits(pair);
		stage_settle(pair->stage);
		assert_ring(pair, 2 * RING, head, RING + 10);
	}
}

/* 31 entries are the most that are not kept in a ring. */
TEST(ring_shrinks_wherever_its_head_is)
{
	struct pair *pair = *state;

	for (int64_t head = 0; head < RING; head++) {
		const int64_t sizes[] = {1, 2 + head % 28, 30, 31, 32, 33 + head % 31};
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			begin_ring_with_head(pair, head);
			pair->now_us += (RING + 1 - sizes[i]) * US_PER_MS;
			assert_true(take(pair, 1));
			ask_about_waits(pair);
			stage_settle(pair->stage);
			assert_int_equal(bytes_of(pair),
					 sizes[i] <= 31 ? 8 + 16 * sizes[i] : 32 + 16 * RING);
		}
	}
}

/* A ring of 256 slots, with its head anywhere, of which so many entries have not left. */
TEST(ring_of_which_three_quarters_left_is_written_anew)
{
	struct pair *pair = *state;

	for (int64_t kept = 50; kept < 80; kept++) {
		snprintf(pair->key, sizeof pair->key, "log%d", (int)kept);
		fill(pair, 200);
		expire_all_but(pair, 100);
		fill(pair, 2 * kept);
		assert_int_equal(ring_of(pair).slots, 4 * RING);
		expire_all_but(pair, kept);
		struct ring ring = ring_of(pair);

		assert_in_range(ring.count, kept, kept + 2);
		assert_int_equal(ring.slots, ring.count <= RING ? 2 * ring.count : 4 * RING);
		if (ring.count <= RING)
			assert_int_equal(bytes_of(pair), 32 + 16 * ring.count);
		ask_about_waits(pair);
		fill(pair, 300);
	}
}

/* 31 are the most that are no ring; units of the same time are in the same entry. */
TEST(log_becomes_a_ring_with_31_entries_and_one)
{
	struct pair *pair = *state;

	for (int64_t size = 28; size <= 34; size++) {
		snprintf(pair->key, sizeof pair->key, "log%d", (int)size);
		fill(pair, size);
		for (int i = 0; i < 3; i++) {
			assert_true(take(pair, 1));
			ask_about_waits(pair);
			stage_settle(pair->stage);
			assert_int_equal(bytes_of(pair),
					 size <= 31 ? 8 + 16 * size : 32 + 16 * size);
		}
		fill(pair, 5);
	}
}

/* Time goes at another pace in each phase, so that the log has from none to a thousand entries. */
static void random_phase(struct pair *pair)
{
	int64_t pace_us =
		chance_between(&pair->chance, 1, 8) * chance_between(&pair->chance, 1, 2000);
	int64_t steps = chance_between(&pair->chance, 1, 300);

	for (int64_t i = 0; i < steps; i++) {
		if (!chance_is_one_in(&pair->chance, 4))
			pair->now_us += chance_between(&pair->chance, 0, pace_us);
		if (chance_is_one_in(&pair->chance, 64))
			pair->now_us -= chance_between(&pair->chance, 0, 2 * pace_us);
		if (chance_is_one_in(&pair->chance, 4))
			(void)ask_with_limit(pair, chance_between(&pair->chance, 1, 1000),
					     chance_between(&pair->chance, 0, 1000));
		else
			(void)take(pair, chance_between(&pair->chance, 1, 3));
	}
}

static void random_jump(struct pair *pair)
{
	int64_t jump_us = chance_between(&pair->chance, 0, 5);

	if (jump_us == 0)
		pair->now_us -= pair->window_us + chance_between(&pair->chance, -1, 1);
	else if (jump_us < 4)
		pair->now_us += pair->window_us - chance_between(&pair->chance, -1, 100) * 1000;
	(void)take(pair, LIMIT);
}

TEST(log_of_changing_size_agrees)
{
	struct pair *pair = *state;

	pair->window_us = US_PER_SECOND;
	for (int64_t i = environment_number("LOG_ENTRIES", 110000) / 200; i > 0; i--) {
		random_phase(pair);
		if (chance_is_one_in(&pair->chance, 2))
			random_jump(pair);
	}
	stage_settle(pair->stage);
}
