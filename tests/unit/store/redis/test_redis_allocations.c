#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <ev.h>
#include <sodium.h>

#include "base/clock.h"
#include "fake_redis.h"
#include "reply_reader.h"
#include "store/redis/redis_store.h"
#include "support/allocations.h"
#include "support/test.h"
#include "unit/store/contract.h"

#define ANSWER_MAX_US INT64_C(20000000)

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
	(void)signal(SIGPIPE, SIG_IGN);
}

/* ---- replies ---- */

TEST(redis_replies_new_short_memory_is_none)
{
	allocations_fail_at(0);
	assert_null(redis_replies_new());
	assert_true(allocations_end());
}

/* hiredis has memory for the bytes; what is made of them costs none, however much it is. */
TEST(redis_replies_collect_allocates_nothing)
{
	static const char *const wires[] = {"+OK\r\n",       "-ERR\r\n", ":1\r\n", "$-1\r\n",
					    "$3\r\nabc\r\n", "*0\r\n",   "*-1\r\n"};
	struct reply_reader r = reply_reader_new();
	struct redis_reply reply;

	allocations_fail_at(0);
	for (size_t i = 0; i < ARRAY_SIZE(wires); i++)
		(void)reply_reader_read(&r, bytes_from_text(wires[i]));
	reply_reader_feed(&r, BYTES("*5000\r\n"));
	for (int i = 0; i < 4999; i++) {
		reply_reader_feed(&r, bytes_from_text(wires[i % 7]));
		assert_int_equal(reply_reader_next(&r, &reply), REPLY_NONE);
	}
	(void)reply_reader_read(&r, BYTES("$3\r\nabc\r\n"));

	assert_false(allocations_end());
	reply_reader_free(&r);
}

/* ---- the store ---- */

static bool is_answered;

static void on_answered(struct store_op *op)
{
	(void)op;
	is_answered = true;
}

static void on_changed(void *owner, bool is_up, enum store_error error, const char *why)
{
	(void)owner, (void)is_up, (void)error, (void)why;
}

static void on_refused(void *owner, const struct store_op *op, enum store_error error,
		       struct bytes why)
{
	(void)owner, (void)op, (void)error, (void)why;
}

static struct store *new_store(struct ev_loop *loop, const struct redis_target *target)
{
	return redis_store_new(loop, target,
			       &(struct store_config){
				       .prefix = BYTES("rl:"),
				       .timeout_us = 1000000,
				       .max_in_flight = 64,
				       .changed = on_changed,
				       .refused = on_refused,
			       });
}

/* The store's own timers wake the loop. A timer of the test would have to allocate. */
static void turn_before(struct ev_loop *loop, int64_t end_us)
{
	ev_run(loop, EVRUN_ONCE);
	if (clock_mono_us() > end_us)
		fail_msg("the store is not up, or does not answer");
}

static void ask_and_await(struct ev_loop *loop, struct store *store)
{
	int64_t end_us = clock_mono_us() + ANSWER_MAX_US;
	struct quota quota = window_of(FIXED_WINDOW, 5, 60000000);
	struct check check;
	struct store_op op = {.checks = (struct check *[]){check_make(&check, "k", &quota, 1)},
			      .count = 1,
			      .answered = on_answered};

	is_answered = false;
	while (store_ask(store, &op) == STORE_DONE)
		turn_before(loop, end_us);
	while (!is_answered)
		turn_before(loop, end_us);
	assert_int_equal(check.error, STORE_OK);
}

static struct redis_target target_of(const char *url)
{
	struct redis_target target;
	struct err err;

	assert_true(redis_target_parse(bytes_from_text(url), &target, &err));
	return target;
}

/* None, without a leak; or one that works, when what failed can be tried again. */
static void make_at_each_failure(const char *host)
{
	bool is_done = false;
	size_t without = 0;

	for (size_t n = 0; !is_done; n++) {
		struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
		struct fake_redis *fake = fake_redis_new(loop, host != NULL);
		char url[96];
		if (host == NULL)
			snprintf(url, sizeof url, "%s", fake_redis_url(fake));
		else
			snprintf(url, sizeof url, "redis://%s%s", host,
				 strrchr(fake_redis_url(fake), ':'));
		struct redis_target target = target_of(url);
		allocations_fail_at(n);
		struct store *store = new_store(loop, &target);
		is_done = !allocations_end();
		if (store != NULL)
			ask_and_await(loop, store);
		without += store == NULL;
		store_free(store);
		fake_redis_free(fake);
		ev_loop_destroy(loop);
	}
	assert_in_range(without, 3, 10);
}

TEST(redis_store_new_short_memory_is_none_or_works)
{
	make_at_each_failure(NULL);
	make_at_each_failure("localhost");
}

/*
 * The same of a store with Sentinels, one of which names the server, and what fails while the
 * Sentinels are asked is tried again.
 */
TEST(redis_store_new_with_sentinels_short_memory_is_none_or_works)
{
	bool is_done = false;
	size_t without = 0;

	for (size_t n = 0; !is_done; n++) {
		struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
		struct fake_redis *server = fake_redis_new(loop, true);
		struct fake_redis *sentinel = fake_redis_new(loop, true);
		char says[256], url[128];
		const char *port = strrchr(fake_redis_url(server), ':') + 1;
		snprintf(says, sizeof says,
			 "*6\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n$4\r\nport\r\n$%zu\r\n%s\r\n"
			 "$12\r\nconfig-epoch\r\n$1\r\n7\r\n",
			 strlen(port), port);
		fake_redis_say(sentinel, FAKE_SENTINEL, says, FAKE_ALWAYS);
		snprintf(url, sizeof url, "redis+sentinel://127.0.0.1%s,127.0.0.1:1/name",
			 strrchr(fake_redis_url(sentinel), ':'));
		struct redis_target target = target_of(url);
		allocations_fail_at(n);
		struct store *store = new_store(loop, &target);
		is_done = !allocations_end();
		if (store != NULL)
			ask_and_await(loop, store);
		without += store == NULL;
		store_free(store);
		fake_redis_free(sentinel);
		fake_redis_free(server);
		ev_loop_destroy(loop);
	}
	assert_in_range(without, 8, 20);
}

TEST(redis_store_ask_allocates_nothing)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct fake_redis *fake = fake_redis_new(loop, false);
	struct redis_target target = target_of(fake_redis_url(fake));
	struct store *store = new_store(loop, &target);

	ask_and_await(loop, store);
	allocations_fail_at(0);
	for (int i = 0; i < 100; i++)
		ask_and_await(loop, store);

	assert_false(allocations_end());
	store_free(store);
	fake_redis_free(fake);
	ev_loop_destroy(loop);
}
