#include "store_world.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/compiler.h"
#include "base/err.h"
#include "support/test.h"
#include "unit/store/contract.h"

#define OVERDUE_SECONDS 8.0
#define MINUTE          INT64_C(60000000)

struct question questions[QUESTIONS_MAX];

void world_prepare(void)
{
	ASSERT(sodium_init() >= 0);
	(void)signal(SIGPIPE, SIG_IGN);
}

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

static void on_forgets(void *owner, const char *policy, const char *hint)
{
	struct world *world = owner;

	assert_non_null(strstr(hint, "exhausted clients"));
	world->forgets_count++;
	snprintf(world->forgets, sizeof world->forgets, "%s", policy);
}

static void on_lacks_right(void *owner, const char *command, const char *hint)
{
	struct world *world = owner;

	assert_non_null(strstr(hint, "+pttl"));
	assert_string_equal(command, "PTTL");
	world->lacks_right_count++;
}

static void on_authenticated(void *owner, bool is_taken, struct bytes why)
{
	struct world *world = owner;

	world->taken_count += is_taken;
	world->password_refused_count += !is_taken;
	if (!is_taken)
		snprintf(world->password_refused_why, sizeof world->password_refused_why, "%.*s",
			 (int)why.len, why.data);
}

static void on_master_named(void *owner, const char *master, uint64_t epoch, bool is_reset)
{
	struct world *world = owner;

	(void)epoch;
	world->named_count++;
	world->reset_count += is_reset;
	snprintf(world->master, sizeof world->master, "%s", master);
}

static void on_sentinel_changed(void *owner, const char *sentinel, bool is_up, const char *why)
{
	struct world *world = owner;

	world->sentinel_up_count += is_up;
	world->sentinel_down_count += !is_up;
	assert_int_equal(is_up, *why == '\0');
	if (is_up)
		return;
	snprintf(world->sentinel, sizeof world->sentinel, "%s", sentinel);
	snprintf(world->sentinel_why, sizeof world->sentinel_why, "%s", why);
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

void turn(struct world *world)
{
	ev_run(world->loop, EVRUN_ONCE);
	if (world->is_overdue)
		fail_msg("it does not come");
}

void connect_store(struct world *world, struct store_config config)
{
	struct err err;

	if (*world->target.text == '\0')
		assert_true(redis_target_parse(bytes_from_text(fake_redis_url(world->fake)),
					       &world->target, &err));
	config.changed = on_changed;
	config.forgets = on_forgets;
	config.lacks_right = on_lacks_right;
	config.authenticated = on_authenticated;
	config.master_named = on_master_named;
	config.sentinel_changed = on_sentinel_changed;
	config.refused = on_refused;
	config.owner = world;
	world->store = redis_store_new(world->loop, &world->target, &config);
	assert_non_null(world->store);
}

struct world *world_open(bool is_tcp)
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

const struct store_config usual = {
	.prefix = {(const uint8_t *)"rl:", 3},
	.timeout_us = PROMPT_US,
	.max_in_flight = QUESTIONS_MAX,
};

void world_close(struct world *world)
{
	store_free(world->store);
	fake_redis_free(world->fake);
	ev_timer_stop(world->loop, &world->overdue);
	/* Whatever the store had started in the loop is stopped. */
	assert_false(ev_run(world->loop, EVRUN_NOWAIT));
	ev_loop_destroy(world->loop);
	free(world);
}

size_t commands(const struct world *world, enum fake_kind kind)
{
	return fake_redis_counts(world->fake)->commands[kind];
}

/* ---- asking ---- */

const struct quota *fixed_quota(void)
{
	static struct quota quota;

	quota = window_of(FIXED_WINDOW, 5, MINUTE);
	return &quota;
}

void on_answered(struct store_op *op)
{
	struct question *question = CONTAINER_OF(op, struct question, op);

	assert_false(question->world->is_asking);
	question->answers++;
	assert_int_equal(question->answers, 1);
	assert_true(question->check.is_decided == (question->check.error == STORE_OK));
	if (question->next != NULL)
		(void)ask_it(question->world, question->next);
}

enum store_state ask_it(struct world *world, struct question *question)
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

void ask_many(struct world *world, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(ask_it(world, &questions[i]), STORE_PENDING);
}

bool are_answered(size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (questions[i].answers == 0)
			return false;
	return true;
}

void assert_errors(size_t count, enum store_error error)
{
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(questions[i].answers, 1);
		assert_int_equal(questions[i].check.error, error);
	}
}

enum store_error ask_and_await(struct world *world)
{
	if (ask_it(world, &questions[0]) == STORE_PENDING)
		AWAIT(world, questions[0].answers > 0);
	return questions[0].check.error;
}

void await_up(struct world *world)
{
	static struct question question = {.key = "hello"};

	while (ask_it(world, &question) == STORE_DONE) {
		assert_int_not_equal(question.check.error, STORE_OK);
		turn(world);
	}
	AWAIT(world, question.answers > 0);
	assert_int_equal(question.check.error, STORE_OK);
}

bool is_down(struct world *world)
{
	static struct question question = {.key = "again"};

	/* What is pending is answered some time; only one such question at once. */
	if (question.answers == 0 && question.world == world)
		return false;
	return ask_it(world, &question) == STORE_DONE;
}

struct world *world_up(void)
{
	struct world *world = world_open(false);

	connect_store(world, usual);
	await_up(world);
	return world;
}

const struct change *await_change(struct world *world, size_t count)
{
	AWAIT(world, world->change_count >= count);
	return &world->changes[count - 1];
}
