/* What the Redis store makes of requests whose deadline has passed. */
#include "store/redis/redis_store.h"

#include <ev.h>

#include "store_world.h"
#include "support/test.h"

BEFORE_ALL
{
	world_prepare();
}

/* ---- how many, and for how long ---- */

TEST(expired_for_25_ms_gives_the_connection_up)
{
	struct world *world = world_up();
	int64_t mono_us = 1000000;

	fake_redis_say(world->fake, FAKE_EVALSHA, FAKE_SILENCE, FAKE_ALWAYS);
	ask_many(world, 3);
	AWAIT(world, commands(world, FAKE_EVALSHA) == 2);
	store_expired(world->store, mono_us);
	store_expired(world->store, mono_us + 24999);
	ev_run(world->loop, EVRUN_NOWAIT);
	assert_false(are_answered(1));
	store_expired(world->store, mono_us + 25000);
	AWAIT(world, are_answered(3));

	assert_errors(3, STORE_CONNECTION);
	assert_int_equal(ask_it(world, &questions[3]), STORE_DONE);
	assert_int_equal(questions[3].check.error, STORE_TIMEOUT);
	assert_int_equal(await_change(world, 1)->error, STORE_TIMEOUT);
	assert_string_equal(world->changes[0].why, "no answer in time");
	fake_redis_say(world->fake, FAKE_EVALSHA, NULL, 0);
	await_up(world);
	world_close(world);
}

TEST(expired_with_an_answer_in_time_between_starts_anew)
{
	struct world *world = world_up();

	store_expired(world->store, 1000000);
	assert_int_equal(ask_and_await(world), STORE_OK);
	store_expired(world->store, 1025000);
	store_expired(world->store, 1049999);
	assert_int_equal(ask_and_await(world), STORE_OK);

	assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
	world_close(world);
}

TEST(expired_with_late_answers_between_does_not)
{
	struct world *world = world_up();

	ask_many(world, 1);
	AWAIT(world, commands(world, FAKE_EVALSHA) == 2);
	questions[0].op.is_late = true;
	store_expired(world->store, 1000000);
	AWAIT(world, questions[0].answers > 0);
	store_expired(world->store, 1025000);
	AWAIT(world, world->change_count == 1);

	assert_int_equal(world->changes[0].error, STORE_TIMEOUT);
	world_close(world);
}

TEST(expired_before_a_new_connection_does_not_count_for_it)
{
	struct world *world = world_up();

	fake_redis_say(world->fake, FAKE_EVALSHA, FAKE_SILENCE, FAKE_ALWAYS);
	store_expired(world->store, 1000000);
	fake_redis_hang_up(world->fake);
	AWAIT(world, world->change_count == 1);
	store_expired(world->store, 1001000); /* while there is none */
	while (ask_it(world, &questions[0]) == STORE_DONE)
		turn(world);
	store_expired(world->store, 1030000);
	for (int i = 0; i < 5; i++)
		ev_run(world->loop, EVRUN_NOWAIT);

	assert_int_equal(questions[0].answers, 0);
	assert_int_equal(fake_redis_counts(world->fake)->connections, 2);
	world_close(world);
	assert_errors(1, STORE_CONNECTION);
}

TEST(expired_long_ago_says_nothing_of_now)
{
	struct world *world = world_up();

	store_expired(world->store, 1000000);
	store_expired(world->store, 1000000 + 3600 * SECOND_US);
	store_expired(world->store, 1000000 + 3600 * SECOND_US + 24999);
	assert_int_equal(ask_and_await(world), STORE_OK);

	assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
	world_close(world);
}

/* Ops that became late half a second ago still say something of now; from then on they don't. */
TEST(expired_half_a_second_ago_is_the_limit)
{
	for (int64_t more_us = 0; more_us < 2; more_us++) {
		struct world *world = world_up();
		store_expired(world->store, 1000000);
		store_expired(world->store, 1000000 + 500000 + more_us);
		for (int i = 0; i < 5; i++)
			ev_run(world->loop, EVRUN_NOWAIT);
		assert_int_equal(store_describe(world->store).is_up, more_us > 0);
		world_close(world);
	}
}

/* ---- what need not be sent ---- */

TEST(ask_that_is_late_before_the_turn_ends_is_not_sent)
{
	struct world *world = world_up();

	ask_many(world, 2);
	questions[0].op.is_late = true;
	store_expired(world->store, 1000000);
	AWAIT(world, are_answered(2));

	assert_int_equal(questions[0].check.error, STORE_TIMEOUT);
	assert_int_equal(questions[1].check.error, STORE_OK);
	assert_string_equal(fake_redis_last(world->fake, FAKE_EVALSHA),
			    "EVALSHA " FAKE_HASH " 1 rl:k1 now 1 0 fixed_window 1 5 60000000");
	struct store_stats stats = store_describe(world->store).stats;
	assert_int_equal(stats.errors[STORE_TIMEOUT], 1);
	world_close(world);
}

TEST(ask_of_which_all_are_late_sends_nothing)
{
	struct world *world = world_up();

	ask_many(world, 3);
	for (size_t i = 0; i < 3; i++) {
		questions[i].op.is_late = true;
		store_expired(world->store, 1000000);
	}
	AWAIT(world, are_answered(3));

	assert_errors(3, STORE_TIMEOUT);
	assert_int_equal(ask_and_await(world), STORE_OK);
	assert_int_equal(commands(world, FAKE_EVALSHA), 2); /* of world_up, and this */
	world_close(world);
}

/* ---- errors are counted once ---- */

TEST(error_of_a_late_request_is_its_timeout_only)
{
	struct world *world = world_up();

	fake_redis_say(world->fake, FAKE_EVALSHA, "*2\r\n:1\r\n-WRONGTYPE no\r\n", 1);
	ask_many(world, 1);
	AWAIT(world, commands(world, FAKE_EVALSHA) == 2);
	questions[0].op.is_late = true;
	store_expired(world->store, 1000000);
	AWAIT(world, questions[0].answers > 0);

	struct store_stats stats = store_describe(world->store).stats;
	assert_int_equal(stats.errors[STORE_TIMEOUT], 1);
	assert_int_equal(stats.errors[STORE_OTHER], 0);
	world_close(world);
}
