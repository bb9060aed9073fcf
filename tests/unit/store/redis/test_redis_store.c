#include "store/redis/redis_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ev.h>

#include "base/clock.h"
#include "limit/request.h"
#include "store/redis/redis_script.h"
#include "store_world.h"
#include "support/test.h"
#include "unit/store/contract.h"

BEFORE_ALL
{
	world_prepare();
}

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

/* ---- answers ---- */

TEST(ask_before_there_is_a_connection_is_done_with_an_error)
{
	struct world *world = world_open(false);

	connect_store(world, usual);
	assert_int_equal(ask_it(world, &questions[0]), STORE_DONE);

	assert_int_equal(questions[0].check.error, STORE_CONNECTION);
	assert_false(questions[0].check.is_decided);
	world_close(world);
}

TEST(ask_is_answered_later_and_once)
{
	struct world *world = world_up();

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

TEST(ask_from_an_answer_is_taken)
{
	struct world *world = world_up();

	for (int i = 0; i < 99; i++)
		questions[i].next = &questions[i + 1];
	assert_int_equal(ask_it(world, &questions[0]), STORE_PENDING);
	AWAIT(world, questions[99].answers > 0);

	assert_errors(100, STORE_OK);
	world_close(world);
}

TEST(ask_all_of_a_turn_leaves_in_one_write)
{
	static const size_t counts[] = {1, 31, 32, 33, 64, 96, 256};
	struct world *world = world_up();

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

TEST(ask_a_call_that_is_not_full_waits_while_two_are_under_way)
{
	struct world *world = world_up();
	size_t before = commands(world, FAKE_EVALSHA);

	ask_many(world, 65);
	ev_run(world->loop, EVRUN_NOWAIT);
	assert_int_equal(commands(world, FAKE_EVALSHA) - before, 2);
	AWAIT(world, are_answered(65));

	assert_int_equal(commands(world, FAKE_EVALSHA) - before, 3);
	world_close(world);
}

/* Not first asked whether it may, which would be a turn later. */
TEST(ask_leaves_before_the_loop_waits)
{
	struct world *world = world_up();
	size_t before = commands(world, FAKE_EVALSHA);

	ask_many(world, 1);
	ev_run(world->loop, EVRUN_NOWAIT);

	assert_int_equal(commands(world, FAKE_EVALSHA) - before, 1);
	AWAIT(world, are_answered(1));
	world_close(world);
}

TEST(ask_as_many_as_can_be_in_flight_are_answered)
{
	struct world *world = world_up();

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

/* Requests of the greatest size: two of them fill a call. */
TEST(ask_calls_have_at_most_32_checks)
{
	static struct check checks[16][REQUEST_CHECKS_MAX];
	static struct check *pointers[16][REQUEST_CHECKS_MAX];
	static struct question large[16];
	struct world *world = world_up();
	size_t before = commands(world, FAKE_EVALSHA);

	for (int i = 0; i < 16; i++) {
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
	AWAIT(world, large[15].answers > 0);

	assert_int_equal(commands(world, FAKE_EVALSHA) - before, 8);
	for (int i = 0; i < 16; i++) {
		assert_int_equal(large[i].answers, 1);
		for (int k = 0; k < REQUEST_CHECKS_MAX; k++)
			assert_int_equal(checks[i][k].outcome.remaining, 4);
	}
	assert_in_range(fake_redis_counts(world->fake)->longest, REDIS_CALL_MAX / 2,
			REDIS_CALL_MAX);
	world_close(world);
}

TEST(ask_with_a_time_of_its_own_says_it)
{
	struct world *world = world_open(false);
	struct store_config given = usual;
	static const int64_t times[] = {1700000000000000, 1700000000000000, 1700000000000001};

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

TEST(reply_that_comes_byte_by_byte_is_read)
{
	struct world *world = world_open(false);

	fake_redis_set_pace(world->fake, 1);
	connect_store(world, usual);
	await_up(world);
	ask_many(world, 40);
	AWAIT(world, are_answered(40));

	assert_errors(40, STORE_OK);
	world_close(world);
}

/* Each answers the questions by an error that is told, and the connection stays. */
TEST(reply_of_a_wrong_shape_is_an_error_of_its_requests)
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
TEST(reply_for_another_number_of_requests_decides_none)
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

TEST(reply_error_of_one_request_is_its_own)
{
	struct world *world = world_up();

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

TEST(reply_error_of_a_call_is_by_kind)
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
		{"-MISCONF no\r\n", STORE_MISCONF, false},
		{"-NOREPLICAS no\r\n", STORE_NOREPLICAS, false},
		{"-LOADING no\r\n", STORE_LOADING, true},
		{"-MASTERDOWN no\r\n", STORE_LOADING, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *world = world_up();
		fake_redis_say(world->fake, FAKE_EVALSHA, cases[i].says, 1);
		ask_many(world, 2);
		AWAIT(world, are_answered(2));
		assert_errors(2, cases[i].error);
		/* Any error of a known kind comes before the script has charged something. */
		assert_int_equal(questions[0].op.is_unsure, cases[i].error == STORE_OTHER);
		assert_int_equal(questions[1].op.is_unsure, cases[i].error == STORE_OTHER);
		assert_int_equal(world->refused_count, 2);
		assert_int_equal(world->refused_error, cases[i].error);
		await_up(world);
		assert_int_equal(fake_redis_counts(world->fake)->connections,
				 cases[i].is_dropped ? 2 : 1);
		world_close(world);
	}
}

/* ---- whether it was charged ---- */

TEST(lost_reply_is_unsure_and_what_was_not_sent_is_not)
{
	struct world *world = world_up();
	size_t before = commands(world, FAKE_EVALSHA);

	fake_redis_say(world->fake, FAKE_EVALSHA, FAKE_SILENCE, FAKE_ALWAYS);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(ask_it(world, &questions[i]), STORE_PENDING);
		AWAIT(world, i == 2 || commands(world, FAKE_EVALSHA) - before == i + 1);
	}
	fake_redis_hang_up(world->fake);
	AWAIT(world, are_answered(3));

	assert_errors(3, STORE_CONNECTION);
	assert_true(questions[0].op.is_unsure);
	assert_true(questions[1].op.is_unsure);
	assert_false(questions[2].op.is_unsure); /* it waited for one of the two */
	world_close(world);
}

TEST(unreadable_reply_is_unsure)
{
	struct world *world = world_up();

	fake_redis_say(world->fake, FAKE_EVALSHA, "+OK\r\n", 1);
	assert_int_equal(ask_and_await(world), STORE_OTHER);

	assert_true(questions[0].op.is_unsure);
	world_close(world);
}

static enum store_state settle_one(struct world *world, struct question *question,
				   uint8_t room_behind)
{
	question->checks[0] = check_make(&question->check, "key", fixed_quota(), 1);
	question->world = world;
	question->answers = 0;
	question->op = (struct store_op){.checks = question->checks,
					 .count = 1,
					 .is_settling = true,
					 .room_behind = room_behind,
					 .answered = on_answered};
	world->is_asking = true;
	enum store_state state = store_ask(world->store, &question->op);
	world->is_asking = false;
	return state;
}

/* Nobody waits for it: an error of it is neither counted nor told. */
TEST(settling_that_fails_is_not_told)
{
	struct world *world = world_up();

	fake_redis_say(world->fake, FAKE_EVALSHA, "-READONLY no\r\n", 1);
	assert_int_equal(settle_one(world, &questions[0], 0), STORE_PENDING);
	AWAIT(world, questions[0].answers > 0);

	assert_int_equal(questions[0].check.error, STORE_READONLY);
	assert_false(questions[0].op.is_unsure);
	assert_int_equal(world->refused_count, 0);
	assert_int_equal(store_describe(world->store).stats.errors[STORE_READONLY], 0);
	world_close(world);
}

TEST(settling_leaves_room_for_the_request_behind_it)
{
	struct store_config narrow = usual;
	struct world *world = world_open(false);

	narrow.max_in_flight = 4;
	connect_store(world, narrow);
	await_up(world);
	fake_redis_say(world->fake, FAKE_EVALSHA, FAKE_SILENCE, FAKE_ALWAYS);
	assert_int_equal(ask_it(world, &questions[0]), STORE_PENDING);
	assert_int_equal(settle_one(world, &questions[1], 2), STORE_PENDING);
	assert_int_equal(settle_one(world, &questions[2], 2), STORE_DONE);

	assert_int_equal(questions[2].check.error, STORE_FULL);
	assert_int_equal(store_describe(world->store).stats.shed, 0);
	world_close(world);
}

/* ---- NOSCRIPT ---- */

#define NOSCRIPT "-NOSCRIPT No matching script.\r\n"

TEST(noscript_once_is_mended_unseen)
{
	struct world *world = world_up();

	fake_redis_say(world->fake, FAKE_EVALSHA, NOSCRIPT, 1);
	assert_int_equal(ask_and_await(world), STORE_OK);

	assert_int_equal(questions[0].answers, 1);
	assert_int_equal(commands(world, FAKE_SCRIPT), 2);
	assert_int_equal(commands(world, FAKE_EVALSHA), 3);
	assert_int_equal(world->refused_count, 0);
	assert_int_equal(fake_redis_counts(world->fake)->connections, 1);
	world_close(world);
}

TEST(noscript_of_several_calls_loads_it_once)
{
	struct world *world = world_up();

	fake_redis_say(world->fake, FAKE_EVALSHA, NOSCRIPT, 3);
	ask_many(world, 96);
	AWAIT(world, are_answered(96));

	assert_errors(96, STORE_OK);
	assert_int_equal(commands(world, FAKE_SCRIPT), 2);
	assert_int_equal(commands(world, FAKE_EVALSHA), 1 + 3 + 3);
	world_close(world);
}

/* What is asked meanwhile comes behind the script, too. */
TEST(noscript_from_an_answer_comes_behind_the_script)
{
	struct world *world = world_up();

	questions[0].next = &questions[40];
	fake_redis_say(world->fake, FAKE_EVALSHA, NOSCRIPT, 1);
	ask_many(world, 1);
	questions[0].op.is_late = true;
	store_op_fail(&questions[0].op, STORE_TIMEOUT);
	AWAIT(world, questions[40].answers > 0);

	assert_int_equal(questions[0].check.error, STORE_NOSCRIPT);
	assert_int_equal(questions[40].check.error, STORE_OK);
	assert_int_equal(commands(world, FAKE_SCRIPT), 2);
	world_close(world);
}

TEST(noscript_always_is_an_error_after_one_repetition)
{
	struct world *world = world_up();
	size_t before = commands(world, FAKE_EVALSHA);

	fake_redis_say(world->fake, FAKE_EVALSHA, NOSCRIPT, FAKE_ALWAYS);
	ask_many(world, 40);
	AWAIT(world, are_answered(40));

	assert_errors(40, STORE_NOSCRIPT);
	assert_int_equal(commands(world, FAKE_EVALSHA) - before, 2 + 2);
	assert_int_equal(world->refused_count, 40);
	world_close(world);
}

TEST(noscript_late_requests_are_not_repeated)
{
	struct world *world = world_up();

	fake_redis_say(world->fake, FAKE_EVALSHA, NOSCRIPT, 1);
	ask_many(world, 3);
	for (size_t i = 0; i < 3; i += 2) {
		questions[i].op.is_late = true;
		store_op_fail(&questions[i].op, STORE_TIMEOUT);
	}
	AWAIT(world, are_answered(3));

	assert_int_equal(questions[0].check.error, STORE_NOSCRIPT);
	assert_int_equal(questions[1].check.error, STORE_OK);
	assert_int_equal(questions[2].check.error, STORE_NOSCRIPT);
	assert_string_equal(fake_redis_last(world->fake, FAKE_EVALSHA),
			    "EVALSHA " FAKE_HASH " 1 rl:k1 now 1 0 fixed_window 1 5 60000000");
	world_close(world);
}

TEST(noscript_and_no_way_to_load_it_gives_the_connection_up)
{
	struct world *world = world_up();

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

TEST(noscript_and_then_the_connection_is_lost_is_answered_once)
{
	struct world *world = world_up();

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

/* ---- what is counted ---- */

static struct store_stats stats_of(const struct world *world)
{
	return store_describe(world->store).stats;
}

TEST(stats_count_calls_by_their_requests)
{
	static const struct {
		size_t requests; /* in one turn */
		size_t calls[STORE_BATCH_BOUNDS];
	} cases[] = {
		{1, {1}},
		{2, {0, 1}},
		{3, {0, 0, 1}},
		{4, {0, 0, 1}},
		{5, {0, 0, 0, 1}},
		{8, {0, 0, 0, 1}},
		{9, {0, 0, 0, 0, 1}},
		{16, {0, 0, 0, 0, 1}},
		{17, {0, 0, 0, 0, 0, 1}},
		{32, {0, 0, 0, 0, 0, 1}},
		{33, {1, 0, 0, 0, 0, 1}},
		{100, {0, 0, 1, 0, 0, 3}},
	};
	struct world *world = world_up();

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct store_stats before = stats_of(world);
		uint64_t calls = 0;
		ask_many(world, cases[i].requests);
		AWAIT(world, are_answered(cases[i].requests));
		struct store_stats after = stats_of(world);
		for (size_t k = 0; k < STORE_BATCH_BOUNDS; k++) {
			assert_int_equal(after.batches[k] - before.batches[k], cases[i].calls[k]);
			calls += cases[i].calls[k];
		}
		assert_int_equal(after.requests - before.requests, cases[i].requests);
		assert_int_equal(after.calls - before.calls, calls);
		assert_int_equal(after.latency.count - before.latency.count, calls);
	}
	world_close(world);
}

static void assert_counted(const struct world *world, enum store_error error, uint64_t count)
{
	const struct store_stats stats = stats_of(world);

	for (int i = 0; i < STORE_ERROR_COUNT; i++)
		assert_int_equal(stats.errors[i], i == (int)error ? count : 0);
}

/* In a world that was not asked before it is up, since that is an error too. */
static struct world *world_up_unasked(void)
{
	struct world *world = world_open(false);

	connect_store(world, usual);
	AWAIT(world, store_describe(world->store).is_up);
	return world;
}

TEST(stats_count_errors_inside_a_reply)
{
	struct world *world = world_up_unasked();

	fake_redis_say(world->fake, FAKE_EVALSHA,
		       "*6\r\n:1700000000000000\r\n-WRONGTYPE no\r\n"
		       ":1\r\n:0\r\n:1700000000000000\r\n-ERR no\r\n",
		       1);
	ask_many(world, 3);
	AWAIT(world, are_answered(3));

	assert_counted(world, STORE_OTHER, 2);
	world_close(world);
}

TEST(stats_count_errors_of_a_whole_call)
{
	struct world *world = world_up_unasked();

	fake_redis_say(world->fake, FAKE_EVALSHA, "-OOM no\r\n", 1);
	ask_many(world, 3);
	AWAIT(world, are_answered(3));

	assert_counted(world, STORE_OOM, 3);
	world_close(world);
}

TEST(stats_count_each_noscript_and_none_twice)
{
	struct world *world = world_up_unasked();

	fake_redis_say(world->fake, FAKE_EVALSHA, NOSCRIPT, 1);
	ask_many(world, 3);
	AWAIT(world, are_answered(3));

	assert_errors(3, STORE_OK);
	assert_counted(world, STORE_NOSCRIPT, 3);
	world_close(world);
}

TEST(stats_count_what_is_asked_while_down_and_what_was_lost)
{
	struct world *world = world_open(false);

	connect_store(world, usual);
	assert_int_equal(ask_it(world, &questions[0]), STORE_DONE);
	assert_counted(world, STORE_CONNECTION, 1);
	AWAIT(world, store_describe(world->store).is_up);
	fake_redis_say(world->fake, FAKE_EVALSHA, FAKE_SILENCE, FAKE_ALWAYS);
	ask_many(world, 2);
	AWAIT(world, commands(world, FAKE_EVALSHA) == 1);
	assert_int_equal(ask_it(world, &questions[2]), STORE_PENDING); /* it has not left yet */
	fake_redis_hang_up(world->fake);
	AWAIT(world, are_answered(3));

	assert_counted(world, STORE_CONNECTION, 4);
	assert_int_equal(stats_of(world).latency.count, 0); /* no reply came */
	world_close(world);
}

TEST(stats_count_changes_and_not_reasons)
{
	struct world *world = world_open(false);

	fake_redis_say(world->fake, FAKE_SELECT, "-NOAUTH no\r\n", 1);
	connect_store(world, usual);
	(void)await_change(world, 1);
	fake_redis_say(world->fake, FAKE_SELECT, "-LOADING no\r\n", 1);
	(void)await_change(world, 2);
	assert_int_equal(stats_of(world).downs, 1);
	assert_int_equal(stats_of(world).ups, 0);
	(void)await_change(world, 3);
	assert_true(world->changes[2].is_up);
	assert_int_equal(stats_of(world).ups, 1);
	fake_redis_hang_up(world->fake);
	(void)await_change(world, 4);

	assert_int_equal(stats_of(world).downs, 2);
	assert_int_equal(stats_of(world).connects, 1);
	world_close(world);
}

/* ---- what there is to say of it ---- */

TEST(describe_says_whether_it_is_up_why_not_and_since_when)
{
	struct world *world = world_open(false);
	int64_t began_us = clock_mono_us();

	fake_redis_say(world->fake, FAKE_SELECT, "-LOADING it loads\r\n", 1);
	connect_store(world, usual);
	struct store_description first = store_describe(world->store);
	assert_string_equal(first.kind, "redis");
	assert_string_equal(first.address, world->target.text);
	assert_false(first.is_up);
	assert_in_range(first.since_us, began_us, clock_mono_us());
	assert_int_equal(await_change(world, 1)->error, STORE_LOADING);
	struct store_description refused = store_describe(world->store);
	assert_false(refused.is_up);
	assert_int_equal(refused.error, STORE_LOADING);
	assert_string_equal(refused.why, "LOADING it loads");
	assert_int_equal(refused.since_us, first.since_us); /* it has never been up */
	assert_int_equal(refused.stats.connects, 0);

	int64_t greeted_us = clock_mono_us();
	await_up(world);
	struct store_description up = store_describe(world->store);
	assert_true(up.is_up);
	assert_in_range(up.since_us, greeted_us, clock_mono_us());
	assert_int_equal(up.stats.connects, 1);

	int64_t lost_us = clock_mono_us();
	fake_redis_set_listening(world->fake, false);
	fake_redis_hang_up(world->fake);
	(void)await_change(world, world->change_count + 1);
	struct store_description lost = store_describe(world->store);
	assert_false(lost.is_up);
	assert_int_equal(lost.error, STORE_CONNECTION);
	assert_in_range(lost.since_us, lost_us, clock_mono_us());
	world_close(world);
}

TEST(describe_has_no_secret)
{
	struct world *world = world_open(true);
	char url[96];
	struct err err;

	snprintf(url, sizeof url, "redis://agent:hunter2@%s",
		 strstr(fake_redis_url(world->fake), "//") + 2);
	assert_true(redis_target_parse(bytes_from_text(url), &world->target, &err));
	connect_store(world, usual);

	assert_null(strstr(store_describe(world->store).address, "hunter2"));
	assert_null(strstr(store_describe(world->store).address, "agent"));
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

TEST(free_answers_what_did_not_leave_yet)
{
	struct world *world = world_up();

	ask_many(world, 50);
	free_with(world, 50);
}

TEST(free_answers_what_is_in_flight)
{
	struct world *world = world_up();

	fake_redis_say(world->fake, FAKE_EVALSHA, FAKE_SILENCE, FAKE_ALWAYS);
	ask_many(world, 50);
	AWAIT(world, commands(world, FAKE_EVALSHA) == 3);
	free_with(world, 50);
}

/* Before Redis says that it has no script, before it is asked for it again, and after. */
TEST(free_answers_what_is_repeated)
{
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
TEST(free_at_any_moment_is_clean)
{
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
