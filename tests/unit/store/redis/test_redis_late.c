/* What the Redis store makes of requests whose deadline has passed. */
#include "store/redis/redis_store.h"

#include <string.h>

#include <ev.h>

#include "store_world.h"
#include "support/test.h"

BEFORE_ALL
{
	world_prepare();
}

/* As the engine does at the deadline. */
static void make_late(struct world *world, struct question *question)
{
	question->op.is_late = true;
	store_expired(world->store, &question->op, 1000000);
	store_op_fail(&question->op, STORE_TIMEOUT);
	store_settled(world->store, &question->op, true);
}

/* ---- late replies ---- */

/* Asks one after the other, each of them late, until the store is down. Pauses are waited out. */
static void be_late_until_down(struct world *world)
{
	while (store_describe(world->store).is_up) {
		if (ask_it(world, &questions[0]) == STORE_DONE) {
			assert_int_equal(questions[0].check.error, STORE_FULL);
			ev_run(world->loop, EVRUN_NOWAIT);
			continue;
		}
		size_t sent = commands(world, FAKE_EVALSHA);
		AWAIT(world, commands(world, FAKE_EVALSHA) > sent);
		make_late(world, &questions[0]);
		AWAIT(world, questions[0].answers > 0);
	}
}

TEST(late_replies_make_the_store_down_and_keep_the_connection)
{
	struct world *world = world_up();

	be_late_until_down(world);

	assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
	const struct change *told = &world->changes[world->change_count - 1];
	assert_false(told->is_up);
	assert_int_equal(told->error, STORE_TIMEOUT);
	assert_non_null(strstr(told->why, "answered after "));
	assert_non_null(strstr(told->why, " ms; --store-timeout is 1000ms"));
	world_close(world);
}

TEST(late_replies_are_told_with_their_time)
{
	struct world *world = world_up();

	ask_many(world, 1);
	AWAIT(world, commands(world, FAKE_EVALSHA) == 2);
	make_late(world, &questions[0]);
	AWAIT(world, questions[0].answers > 0);

	assert_int_equal(world->refused_count, 1);
	assert_int_equal(world->refused_error, STORE_TIMEOUT);
	assert_non_null(strstr(world->refused_why, " ms; --store-timeout is 1000ms"));
	world_close(world);
}

TEST(down_for_slowness_pings_in_time_bring_it_back)
{
	struct world *world = world_up();

	be_late_until_down(world);
	size_t told = world->change_count;
	await_up(world);
	AWAIT(world, world->change_count > told);

	assert_true(world->changes[told].is_up);
	assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
	assert_int_equal(store_describe(world->store).stats.connects, 1);
	world_close(world);
}

TEST(a_request_that_does_not_fit_is_shed_at_once)
{
	struct world *world = world_up();

	fake_redis_say(world->fake, FAKE_EVALSHA, FAKE_SILENCE, FAKE_ALWAYS);
	size_t asked = 0;
	while (ask_it(world, &questions[asked]) == STORE_PENDING)
		asked++;

	struct store_description store = store_describe(world->store);
	assert_int_equal(asked, store.stats.window);
	assert_int_equal(questions[asked].check.error, STORE_FULL);
	assert_int_equal(store.stats.shed, 1);
	assert_int_equal(store.stats.errors[STORE_FULL], 0);
	assert_true(store.is_up && store.is_shedding);
	fake_redis_hang_up(world->fake);
	AWAIT(world, are_answered(asked));
	world_close(world);
}

/* A loop that was held up finds replies and deadlines together. */
TEST(catch_up_takes_all_replies_that_have_come)
{
	struct world *world = world_up();

	for (int round = 0; round < 3; round++) {
		ask_many(world, 200);
		/* The fake server answers in its turn of the same loop; ours reads in the next. */
		AWAIT(world, questions[0].answers > 0 || commands(world, FAKE_EVALSHA) > 1);
		store_catch_up(world->store);
		AWAIT(world, are_answered(200));
		assert_errors(200, STORE_OK);
	}
	world_close(world);
}

/* ---- what need not be sent ---- */

TEST(ask_that_is_late_before_the_turn_ends_is_not_sent)
{
	struct world *world = world_up();

	ask_many(world, 2);
	make_late(world, &questions[0]);
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
	for (size_t i = 0; i < 3; i++)
		make_late(world, &questions[i]);
	AWAIT(world, are_answered(3));

	assert_errors(3, STORE_TIMEOUT);
	assert_int_equal(ask_and_await(world), STORE_OK);
	assert_int_equal(commands(world, FAKE_EVALSHA), 2); /* of world_up, and this */
	world_close(world);
}

/* ---- errors are counted once ---- */

TEST(a_late_look_is_no_error)
{
	struct world *world = world_up();

	ask_many(world, 1);
	questions[0].op.is_look = true;
	make_late(world, &questions[0]);
	AWAIT(world, are_answered(1));

	assert_int_equal(store_describe(world->store).stats.errors[STORE_TIMEOUT], 0);
	world_close(world);
}

TEST(error_of_a_late_request_is_its_timeout_only)
{
	struct world *world = world_up();

	fake_redis_say(world->fake, FAKE_EVALSHA, "*2\r\n:1\r\n-WRONGTYPE no\r\n", 1);
	ask_many(world, 1);
	AWAIT(world, commands(world, FAKE_EVALSHA) == 2);
	make_late(world, &questions[0]);
	AWAIT(world, questions[0].answers > 0);

	struct store_stats stats = store_describe(world->store).stats;
	assert_int_equal(stats.errors[STORE_TIMEOUT], 1);
	assert_int_equal(stats.errors[STORE_OTHER], 0);
	world_close(world);
}
