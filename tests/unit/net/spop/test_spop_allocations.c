/* Connections with HAProxy while memory is short, and what an answer allocates. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <ev.h>
#include <sodium.h>

#include "net/spop/spop_map.h"
#include "net/spop/spop_peer.h"
#include "net/spop/spop_server.h"
#include "support/allocations.h"
#include "support/test.h"
#include "unit/net/log_lines.h"
#include "unit/net/loop_time.h"
#include "unit/net/sockets.h"
#include "unit/net/spop/fake_engine.h"

static struct ev_loop *loop;
static struct fake_engine fake;
static struct spop_server_stats stats;
static struct spop_peer_config config;
static struct list peers;
static size_t ended_count;

static void on_ended(void *owner, struct list *link)
{
	(void)owner;
	list_remove(link);
	ended_count++;
}

static void turns(int count)
{
	while (count-- > 0)
		loop_turn(loop);
}

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

BEFORE_EACH
{
	faults = (struct faults){0};
	log_lines_clear();
	loop = ev_loop_new(EVFLAG_NOENV);
	fake_engine_init(&fake);
	stats = (struct spop_server_stats){0};
	list_init(&peers);
	ended_count = 0;
	config = (struct spop_peer_config){
		.engine = fake.engine,
		.streams = streams_new(loop, 65536),
		.stats = &stats,
		.max_frame_size = 16380,
		.vars = SPOP_VARS_ALL,
		.ended = on_ended,
	};
}

AFTER_EACH
{
	for (struct list *link = peers.next; link != &peers; link = link->next)
		spop_peer_close(link);
	streams_free(config.streams);
	fake_engine_release(&fake);
	ev_loop_destroy(loop);
}

TEST(spop_peer_open_without_memory_closes_the_descriptor)
{
	struct pair pair = pair_unix();

	allocations_fail_at(0);
	assert_false(spop_peer_open(&config, pair.ours, &peers));
	assert_true(allocations_end());

	assert_false(is_open(pair.ours));
	assert_true(list_is_empty(&peers));
	assert_gets(pair.theirs, "end");
	close(pair.theirs);
}

TEST(spop_peer_hello_without_memory_closes)
{
	struct pair pair = pair_unix();

	assert_true(spop_peer_open(&config, pair.ours, &peers));
	send_hello(pair.theirs);
	allocations_fail_at(0);
	turns(2);
	assert_true(allocations_end());

	assert_gets(pair.theirs, "end");
	assert_int_equal(ended_count, 1);
	assert_int_equal(stats.agent_hellos, 0);
	close(pair.theirs);
}

TEST(spop_peer_refusal_without_memory_ends_without_a_word)
{
	struct pair pair = pair_unix();

	assert_true(spop_peer_open(&config, pair.ours, &peers));
	send_notation(pair.theirs, "00000000");
	allocations_fail_at(0);
	turns(2);
	assert_true(allocations_end());

	assert_gets(pair.theirs, "end");
	assert_int_equal(stats.agent_disconnects, 0);
	close(pair.theirs);
}

TEST(spop_peer_ack_without_memory_closes)
{
	struct pair one = pair_unix(), two = pair_unix();

	assert_true(spop_peer_open(&config, one.ours, &peers));
	assert_true(spop_peer_open(&config, two.ours, &peers));
	send_hello(one.theirs);
	send_hello(two.theirs);
	turns(2);
	assert_gets(one.theirs, "hello");
	assert_gets(two.theirs, "hello");
	send_notify(two.theirs, 1, 1); /* the first verdict of a policy makes its statistics */
	turns(2);
	assert_gets(two.theirs, "ack 1.1");
	fake.waits = true;
	send_notify(one.theirs, 1, 1);
	turns(2);
	/* The blocks that are kept are in use, so that an answer needs another one. */
	struct pair others[2];

	for (size_t i = 0; i < 2; i++) {
		others[i] = pair_unix();
		assert_true(spop_peer_open(&config, others[i].ours, &peers));
		send_hello(others[i].theirs);
	}
	loop_turn(loop); /* both have put their HELLO into a block, and not sent it */
	allocations_fail_at(0);
	fake_engine_answer(&fake, 1);
	bool was_short = allocations_end();
	turns(2);

	assert_true(was_short);
	assert_gets(one.theirs, "end");
	assert_int_equal(stats.acks, 1);
	for (size_t i = 0; i < 2; i++)
		close(others[i].theirs);
	close(one.theirs);
	close(two.theirs);
}

TEST(spop_peer_allocates_nothing_for_an_answer)
{
	struct pair pair = pair_unix();

	assert_true(spop_peer_open(&config, pair.ours, &peers));
	send_hello(pair.theirs);
	turns(2);
	assert_gets(pair.theirs, "hello");
	send_notify(pair.theirs, 1, 1);
	turns(2);
	assert_gets(pair.theirs, "ack 1.1");

	allocations_fail_at(0);
	for (unsigned i = 0; i < 100; i++) {
		send_notify(pair.theirs, i, 1);
		turns(2);
	}
	assert_false(allocations_end());
	assert_int_equal(stats.acks, 101);
	close(pair.theirs);
}

TEST(spop_server_new_without_memory_is_null)
{
	bool done = false;
	size_t n;

	for (n = 0; !done; n++) {
		allocations_fail_at(n);
		struct spop_server *server =
			spop_server_new(loop, &(struct spop_server_config){.engine = fake.engine,
									   .max_frame_size = 256,
									   .max_connections = 1});
		done = !allocations_end();
		assert_int_equal(server != NULL, done);
		spop_server_free(server);
	}
	assert_int_equal(n, 4); /* the server, its streams, their memory for input, and none */
}

TEST(spop_server_listen_without_memory_says_so)
{
	struct spop_server *server = spop_server_new(
		loop, &(struct spop_server_config){
			      .engine = fake.engine, .max_frame_size = 256, .max_connections = 1});
	struct address address;
	struct err err;

	assert_int_equal(address_parse(BYTES("127.0.0.1:0"), &address, 1, &err), 1);
	allocations_fail_at(0);
	assert_false(spop_server_listen(server, &address, &err));
	assert_true(allocations_end());

	assert_string_equal(err.text, "can't listen on 127.0.0.1:0: Cannot allocate memory");
	spop_server_free(server);
}
