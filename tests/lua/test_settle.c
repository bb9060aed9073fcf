/*
 * Units that were granted without the store are settled: charged as far as something is left, in a
 * real Redis and in the memory store alike. After each random step both have charged the same, and
 * say the same of the balance.
 */
#include <setjmp.h>
#include <stdarg.h>

#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "base/least.h"
#include "stage.h"
#include "store/memory.h"
#include "support/chance.h"
#include "support/test.h"
#include "unit/store/contract.h"

#define START_US  INT64_C(1700000000000000)
#define WINDOW_US (10 * US_PER_SECOND)
#define LIMIT     20

struct both {
	struct stage *stage;
	struct store *redis, *memory;
	bool is_answered;
};

static struct both *waiting; /* for the answer of Redis */

static void on_answered(struct store_op *op)
{
	(void)op;
	waiting->is_answered = true;
}

static void open_both(struct both *both)
{
	*both = (struct both){.stage = stage_new(true),
			      .memory = memory_store_new(MEMORY_LIMIT_MIN)};
	both->redis = stage_open_store(both->stage);
}

static void close_both(struct both *both)
{
	store_free(both->redis);
	store_free(both->memory);
	stage_free(both->stage);
}

static struct outcome ask_both(struct both *both, const struct quota *quota, int64_t cost,
			       int64_t now_us)
{
	struct question *question = stage_question(both->stage, now_us);

	(void)question_add(question, "key", quota, cost);
	question_expect(question, both->memory);
	struct outcome outcome = question->outcomes[0];
	stage_ask(both->stage, question);
	stage_settle(both->stage);
	return outcome;
}

/* How many of the units the store has charged. */
static int64_t settle_in(struct both *both, struct store *store, const struct quota *quota,
			 int64_t units, int64_t now_us)
{
	struct check check;
	struct store_op op = {.checks = (struct check *[]){check_make(&check, "key", quota, units)},
			      .count = 1,
			      .now_us = now_us,
			      .mono_us = clock_mono_us(),
			      .is_settling = true,
			      .answered = on_answered};

	waiting = both;
	both->is_answered = store_ask(store, &op) == STORE_DONE;
	while (!both->is_answered)
		stage_turn(both->stage);
	assert_int_equal(check.error, STORE_OK);
	assert_true(check.is_decided && check.outcome.allowed);
	return check.cost;
}

static int64_t settle(struct both *both, const struct quota *quota, int64_t units, int64_t now_us)
{
	int64_t charged = settle_in(both, both->memory, quota, units, now_us);

	assert_int_equal(settle_in(both, both->redis, quota, units, now_us), charged);
	return charged;
}

static struct quota terms_of(enum algorithm algorithm, int64_t limit)
{
	return algorithm == TOKEN_BUCKET ? bucket_of(limit, "1")
					 : window_of(algorithm, limit, WINDOW_US);
}

TEST(settle_charges_as_much_as_is_left)
{
	for (int i = 0; i < ALGORITHM_COUNT; i++) {
		struct both both;
		open_both(&both);
		struct quota quota = terms_of((enum algorithm)i, LIMIT);

		assert_int_equal(settle(&both, &quota, 12, START_US), 12);
		assert_int_equal(ask_both(&both, &quota, 3, START_US).remaining, 5);
		assert_int_equal(settle(&both, &quota, 12, START_US), 5);
		assert_int_equal(settle(&both, &quota, 12, START_US), 0);
		struct outcome outcome = ask_both(&both, &quota, 1, START_US);
		assert_false(outcome.allowed);
		assert_int_equal(outcome.remaining, 0);
		close_both(&both);
	}
}

/* A cost above the limit would never pass; so many units are charged all the same. */
TEST(settle_of_more_than_the_limit_charges_all_that_is_left)
{
	for (int i = 0; i < ALGORITHM_COUNT; i++) {
		struct both both;
		open_both(&both);
		struct quota quota = terms_of((enum algorithm)i, LIMIT);

		assert_int_equal(settle(&both, &quota, QUOTA_EXACT_MAX, START_US), LIMIT);
		close_both(&both);
	}
}

/* In a window that used more than a limit that was lowered since, nothing is left. */
TEST(settle_by_a_lowered_limit_charges_nothing_more)
{
	for (int i = 0; i < ALGORITHM_COUNT; i++) {
		struct both both;
		open_both(&both);
		struct quota quota = terms_of((enum algorithm)i, LIMIT);
		struct quota lowered = terms_of((enum algorithm)i, 5);

		(void)ask_both(&both, &quota, 18, START_US);
		int64_t left = ask_both(&both, &lowered, 0, START_US).remaining;
		assert_int_equal(settle(&both, &lowered, 7, START_US), left);
		assert_int_equal(ask_both(&both, &lowered, 0, START_US).remaining, 0);
		close_both(&both);
	}
}

TEST(settle_where_the_value_is_no_state_is_an_error_and_changes_nothing)
{
	struct both both;
	open_both(&both);

	for (int i = 0; i < ALGORITHM_COUNT; i++) {
		struct quota quota = terms_of((enum algorithm)i, LIMIT);
		struct check check;
		struct store_op op = {
			.checks = (struct check *[]){check_make(&check, "key", &quota, 3)},
			.count = 1,
			.now_us = START_US,
			.mono_us = clock_mono_us(),
			.is_settling = true,
			.answered = on_answered};
		(void)redis_server_ask(stage_server(both.stage), "SET rl:key nonsense");
		waiting = &both;
		both.is_answered = false;
		assert_int_equal(store_ask(both.redis, &op), STORE_PENDING);
		while (!both.is_answered)
			stage_turn(both.stage);
		assert_int_equal(check.error, STORE_OTHER);
		assert_false(op.is_unsure);
		const redisReply *reply = redis_server_ask(stage_server(both.stage), "GET rl:key");
		assert_string_equal(reply->str, "nonsense");
	}
	close_both(&both);
}

static const struct {
	const char *name;
	enum algorithm algorithm;
	int64_t limit;
} walks[] = {
	{"random bucket", TOKEN_BUCKET, LIMIT},
	{"random small log", SLIDING_WINDOW, LIMIT},
	{"random large log", SLIDING_WINDOW, 600},
	{"random counter", SLIDING_WINDOW_COUNTER, LIMIT},
	{"random window", FIXED_WINDOW, LIMIT},
};

TEST_ROWS(walks)
{
	struct both both;
	open_both(&both);
	struct quota quota = terms_of(row->algorithm, row->limit);
	struct chance chance = {7};
	int64_t now_us = START_US, whole = 0, less = 0;

	for (int step = 0; step < 1500; step++) {
		now_us += chance_between(&chance, 0, US_PER_SECOND);
		(void)ask_both(&both, &quota, chance_between(&chance, 0, row->limit / 8), now_us);
		int64_t units = chance_between(&chance, 0, row->limit / 4);
		int64_t charged = settle(&both, &quota, units, now_us);
		whole += charged == units;
		less += charged < units;
	}

	assert_true(whole > 100);
	assert_true(less > 100);
	close_both(&both);
}
