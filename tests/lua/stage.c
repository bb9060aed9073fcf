#include "stage.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "base/clock.h"
#include "store/redis/redis_slots.h"
#include "store/redis/redis_store.h"
#include "support/cluster_servers.h"
#include "support/test.h"
#include "unit/store/contract.h"

#define QUESTIONS         512
#define CLUSTER_QUESTIONS 96
#define PATIENCE_US       (20 * US_PER_SECOND)

struct stage {
	struct redis_server *server; /* of a cluster one of its nodes */
	bool is_cluster;
	struct cluster_servers cluster;
	struct ev_loop *loop;
	struct redis_target target;
	bool is_time_given;
	struct store *store;
	struct question *questions;
	struct list unused;
	size_t on_their_way;
	struct check last; /* the first check of the last question that was answered */
	char failure[512]; /* of the first failure */
};

/* ---- answers ---- */

/* The loop can't fail the test at once, since the store is in the middle of its work. */
static void note(struct stage *stage, const struct question *question, size_t index,
		 const char *field, int64_t is, int64_t expected)
{
	const struct check *check = &question->checks[index];

	if (*stage->failure != '\0')
		return;
	snprintf(stage->failure, sizeof stage->failure,
		 "%s, %s, limit %" PRId64 ", window %" PRId64 ", cost %" PRId64 ", now %" PRId64
		 ", check %zu of %zu: %s is %" PRId64 " and not %" PRId64,
		 check->key, algorithm_name(check->quota->algorithm), check->quota->limit,
		 check->quota->window_us, check->cost, question->op.now_us, index + 1,
		 question->op.count, field, is, expected);
}

static void compare_own_error(struct stage *stage, const struct question *question, size_t index)
{
	const struct check *check = &question->checks[index];

	if (check->error != question->own_errors[index])
		note(stage, question, index, "error", check->error, question->own_errors[index]);
	if (check->is_decided)
		note(stage, question, index, "is_decided", true, false);
}

static void compare(struct stage *stage, const struct question *question, size_t index)
{
	const struct outcome *is = &question->checks[index].outcome;
	const struct outcome *expected = &question->outcomes[index];
	const struct {
		const char *name;
		int64_t is, expected;
	} fields[] = {
		{"error", question->checks[index].error, STORE_OK},
		{"is_decided", question->checks[index].is_decided, true},
		{"allowed", is->allowed, expected->allowed},
		{"remaining", is->remaining, expected->remaining},
		{"retry_after_us", is->retry_after_us, expected->retry_after_us},
		{"reset_us", is->reset_us, expected->reset_us},
		{"grows_us", is->grows_us, expected->grows_us},
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (fields[i].is != fields[i].expected)
			note(stage, question, index, fields[i].name, fields[i].is,
			     fields[i].expected);
}

static void judge(struct stage *stage, const struct question *question)
{
	for (size_t i = 0; i < question->op.count; i++) {
		const struct check *check = &question->checks[i];
		switch (question->expectation) {
		case EXPECT_ANYTHING:
			if (check->error != STORE_OK && check->error != STORE_OTHER)
				note(stage, question, i, "error", check->error, STORE_OTHER);
			break;
		case EXPECT_OUTCOMES:
			if (question->own_errors[i] != STORE_OK)
				compare_own_error(stage, question, i);
			else
				compare(stage, question, i);
			break;
		case EXPECT_ERROR:
			if (check->error != question->error)
				note(stage, question, i, "error", check->error, question->error);
			break;
		}
	}
}

static void on_answered(struct store_op *op)
{
	struct question *question = CONTAINER_OF(op, struct question, op);
	struct stage *stage = question->stage;

	judge(stage, question);
	stage->last = question->checks[0];
	stage->on_their_way--;
	list_append(&stage->unused, &op->link);
}

static void fail_if_noted(const struct stage *stage)
{
	if (*stage->failure != '\0')
		fail_msg("%s", stage->failure);
}

void stage_turn(struct stage *stage)
{
	ev_run(stage->loop, EVRUN_ONCE);
}

/* ---- the store ---- */

static void on_changed(void *owner, bool is_up, enum store_error error, const char *why)
{
	(void)owner, (void)is_up, (void)error, (void)why;
}

static void on_refused(void *owner, const struct store_op *op, enum store_error error,
		       struct bytes why)
{
	(void)owner, (void)op, (void)error, (void)why;
}

static void forget_answered(struct store_op *op)
{
	op->answered = NULL;
}

/* Without a connection the store answers at once with an error, so questions of cost 0 find out. */
static bool is_key_up(struct stage *stage, struct store *store, const char *key)
{
	static const struct quota quota = {FIXED_WINDOW, .limit = 1, .window_us = US_PER_SECOND};
	struct check check;
	struct store_op op = {
		.checks = (struct check *[]){check_make(&check, key, &quota, 0)},
		.count = 1,
		.now_us = 1,
		.answered = forget_answered,
	};

	if (store_ask(store, &op) == STORE_PENDING)
		while (op.answered != NULL)
			stage_turn(stage);
	else
		stage_turn(stage);
	return check.error == STORE_OK;
}

/* Keys of all nodes. */
static bool is_up(struct stage *stage, struct store *store)
{
	char key[16];

	for (int i = 0; i < (stage->is_cluster ? 50 : 1); i++) {
		snprintf(key, sizeof key, "up %d", i);
		if (!is_key_up(stage, store, key))
			return false;
	}
	return true;
}

struct store *stage_open_store(struct stage *stage)
{
	const struct store_config config = {
		.prefix = BYTES("rl:"),
		.timeout_us = 60 * US_PER_SECOND,
		.max_in_flight = QUESTIONS,
		.is_time_given = stage->is_time_given,
		.silence_us =
			60 * US_PER_SECOND, /* so long that a stall of the machine is no fault */
		.changed = on_changed,
		.refused = on_refused,
	};
	struct store *store = redis_store_new(stage->loop, &stage->target, &config);
	int64_t until_us = clock_mono_us() + PATIENCE_US;

	assert_non_null(store);
	while (!is_up(stage, store))
		assert_true(clock_mono_us() < until_us);
	return store;
}

/* ---- the stage ---- */

static void set_target(struct stage *stage)
{
	char url[256];
	struct err err;

	if (stage->is_cluster)
		snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d",
			 redis_server_port(stage->server));
	else
		snprintf(url, sizeof url, "redis+unix://%s", redis_server_path(stage->server));
	if (!redis_target_parse(bytes_from_text(url), &stage->target, &err))
		fail_msg("%s", err.text);
}

static void start_servers(struct stage *stage)
{
	if (stage->is_cluster) {
		cluster_servers_start(&stage->cluster);
		stage->server = stage->cluster.nodes[0];
	} else {
		stage->server = redis_server_start();
	}
}

/* `questions` can be on their way at once. */
static struct stage *open_stage(bool is_time_given, bool is_cluster, size_t questions)
{
	struct stage *stage = calloc(1, sizeof *stage);

	assert_non_null(stage);
	stage->questions = calloc(QUESTIONS, sizeof *stage->questions);
	assert_non_null(stage->questions);
	list_init(&stage->unused);
	for (size_t i = 0; i < questions; i++)
		list_append(&stage->unused, &stage->questions[i].op.link);
	stage->is_time_given = is_time_given;
	stage->is_cluster = is_cluster;
	start_servers(stage);
	stage->loop = ev_loop_new(EVFLAG_AUTO);
	assert_non_null(stage->loop);
	set_target(stage);
	stage->store = stage_open_store(stage);
	return stage;
}

struct stage *stage_new(bool is_time_given)
{
	return open_stage(is_time_given, false, QUESTIONS);
}

/* A node must have room for a part of each question, or that part alone would get STORE_FULL. */
struct stage *stage_new_cluster(void)
{
	return open_stage(true, true, CLUSTER_QUESTIONS);
}

/* May be called after a failure in the middle of a test: open questions get an error then. */
void stage_free(struct stage *stage)
{
	store_free(stage->store);
	ev_loop_destroy(stage->loop);
	if (stage->is_cluster)
		cluster_servers_stop(&stage->cluster);
	else
		redis_server_stop(stage->server);
	free(stage->questions);
	free(stage);
}

struct redis_server *stage_server(const struct stage *stage)
{
	return stage->server;
}

struct redis_server *stage_node(const struct stage *stage, int node)
{
	return stage->cluster.nodes[node];
}

struct redis_server *stage_server_of(const struct stage *stage, const char *key)
{
	if (!stage->is_cluster)
		return stage->server;
	return cluster_servers_owner(&stage->cluster,
				     redis_slot_of(BYTES("rl:"), bytes_from_text(key)));
}

/* ---- questions ---- */

struct question *stage_question(struct stage *stage, int64_t now_us)
{
	/* When no slot is free, this waits until half are: not a turn of the loop for each. */
	if (list_is_empty(&stage->unused))
		while (stage->on_their_way >
			       (stage->is_cluster ? CLUSTER_QUESTIONS : QUESTIONS) / 2 &&
		       *stage->failure == '\0')
			stage_turn(stage);
	fail_if_noted(stage);
	struct question *question = CONTAINER_OF(stage->unused.next, struct question, op.link);
	question->stage = stage;
	question->expectation = EXPECT_ANYTHING;
	memset(question->own_errors, 0, sizeof question->own_errors);
	question->op = (struct store_op){
		.checks = question->pointers,
		.now_us = now_us,
		.answered = on_answered,
		.link = question->op.link,
	};
	return question;
}

struct check *question_add(struct question *question, const char *key, const struct quota *quota,
			   int64_t cost)
{
	size_t index = question->op.count++;

	assert_true(index < REQUEST_CHECKS_MAX);
	struct check *check = check_make(&question->checks[index], key, quota, cost);
	check->own_quota = *quota;
	check->quota = &check->own_quota;
	question->pointers[index] = check;
	return check;
}

void question_expect(struct question *question, struct store *store)
{
	struct check *pointers[REQUEST_CHECKS_MAX];
	struct store_op op = {.checks = pointers,
			      .is_denied = question->op.is_denied,
			      .now_us = question->op.now_us};

	for (size_t i = 0; i < question->op.count; i++) {
		struct check *check = question->pointers[i];
		if (question->own_errors[check - question->checks] != STORE_OK)
			continue;
		op.shadow += i >= question->op.count - question->op.shadow;
		pointers[op.count++] = check;
	}
	if (op.count > 0)
		assert_int_equal(store_ask(store, &op), STORE_DONE);
	for (size_t i = 0; i < question->op.count; i++) {
		assert_int_equal(question->checks[i].is_decided,
				 question->own_errors[i] == STORE_OK);
		question->outcomes[i] = question->checks[i].outcome;
		question->checks[i].is_decided = false;
		question->checks[i].outcome = (struct outcome){0};
	}
	question->expectation = EXPECT_OUTCOMES;
}

void question_expect_error(struct question *question, enum store_error error)
{
	question->expectation = EXPECT_ERROR;
	question->error = error;
}

void stage_ask(struct stage *stage, struct question *question)
{
	/* After a while without a turn the store's timers are due; let them run before a question
	 * waits. */
	if (stage->on_their_way == 0)
		ev_run(stage->loop, EVRUN_NOWAIT);
	list_remove(&question->op.link);
	enum store_state state;
	while ((state = store_ask(stage->store, &question->op)) == STORE_DONE &&
	       store_op_error(&question->op) == STORE_FULL)
		stage_turn(stage); /* more than the window takes: some are to be answered first */
	stage->on_their_way++;
	if (state == STORE_DONE)
		on_answered(&question->op);
}

void stage_settle(struct stage *stage)
{
	while (stage->on_their_way > 0)
		stage_turn(stage);
	fail_if_noted(stage);
}

struct outcome stage_ask_one(struct stage *stage, const char *key, const struct quota *quota,
			     int64_t cost, int64_t now_us)
{
	struct question *question = stage_question(stage, now_us);

	(void)question_add(question, key, quota, cost);
	stage_ask(stage, question);
	stage_settle(stage);
	assert_int_equal(stage->last.error, STORE_OK);
	return stage->last.outcome;
}
