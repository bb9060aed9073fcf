/*
 * Lua in a real Redis, C and the model say the same on every field of a million random steps. The
 * steps, which C and the model have taken when they come here, go through the store as they do in
 * an agent, hundreds on their way at once.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "stage.h"
#include "unit/limit/steps.h"

/* A check that is always denied: of a limit of 1 it asks for 2. */
static void add_veto(struct question *question)
{
	static const struct quota quota = {FIXED_WINDOW, .limit = 1, .window_us = US_PER_SECOND};

	(void)question_add(question, "veto", &quota, 2);
	question->outcomes[1] = (struct outcome){.remaining = 1, .retry_after_us = -1};
}

static void play(void *owner, const struct step *step)
{
	struct stage *stage = owner;
	struct question *question = stage_question(stage, step->now_us);
	char key[32];

	snprintf(key, sizeof key, "run:%" PRId64, step->run);
	(void)question_add(question, key, &step->quota, step->cost);
	question->outcomes[0] = step->outcome;
	question->expectation = EXPECT_OUTCOMES;
	if (step->vetoed)
		add_veto(question);
	stage_ask(stage, question);
}

static int begin(void **state)
{
	*state = stage_new(true);
	return 0;
}

static int end(void **state)
{
	stage_free(*state);
	return 0;
}

static void compare(struct stage *stage, enum algorithm algorithm)
{
	steps_take(algorithm, play, stage);
	stage_settle(stage);
}

static void test_token_bucket_random_steps_agree_in_redis(void **state)
{
	compare(*state, TOKEN_BUCKET);
}

static void test_sliding_window_random_steps_agree_in_redis(void **state)
{
	compare(*state, SLIDING_WINDOW);
}

static void test_sliding_window_counter_random_steps_agree_in_redis(void **state)
{
	compare(*state, SLIDING_WINDOW_COUNTER);
}

static void test_fixed_window_random_steps_agree_in_redis(void **state)
{
	compare(*state, FIXED_WINDOW);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_token_bucket_random_steps_agree_in_redis),
		TEST(test_sliding_window_random_steps_agree_in_redis),
		TEST(test_sliding_window_counter_random_steps_agree_in_redis),
		TEST(test_fixed_window_random_steps_agree_in_redis),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
