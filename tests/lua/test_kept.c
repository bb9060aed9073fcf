/*
 * What the memory store keeps of the replies of Redis, to stand in for it. Of a bucket and of the
 * windows by counts it is the balance itself; of a log it may be less than is left, and is never
 * more. What the memory store granted in place of Redis is taken off.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

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

#define START_US  INT64_C(1700000000000000)
#define WINDOW_US (10 * US_PER_SECOND)
#define STEPS     3000

struct pair {
	struct stage *stage;
	struct store *memory;
	struct chance chance;
	int64_t now_us;
};

static struct store *memory_of_test;
static struct {
	bool is_charged, allowed;
} last_seen;

BEFORE_EACH
{
	static struct pair pair;

	pair = (struct pair){
		.stage = stage_new(true),
		.memory = memory_store_new(MEMORY_LIMIT_MIN),
		.chance = {(uint64_t)environment_number("MODEL_SEED", 11)},
		.now_us = START_US,
	};
	assert_non_null(pair.memory);
	memory_of_test = pair.memory;
	*state = &pair;
}

AFTER_EACH
{
	struct pair *pair = *state;

	stage_free(pair->stage);
	store_free(pair->memory);
}

static void keep(struct store_op *op, const struct check *check, const struct balance *balance,
		 bool is_charged, int64_t now_us)
{
	last_seen.is_charged = is_charged;
	last_seen.allowed = check->outcome.allowed;
	assert_int_equal(op->now_us, now_us);
	memory_of_test->keep(memory_of_test, check, balance, now_us);
}

/* A check that is in shadow is charged as another one that is alone. */
static struct outcome ask_redis(struct pair *pair, const struct quota *quota, int64_t cost,
				bool is_kept)
{
	struct question *question = stage_question(pair->stage, pair->now_us);

	(void)question_add(question, "key", quota, cost);
	question->op.shadow = chance_is_one_in(&pair->chance, 4) ? 1 : 0;
	question->op.seen = is_kept ? keep : NULL;
	stage_ask(pair->stage, question);
	stage_settle(pair->stage);
	if (is_kept)
		assert_int_equal(last_seen.is_charged, last_seen.allowed);
	return stage_ask_one(pair->stage, "key", quota, 0, pair->now_us);
}

static struct outcome ask_memory(struct pair *pair, const struct quota *quota, int64_t cost)
{
	struct check check;
	struct store_op op = {
		.checks = (struct check *[]){check_make(&check, "key", quota, cost)},
		.count = 1,
		.now_us = pair->now_us,
		.is_stand_in = true,
	};

	assert_int_equal(store_ask(pair->memory, &op), STORE_DONE);
	assert_int_equal(check.error, STORE_OK);
	return check.outcome;
}

static void assert_same(const struct outcome *memory, const struct outcome *redis)
{
	assert_int_equal(memory->remaining, redis->remaining);
	assert_int_equal(memory->reset_us, redis->reset_us);
	assert_int_equal(memory->grows_us, redis->grows_us);
}

/* Right after a reply, and at any time later while nobody else asks. */
static void compare(struct pair *pair, enum algorithm algorithm)
{
	struct quota quota = quota_of(algorithm, 20, WINDOW_US);
	bool is_log = algorithm_traits(algorithm)->is_log;
	int64_t same = 0;

	for (int i = 0; i < STEPS; i++) {
		struct outcome redis =
			ask_redis(pair, &quota, chance_between(&pair->chance, 0, 8), true);
		struct outcome memory = ask_memory(pair, &quota, 0);
		assert_int_equal(memory.remaining, redis.remaining);
		assert_int_equal(memory.reset_us, redis.reset_us);

		pair->now_us += chance_between(&pair->chance, 0, WINDOW_US / 4);
		redis = stage_ask_one(pair->stage, "key", &quota, 0, pair->now_us);
		memory = ask_memory(pair, &quota, 0);
		assert_true(memory.remaining <= redis.remaining);
		same += memory.remaining == redis.remaining;
		if (!is_log)
			assert_same(&memory, &redis);
	}
	assert_true(same > (is_log ? STEPS / 4 : STEPS - 1));
}

TEST(kept_token_bucket_is_that_of_redis)
{
	compare(*state, TOKEN_BUCKET);
}

TEST(kept_sliding_window_is_never_more_than_that_of_redis)
{
	compare(*state, SLIDING_WINDOW);
}

TEST(kept_sliding_window_counter_is_that_of_redis)
{
	compare(*state, SLIDING_WINDOW_COUNTER);
}

TEST(kept_fixed_window_is_that_of_redis)
{
	compare(*state, FIXED_WINDOW);
}

/*
 * Redis is asked by others too, and every now and then it can't be asked for a while: the memory
 * store grants what was left when it was last told, no more in the end than the limit.
 */
TEST(stand_in_grants_what_was_left_and_takes_off_what_it_granted)
{
	struct pair *pair = *state;

	for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
		struct quota quota = quota_of((enum algorithm)i, 20, 3600 * US_PER_SECOND);
		(void)redis_server_ask_number(stage_server(pair->stage), "FLUSHALL");
		store_free(pair->memory);
		memory_of_test = pair->memory = memory_store_new(MEMORY_LIMIT_MIN);
		pair->now_us = START_US;
		int64_t by_memory = 0;

		assert_int_equal(ask_redis(pair, &quota, 8, true).remaining, 12);
		for (int n = 0; n < 5; n++)
			by_memory += ask_memory(pair, &quota, 1).allowed;
		assert_int_equal(by_memory, 5);
		/* It is back, knows nothing of the 5, and somebody else takes 4 there. */
		assert_int_equal(ask_redis(pair, &quota, 4, false).remaining, 8);
		assert_int_equal(ask_redis(pair, &quota, 1, true).remaining, 7);
		assert_int_equal(ask_memory(pair, &quota, 0).remaining, 2);
		for (int n = 0; n < 5; n++)
			by_memory += ask_memory(pair, &quota, 1).allowed;
		assert_int_equal(by_memory, 7);
		/* Nothing is left here, whatever is left there. */
		assert_int_equal(ask_redis(pair, &quota, 0, true).remaining, 7);
		assert_false(ask_memory(pair, &quota, 1).allowed);
		/* Two hours later all is as new. */
		pair->now_us += 7200 * US_PER_SECOND;
		assert_int_equal(ask_redis(pair, &quota, 0, true).remaining, 20);
		assert_int_equal(ask_memory(pair, &quota, 0).remaining, 20);
	}
}
