/*
 * A store behind the one under test keeps every op that it is asked, until the test answers it. The
 * policy's lease is LEASE_US, by the time that the test sets.
 */
#include "store/lease_store.h"

#include <stdio.h>
#include <string.h>

#include <ev.h>
#include <sodium.h>

#include "contract.h"
#include "limit/request.h"
#include "store/leases.h"
#include "support/test.h"

#define SECOND   INT64_C(1000000)
#define MS       INT64_C(1000)
#define LEASE_US (100 * MS)
#define EPOCH_US INT64_C(1700000000000000)
#define OPS_MAX  64
#define NEEDED   40 /* units, in a lease's time */

static struct behind {
	struct store store;
	uint64_t connection;
	bool is_down;
	struct store_op *ops[OPS_MAX]; /* that wait, oldest first */
	size_t waiting, asked;
	size_t forgotten;
} behind;

static struct ev_loop *loop;
static struct store *leased;
static struct policy policy = {.name = "test", .terms.lease_us = LEASE_US};
static const struct quota quota = {
	.algorithm = TOKEN_BUCKET, .limit = 1000, .refill_tokens = 1, .refill_us = 10000};
static int64_t now_us;

static int64_t mono_us(void)
{
	return now_us;
}

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

/* ---- the store behind ---- */

static enum store_state ask_behind(struct store *store, struct store_op *op)
{
	(void)store;
	behind.asked++;
	if (behind.is_down) {
		store_op_fail(op, STORE_CONNECTION);
		return STORE_DONE;
	}
	assert_true(behind.waiting < OPS_MAX);
	behind.ops[behind.waiting++] = op;
	return STORE_PENDING;
}

static void answer_first(void)
{
	struct store_op *op = behind.ops[0];

	memmove(behind.ops, behind.ops + 1, --behind.waiting * sizeof *behind.ops);
	op->answered(op);
}

static uint64_t connection(const struct store *store)
{
	(void)store;
	return behind.connection;
}

static void forget_known(struct store *store)
{
	(void)store;
	behind.forgotten++;
}

static struct store_description describe(const struct store *store)
{
	(void)store;
	return (struct store_description){.kind = "test"};
}

static void answer_all_and_free(struct store *store)
{
	(void)store;
	while (behind.waiting > 0) {
		store_op_fail(behind.ops[0], STORE_CONNECTION);
		answer_first();
	}
}

/* ---- requests ---- */

struct question {
	struct check check;
	struct check *checks[1];
	struct store_op op;
	bool is_answered;
};

static void on_answered(struct store_op *op)
{
	CONTAINER_OF(op, struct question, op)->is_answered = true;
}

static enum store_state begin(struct question *question, const char *key)
{
	check_make(&question->check, key, &quota, 1);
	question->check.policy = &policy;
	question->check.terms = &policy.terms;
	question->checks[0] = &question->check;
	question->op = (struct store_op){
		.checks = question->checks, .count = 1, .mono_us = now_us, .answered = on_answered};
	question->is_answered = false;
	return store_ask(leased, &question->op);
}

/* The server takes all that the oldest question wants. */
static void grant_first(void)
{
	struct store_op *op = behind.ops[0];
	struct lease_part *part = &op->leases[0];

	op->checks[0]->is_decided = true;
	op->checks[0]->error = STORE_OK;
	op->checks[0]->outcome = (struct outcome){.allowed = true, .remaining = 500};
	if (part->is_leased && part->wanted > 0)
		part->got = part->wanted - op->checks[0]->cost;
	part->got_us = EPOCH_US + now_us;
	answer_first();
}

static void ask_and_grant(const char *key)
{
	struct question question;

	assert_int_equal(begin(&question, key), STORE_PENDING);
	grant_first();
	assert_true(question.is_answered);
}

/* As often as makes a lease of NEEDED units, of which all but one are held from then on. */
static void hold_units(const char *key)
{
	for (int i = 0; i < NEEDED; i++)
		ask_and_grant(key);
	now_us += LEASE_US;
	ask_and_grant(key);
}

static bool is_decided_here(const char *key)
{
	struct question question;
	size_t asked = behind.asked;

	if (begin(&question, key) == STORE_PENDING) {
		store_op_fail(&question.op, STORE_TIMEOUT);
		answer_first();
		return false;
	}
	assert_true(question.check.is_decided && question.check.outcome.allowed);
	assert_int_equal(behind.asked, asked);
	return true;
}

BEFORE_EACH
{
	behind = (struct behind){.store = {.ask = ask_behind,
					   .forget_known = forget_known,
					   .connection = connection,
					   .describe = describe,
					   .free = answer_all_and_free},
				 .connection = 1};
	now_us = 50 * SECOND;
	loop = ev_loop_new(EVFLAG_AUTO);
	leased = lease_store_new(loop, &behind.store, OPS_MAX, mono_us);
	assert_non_null(leased);
}

AFTER_EACH
{
	store_free(leased);
	leased = NULL;
	ev_loop_destroy(loop);
}

/* ---- asking ---- */

TEST(ask_of_units_that_are_held_asks_nobody)
{
	hold_units("a");
	for (int i = 0; i < NEEDED - 1; i++)
		assert_true(is_decided_here("a"));

	assert_false(is_decided_here("a"));
	assert_int_equal(store_describe(leased).stats.lease_hits, NEEDED - 1);
}

TEST(ask_that_the_other_store_does_not_ask_keeps_what_is_held)
{
	struct question question;

	hold_units("a");
	assert_true(is_decided_here("a"));
	behind.is_down = true;
	now_us += LEASE_US; /* so the units can't be spent, and are offered back */
	assert_int_equal(begin(&question, "a"), STORE_DONE);
	assert_null(question.op.leases);
	assert_int_equal(question.check.error, STORE_CONNECTION);

	behind.is_down = false;
	assert_int_equal(begin(&question, "a"), STORE_PENDING);
	assert_int_equal(question.op.leases[0].back, NEEDED - 2);
	grant_first();
}

TEST(answers_when_the_store_is_freed_come_once)
{
	struct question question;

	hold_units("a");
	now_us += LEASE_US;
	assert_int_equal(begin(&question, "a"), STORE_PENDING);
	store_free(leased);

	assert_true(question.is_answered);
	assert_int_equal(question.check.error, STORE_CONNECTION);
	behind.waiting = 0;
	leased = lease_store_new(loop, &behind.store, OPS_MAX, mono_us);
}

/* ---- what drops units ---- */

/* A reload, an exception that changes, and a change of another agent's that this one hears of. */
static void forget(void)
{
	store_forget_known(leased);
	assert_int_equal(behind.forgotten, 1);
}

/* A lost connection; or a replica was promoted, to which another connection leads. */
static void change_connection(void)
{
	behind.connection++;
}

static void reset_another_balance(void)
{
	struct question question;

	check_make(&question.check, "b", &quota, 0);
	question.check.terms = &policy.terms;
	question.checks[0] = &question.check;
	question.op = (struct store_op){
		.checks = question.checks, .count = 1, .is_reset = true, .answered = on_answered};
	assert_int_equal(store_ask(leased, &question.op), STORE_PENDING);
	answer_first();
}

static const struct {
	const char *name;
	void (*drop)(void);
} rows[] = {
	{"drop: a reload or an exception", forget},
	{"drop: another connection, or a promotion", change_connection},
	{"drop: a reset", reset_another_balance},
};

TEST_ROWS(rows)
{
	struct question question;

	hold_units("a");
	assert_true(is_decided_here("a"));
	row->drop();

	/* Nothing is spent, and nothing given back. */
	assert_int_equal(begin(&question, "a"), STORE_PENDING);
	assert_int_equal(question.op.leases[0].back, 0);
	grant_first();
}

TEST(drop_takes_what_a_question_brings_that_was_asked_before)
{
	struct question question;

	for (int i = 0; i < NEEDED; i++)
		ask_and_grant("a");
	now_us += LEASE_US;
	assert_int_equal(begin(&question, "a"), STORE_PENDING);
	assert_int_equal(question.op.leases[0].wanted, NEEDED);
	store_forget_known(leased);
	grant_first();

	assert_false(is_decided_here("a"));
}

/* ---- giving back ---- */

static void run_until_asked(size_t asked)
{
	while (behind.asked < asked) {
		bool has_timer = ev_run(loop, EVRUN_ONCE); /* the store's */
		assert_true(has_timer || behind.asked >= asked);
	}
}

TEST(end_of_a_lease_gives_back_what_is_unspent)
{
	hold_units("a");
	assert_true(is_decided_here("a"));
	int64_t taken_us = EPOCH_US + now_us;
	now_us += LEASE_US + 3 * LEASES_GRACE_US;
	run_until_asked(behind.asked + 1);

	const struct store_op *op = behind.ops[0];
	assert_non_null(op->taken_us);
	assert_int_equal(op->count, 1);
	assert_int_equal(op->taken_us[0], taken_us);
	assert_int_equal(op->checks[0]->cost, NEEDED - 2);
	assert_int_equal(op->checks[0]->key_len, 1);
	assert_int_equal(op->checks[0]->key[0], 'a');
	answer_first();
	assert_false(is_decided_here("a"));
}

TEST(end_of_a_lease_while_the_other_store_is_away_gives_back_later)
{
	hold_units("a");
	behind.is_down = true;
	now_us += LEASE_US + 3 * LEASES_GRACE_US;
	run_until_asked(behind.asked + 1);
	assert_int_equal(behind.waiting, 0);

	behind.is_down = false;
	now_us += 3 * LEASES_GRACE_US;
	run_until_asked(behind.asked + 1);
	assert_int_equal(behind.ops[0]->checks[0]->cost, NEEDED - 1);
	answer_first();
}

TEST(end_of_many_leases_waits_for_room)
{
	char key[16];

	for (int i = 0; i < 300; i++) {
		int64_t begun_us = now_us;
		snprintf(key, sizeof key, "k%d", i);
		hold_units(key);
		now_us = begun_us; /* all leases end at the same moment */
	}
	now_us += 2 * LEASE_US + 3 * LEASES_GRACE_US;
	run_until_asked(behind.asked + 1);
	assert_int_equal(behind.waiting, STORE_BACKS_BESIDE);

	size_t given = 0;
	while (given < 300) {
		if (behind.waiting == 0)
			run_until_asked(behind.asked + 1);
		given += behind.ops[0]->count;
		answer_first();
	}
	assert_int_equal(given, 300);
}
