#include "store/redis.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>
#include <sodium.h>

#include "base/clock.h"
#include "contract.h"
#include "fake_redis.h"
#include "limit/request.h"
#include "store/redis_script.h"

#define OVERDUE_SECONDS 8.0
#define CHANGES_MAX     32
#define QUESTIONS_MAX   2048
#define MINUTE          INT64_C(60000000)
#define SECOND_US       INT64_C(1000000)
#define PROMPT_US       SECOND_US /* the timeout of requests, where it is not what is tested */

/* ---- what leaves: hiredis calls write, from 1.0 on send, and nobody else does here ---- */

static size_t writes;

ssize_t write(int fd, const void *data, size_t len)
{
	writes++;
	return syscall(SYS_write, fd, data, len);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	writes++;
	return syscall(SYS_sendto, fd, data, len, flags, NULL, 0);
}

/* ---- a store, the server that it is on, and what was told ---- */

struct change {
	bool is_up;
	enum store_error error;
	char why[200];
};

struct world {
	struct ev_loop *loop;
	struct ev_timer overdue;
	bool is_overdue;
	struct fake_redis *fake;
	struct redis_target target;
	struct store *store;
	bool is_asking;
	struct change changes[CHANGES_MAX];
	size_t change_count;
	size_t refused_count;
	enum store_error refused_error;
	char refused_why[200];
};

struct question {
	struct store_op op;
	struct check check;
	struct check *checks[1];
	struct world *world;
	unsigned answers;
	char key[32];          /* k and its number, unless it has one */
	struct question *next; /* asked when this is answered */
};

static struct question questions[QUESTIONS_MAX];

static void on_changed(void *owner, bool is_up, enum store_error error, const char *why)
{
	struct world *world = owner;
	struct change *change = &world->changes[world->change_count++];

	assert_true(world->change_count < CHANGES_MAX);
	assert_int_equal(is_up, error == STORE_OK);
	change->is_up = is_up;
	change->error = error;
	snprintf(change->why, sizeof change->why, "%s", why);
}

static void on_refused(void *owner, const struct store_op *op, enum store_error error,
		       struct bytes why)
{
	struct world *world = owner;

	assert_int_equal(op->checks[0]->error, error);
	world->refused_count++;
	world->refused_error = error;
	snprintf(world->refused_why, sizeof world->refused_why, "%.*s", (int)why.len, why.data);
}

static void on_overdue(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	(void)loop, (void)events;
	CONTAINER_OF(timer, struct world, overdue)->is_overdue = true;
}

static void turn(struct world *world)
{
	ev_run(world->loop, EVRUN_ONCE);
	if (world->is_overdue)
		fail_msg("it does not come");
}

#define AWAIT(world, fact) \
	while (!(fact))    \
	turn(world)

static void connect_store(struct world *world, struct redis_store_config config)
{
	struct err err;

	if (*world->target.text == '\0')
		assert_true(redis_target_parse(bytes_from_text(fake_redis_url(world->fake)),
					       &world->target, &err));
	config.target = &world->target;
	config.changed = on_changed;
	config.refused = on_refused;
	config.owner = world;
	world->store = redis_store_new(world->loop, &config);
	assert_non_null(world->store);
}

/* A server that listens. What it says may be changed before connect_store. */
static struct world *world_open(bool is_tcp)
{
	struct world *world = calloc(1, sizeof *world);

	assert_non_null(world);
	memset(questions, 0, sizeof questions);
	world->loop = ev_loop_new(EVFLAG_AUTO);
	world->fake = fake_redis_new(world->loop, is_tcp);
	ev_timer_init(&world->overdue, on_overdue, OVERDUE_SECONDS, 0);
	ev_timer_start(world->loop, &world->overdue);
	return world;
}

static const struct redis_store_config usual = {
	.prefix = {(const uint8_t *)"rl:", 3},
	.timeout_us = PROMPT_US,
	.max_in_flight = QUESTIONS_MAX,
};

static void world_close(struct world *world)
{
	store_free(world->store);
	fake_redis_free(world->fake);
	ev_loop_destroy(world->loop);
	free(world);
}

static size_t commands(const struct world *world, enum fake_kind kind)
{
	return fake_redis_counts(world->fake)->commands[kind];
}

/* ---- asking ---- */

static const struct quota *fixed_quota(void)
{
	static struct quota quota;

	quota = window_of(FIXED_WINDOW, 5, MINUTE);
	return &quota;
}

static enum store_state ask_it(struct world *world, struct question *question);

static void on_answered(struct store_op *op)
{
	struct question *question = CONTAINER_OF(op, struct question, op);

	assert_false(question->world->is_asking);
	question->answers++;
	assert_int_equal(question->answers, 1);
	assert_true(question->check.is_decided == (question->check.error == STORE_OK));
	if (question->next != NULL)
		(void)ask_it(question->world, question->next);
}

static enum store_state ask_it(struct world *world, struct question *question)
{
	struct check *check = &question->check;

	if (*question->key == '\0')
		snprintf(question->key, sizeof question->key, "k%u",
			 (unsigned)(question - questions));
	question->checks[0] = check_make(check, question->key, fixed_quota(), 1);
	check->error = STORE_FULL; /* that no store says */
	question->world = world;
	question->answers = 0;
	question->op =
		(struct store_op){.checks = question->checks, .count = 1, .answered = on_answered};
	world->is_asking = true;
	enum store_state state = store_ask(world->store, &question->op);
	world->is_asking = false;
	if (state == STORE_DONE)
		question->answers++;
	return state;
}

static void ask_many(struct world *world, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(ask_it(world, &questions[i]), STORE_PENDING);
}

static bool are_answered(size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (questions[i].answers == 0)
			return false;
	return true;
}

static void assert_errors(size_t count, enum store_error error)
{
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(questions[i].answers, 1);
		assert_int_equal(questions[i].check.error, error);
	}
}

/* One question, and what came of it. */
static enum store_error ask_and_await(struct world *world)
{
	if (ask_it(world, &questions[0]) == STORE_PENDING)
		AWAIT(world, questions[0].answers > 0);
	return questions[0].check.error;
}

/* It takes questions, and they are answered. */
static void await_up(struct world *world)
{
	static struct question question = {.key = "hello"};

	while (ask_it(world, &question) == STORE_DONE) {
		assert_int_not_equal(question.check.error, STORE_OK);
		turn(world);
	}
	AWAIT(world, question.answers > 0);
	assert_int_equal(question.check.error, STORE_OK);
}

static bool is_down(struct world *world)
{
	static struct question question = {.key = "again"};

	/* What is pending is answered some time; only one such question at once. */
	if (question.answers == 0 && question.world == world)
		return false;
	return ask_it(world, &question) == STORE_DONE;
}

static struct world *world_up(void)
{
	struct world *world = world_open(false);

	connect_store(world, usual);
	await_up(world);
	return world;
}

static const struct change *await_change(struct world *world, size_t count)
{
	AWAIT(world, world->change_count >= count);
	return &world->changes[count - 1];
}

/* ---- connecting ---- */

static void test_ask_before_there_is_a_connection_is_done_with_an_error(void **state)
{
	struct world *world = world_open(false);

	(void)state;
	connect_store(world, usual);
	assert_int_equal(ask_it(world, &questions[0]), STORE_DONE);

	assert_int_equal(questions[0].check.error, STORE_CONNECTION);
	assert_false(questions[0].check.is_decided);
	world_close(world);
}

static void test_greeting_of_the_default_user_says_no_login(void **state)
{
	struct world *world = world_up();

	(void)state;
	assert_int_equal(commands(world, FAKE_AUTH), 0);
	assert_string_equal(fake_redis_last(world->fake, FAKE_SELECT), "SELECT 0");
	assert_string_equal(fake_redis_last(world->fake, FAKE_INFO), "INFO");
	assert_memory_equal(fake_redis_last(world->fake, FAKE_SCRIPT), "SCRIPT LOAD --[[", 16);
	assert_string_equal(fake_redis_last(world->fake, FAKE_PING), "PING");
	assert_string_equal(fake_redis_last(world->fake, FAKE_EVALSHA),
			    "EVALSHA " FAKE_HASH " 1 rl:hello now 1 0 fixed_window 1 5 60000000");
	assert_int_equal(commands(world, FAKE_OTHER), 0);
	assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
	world_close(world);
}

static void test_greeting_says_user_password_and_database(void **state)
{
	static const struct {
		const char *user, *password, *auth;
		uint32_t db;
		const char *select;
	} cases[] = {
		{"", "secret", "AUTH secret", 0, "SELECT 0"},
		{"agent", "s p\r\n", "AUTH agent s p\r\n", 15, "SELECT 15"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *world = world_open(false);
		struct err err;
		assert_true(redis_target_parse(bytes_from_text(fake_redis_url(world->fake)),
					       &world->target, &err));
		strcpy(world->target.user, cases[i].user);
		strcpy(world->target.password, cases[i].password);
		world->target.db = cases[i].db;
		connect_store(world, usual);
		await_up(world);
		assert_int_equal(commands(world, FAKE_AUTH), 1);
		assert_string_equal(fake_redis_last(world->fake, FAKE_AUTH), cases[i].auth);
		assert_string_equal(fake_redis_last(world->fake, FAKE_SELECT), cases[i].select);
		world_close(world);
	}
}

static void test_connect_over_tcp_is_the_same(void **state)
{
	struct world *world = world_open(true);

	(void)state;
	connect_store(world, usual);
	await_up(world);
	ask_many(world, 100);
	AWAIT(world, are_answered(100));

	assert_errors(100, STORE_OK);
	world_close(world);
}

/* Of the addresses of a name those that refuse are passed over. */
static void test_connect_by_name_finds_the_address(void **state)
{
	struct world *world = world_open(true);
	char url[64];
	struct err err;

	(void)state;
	snprintf(url, sizeof url, "redis://localhost%s", strrchr(fake_redis_url(world->fake), ':'));
	assert_true(redis_target_parse(bytes_from_text(url), &world->target, &err));
	connect_store(world, usual);
	await_up(world);

	assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
	world_close(world);
}

static void test_connect_refused_is_told_once_and_tried_until_it_is_not(void **state)
{
	static const bool kinds[] = {false, true};

	(void)state;
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

static void test_connect_pauses_grow(void **state)
{
	struct world *world = world_open(false);
	int64_t start_us = clock_mono_us();
	size_t count;

	(void)state;
	fake_redis_say(world->fake, FAKE_SELECT, "-ERR no\r\n", FAKE_ALWAYS);
	connect_store(world, usual);
	/* After 0, 10-20, 20-40, 40-80, 80-160 and 160-320 ms, and what the tries take. */
	AWAIT(world, (count = fake_redis_counts(world->fake)->connections) == 6);

	assert_true(clock_mono_us() - start_us > 310 * US_PER_MS * 95 / 100);
	world_close(world);
}

static void test_name_that_does_not_exist_is_told(void **state)
{
	struct world *world = world_open(true);
	struct err err;

	(void)state;
	assert_true(
		redis_target_parse(BYTES("redis://no-such-host.invalid"), &world->target, &err));
	connect_store(world, usual);

	assert_int_equal(await_change(world, 1)->error, STORE_CONNECTION);
	assert_true(strlen(world->changes[0].why) > 0);
	world_close(world);
}

/* ---- a greeting that goes wrong ---- */

static void assert_does_not_come_up(enum fake_kind kind, const char *says, enum store_error error,
				    const char *why)
{
	struct world *world = world_open(false);

	fake_redis_say(world->fake, kind, says, FAKE_ALWAYS);
	if (kind == FAKE_AUTH) {
		struct err err;
		assert_true(redis_target_parse(bytes_from_text(fake_redis_url(world->fake)),
					       &world->target, &err));
		strcpy(world->target.password, "secret");
	}
	connect_store(world, usual);
	const struct change *change = await_change(world, 1);
	assert_false(change->is_up);
	assert_int_equal(change->error, error);
	assert_string_equal(change->why, why);
	assert_true(is_down(world));
	AWAIT(world, fake_redis_counts(world->fake)->connections == 3); /* it is tried again */
	assert_int_equal(world->change_count, 1);

	/* And when it is mended, it is well. */
	fake_redis_say(world->fake, kind, NULL, 0);
	await_up(world);
	world_close(world);
}

static void test_greeting_error_of_a_command_is_told_by_kind(void **state)
{
	static const struct {
		enum fake_kind kind;
		const char *says;
		enum store_error error;
		const char *why;
	} cases[] = {
		{FAKE_AUTH, "-WRONGPASS invalid\r\n", STORE_OTHER, "WRONGPASS invalid"},
		{FAKE_SELECT, "-NOAUTH required\r\n", STORE_OTHER, "NOAUTH required"},
		{FAKE_SELECT, "-ERR DB index is out of range\r\n", STORE_OTHER,
		 "ERR DB index is out of range"},
		{FAKE_SCRIPT, "-LOADING it loads\r\n", STORE_LOADING, "LOADING it loads"},
		{FAKE_SCRIPT, "-NOPERM no\r\n", STORE_OTHER, "NOPERM no"},
		{FAKE_SCRIPT, "+OK\r\n", STORE_OTHER, "SCRIPT LOAD was not answered by a hash"},
		{FAKE_SCRIPT, ":1\r\n", STORE_OTHER, "SCRIPT LOAD was not answered by a hash"},
		{FAKE_SCRIPT, "$-1\r\n", STORE_OTHER, "SCRIPT LOAD was not answered by a hash"},
		{FAKE_SCRIPT, "*1\r\n$40\r\n" FAKE_HASH "\r\n", STORE_OTHER,
		 "SCRIPT LOAD was not answered by a hash"},
		{FAKE_SCRIPT, "$41\r\n" FAKE_HASH "x\r\n", STORE_OTHER,
		 "SCRIPT LOAD was not answered by a hash"},
		{FAKE_PING, "-MASTERDOWN no\r\n", STORE_LOADING, "MASTERDOWN no"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_does_not_come_up(cases[i].kind, cases[i].says, cases[i].error, cases[i].why);
}

static void test_greeting_server_that_can_not_keep_balances_is_told(void **state)
{
	(void)state;

	assert_does_not_come_up(FAKE_INFO, "$23\r\nredis_mode:sentinel\r\nx:\r\n", STORE_OTHER,
				"it is a Sentinel, which keeps no data");
	assert_does_not_come_up(FAKE_INFO, "$18\r\nredis_mode:cluster\r\n", STORE_MOVED,
				"it is a node of a Redis Cluster");
	assert_does_not_come_up(FAKE_INFO, "$12\r\nrole:slave\r\n\r\n", STORE_READONLY,
				"it is a replica, which can't be written to");
	assert_does_not_come_up(FAKE_INFO, "$9\r\nloading:1\r\n", STORE_LOADING,
				"it is loading its data");
}

/* A user who may not ask for it has to know. */
static void test_greeting_without_info_is_well(void **state)
{
	static const char *const says[] = {"-NOPERM no\r\n", "$-1\r\n", "$0\r\n\r\n", ":7\r\n",
					   "*1\r\n+role:slave\r\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(says); i++) {
		struct world *world = world_open(false);
		fake_redis_say(world->fake, FAKE_INFO, says[i], FAKE_ALWAYS);
		connect_store(world, usual);
		await_up(world);
		world_close(world);
	}
}

/* 500 ms, whichever command is not answered; then it is tried again. */
static void test_greeting_silence_is_given_up(void **state)
{
	static const enum fake_kind kinds[] = {FAKE_SELECT, FAKE_PING};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct world *world = world_open(false);
		int64_t start_us = clock_mono_us();
		fake_redis_say(world->fake, kinds[i], FAKE_SILENCE, FAKE_ALWAYS);
		connect_store(world, usual);
		const struct change *change = await_change(world, 1);
		assert_true(clock_mono_us() - start_us > 450 * US_PER_MS);
		assert_int_equal(change->error, STORE_TIMEOUT);
		assert_string_equal(change->why, "no answer in time");
		fake_redis_say(world->fake, kinds[i], NULL, 0);
		await_up(world);
		assert_int_equal(fake_redis_counts(world->fake)->connections, 2);
		world_close(world);
	}
}

/* It answers, but not within the time that a request has. */
static void test_probe_that_takes_too_long_does_not_come_up(void **state)
{
	struct world *world = world_open(false);
	struct redis_store_config hasty = usual;

	(void)state;
	hasty.timeout_us = 0;
	connect_store(world, hasty);

	assert_int_equal(await_change(world, 1)->error, STORE_TIMEOUT);
	assert_true(is_down(world));
	world_close(world);
}

static void test_server_that_is_not_redis_is_told(void **state)
{
	static const char *const banners[] = {
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		"220 mail.example ESMTP\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n",
		"\x15\x03\x01\x02\x02\n",
		"*1\r\n*x\r\n",
		"\n\n\n\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(banners); i++) {
		struct world *world = world_open(false);
		fake_redis_greet(world->fake, banners[i]);
		connect_store(world, usual);
		const struct change *change = await_change(world, 1);
		assert_int_equal(change->error, STORE_OTHER);
		assert_true(strlen(change->why) > 0);
		assert_true(is_down(world));
		fake_redis_greet(world->fake, NULL);
		await_up(world);
		world_close(world);
	}
}

/* As from a server that has too many clients already. */
static void test_greeting_error_and_close_is_told(void **state)
{
	struct world *world = world_open(false);

	(void)state;
	fake_redis_greet(world->fake, "-ERR max number of clients reached\r\n");
	connect_store(world, usual);

	assert_int_equal(await_change(world, 1)->error, STORE_OTHER);
	assert_string_equal(world->changes[0].why, "ERR max number of clients reached");
	world_close(world);
}

/* ---- answers ---- */

static void test_ask_is_answered_later_and_once(void **state)
{
	struct world *world = world_up();

	(void)state;
	assert_int_equal(ask_it(world, &questions[0]), STORE_PENDING);
	assert_int_equal(questions[0].answers, 0);
	AWAIT(world, questions[0].answers > 0);

	assert_int_equal(questions[0].check.error, STORE_OK);
	assert_true(questions[0].check.outcome.allowed);
	assert_int_equal(questions[0].check.outcome.remaining, 4);
	for (int i = 0; i < 10; i++)
		ev_run(world->loop, EVRUN_NOWAIT);
	assert_int_equal(questions[0].answers, 1);
	world_close(world);
}

static void test_ask_from_an_answer_is_taken(void **state)
{
	struct world *world = world_up();

	(void)state;
	for (int i = 0; i < 99; i++)
		questions[i].next = &questions[i + 1];
	assert_int_equal(ask_it(world, &questions[0]), STORE_PENDING);
	AWAIT(world, questions[99].answers > 0);

	assert_errors(100, STORE_OK);
	world_close(world);
}

static void test_ask_all_of_a_turn_leaves_in_one_write(void **state)
{
	static const size_t counts[] = {1, 31, 32, 33, 64, 65, 1000};
	struct world *world = world_up();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		size_t before = commands(world, FAKE_EVALSHA);
		size_t reads = fake_redis_counts(world->fake)->reads;
		size_t written = writes;
		ask_many(world, counts[i]);
		AWAIT(world, are_answered(counts[i]));
		assert_errors(counts[i], STORE_OK);
		assert_int_equal(commands(world, FAKE_EVALSHA) - before, (counts[i] + 31) / 32);
		assert_int_equal(writes - written, 1);
		assert_int_equal(fake_redis_counts(world->fake)->reads - reads, 1);
	}
	world_close(world);
}

/* Not first asked whether it may, which would be a turn later. */
static void test_ask_leaves_before_the_loop_waits(void **state)
{
	struct world *world = world_up();
	size_t before = commands(world, FAKE_EVALSHA);

	(void)state;
	ask_many(world, 1);
	ev_run(world->loop, EVRUN_NOWAIT);

	assert_int_equal(commands(world, FAKE_EVALSHA) - before, 1);
	AWAIT(world, are_answered(1));
	world_close(world);
}

static void test_ask_as_many_as_can_be_in_flight_are_answered(void **state)
{
	struct world *world = world_up();

	(void)state;
	/* At the same time from each of them, and so from each call. */
	for (size_t i = 0; i < QUESTIONS_MAX; i++) {
		assert_int_equal(ask_it(world, &questions[i]), STORE_PENDING);
		if (i % 7 == 0)
			ev_run(world->loop, EVRUN_NOWAIT);
	}
	AWAIT(world, are_answered(QUESTIONS_MAX));

	assert_errors(QUESTIONS_MAX, STORE_OK);
	world_close(world);
}

/* Requests of the greatest size: 32 would be 240 KB. */
static void test_ask_calls_are_at_most_64_kilobytes(void **state)
{
	static struct check checks[64][REQUEST_CHECKS_MAX];
	static struct check *pointers[64][REQUEST_CHECKS_MAX];
	static struct question large[64];
	struct world *world = world_up();

	(void)state;
	for (int i = 0; i < 64; i++) {
		for (int k = 0; k < REQUEST_CHECKS_MAX; k++) {
			pointers[i][k] = check_make(&checks[i][k], "", fixed_quota(), 1);
			checks[i][k].key_len = CHECK_KEY_MAX;
			memset(checks[i][k].key, 'a' + k, CHECK_KEY_MAX);
		}
		large[i] = (struct question){.world = world};
		large[i].op = (struct store_op){.checks = pointers[i],
						.count = REQUEST_CHECKS_MAX,
						.answered = on_answered};
		large[i].check.is_decided = true;
		assert_int_equal(store_ask(world->store, &large[i].op), STORE_PENDING);
	}
	AWAIT(world, large[63].answers > 0);

	for (int i = 0; i < 64; i++) {
		assert_int_equal(large[i].answers, 1);
		for (int k = 0; k < REQUEST_CHECKS_MAX; k++)
			assert_int_equal(checks[i][k].outcome.remaining, 4);
	}
	assert_in_range(fake_redis_counts(world->fake)->longest, REDIS_CALL_MAX / 2,
			REDIS_CALL_MAX);
	world_close(world);
}

static void test_ask_with_a_time_of_its_own_says_it(void **state)
{
	struct world *world = world_open(false);
	struct redis_store_config given = usual;
	static const int64_t times[] = {1700000000000000, 1700000000000000, 1700000000000001};

	(void)state;
	given.is_time_given = true;
	given.prefix = BYTES("");
	connect_store(world, given);
	for (;; turn(world)) { /* of which the time is 0, as good as none */
		if (ask_it(world, &questions[0]) == STORE_PENDING)
			break;
	}
	AWAIT(world, questions[0].answers > 0);
	size_t before = commands(world, FAKE_EVALSHA);
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		assert_int_equal(ask_it(world, &questions[i]), STORE_PENDING);
		questions[i].op.now_us = times[i];
	}
	AWAIT(world, are_answered(ARRAY_SIZE(times)));

	assert_int_equal(commands(world, FAKE_EVALSHA) - before, 2);
	assert_string_equal(fake_redis_last(world->fake, FAKE_EVALSHA),
			    "EVALSHA " FAKE_HASH
			    " 1 k2 1700000000000001 1 0 fixed_window 1 5 60000000");
	world_close(world);
}

static void test_reply_that_comes_byte_by_byte_is_read(void **state)
{
	struct world *world = world_open(false);

	(void)state;
	fake_redis_set_pace(world->fake, 1);
	connect_store(world, usual);
	await_up(world);
	ask_many(world, 40);
	AWAIT(world, are_answered(40));

	assert_errors(40, STORE_OK);
	world_close(world);
}

/* Each answers the questions by an error that is told, and the connection stays. */
static void test_reply_of_a_wrong_shape_is_an_error_of_its_requests(void **state)
{
	static const char *const replies[] = {
		"+OK\r\n",
		":1\r\n",
		"$-1\r\n",
		"$4\r\nabcd\r\n",
		"*0\r\n",
		"*-1\r\n",
		"*1\r\n:1700000000000000\r\n",
		"*2\r\n:1700000000000000\r\n:1\r\n",
		"*3\r\n:1700000000000000\r\n:1\r\n:0\r\n",
		"*4\r\n:1700000000000000\r\n:2\r\n:0\r\n:1700000000000000\r\n",
		"*4\r\n:1700000000000000\r\n:1\r\n:-1\r\n:1700000000000000\r\n",
		"*4\r\n:1700000000000000\r\n:1\r\n:6\r\n:1700000000000000\r\n",
		"*4\r\n:1700000000000000\r\n:1\r\n:0\r\n:1600000000000000\r\n",
		"*4\r\n:-1\r\n:1\r\n:0\r\n:1700000000000000\r\n",
		"*4\r\n:1700000000000000\r\n:1\r\n$1\r\n0\r\n:1700000000000000\r\n",
		"*4\r\n:1700000000000000\r\n:1\r\n$-1\r\n:1700000000000000\r\n",
		"*4\r\n:1700000000000000\r\n*1\r\n:1\r\n:0\r\n:1700000000000000\r\n",
		"*4\r\n-ERR x\r\n:1\r\n:0\r\n:1700000000000000\r\n",
	};
	struct world *world = world_up();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		size_t told = world->refused_count;
		fake_redis_say(world->fake, FAKE_EVALSHA, replies[i], 1);
		assert_int_equal(ask_and_await(world), STORE_OTHER);
		assert_int_equal(world->refused_count, told + 1);
		assert_non_null(strstr(world->refused_why, "BADREPLY"));
		assert_int_equal(ask_and_await(world), STORE_OK);
	}
	assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
	world_close(world);
}

/* With too few of them, or too many, it is not known whose they are. */
static void test_reply_for_another_number_of_requests_decides_none(void **state)
{
	static const char *const replies[] = {
		"*7\r\n:1700000000000000\r\n:1\r\n:0\r\n:1700000000000000\r\n"
		":1\r\n:1\r\n:1700000000000000\r\n",
		"*13\r\n:1700000000000000\r\n:1\r\n:0\r\n:1700000000000000\r\n"
		":1\r\n:1\r\n:1700000000000000\r\n:1\r\n:2\r\n:1700000000000000\r\n"
		":1\r\n:3\r\n:1700000000000000\r\n",
		"*5\r\n:1700000000000000\r\n-OOM x\r\n-OOM x\r\n-OOM x\r\n-OOM x\r\n",
	};
	struct world *world = world_up();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		fake_redis_say(world->fake, FAKE_EVALSHA, replies[i], 1);
		ask_many(world, 3);
		AWAIT(world, are_answered(3));
		assert_errors(3, STORE_OTHER);
		assert_int_equal(world->refused_count, 3 * (i + 1));
		assert_non_null(strstr(world->refused_why, "BADREPLY"));
	}
	world_close(world);
}

static void test_reply_error_of_one_request_is_its_own(void **state)
{
	struct world *world = world_up();

	(void)state;
	fake_redis_say(world->fake, FAKE_EVALSHA,
		       "*8\r\n:1700000000000000\r\n:1\r\n:0\r\n:1700000000000000\r\n"
		       "-WRONGTYPE no\r\n:1\r\n:1\r\n:1700000000000000\r\n",
		       1);
	ask_many(world, 3);
	AWAIT(world, are_answered(3));

	assert_int_equal(questions[0].check.error, STORE_OK);
	assert_int_equal(questions[1].check.error, STORE_OTHER);
	assert_int_equal(questions[2].check.error, STORE_OK);
	assert_int_equal(world->refused_count, 1);
	assert_string_equal(world->refused_why, "WRONGTYPE no");
	world_close(world);
}

static void test_reply_error_of_a_call_is_by_kind(void **state)
{
	static const struct {
		const char *says;
		enum store_error error;
		bool is_dropped;
	} cases[] = {
		{"-OOM no\r\n", STORE_OOM, false},
		{"-ERR no\r\n", STORE_OTHER, false},
		{"-BUSY no\r\n", STORE_OTHER, false},
		{"-MOVED 1 192.0.2.1:1\r\n", STORE_MOVED, false},
		{"-READONLY no\r\n", STORE_READONLY, true},
		{"-MISCONF no\r\n", STORE_READONLY, true},
		{"-LOADING no\r\n", STORE_LOADING, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *world = world_up();
		fake_redis_say(world->fake, FAKE_EVALSHA, cases[i].says, 1);
		ask_many(world, 2);
		AWAIT(world, are_answered(2));
		assert_errors(2, cases[i].error);
		assert_int_equal(world->refused_count, 2);
		assert_int_equal(world->refused_error, cases[i].error);
		await_up(world);
		assert_int_equal(fake_redis_counts(world->fake)->connections,
				 cases[i].is_dropped ? 2 : 1);
		world_close(world);
	}
}

/* ---- NOSCRIPT ---- */

#define NOSCRIPT "-NOSCRIPT No matching script.\r\n"

static void test_noscript_once_is_mended_unseen(void **state)
{
	struct world *world = world_up();

	(void)state;
	fake_redis_say(world->fake, FAKE_EVALSHA, NOSCRIPT, 1);
	assert_int_equal(ask_and_await(world), STORE_OK);

	assert_int_equal(questions[0].answers, 1);
	assert_int_equal(commands(world, FAKE_SCRIPT), 2);
	assert_int_equal(commands(world, FAKE_EVALSHA), 3);
	assert_int_equal(world->refused_count, 0);
	assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
	world_close(world);
}

static void test_noscript_of_several_calls_loads_it_once(void **state)
{
	struct world *world = world_up();

	(void)state;
	fake_redis_say(world->fake, FAKE_EVALSHA, NOSCRIPT, 4);
	ask_many(world, 100);
	AWAIT(world, are_answered(100));

	assert_errors(100, STORE_OK);
	assert_int_equal(commands(world, FAKE_SCRIPT), 2);
	assert_int_equal(commands(world, FAKE_EVALSHA), 1 + 4 + 4);
	world_close(world);
}

/* What is asked meanwhile comes behind the script, too. */
static void test_noscript_from_an_answer_comes_behind_the_script(void **state)
{
	struct world *world = world_up();

	(void)state;
	questions[0].next = &questions[40];
	fake_redis_say(world->fake, FAKE_EVALSHA, NOSCRIPT, 1);
	ask_many(world, 1);
	questions[0].op.is_late = true;
	AWAIT(world, questions[40].answers > 0);

	assert_int_equal(questions[0].check.error, STORE_NOSCRIPT);
	assert_int_equal(questions[40].check.error, STORE_OK);
	assert_int_equal(commands(world, FAKE_SCRIPT), 2);
	world_close(world);
}

static void test_noscript_always_is_an_error_after_one_repetition(void **state)
{
	struct world *world = world_up();
	size_t before = commands(world, FAKE_EVALSHA);

	(void)state;
	fake_redis_say(world->fake, FAKE_EVALSHA, NOSCRIPT, FAKE_ALWAYS);
	ask_many(world, 40);
	AWAIT(world, are_answered(40));

	assert_errors(40, STORE_NOSCRIPT);
	assert_int_equal(commands(world, FAKE_EVALSHA) - before, 2 + 2);
	assert_int_equal(world->refused_count, 40);
	world_close(world);
}

static void test_noscript_late_requests_are_not_repeated(void **state)
{
	struct world *world = world_up();

	(void)state;
	fake_redis_say(world->fake, FAKE_EVALSHA, NOSCRIPT, 1);
	ask_many(world, 3);
	questions[0].op.is_late = questions[2].op.is_late = true;
	AWAIT(world, are_answered(3));

	assert_int_equal(questions[0].check.error, STORE_NOSCRIPT);
	assert_int_equal(questions[1].check.error, STORE_OK);
	assert_int_equal(questions[2].check.error, STORE_NOSCRIPT);
	assert_string_equal(fake_redis_last(world->fake, FAKE_EVALSHA),
			    "EVALSHA " FAKE_HASH " 1 rl:k1 now 1 0 fixed_window 1 5 60000000");
	world_close(world);
}

static void test_noscript_and_no_way_to_load_it_gives_the_connection_up(void **state)
{
	struct world *world = world_up();

	(void)state;
	fake_redis_say(world->fake, FAKE_EVALSHA, NOSCRIPT, FAKE_ALWAYS);
	fake_redis_say(world->fake, FAKE_SCRIPT, "-OOM no\r\n", 1);
	ask_many(world, 2);
	AWAIT(world, are_answered(2));

	assert_errors(2, STORE_NOSCRIPT);
	fake_redis_say(world->fake, FAKE_EVALSHA, NULL, 0);
	await_up(world);
	assert_int_equal(fake_redis_counts(world->fake)->connections, 2);
	world_close(world);
}

static void test_noscript_and_then_the_connection_is_lost_is_answered_once(void **state)
{
	struct world *world = world_up();

	(void)state;
	fake_redis_say(world->fake, FAKE_EVALSHA, NOSCRIPT, 1);
	fake_redis_say(world->fake, FAKE_SCRIPT, FAKE_SILENCE, 1);
	ask_many(world, 5);
	AWAIT(world, commands(world, FAKE_EVALSHA) == 2);
	fake_redis_say(world->fake, FAKE_EVALSHA, FAKE_SILENCE, FAKE_ALWAYS);
	AWAIT(world, commands(world, FAKE_EVALSHA) == 3);
	fake_redis_hang_up(world->fake);
	AWAIT(world, are_answered(5));

	assert_errors(5, STORE_CONNECTION);
	fake_redis_say(world->fake, FAKE_EVALSHA, NULL, 0);
	await_up(world);
	world_close(world);
}

/* ---- a connection that is lost ---- */

static void test_connection_lost_answers_each_once(void **state)
{
	struct world *world = world_up();

	(void)state;
	fake_redis_say(world->fake, FAKE_EVALSHA, FAKE_SILENCE, FAKE_ALWAYS);
	ask_many(world, 100);
	AWAIT(world, commands(world, FAKE_EVALSHA) == 1 + 4);
	for (size_t i = 100; i < 110; i++) /* and some that did not leave yet */
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

static void test_connection_lost_in_the_middle_of_a_reply_answers_once(void **state)
{
	static const char *const halves[] = {
		"*", "*4\r\n:1700000000000000\r\n:1\r\n", "$10\r\nabc", "-OOM",
		"*4\r\n:1700000000000000\r\n:1\r\n:0\r\n:1700000000000000\r"};

	(void)state;
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
static void test_connection_lost_what_is_asked_from_answers_is_answered(void **state)
{
	struct world *world = world_up();

	(void)state;
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

static void test_garbage_while_up_answers_each_once(void **state)
{
	struct world *world = world_up();

	(void)state;
	fake_redis_say(world->fake, FAKE_EVALSHA, "HTTP/1.1 400 Bad Request\r\n", 1);
	ask_many(world, 40);
	AWAIT(world, are_answered(40));

	assert_errors(40, STORE_CONNECTION);
	await_up(world);
	assert_int_equal(fake_redis_counts(world->fake)->connections, 2);
	world_close(world);
}

/* Replies that nobody asked for: the connection is given up, and not the agent. */
static void test_reply_unasked_gives_the_connection_up(void **state)
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
	};

	(void)state;
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

static void test_replies_unasked_in_the_greeting_give_it_up(void **state)
{
	static char many[64 * 6 + 1];
	struct world *world = world_open(false);

	(void)state;
	for (int i = 0; i < 64; i++)
		strcat(many, "+OK\r\n");
	fake_redis_greet(world->fake, many);
	connect_store(world, usual);
	await_change(world, 1);
	assert_false(world->changes[0].is_up);
	fake_redis_greet(world->fake, NULL);
	await_up(world);
	world_close(world);
}

/* ---- silence ---- */

static void test_expired_for_25_ms_gives_the_connection_up(void **state)
{
	struct world *world = world_up();
	int64_t mono_us = 1000000;

	(void)state;
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

static void test_expired_with_an_answer_in_time_between_starts_anew(void **state)
{
	struct world *world = world_up();

	(void)state;
	store_expired(world->store, 1000000);
	assert_int_equal(ask_and_await(world), STORE_OK);
	store_expired(world->store, 1025000);
	store_expired(world->store, 1049999);
	assert_int_equal(ask_and_await(world), STORE_OK);

	assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
	world_close(world);
}

static void test_expired_with_late_answers_between_does_not(void **state)
{
	struct world *world = world_up();

	(void)state;
	store_expired(world->store, 1000000);
	ask_many(world, 1);
	questions[0].op.is_late = true;
	AWAIT(world, questions[0].answers > 0);
	store_expired(world->store, 1025000);
	AWAIT(world, world->change_count == 1);

	assert_int_equal(world->changes[0].error, STORE_TIMEOUT);
	world_close(world);
}

static void test_expired_before_a_new_connection_does_not_count_for_it(void **state)
{
	struct world *world = world_up();

	(void)state;
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

/* Nothing is asked; that nothing works is found out by itself, by one PING. */
static void test_heartbeat_finds_a_silent_server(void **state)
{
	struct world *world = world_up();

	(void)state;
	fake_redis_say(world->fake, FAKE_PING, FAKE_SILENCE, FAKE_ALWAYS);
	assert_true(await_change(world, 1)->is_up);
	int64_t sent_us = clock_mono_us();
	assert_false(await_change(world, 2)->is_up);

	assert_int_equal(world->changes[1].error, STORE_TIMEOUT);
	assert_true(clock_mono_us() - sent_us > 450 * US_PER_MS); /* two of 250 ms */
	assert_int_equal(commands(world, FAKE_PING), 2);          /* the probe, and a heartbeat */
	assert_true(is_down(world));
	world_close(world);
}

/* There is always a question on its way, and the answers come. */
static void test_heartbeat_of_a_busy_server_is_not_needed(void **state)
{
	struct world *world = world_up();
	int64_t start_us = clock_mono_us();

	(void)state;
	questions[0].next = &questions[0];
	ask_many(world, 1);
	AWAIT(world, clock_mono_us() - start_us > 1100 * US_PER_MS); /* four beats */

	assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
	assert_in_range(commands(world, FAKE_PING), 1, 2);
	questions[0].next = NULL;
	world_close(world);
}

static void test_heartbeat_error_gives_the_connection_up(void **state)
{
	struct world *world = world_up();

	(void)state;
	fake_redis_say(world->fake, FAKE_PING, "-NOAUTH no\r\n", 1);
	assert_true(await_change(world, 1)->is_up);

	assert_int_equal(await_change(world, 2)->error, STORE_OTHER);
	assert_string_equal(world->changes[1].why, "NOAUTH no");
	world_close(world);
}

/* ---- what is told ---- */

static void test_changed_is_told_once_a_change(void **state)
{
	struct world *world = world_open(false);

	(void)state;
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
	(void)await_change(world, 5);

	assert_int_equal(world->changes[0].error, STORE_OTHER);
	assert_int_equal(world->changes[1].error, STORE_LOADING);
	assert_true(world->changes[2].is_up);
	assert_int_equal(world->changes[3].error, STORE_CONNECTION);
	assert_string_equal(world->changes[4].why, "No such file or directory");
	world_close(world);
}

/* ---- the end ---- */

static void free_with(struct world *world, size_t count)
{
	store_free(world->store);
	world->store = NULL;
	assert_errors(count, STORE_CONNECTION);
	assert_int_equal(world->change_count, 0);
	world_close(world);
}

static void test_free_answers_what_did_not_leave_yet(void **state)
{
	struct world *world = world_up();

	(void)state;
	ask_many(world, 50);
	free_with(world, 50);
}

static void test_free_answers_what_is_in_flight(void **state)
{
	struct world *world = world_up();

	(void)state;
	fake_redis_say(world->fake, FAKE_EVALSHA, FAKE_SILENCE, FAKE_ALWAYS);
	ask_many(world, 50);
	AWAIT(world, commands(world, FAKE_EVALSHA) == 3);
	free_with(world, 50);
}

/* Before Redis says that it has no script, before it is asked for it again, and after. */
static void test_free_answers_what_is_repeated(void **state)
{
	(void)state;

	for (int turns = 0; turns < 5; turns++) {
		struct world *world = world_up();
		fake_redis_say(world->fake, FAKE_EVALSHA, NOSCRIPT, 1);
		fake_redis_say(world->fake, FAKE_SCRIPT, FAKE_SILENCE, 1);
		ask_many(world, 5);
		AWAIT(world, commands(world, FAKE_EVALSHA) == 2);
		fake_redis_say(world->fake, FAKE_EVALSHA, FAKE_SILENCE, FAKE_ALWAYS);
		for (int i = 0; i < turns; i++)
			ev_run(world->loop, EVRUN_NOWAIT);
		free_with(world, 5);
	}
}

/* In whatever state it is. */
static void test_free_at_any_moment_is_clean(void **state)
{
	(void)state;

	for (int turns = 0; turns < 12; turns++) {
		struct world *world = world_open(turns % 2 == 0);
		if (turns % 3 == 0)
			fake_redis_say(world->fake, FAKE_SCRIPT, "-ERR no\r\n", FAKE_ALWAYS);
		connect_store(world, usual);
		for (int i = 0; i < turns; i++)
			ev_run(world->loop, EVRUN_NOWAIT);
		world_close(world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ask_before_there_is_a_connection_is_done_with_an_error),
		cmocka_unit_test(test_greeting_of_the_default_user_says_no_login),
		cmocka_unit_test(test_greeting_says_user_password_and_database),
		cmocka_unit_test(test_connect_over_tcp_is_the_same),
		cmocka_unit_test(test_connect_by_name_finds_the_address),
		cmocka_unit_test(test_connect_refused_is_told_once_and_tried_until_it_is_not),
		cmocka_unit_test(test_connect_pauses_grow),
		cmocka_unit_test(test_name_that_does_not_exist_is_told),
		cmocka_unit_test(test_greeting_error_of_a_command_is_told_by_kind),
		cmocka_unit_test(test_greeting_server_that_can_not_keep_balances_is_told),
		cmocka_unit_test(test_greeting_without_info_is_well),
		cmocka_unit_test(test_greeting_silence_is_given_up),
		cmocka_unit_test(test_probe_that_takes_too_long_does_not_come_up),
		cmocka_unit_test(test_server_that_is_not_redis_is_told),
		cmocka_unit_test(test_greeting_error_and_close_is_told),
		cmocka_unit_test(test_ask_is_answered_later_and_once),
		cmocka_unit_test(test_ask_from_an_answer_is_taken),
		cmocka_unit_test(test_ask_all_of_a_turn_leaves_in_one_write),
		cmocka_unit_test(test_ask_leaves_before_the_loop_waits),
		cmocka_unit_test(test_ask_as_many_as_can_be_in_flight_are_answered),
		cmocka_unit_test(test_ask_calls_are_at_most_64_kilobytes),
		cmocka_unit_test(test_ask_with_a_time_of_its_own_says_it),
		cmocka_unit_test(test_reply_that_comes_byte_by_byte_is_read),
		cmocka_unit_test(test_reply_of_a_wrong_shape_is_an_error_of_its_requests),
		cmocka_unit_test(test_reply_for_another_number_of_requests_decides_none),
		cmocka_unit_test(test_reply_error_of_one_request_is_its_own),
		cmocka_unit_test(test_reply_error_of_a_call_is_by_kind),
		cmocka_unit_test(test_noscript_once_is_mended_unseen),
		cmocka_unit_test(test_noscript_of_several_calls_loads_it_once),
		cmocka_unit_test(test_noscript_from_an_answer_comes_behind_the_script),
		cmocka_unit_test(test_noscript_always_is_an_error_after_one_repetition),
		cmocka_unit_test(test_noscript_late_requests_are_not_repeated),
		cmocka_unit_test(test_noscript_and_no_way_to_load_it_gives_the_connection_up),
		cmocka_unit_test(test_noscript_and_then_the_connection_is_lost_is_answered_once),
		cmocka_unit_test(test_connection_lost_answers_each_once),
		cmocka_unit_test(test_connection_lost_in_the_middle_of_a_reply_answers_once),
		cmocka_unit_test(test_connection_lost_what_is_asked_from_answers_is_answered),
		cmocka_unit_test(test_garbage_while_up_answers_each_once),
		cmocka_unit_test(test_reply_unasked_gives_the_connection_up),
		cmocka_unit_test(test_replies_unasked_in_the_greeting_give_it_up),
		cmocka_unit_test(test_expired_for_25_ms_gives_the_connection_up),
		cmocka_unit_test(test_expired_with_an_answer_in_time_between_starts_anew),
		cmocka_unit_test(test_expired_with_late_answers_between_does_not),
		cmocka_unit_test(test_expired_before_a_new_connection_does_not_count_for_it),
		cmocka_unit_test(test_heartbeat_finds_a_silent_server),
		cmocka_unit_test(test_heartbeat_of_a_busy_server_is_not_needed),
		cmocka_unit_test(test_heartbeat_error_gives_the_connection_up),
		cmocka_unit_test(test_changed_is_told_once_a_change),
		cmocka_unit_test(test_free_answers_what_did_not_leave_yet),
		cmocka_unit_test(test_free_answers_what_is_in_flight),
		cmocka_unit_test(test_free_answers_what_is_repeated),
		cmocka_unit_test(test_free_at_any_moment_is_clean),
	};

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
