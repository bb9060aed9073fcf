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
static char slots_text[512], moved_text[64];

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

/* ---- two nodes ---- */

static size_t nodes_down;

static void on_node_changed(void *owner, const char *node, bool is_up, enum store_error error,
			    const char *why)
{
	(void)owner, (void)node, (void)error, (void)why;
	if (!is_up)
		nodes_down++;
}

/* The other one has the upper half of the slots. */
static struct world *two_up(struct fake_redis **ret_other)
{
	struct world *world = cluster_open();
	struct store_config config = usual;

	*ret_other = fake_redis_new(world->loop, true);
	fake_redis_say(*ret_other, FAKE_INFO, "$20\r\nredis_mode:cluster\r\n\r\n", FAKE_ALWAYS);
	snprintf(slots_text, sizeof slots_text,
		 "*2\r\n*3\r\n:0\r\n:8191\r\n*3\r\n$9\r\n127.0.0.1\r\n:%d\r\n$2\r\nid\r\n"
		 "*3\r\n:8192\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%s\r\n$2\r\nie\r\n",
		 port_of(world), strrchr(fake_redis_url(*ret_other), ':') + 1);
	fake_redis_say(*ret_other, FAKE_OTHER, slots_text, FAKE_ALWAYS);
	nodes_down = 0;
	config.node_changed = on_node_changed;
	connect_store(world, config);
	await_up(world);
	return world;
}

static void two_close(struct world *world, struct fake_redis *other)
{
	struct store *store = world->store;

	world->store = NULL;
	store_free(store);
	fake_redis_free(other);
	world_close(world);
}

/* Gives the question a key of the upper half, or of the lower one. */
static void set_half(struct question *question, bool is_upper)
{
	static unsigned number;
	struct bytes key;

	do {
		snprintf(question->key, sizeof question->key, "h%u", number++);
		key = bytes_from_text(question->key);
	} while ((redis_slot_of(BYTES("rl:"), key) >= 8192) != is_upper);
}

static void await_half(struct world *world, bool is_upper)
{
	struct question *question = &questions[is_upper];

	do {
		set_half(question, is_upper);
		if (ask_it(world, question) == STORE_DONE)
			turn(world);
		else
			AWAIT(world, question->answers > 0);
	} while (question->check.error != STORE_OK);
}

/* One request after the other is late there, until the node counts as down. */
static void be_late_until_down(struct world *world, struct fake_redis *node)
{
	struct question *question = &questions[2];

	while (nodes_down == 0) {
		set_half(question, true);
		if (ask_it(world, question) == STORE_DONE) {
			ev_run(world->loop, EVRUN_NOWAIT);
			continue;
		}
		size_t sent = fake_redis_counts(node)->commands[FAKE_EVALSHA];
		AWAIT(world, fake_redis_counts(node)->commands[FAKE_EVALSHA] > sent);
		question->op.is_late = true;
		store_expired(world->store, &question->op, 0);
		store_op_fail(&question->op, STORE_TIMEOUT);
		AWAIT(world, question->answers > 0);
	}
}

/* The slot of the first question has moved to a new node, to which the agent connects just now. */
static struct fake_redis *move_first_to_new_node(struct world *world)
{
	struct fake_redis *other = fake_redis_new(world->loop, true);
	const char *port = strrchr(fake_redis_url(other), ':') + 1;
	static char others_slots[sizeof slots_text];

	snprintf(others_slots, sizeof others_slots,
		 "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%s\r\n$2\r\nid\r\n", port);
	fake_redis_say(other, FAKE_INFO, "$20\r\nredis_mode:cluster\r\n\r\n", FAKE_ALWAYS);
	fake_redis_say(other, FAKE_OTHER, others_slots, FAKE_ALWAYS);
	snprintf(moved_text, sizeof moved_text, "-MOVED %u 127.0.0.1:%s\r\n", slot_of_first(),
		 port);
	fake_redis_say(world->fake, FAKE_EVALSHA, moved_text, 1);
	ask_many(world, 1);
	AWAIT(world, fake_redis_counts(other)->connections > 0);
	assert_int_equal(fake_redis_counts(other)->commands[FAKE_EVALSHA], 0);
	return other;
}

/*
 * The first request of a slot that has moved to a new node waits for the connection to that node.
 * The next requests of the slot are asked there at once, so they wait too.
 */
TEST(redis_cluster_requests_for_a_new_node_wait_for_its_connection)
{
	struct world *world = cluster_up();
	struct fake_redis *other = move_first_to_new_node(world);

	strcpy(questions[1].key, "k0");
	assert_int_equal(ask_it(world, &questions[1]), STORE_PENDING);
	AWAIT(world, are_answered(2));

	assert_errors(2, STORE_OK);
	assert_int_equal(fake_redis_counts(other)->commands[FAKE_EVALSHA],
			 1); /* one slot, one call */
	*questions[1].key = '\0';
	two_close(world, other);
}

/* Nothing is broken: what does not fit counts as shed, as it does when the node is connected. */
TEST(redis_cluster_requests_that_do_not_fit_before_the_connection_are_shed)
{
	struct world *world = cluster_open();
	struct store_config config = usual;

	config.max_in_flight = 2;
	connect_store(world, config);
	await_up(world);
	struct store_stats before = store_describe(world->store).stats;
	struct fake_redis *other = move_first_to_new_node(world);
	strcpy(questions[1].key, "k0");
	strcpy(questions[2].key, "k0");
	assert_int_equal(ask_it(world, &questions[1]), STORE_PENDING);
	assert_int_equal(ask_it(world, &questions[2]), STORE_DONE);

	assert_int_equal(questions[2].check.error, STORE_FULL);
	struct store_stats stats = store_describe(world->store).stats;
	assert_int_equal(stats.shed - before.shed, 1);
	assert_int_equal(stats.errors[STORE_CONNECTION], before.errors[STORE_CONNECTION]);
	AWAIT(world, are_answered(2));
	assert_errors(2, STORE_OK);
	*questions[1].key = *questions[2].key = '\0';
	two_close(world, other);
}

/* What is remembered of answers by a connection holds as long as the connection. */
TEST(redis_cluster_connection_is_the_same_while_a_node_is_slow)
{
	struct fake_redis *other;
	struct world *world = two_up(&other);

	await_half(world, false);
	await_half(world, true);
	uint64_t before = world->store->connection(world->store);
	be_late_until_down(world, other);

	assert_int_equal(world->store->connection(world->store), before);
	two_close(world, other);
}

TEST(redis_cluster_connection_is_another_one_when_one_of_a_node_ends)
{
	struct fake_redis *other;
	struct world *world = two_up(&other);

	await_half(world, false);
	await_half(world, true);
	uint64_t before = world->store->connection(world->store);
	fake_redis_set_listening(other, false);
	fake_redis_hang_up(other);
	AWAIT(world, nodes_down > 0);
	uint64_t ended = world->store->connection(world->store);
	assert_true(ended > before);
	fake_redis_set_listening(other, true);
	await_half(world, true);

	assert_true(world->store->connection(world->store) > ended);
	two_close(world, other);
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
