#include "store/redis/redis_sweep.h"

#include <string.h>

#include <ev.h>

#include "store/redis/redis_script.h"
#include "store_world.h"
#include "support/test.h"

BEFORE_ALL
{
	world_prepare();
}

static struct redis_sweep *sweep_of(struct world *world, const char *prefix)
{
	struct err err;

	assert_true(redis_target_parse(bytes_from_text(fake_redis_url(world->fake)), &world->target,
				       &err));
	struct redis_sweep *sweep =
		redis_sweep_new(world->loop, &world->target, bytes_from_text(prefix));
	assert_non_null(sweep);
	assert_int_equal(redis_sweep_state(sweep), SWEEP_RUNNING);
	return sweep;
}

static void close_both(struct world *world, struct redis_sweep *sweep)
{
	redis_sweep_free(sweep);
	world_close(world);
}

TEST(redis_sweep_asks_from_cursor_to_cursor_until_it_is_0)
{
	struct world *world = world_open(false);

	fake_redis_say(world->fake, FAKE_EVALSHA, "$2\r\n17\r\n", 1);
	struct redis_sweep *sweep = sweep_of(world, "rl:replay:");
	AWAIT(world, commands(world, FAKE_EVALSHA) == 1);
	assert_string_equal(fake_redis_last(world->fake, FAKE_EVALSHA),
			    "EVALSHA " FAKE_HASH " 0 0 rl:replay:*");
	/* 23 digits, the longest cursor */
	fake_redis_say(world->fake, FAKE_EVALSHA, "$23\r\n12345678901234567890123\r\n", 1);
	AWAIT(world, commands(world, FAKE_EVALSHA) == 2);
	assert_string_equal(fake_redis_last(world->fake, FAKE_EVALSHA),
			    "EVALSHA " FAKE_HASH " 0 17 rl:replay:*");
	fake_redis_say(world->fake, FAKE_EVALSHA, "$1\r\n0\r\n", 1);
	AWAIT(world, redis_sweep_state(sweep) != SWEEP_RUNNING);

	assert_string_equal(fake_redis_last(world->fake, FAKE_EVALSHA),
			    "EVALSHA " FAKE_HASH " 0 12345678901234567890123 rl:replay:*");
	assert_int_equal(redis_sweep_state(sweep), SWEEP_DONE);
	for (int i = 0; i < 5; i++)
		ev_run(world->loop, EVRUN_NOWAIT);
	assert_int_equal(commands(world, FAKE_EVALSHA), 3); /* nothing is asked after the end */
	close_both(world, sweep);
}

TEST(redis_sweep_escapes_what_is_special_in_a_glob)
{
	static const struct {
		const char *prefix, *pattern;
	} cases[] = {
		{"", "*"},
		{"rl:", "rl:*"},
		{"a*b?c", "a\\*b\\?c*"},
		{"[^x]\\", "\\[\\^x\\]\\\\*"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *world = world_open(false);
		fake_redis_say(world->fake, FAKE_EVALSHA, "$1\r\n0\r\n", 1);
		struct redis_sweep *sweep = sweep_of(world, cases[i].prefix);
		AWAIT(world, redis_sweep_state(sweep) != SWEEP_RUNNING);
		const char *asked = fake_redis_last(world->fake, FAKE_EVALSHA);
		assert_string_equal(asked + strlen("EVALSHA " FAKE_HASH " 0 0 "), cases[i].pattern);
		close_both(world, sweep);
	}
}

/* All of it special: the pattern is twice as long, and fits. */
TEST(redis_sweep_longest_prefix_fits)
{
	struct world *world = world_open(false);
	char prefix[REDIS_PREFIX_MAX + 1] = "";

	memset(prefix, '*', REDIS_PREFIX_MAX);
	fake_redis_say(world->fake, FAKE_EVALSHA, "$1\r\n0\r\n", 1);
	struct redis_sweep *sweep = sweep_of(world, prefix);
	AWAIT(world, redis_sweep_state(sweep) != SWEEP_RUNNING);

	const char *asked = fake_redis_last(world->fake, FAKE_EVALSHA);
	assert_int_equal(strlen(asked + strlen("EVALSHA " FAKE_HASH " 0 0 ")),
			 2 * REDIS_PREFIX_MAX + 1);
	close_both(world, sweep);
}

TEST(redis_sweep_fails_by_a_reply_that_is_no_cursor)
{
	static const struct {
		const char *says, *why;
	} cases[] = {
		{"-NOPERM no\r\n", "\"NOPERM no\""},
		{":0\r\n", "\"SCAN was not answered by a cursor\""},
		{"$0\r\n\r\n", "\"SCAN was not answered by a cursor\""},
		{"$-1\r\n", "\"SCAN was not answered by a cursor\""},
		{"$24\r\n123456789012345678901234\r\n", "\"SCAN was not answered by a cursor\""},
		{"*1\r\n$1\r\n0\r\n", "\"SCAN was not answered by a cursor\""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *world = world_open(false);
		fake_redis_say(world->fake, FAKE_EVALSHA, cases[i].says, 1);
		struct redis_sweep *sweep = sweep_of(world, "rl:");
		AWAIT(world, redis_sweep_state(sweep) != SWEEP_RUNNING);
		assert_int_equal(redis_sweep_state(sweep), SWEEP_FAILED);
		assert_string_equal(redis_sweep_why(sweep), cases[i].why);
		close_both(world, sweep);
	}
}

TEST(redis_sweep_asks_again_when_a_reply_was_lost)
{
	struct world *world = world_open(false);

	fake_redis_say(world->fake, FAKE_EVALSHA, "$2\r\n17\r\n", 1);
	struct redis_sweep *sweep = sweep_of(world, "rl:");
	AWAIT(world, commands(world, FAKE_EVALSHA) == 1);
	fake_redis_say(world->fake, FAKE_EVALSHA, FAKE_SILENCE, 1);
	AWAIT(world, commands(world, FAKE_EVALSHA) == 2);
	fake_redis_say(world->fake, FAKE_EVALSHA, "$1\r\n0\r\n", 1);
	fake_redis_hang_up(world->fake);
	AWAIT(world, redis_sweep_state(sweep) != SWEEP_RUNNING);

	assert_int_equal(redis_sweep_state(sweep), SWEEP_DONE);
	assert_string_equal(fake_redis_last(world->fake, FAKE_EVALSHA),
			    "EVALSHA " FAKE_HASH " 0 17 rl:*");
	assert_int_equal(fake_redis_counts(world->fake)->connections, 2);
	close_both(world, sweep);
}

/* Nobody is there: it ends after five seconds, with the reason of the link. */
TEST(redis_sweep_gives_up)
{
	struct world *world = world_open(false);

	fake_redis_set_listening(world->fake, false);
	struct redis_sweep *sweep = sweep_of(world, "rl:");
	AWAIT(world, redis_sweep_state(sweep) != SWEEP_RUNNING);

	assert_int_equal(redis_sweep_state(sweep), SWEEP_FAILED);
	assert_string_equal(redis_sweep_why(sweep), "\"No such file or directory\"");
	close_both(world, sweep);
}
