#include "store/lookup.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>
#include <sodium.h>

#include "base/compiler.h"
#include "store/redis/redis_link.h"
#include "support/test.h"

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
	/* Where no name server answers, it is not waited for long. */
	(void)setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);
}

/* A root of its own, so that no search list applies; RFC 6761 promises that it does not exist. */
#define NO_SUCH_HOST    "no-such-host.invalid."
#define OVERDUE_SECONDS 20.0

/* ---- a loop, and what came of a look-up ---- */

struct world {
	struct ev_loop *loop;
	struct ev_timer overdue;
	bool is_overdue;
	unsigned done;
	struct lookup_result result;
};

static void on_overdue(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	(void)loop, (void)events;
	CONTAINER_OF(timer, struct world, overdue)->is_overdue = true;
}

static void world_open(struct world *world)
{
	*world = (struct world){.loop = ev_loop_new(EVFLAG_AUTO)};
	ev_timer_init(&world->overdue, on_overdue, OVERDUE_SECONDS, 0);
	ev_timer_start(world->loop, &world->overdue);
}

static size_t count_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	size_t count = 0;

	assert_non_null(tasks);
	for (struct dirent *entry; (entry = readdir(tasks)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(tasks);
	return count;
}

static void await_threads(void)
{
	while (count_threads() > 1)
		sched_yield();
}

/* The threads have ended too, so that what they left behind is seen. */
static void world_close(struct world *world)
{
	await_threads();
	ev_loop_destroy(world->loop);
}

static void on_done(void *owner, const struct lookup_result *result)
{
	struct world *world = owner;

	world->done++;
	world->result = *result;
}

static void await_done(struct world *world)
{
	while (world->done == 0) {
		ev_run(world->loop, EVRUN_ONCE);
		assert_false(world->is_overdue);
	}
}

static void turn_some(struct world *world)
{
	for (int i = 0; i < 5; i++)
		ev_run(world->loop, EVRUN_NOWAIT);
}

static bool has_address(const struct lookup_result *result, const char *address)
{
	for (size_t i = 0; i < result->count; i++)
		if (strcmp(result->addresses[i], address) == 0)
			return true;
	return false;
}

/* ---- at once ---- */

TEST(lookup_numeric_addresses_are_themselves)
{
	static const struct {
		const char *host, *address;
	} cases[] = {
		{"127.0.0.1", "127.0.0.1"},
		{"192.0.2.1", "192.0.2.1"},
		{"::1", "::1"},
		{"2001:DB8:0:0::1", "2001:db8::1"},
		{"::", "::"},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct lookup_result result = lookup_numeric(cases[i].host);
		assert_int_equal(result.count, 1);
		assert_string_equal(result.addresses[0], cases[i].address);
	}
}

TEST(lookup_numeric_names_are_none)
{
	static const char *const hosts[] = {"localhost", NO_SUCH_HOST, "192.0.2.256", "192.0.2.1.1",
					    "::1::",     "[::1]",      "x::1",        " 127.0.0.1"};

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct lookup_result result = lookup_numeric(hosts[i]);
		assert_int_equal(result.count, 0);
		assert_true(strlen(result.why) > 0);
	}
}

/* ---- in a thread ---- */

TEST(lookup_begin_localhost_is_found)
{
	struct world world;

	world_open(&world);
	assert_non_null(lookup_begin(world.loop, "localhost", on_done, &world));
	assert_int_equal(world.done, 0); /* never in the call */
	await_done(&world);
	turn_some(&world);

	assert_int_equal(world.done, 1);
	assert_in_range(world.result.count, 1, LOOKUP_ADDRESSES_MAX);
	assert_true(has_address(&world.result, "127.0.0.1") || has_address(&world.result, "::1"));
	world_close(&world);
}

TEST(lookup_begin_name_that_does_not_exist_says_why)
{
	struct world world;

	world_open(&world);
	assert_non_null(lookup_begin(world.loop, NO_SUCH_HOST, on_done, &world));
	await_done(&world);

	assert_int_equal(world.result.count, 0);
	assert_true(strlen(world.result.why) > 0);
	world_close(&world);
}

/* What is no name at all is not sent anywhere. */
TEST(lookup_begin_what_is_no_name_says_why)
{
	static const char *const hosts[] = {"a..b", ".", "-", "a b", "\xff"};

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct world world;
		world_open(&world);
		assert_non_null(lookup_begin(world.loop, hosts[i], on_done, &world));
		await_done(&world);
		assert_int_equal(world.result.count, 0);
		assert_true(strlen(world.result.why) > 0);
		world_close(&world);
	}
}

TEST(lookup_begin_host_is_copied)
{
	char host[] = "127.0.0.1";
	struct world world;

	world_open(&world);
	assert_non_null(lookup_begin(world.loop, host, on_done, &world));
	memset(host, 'x', sizeof host - 1);
	await_done(&world);

	assert_int_equal(world.result.count, 1);
	assert_string_equal(world.result.addresses[0], "127.0.0.1");
	world_close(&world);
}

TEST(lookup_begin_many_at_once_are_all_answered)
{
	struct world world;

	world_open(&world);
	for (int i = 0; i < 20; i++)
		assert_non_null(lookup_begin(world.loop, "127.0.0.1", on_done, &world));
	while (world.done < 20)
		ev_run(world.loop, EVRUN_ONCE);

	world_close(&world);
}

/* The thread takes no signals; the loop does, as before. */
TEST(lookup_begin_leaves_the_signal_mask)
{
	struct world world;
	sigset_t before, after;

	world_open(&world);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	assert_non_null(lookup_begin(world.loop, "127.0.0.1", on_done, &world));
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int signal = 1; signal < NSIG; signal++)
		assert_int_equal(sigismember(&after, signal), sigismember(&before, signal));
	await_done(&world);
	world_close(&world);
}

/* ---- cancelling ---- */

TEST(lookup_cancel_before_it_is_done_calls_nobody)
{
	struct world world;

	for (int i = 0; i < 50; i++) { /* sooner or later than the thread is there */
		world_open(&world);
		struct lookup *lookup = lookup_begin(world.loop, "127.0.0.1", on_done, &world);
		assert_non_null(lookup);
		for (int k = 0; k < i % 5; k++)
			sched_yield();
		lookup_cancel(lookup);
		turn_some(&world);
		assert_int_equal(world.done, 0);
		world_close(&world);
	}
}

TEST(lookup_cancel_when_it_is_done_but_not_told_calls_nobody)
{
	struct world world;

	world_open(&world);
	struct lookup *lookup = lookup_begin(world.loop, "127.0.0.1", on_done, &world);
	await_threads();
	lookup_cancel(lookup);
	turn_some(&world);

	assert_int_equal(world.done, 0);
	world_close(&world);
}

/* The thread outlives the loop. */
TEST(lookup_cancel_and_the_loop_may_go)
{
	struct world world;

	for (int i = 0; i < 20; i++) {
		world_open(&world);
		struct lookup *lookup = lookup_begin(world.loop, NO_SUCH_HOST, on_done, &world);
		lookup_cancel(lookup);
		ev_loop_destroy(world.loop);
	}
	await_threads();
}

TEST(lookup_cancel_none_is_nothing)
{
	lookup_cancel(NULL);
}

/* ---- a connection that is given up while it looks for its host ---- */

static void flush(void *owner)
{
	(void)owner;
}

static void on_changed(void *owner, bool is_up, enum store_error error, const char *why)
{
	(void)owner, (void)is_up, (void)error, (void)why;
}

TEST(redis_link_free_during_a_look_up_is_clean)
{
	struct redis_credentials credentials;
	struct redis_target target;
	struct err err;

	assert_true(redis_target_parse(BYTES("redis://" NO_SUCH_HOST), &target, &err));
	redis_credentials_init(&credentials, target.user, target.password);
	for (int turns = 0; turns < 5; turns++) {
		struct world world;
		world_open(&world);
		struct redis_link *link =
			redis_link_new(world.loop, &(struct redis_link_config){
							   .target = &target,
							   .credentials = &credentials,
							   .script = BYTES("return 1"),
							   .timeout_us = 1000,
							   .flush = flush,
							   .changed = on_changed,
						   });
		assert_non_null(link);
		for (int i = 0; i < turns; i++)
			ev_run(world.loop, EVRUN_NOWAIT);
		assert_false(redis_link_is_up(link));
		redis_link_free(link);
		turn_some(&world);
		world_close(&world);
	}
}
