/*
 * A node of a cluster that lies, beside what tests/system/test_redis_cluster.py does with real
 * ones. Whatever it says, each request is answered once, and nothing goes round for ever.
 */
#include "store/redis/redis_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/redis/redis_slots.h"
#include "store_world.h"
#include "support/test.h"

BEFORE_ALL
{
	world_prepare();
}

/* The only command of another kind that a node is sent by itself is CLUSTER SLOTS. */
static char slots_text[256], moved_text[64];

/* The port stands at the end of the URL. */
static int port_of(const struct world *world)
{
	return atoi(strrchr(fake_redis_url(world->fake), ':') + 1);
}

static struct world *cluster_open(void)
{
	struct world *world = world_open(true);
	char url[128];
	struct err err;

	snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d", port_of(world));
	assert_true(redis_target_parse(bytes_from_text(url), &world->target, &err));
	snprintf(slots_text, sizeof slots_text,
		 "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%d\r\n$2\r\nid\r\n",
		 port_of(world));
	fake_redis_say(world->fake, FAKE_INFO, "$20\r\nredis_mode:cluster\r\n\r\n", FAKE_ALWAYS);
	fake_redis_say(world->fake, FAKE_OTHER, slots_text, FAKE_ALWAYS);
	return world;
}

static struct world *cluster_up(void)
{
	struct world *world = cluster_open();

	connect_store(world, usual);
	await_up(world);
	return world;
}

/* k0, the key of the first question. */
static unsigned slot_of_first(void)
{
	return redis_slot_of(BYTES("rl:"), BYTES("k0"));
}

TEST(redis_cluster_asks_the_owner_of_the_slot)
{
	struct world *world = cluster_up();

	ask_many(world, 100);
	AWAIT(world, are_answered(100));

	assert_errors(100, STORE_OK);
	world_close(world);
}

/* Requests of other slots can't share a call. */
TEST(redis_cluster_a_call_has_the_keys_of_one_slot)
{
	struct world *world = cluster_up();
	size_t before = commands(world, FAKE_EVALSHA);

	ask_many(world, 2);
	AWAIT(world, are_answered(2));

	assert_int_equal(commands(world, FAKE_EVALSHA) - before, 2);
	world_close(world);
}

TEST(redis_cluster_moved_to_itself_for_ever_is_bounded)
{
	struct world *world = cluster_up();
	size_t before = commands(world, FAKE_EVALSHA);

	snprintf(moved_text, sizeof moved_text, "-MOVED %u 127.0.0.1:%d\r\n", slot_of_first(),
		 port_of(world));
	fake_redis_say(world->fake, FAKE_EVALSHA, moved_text, FAKE_ALWAYS);
	assert_int_equal(ask_and_await(world), STORE_MOVED);

	assert_int_equal(commands(world, FAKE_EVALSHA) - before, 1 + 6);
	world_close(world);
}

TEST(redis_cluster_tryagain_of_a_request_with_one_key_is_an_error)
{
	struct world *world = cluster_up();
	size_t before = commands(world, FAKE_EVALSHA);

	fake_redis_say(world->fake, FAKE_EVALSHA, "-TRYAGAIN no\r\n", FAKE_ALWAYS);
	assert_int_equal(ask_and_await(world), STORE_MOVED);

	assert_int_equal(commands(world, FAKE_EVALSHA) - before, 1);
	world_close(world);
}

static const struct {
	const char *name, *error;
} refusals[] = {
	{"another slot than the request's", "-MOVED 1 127.0.0.1:1\r\n"},
	{"an address that is none", "-MOVED 1 a b:1\r\n"},
	{"ask without a place", "-ASK 1\r\n"},
	{"the cluster is down", "-CLUSTERDOWN The cluster is down\r\n"},
	{"keys of several slots", "-CROSSSLOT Keys in request don't hash to the same slot\r\n"},
};

TEST_ROWS(refusals)
{
	struct world *world = cluster_up();

	fake_redis_say(world->fake, FAKE_EVALSHA, row->error, 1);
	assert_int_equal(ask_and_await(world), STORE_MOVED);

	assert_int_equal(ask_and_await(world), STORE_OK);
	world_close(world);
}

/* A place where nobody listens: the request is answered when that is known. */
TEST(redis_cluster_moved_to_nobody_is_answered)
{
	struct world *world = cluster_up();

	snprintf(moved_text, sizeof moved_text, "-MOVED %u 127.0.0.1:1\r\n", slot_of_first());
	fake_redis_say(world->fake, FAKE_EVALSHA, moved_text, 1);

	assert_int_equal(ask_and_await(world), STORE_CONNECTION);
	world_close(world);
}

static const struct {
	const char *name, *says;
	enum store_error error;
	const char *why;
} greetings[] = {
	{"no cluster", "-ERR This instance has cluster support disabled\r\n", STORE_OTHER,
	 "begins with redis://"},
	{"no right", "-NOPERM this user has no permissions\r\n", STORE_OTHER, "NOPERM"},
	{"no map", "+OK\r\n", STORE_OTHER, "shape"},
	{"a slot of two owners",
	 "*2\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\na\r\n:1\r\n*3\r\n:1\r\n:2\r\n*2\r\n$1\r\na\r\n:1\r\n",
	 STORE_OTHER, "two servers"},
};

TEST_ROWS(greetings)
{
	struct world *world = cluster_open();

	fake_redis_say(world->fake, FAKE_OTHER, row->says, FAKE_ALWAYS);
	connect_store(world, usual);
	const struct change *change = await_change(world, 1);

	assert_int_equal(change->error, row->error);
	assert_non_null(strstr(change->why, row->why));
	assert_non_null(strstr(change->why, "127.0.0.1:"));
	/* And when it is mended, it is well. */
	fake_redis_say(world->fake, FAKE_OTHER, slots_text, FAKE_ALWAYS);
	await_up(world);
	world_close(world);
}

/* The map that was there goes on to hold. */
TEST(redis_cluster_a_node_that_forgot_all_slots_changes_nothing)
{
	struct world *world = cluster_up();
	size_t before = commands(world, FAKE_OTHER);

	fake_redis_say(world->fake, FAKE_OTHER, "*0\r\n", FAKE_ALWAYS);
	fake_redis_say(world->fake, FAKE_EVALSHA, "-CLUSTERDOWN The cluster is down\r\n", 1);
	assert_int_equal(ask_and_await(world), STORE_MOVED);
	AWAIT(world, commands(world, FAKE_OTHER) > before); /* it is asked for its slots */

	assert_int_equal(ask_and_await(world), STORE_OK);
	world_close(world);
}

TEST(redis_cluster_connection_that_is_lost_is_told_with_the_node)
{
	struct world *world = cluster_up();

	(void)await_change(world, 1);
	fake_redis_set_listening(world->fake, false);
	fake_redis_hang_up(world->fake);
	const struct change *change = await_change(world, 2);

	assert_false(change->is_up);
	assert_non_null(strstr(change->why, "127.0.0.1:"));
	fake_redis_set_listening(world->fake, true);
	(void)await_change(world, 3);
	assert_true(world->changes[2].is_up);
	world_close(world);
}

/* Requests of a closing store are answered, those in parts too. */
TEST(redis_cluster_free_answers_what_waits)
{
	struct world *world = cluster_up();

	fake_redis_say(world->fake, FAKE_EVALSHA, FAKE_SILENCE, FAKE_ALWAYS);
	ask_many(world, 10);
	ev_run(world->loop, EVRUN_NOWAIT);
	world_close(world);

	assert_errors(10, STORE_CONNECTION);
}
