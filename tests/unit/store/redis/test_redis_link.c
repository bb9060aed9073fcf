/* By the store that stands on it. */
#include "store/redis/redis_link.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <ev.h>

#include "base/clock.h"
#include "store_world.h"
#include "support/test.h"

BEFORE_ALL
{
	world_prepare();
}

/* ---- chance, which is none: each pause is the shortest that it may be ---- */

#define PAUSES_MAX 32

static uint32_t pauses_ms[PAUSES_MAX]; /* from half of each to all of it */
static size_t pause_count;

uint32_t randombytes_uniform(uint32_t upper_bound)
{
	if (pause_count < PAUSES_MAX)
		pauses_ms[pause_count++] = 2 * upper_bound;
	return 0;
}

static void assert_pauses(size_t from, const uint32_t *expected, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(pauses_ms[from + i], expected[i]);
}

/* ---- the clock, which can be set ahead of the true one ---- */

static int64_t ahead_us;

int clock_gettime(clockid_t id, struct timespec *ret_time)
{
	int status = (int)syscall(SYS_clock_gettime, id, ret_time);

	if (id == CLOCK_MONOTONIC)
		ret_time->tv_sec += ahead_us / US_PER_SECOND;
	return status;
}

/* ---- connecting ---- */

TEST(connect_over_tcp_is_the_same)
{
	struct world *world = world_open(true);

	connect_store(world, usual);
	await_up(world);
	ask_many(world, 100);
	AWAIT(world, are_answered(100));

	assert_errors(100, STORE_OK);
	world_close(world);
}

/* Of the addresses of a name those that refuse are passed over. */
TEST(connect_by_name_finds_the_address)
{
	struct world *world = world_open(true);
	char url[64];
	struct err err;

	snprintf(url, sizeof url, "redis://localhost%s", strrchr(fake_redis_url(world->fake), ':'));
	assert_true(redis_target_parse(bytes_from_text(url), &world->target, &err));
	connect_store(world, usual);
	await_up(world);

	assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
	world_close(world);
}

TEST(connect_refused_is_told_once_and_tried_until_it_is_not)
{
	static const bool kinds[] = {false, true};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct world *world = world_open(kinds[i]);
		fake_redis_set_listening(world->fake, false);
		connect_store(world, usual);
		const struct change *change = await_change(world, 1);
		assert_false(change->is_up);
		assert_int_equal(change->error, STORE_CONNECTION);
		assert_string_equal(change->why,
				    kinds[i] ? "Connection refused" : "No such file or directory");
		assert_true(is_down(world));

		for (int k = 0; k < 3; k++) /* some tries more, of which nothing is told */
			turn(world);
		assert_int_equal(world->change_count, 1);
		fake_redis_set_listening(world->fake, true);
		await_up(world);
		assert_true(await_change(world, 2)->is_up);
		world_close(world);
	}
}

TEST(connect_pauses_grow)
{
	struct world *world = world_open(false);
	int64_t start_us = clock_mono_us();
	size_t count;

	fake_redis_say(world->fake, FAKE_SELECT, "-ERR no\r\n", FAKE_ALWAYS);
	connect_store(world, usual);
	/* After 0, 10-20, 20-40, 40-80, 80-160 and 160-320 ms, and what the tries take. */
	AWAIT(world, (count = fake_redis_counts(world->fake)->connections) == 6);

	assert_true(clock_mono_us() - start_us > 310 * US_PER_MS * 95 / 100);
	world_close(world);
}

/* To 0.8 s, and no further. A link that was up for a moment begins with the shortest again. */
TEST(connect_pauses_grow_to_a_limit_and_are_short_again_after_it_was_up)
{
	static const uint32_t growing[] = {20, 40, 80, 160, 320, 640, 800, 800}, again[] = {20, 40};
	struct world *world = world_open(false);

	pause_count = 0;
	fake_redis_say(world->fake, FAKE_SELECT, "-ERR no\r\n", 8);
	connect_store(world, usual);
	AWAIT(world, pause_count == 8);
	assert_pauses(0, growing, ARRAY_SIZE(growing));
	(void)await_change(world, 2); /* after the first heartbeat */
	fake_redis_say(world->fake, FAKE_SELECT, "-ERR no\r\n", 1);
	fake_redis_hang_up(world->fake);
	AWAIT(world, pause_count == 10);

	assert_pauses(8, again, ARRAY_SIZE(again));
	world_close(world);
}

/* Else a server that greets well and hangs up at once would be asked fifty times a second. */
TEST(connect_pauses_go_on_growing_when_it_was_up_too_short)
{
	static const uint32_t growing[] = {20, 40, 80};
	struct world *world = world_open(false);

	pause_count = 0;
	connect_store(world, usual);
	for (size_t i = 1; i <= ARRAY_SIZE(growing); i++) {
		AWAIT(world, store_describe(world->store).is_up);
		fake_redis_hang_up(world->fake);
		AWAIT(world, pause_count == i);
	}

	assert_pauses(0, growing, ARRAY_SIZE(growing));
	world_close(world);
}

TEST(reason_that_is_long_is_cut)
{
	static char said[300] = "-ERR ";
	struct world *world = world_open(false);

	memset(said + 5, 'x', sizeof said - 8);
	strcpy(said + sizeof said - 3, "\r\n");
	fake_redis_say(world->fake, FAKE_SELECT, said, 1);
	connect_store(world, usual);

	assert_int_equal(strlen(await_change(world, 1)->why), 199);
	assert_memory_equal(world->changes[0].why, said + 1, 199);
	world_close(world);
}

TEST(name_that_does_not_exist_is_told)
{
	struct world *world = world_open(true);
	struct err err;

	assert_true(
		redis_target_parse(BYTES("redis://no-such-host.invalid"), &world->target, &err));
	connect_store(world, usual);

	assert_int_equal(await_change(world, 1)->error, STORE_CONNECTION);
	assert_true(strlen(world->changes[0].why) > 0);
	world_close(world);
}

/* ---- another password ---- */

static struct world *world_with_password(void)
{
	struct world *world = world_open(false);
	struct err err;

	assert_true(redis_target_parse(bytes_from_text(fake_redis_url(world->fake)), &world->target,
				       &err));
	strcpy(world->target.user, "agent");
	strcpy(world->target.password, "first");
	connect_store(world, usual);
	(void)await_change(world, 1);
	return world;
}

/* So many PINGs, and so beats, later. */
static void await_beats(struct world *world, size_t count)
{
	size_t until = commands(world, FAKE_PING) + count;

	AWAIT(world, commands(world, FAKE_PING) >= until);
}

TEST(password_is_told_the_server_on_the_connection_that_there_is)
{
	struct world *world = world_with_password();

	store_set_password(world->store, "second");
	AWAIT(world, world->taken_count == 1);
	await_beats(world, 2);

	assert_string_equal(fake_redis_last(world->fake, FAKE_AUTH), "AUTH agent second");
	assert_int_equal(commands(world, FAKE_AUTH), 2);
	assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
	assert_int_equal(world->change_count, 1);
	world_close(world);
}

TEST(password_that_is_refused_is_tried_again_after_five_seconds)
{
	struct world *world = world_with_password();

	ev_timer_stop(world->loop, &world->overdue);
	fake_redis_say(world->fake, FAKE_AUTH, "-WRONGPASS no\r\n", 2);
	store_set_password(world->store, "second");
	AWAIT(world, world->password_refused_count == 1);
	await_beats(world, 2);
	assert_int_equal(commands(world, FAKE_AUTH), 2);
	assert_int_equal(ask_and_await(world), STORE_OK);

	for (size_t tries = 1; tries <= 2; tries++) {
		ahead_us += 6 * US_PER_SECOND;
		AWAIT(world, commands(world, FAKE_AUTH) == 2 + tries);
		await_beats(world,
			    2); /* until the reply was read: a jump would look like silence */
	}
	AWAIT(world, world->taken_count == 1);
	ahead_us = 0;
	assert_int_equal(world->password_refused_count, 1); /* told once */
	assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
	assert_int_equal(world->change_count, 1);
	world_close(world);
}

TEST(password_that_is_set_after_a_refused_one_is_tried_at_once)
{
	struct world *world = world_with_password();

	fake_redis_say(world->fake, FAKE_AUTH, "-WRONGPASS no\r\n", 1);
	store_set_password(world->store, "second");
	AWAIT(world, world->password_refused_count == 1);
	store_set_password(world->store, "third");
	AWAIT(world, world->taken_count == 1);

	assert_string_equal(fake_redis_last(world->fake, FAKE_AUTH), "AUTH agent third");
	assert_int_equal(commands(world, FAKE_AUTH), 3);
	world_close(world);
}

/* ---- a connection that is lost ---- */

TEST(connection_lost_answers_each_once)
{
	struct world *world = world_up();

	fake_redis_say(world->fake, FAKE_EVALSHA, FAKE_SILENCE, FAKE_ALWAYS);
	ask_many(world, 100);
	AWAIT(world, commands(world, FAKE_EVALSHA) == 1 + 3); /* the rest fills no call */
	for (size_t i = 100; i < 110; i++) /* and some more that did not leave yet */
		assert_int_equal(ask_it(world, &questions[i]), STORE_PENDING);
	fake_redis_hang_up(world->fake);
	AWAIT(world, are_answered(110));

	assert_errors(110, STORE_CONNECTION);
	fake_redis_say(world->fake, FAKE_EVALSHA, NULL, 0);
	await_up(world);
	assert_errors(110, STORE_CONNECTION);
	assert_int_equal(world->refused_count, 0);
	world_close(world);
}

TEST(connection_lost_in_the_middle_of_a_reply_answers_once)
{
	static const char *const halves[] = {
		"*", "*4\r\n:1700000000000000\r\n:1\r\n", "$10\r\nabc", "-OOM",
		"*4\r\n:1700000000000000\r\n:1\r\n:0\r\n:1700000000000000\r"};

	for (size_t i = 0; i < ARRAY_SIZE(halves); i++) {
		struct world *world = world_up();
		fake_redis_say(world->fake, FAKE_EVALSHA, halves[i], 1);
		ask_many(world, 3);
		AWAIT(world, commands(world, FAKE_EVALSHA) == 2);
		ev_run(world->loop, EVRUN_NOWAIT);
		fake_redis_hang_up(world->fake);
		AWAIT(world, are_answered(3));
		assert_errors(3, STORE_CONNECTION);
		await_up(world);
		world_close(world);
	}
}

/* What is asked from the answers is answered as well: at once, or by the next turn. */
TEST(connection_lost_what_is_asked_from_answers_is_answered)
{
	struct world *world = world_up();

	fake_redis_say(world->fake, FAKE_EVALSHA, FAKE_SILENCE, FAKE_ALWAYS);
	for (int i = 0; i < 10; i++)
		questions[i].next = &questions[10 + i];
	ask_many(world, 10);
	AWAIT(world, commands(world, FAKE_EVALSHA) == 2);
	fake_redis_hang_up(world->fake);
	AWAIT(world, are_answered(20));

	assert_errors(20, STORE_CONNECTION);
	world_close(world);
}

TEST(garbage_while_up_answers_each_once)
{
	struct world *world = world_up();

	fake_redis_say(world->fake, FAKE_EVALSHA, "HTTP/1.1 400 Bad Request\r\n", 1);
	ask_many(world, 40);
	AWAIT(world, are_answered(40));

	assert_errors(40, STORE_CONNECTION);
	await_up(world);
	assert_int_equal(fake_redis_counts(world->fake)->connections, 2);
	world_close(world);
}

/* Replies that nobody asked for: the connection is given up, and not the agent. */
TEST(reply_unasked_gives_the_connection_up)
{
	static const char *const unasked[] = {
		"+OK\r\n",
		":1\r\n",
		"$2\r\nOK\r\n",
		"$-1\r\n",
		"*0\r\n",
		"*2\r\n:1\r\n-ERR x\r\n",
		"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n",
		"-ERR x\r\n",
		">2\r\n+invalidate\r\n*0\r\n", /* hiredis 0.14 does not know it, 1.0 has it apart */
	};

	for (size_t i = 0; i < ARRAY_SIZE(unasked); i++) {
		struct world *world = world_up();
		fake_redis_send(world->fake, unasked[i]);
		assert_false(await_change(world, 1)->is_up);
		assert_int_equal(world->changes[0].error, STORE_OTHER);
		await_up(world);
		assert_int_equal(fake_redis_counts(world->fake)->connections, 2);
		world_close(world);
	}
}

/* ---- silence ---- */

/* Nothing is asked; that nothing works is found out by itself, by one PING. */
TEST(heartbeat_finds_a_silent_server)
{
	int64_t begun_us = clock_mono_us();
	struct world *world = world_up();
	size_t probes = commands(world, FAKE_PING);

	fake_redis_say(world->fake, FAKE_PING, FAKE_SILENCE, FAKE_ALWAYS);
	assert_true(await_change(world, 1)->is_up);
	assert_false(await_change(world, 2)->is_up);

	assert_int_equal(world->changes[1].error, STORE_TIMEOUT);
	/* The beat with the PING, and two more: each is at most late, by however slow a machine. */
	assert_true(clock_mono_us() - begun_us > 700 * US_PER_MS);
	assert_int_equal(commands(world, FAKE_PING), probes + 1);
	assert_true(is_down(world));
	world_close(world);
}

/* There is always a question on its way, and the answers come. */
TEST(heartbeat_asks_a_busy_server_too)
{
	struct world *world = world_up();

	questions[0].next = &questions[0];
	ask_many(world, 1);
	size_t before = commands(world, FAKE_PING);
	AWAIT(world, commands(world, FAKE_PING) > before);
	int64_t start_us = clock_mono_us();
	AWAIT(world, commands(world, FAKE_PING) > before + 4); /* four beats, 1 s */

	/* A machine that stands still delays a beat, and the next one is on time. */
	assert_true(clock_mono_us() - start_us > 500 * US_PER_MS);
	assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
	assert_in_range(store_describe(world->store).stats.heartbeat_us, 1, PROMPT_US);
	questions[0].next = NULL;
	world_close(world);
}

/* ---- the role ---- */

#define REPLICA "$12\r\nrole:slave\r\n\r\n"

/* There is always a question on its way, and none is refused: nothing else says so. */
TEST(role_of_a_busy_server_is_asked_each_second)
{
	struct world *world = world_up();
	int64_t start_us = clock_mono_us();

	questions[0].next = &questions[0];
	ask_many(world, 1);
	AWAIT(world, commands(world, FAKE_INFO) == 3); /* the greeting's is the first */

	assert_string_equal(fake_redis_last(world->fake, FAKE_INFO), "INFO replication");
	assert_true(clock_mono_us() - start_us >= 1900 * US_PER_MS);
	assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
	questions[0].next = NULL;
	world_close(world);
}

TEST(role_of_a_replica_ends_the_link)
{
	struct world *world = world_up();

	assert_true(await_change(world, 1)->is_up);
	fake_redis_say(world->fake, FAKE_INFO, REPLICA, 2);
	assert_false(await_change(world, 2)->is_up);

	assert_int_equal(world->changes[1].error, STORE_READONLY);
	assert_non_null(strstr(world->changes[1].why, "it is a replica"));
	assert_true(await_change(world, 3)->is_up); /* it is the master again */
	assert_int_equal(commands(world, FAKE_INFO), 4);
	world_close(world);
}

TEST(role_that_may_not_be_asked_for_is_asked_once_a_connection)
{
	struct world *world = world_up();

	fake_redis_say(world->fake, FAKE_INFO, "-NOPERM no\r\n", FAKE_ALWAYS);
	AWAIT(world, commands(world, FAKE_INFO) == 2);
	size_t pings = commands(world, FAKE_PING);
	AWAIT(world, commands(world, FAKE_PING) == pings + 6);

	assert_int_equal(commands(world, FAKE_INFO), 2);
	assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
	world_close(world);
}

/* Whatever a server says that is no role, and at any length, changes nothing. */
TEST(role_that_is_nonsense_changes_nothing)
{
	static const char *const says[] = {":1\r\n",
					   "$-1\r\n",
					   "*0\r\n",
					   "$0\r\n\r\n",
					   "*1\r\n$10\r\nrole:slave\r\n",
					   "$11\r\nrole:slavex\r\n"};

	for (size_t i = 0; i < ARRAY_SIZE(says); i++) {
		struct world *world = world_up();
		fake_redis_say(world->fake, FAKE_INFO, says[i], 1);
		AWAIT(world, commands(world, FAKE_INFO) == 2);
		size_t pings = commands(world, FAKE_PING);
		AWAIT(world, commands(world, FAKE_PING) == pings + 1);
		assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
		world_close(world);
	}
}

TEST(heartbeat_error_gives_the_connection_up)
{
	struct world *world = world_up();

	fake_redis_say(world->fake, FAKE_PING, "-NOAUTH no\r\n", 1);
	assert_true(await_change(world, 1)->is_up);

	assert_int_equal(await_change(world, 2)->error, STORE_OTHER);
	assert_string_equal(world->changes[1].why, "NOAUTH no");
	world_close(world);
}

TEST(heartbeat_that_another_reply_answers_gives_the_connection_up)
{
	static const char *const replies[] = {"+OK\r\n", "$-1\r\n", ":1\r\n", "*2\r\n:1\r\n:2\r\n"};

	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		struct world *world = world_up();

		fake_redis_say(world->fake, FAKE_PING, replies[i], 1);
		assert_true(await_change(world, 1)->is_up);

		assert_int_equal(await_change(world, 2)->error, STORE_OTHER);
		assert_string_equal(world->changes[1].why, "a PING was not answered by PONG");
		assert_true(await_change(world, 3)->is_up);
		world_close(world);
	}
}

/* ---- what is told ---- */

TEST(changed_is_told_once_a_change)
{
	struct world *world = world_open(false);

	fake_redis_say(world->fake, FAKE_SELECT, "-NOAUTH no\r\n", 3);
	connect_store(world, usual);
	AWAIT(world, commands(world, FAKE_SELECT) == 3);
	fake_redis_say(world->fake, FAKE_SELECT, "-LOADING no\r\n", 2);
	AWAIT(world, commands(world, FAKE_SELECT) == 5);
	await_up(world);
	(void)await_change(world, 3);
	AWAIT(world,
	      commands(world, FAKE_PING) == 3); /* two heartbeats, of which nothing is told */
	fake_redis_set_listening(world->fake, false);
	fake_redis_hang_up(world->fake);
	(void)await_change(world, 4);

	assert_int_equal(world->changes[0].error, STORE_OTHER);
	assert_int_equal(world->changes[1].error, STORE_LOADING);
	assert_true(world->changes[2].is_up);
	assert_int_equal(world->changes[3].error, STORE_CONNECTION);
	assert_string_equal(world->changes[3].why, "Server closed the connection");
	world_close(world);
}

/* As with a proxy that takes connections for a server that is away: closed, reset, closed. */
TEST(changed_reasons_that_take_turns_are_told_once_each_kind)
{
	struct world *world = world_open(false);

	for (int i = 0; i < 3; i++) {
		fake_redis_say(world->fake, FAKE_SELECT, i % 2 == 0 ? "-ERR a\r\n" : "-ERR b\r\n",
			       1);
		if (i == 0)
			connect_store(world, usual);
		AWAIT(world, commands(world, FAKE_SELECT) == 2 * (size_t)i + 1);
		fake_redis_say(world->fake, FAKE_SELECT, "-READONLY no\r\n", 1);
		AWAIT(world, commands(world, FAKE_SELECT) == 2 * (size_t)i + 2);
	}
	await_up(world);
	(void)await_change(world, 3);

	assert_int_equal(world->change_count, 3);
	assert_string_equal(world->changes[0].why, "ERR a");
	assert_string_equal(world->changes[1].why, "READONLY no");
	assert_true(world->changes[2].is_up);
	world_close(world);
}

/* The next try gets this error; returns when the pause after it has begun. */
static void fail_once_more(struct world *world, const char *says)
{
	size_t pauses = pause_count;

	fake_redis_say(world->fake, FAKE_SELECT, says, 1);
	AWAIT(world, pause_count > pauses);
}

/* In a pause the link waits for nothing but its end, so that the clock may be set ahead. */
TEST(changed_new_reason_of_a_kind_is_told_after_a_minute)
{
	struct world *world = world_open(false);

	ev_timer_stop(world->loop, &world->overdue);
	pause_count = 0;
	fake_redis_say(world->fake, FAKE_SELECT, "-ERR a\r\n", 1);
	connect_store(world, usual);
	(void)await_change(world, 1);
	ahead_us = 50 * US_PER_SECOND;
	fail_once_more(world, "-ERR b\r\n");
	assert_int_equal(world->change_count, 1);
	ahead_us = 60 * US_PER_SECOND;
	fail_once_more(world, "-ERR a\r\n"); /* that was told */
	assert_int_equal(world->change_count, 1);
	fail_once_more(world, "-ERR b\r\n");
	assert_int_equal(world->change_count, 2);
	assert_string_equal(world->changes[1].why, "ERR b");
	fail_once_more(world, "-ERR c\r\n"); /* a minute begins with what was told last */
	assert_int_equal(world->change_count, 2);

	ahead_us = 0;
	world_close(world);
}
