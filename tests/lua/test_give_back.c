/*
 * What was taken is given back, in a real Redis and in the memory store alike: after each random
 * step both say the same of the balance, in every field. So neither gives back a unit that the
 * other one does not.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "stage.h"
#include "store/memory.h"
#include "support/chance.h"
#include "support/test.h"
#include "unit/store/contract.h"

#define START_US  INT64_C(1700000000000000)
#define WINDOW_US (10 * US_PER_SECOND)
#define TAKES_MAX 16

/* ---- one step ---- */

static void give_back(struct stage *stage, struct store *memory, const char *key,
		      const struct quota *quota, int64_t units, int64_t taken_us, int64_t now_us)
{
	struct question *question = stage_question(stage, now_us);
	const struct check *check = question_add(question, key, quota, units);
	struct store_op op = {.checks = (struct check *[]){(struct check *)check},
			      .count = 1,
			      .taken_us = &taken_us,
			      .now_us = now_us};

	assert_int_equal(store_ask(memory, &op), STORE_DONE);
	question->op.taken_us = &taken_us;
	stage_ask(stage, question);
	stage_settle(stage);
}

static struct outcome ask_both(struct stage *stage, struct store *memory, const char *key,
			       const struct quota *quota, int64_t cost, int64_t now_us)
{
	struct question *question = stage_question(stage, now_us);

	(void)question_add(question, key, quota, cost);
	question_expect(question, memory);
	struct outcome outcome = question->outcomes[0];
	stage_ask(stage, question);
	stage_settle(stage);
	return outcome;
}

/* ---- worked by hand ---- */

static const struct {
	const char *name;
	enum algorithm algorithm;
	/* Times are in seconds from the first taking; units that are taken then, and what is left.
	 */
	int64_t first, second, second_s, back, back_s;
	int64_t left; /* of 10, or of a bucket that gets one a second */
} worked[] = {
	{"a bucket at once", TOKEN_BUCKET, 4, 3, 0, 4, 0, 7},
	{"a bucket less what it has refilled", TOKEN_BUCKET, 4, 3, 0, 4, 3, 7},
	{"a bucket that has refilled all of it", TOKEN_BUCKET, 4, 8, 5, 4, 5, 2},
	{"a bucket that is full", TOKEN_BUCKET, 4, 0, 0, 4, 20, 10},
	{"a window", FIXED_WINDOW, 4, 3, 1, 4, 2, 7},
	{"a window that is over", FIXED_WINDOW, 4, 3, 11, 4, 12, 7},
	{"a counter", SLIDING_WINDOW_COUNTER, 4, 3, 1, 4, 2, 7},
	{"a counter's window before", SLIDING_WINDOW_COUNTER, 4, 3, 11, 4, 15, 7},
	{"a counter's window before that", SLIDING_WINDOW_COUNTER, 4, 3, 21, 4, 21, 7},
	{"a log", SLIDING_WINDOW, 4, 3, 1, 4, 2, 7},
	{"a log of which the units have left", SLIDING_WINDOW, 4, 3, 11, 4, 12, 7},
	{"all of a log", SLIDING_WINDOW, 4, 0, 0, 4, 2, 10},
};

static struct quota terms_of(enum algorithm algorithm)
{
	return algorithm == TOKEN_BUCKET ? bucket_of(10, "1") : window_of(algorithm, 10, WINDOW_US);
}

TEST_ROWS(worked)
{
	struct stage *stage = stage_new(true);
	struct store *memory = memory_store_new(MEMORY_LIMIT_MIN);
	struct quota quota = terms_of(row->algorithm);
	int64_t back_us = START_US + row->back_s * US_PER_SECOND;

	(void)ask_both(stage, memory, "key", &quota, row->first, START_US);
	(void)ask_both(stage, memory, "key", &quota, row->second,
		       START_US + row->second_s * US_PER_SECOND);
	give_back(stage, memory, "key", &quota, row->back, START_US, back_us);

	struct outcome outcome = ask_both(stage, memory, "key", &quota, 0, back_us);
	assert_int_equal(outcome.remaining, row->left);
	store_free(memory);
	stage_free(stage);
}

TEST(give_back_to_a_key_that_is_gone_writes_nothing)
{
	struct stage *stage = stage_new(true);
	struct store *memory = memory_store_new(MEMORY_LIMIT_MIN);

	for (int i = 0; i < ALGORITHM_COUNT; i++) {
		struct quota quota = terms_of((enum algorithm)i);
		give_back(stage, memory, "key", &quota, 3, START_US, START_US + 1);
	}

	assert_int_equal(redis_server_ask_number(stage_server(stage), "DBSIZE"), 0);
	store_free(memory);
	stage_free(stage);
}

TEST(give_back_to_a_value_that_is_no_state_changes_nothing)
{
	struct stage *stage = stage_new(true);
	struct store *memory = memory_store_new(MEMORY_LIMIT_MIN);

	for (int i = 0; i < ALGORITHM_COUNT; i++) {
		struct quota quota = terms_of((enum algorithm)i);
		(void)redis_server_ask(stage_server(stage), "SET rl:key nonsense");
		give_back(stage, memory, "key", &quota, 3, START_US, START_US + 1);
		const redisReply *reply = redis_server_ask(stage_server(stage), "GET rl:key");
		assert_string_equal(reply->str, "nonsense");
	}
	store_free(memory);
	stage_free(stage);
}

/* ---- random steps ---- */

struct taking {
	int64_t units, at_us;
};

struct walk {
	struct stage *stage;
	struct store *memory;
	struct chance chance;
	struct quota quota;
	int64_t now_us;
	struct taking takings[TAKES_MAX];
	size_t count;
	int64_t denied, returned;
};

static int64_t between(struct walk *walk, int64_t low, int64_t high)
{
	return chance_between(&walk->chance, low, high);
}

static void take_some(struct walk *walk, int64_t most)
{
	int64_t units = between(walk, 0, most);
	struct outcome outcome =
		ask_both(walk->stage, walk->memory, "key", &walk->quota, units, walk->now_us);

	walk->denied += !outcome.allowed;
	if (!outcome.allowed || units == 0)
		return;
	size_t at =
		walk->count < TAKES_MAX ? walk->count++ : (size_t)between(walk, 0, TAKES_MAX - 1);
	walk->takings[at] = (struct taking){units, walk->now_us};
}

/* Any of the takings that are remembered, so also old ones. */
static void return_some(struct walk *walk)
{
	if (walk->count == 0)
		return;
	size_t at = (size_t)between(walk, 0, (int64_t)walk->count - 1);
	struct taking taking = walk->takings[at];
	walk->takings[at] = walk->takings[--walk->count];
	give_back(walk->stage, walk->memory, "key", &walk->quota, taking.units, taking.at_us,
		  walk->now_us);
	(void)ask_both(walk->stage, walk->memory, "key", &walk->quota, 0, walk->now_us);
	walk->returned++;
}

static const struct {
	const char *name;
	enum algorithm algorithm;
	int64_t limit, most, longest_us;
} walks[] = {
	{"random bucket", TOKEN_BUCKET, 20, 5, 2 * US_PER_SECOND},
	{"random small log", SLIDING_WINDOW, 20, 3, US_PER_SECOND},
	{"random large log", SLIDING_WINDOW, 600, 4, WINDOW_US / 200},
	{"random counter", SLIDING_WINDOW_COUNTER, 20, 4, 2 * US_PER_SECOND},
	{"random window", FIXED_WINDOW, 20, 4, 2 * US_PER_SECOND},
};

TEST_ROWS(walks)
{
	struct walk walk = {.stage = stage_new(true),
			    .memory = memory_store_new(MEMORY_LIMIT_MIN),
			    .chance = {7},
			    .now_us = START_US};

	walk.quota = row->algorithm == TOKEN_BUCKET
			     ? bucket_of(row->limit, "2")
			     : window_of(row->algorithm, row->limit, WINDOW_US);
	for (int step = 0; step < 4000; step++) {
		walk.now_us += between(&walk, 0, row->longest_us);
		if (between(&walk, 0, 3) == 0)
			return_some(&walk);
		else
			take_some(&walk, row->most);
	}

	assert_true(walk.denied > 50);
	assert_true(walk.returned > 500);
	store_free(walk.memory);
	stage_free(walk.stage);
}
