/*
 * Requests in parts over slots that are memory stores, each of which answers when the test says so,
 * in any order.
 */
#include "store/redis/redis_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "limit/request.h"
#include "store/memory.h"
#include "support/test.h"
#include "unit/store/contract.h"

#define SLOTS    4
#define REQUESTS 8 /* open at once */
#define QUEUE    (REQUESTS * REQUEST_CHECKS_MAX)
#define NOW_US   INT64_C(1700000000000000)
#define MINUTE   INT64_C(60000000)
#define LIMIT    1000

struct request_in_test {
	struct store_op op;
	struct check checks[REQUEST_CHECKS_MAX];
	struct check *pointers[REQUEST_CHECKS_MAX];
	unsigned answers;
	bool is_open;
};

static struct redis_parts parts;
static struct store *slots[SLOTS];
static bool is_away[SLOTS]; /* the slot can't be asked */
static uint64_t places[SLOTS];
static size_t given; /* ops that gave back */
static struct store_op *queue[QUEUE];
static size_t queued;
static size_t writes; /* ops that were not only looks */
static size_t failed; /* requests that had an error */
static enum store_error failed_by;
static struct quota quota;
static struct policy policy = {.name = "test"};

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

static enum store_state ask_slot(void *owner, struct store_op *op)
{
	(void)owner;
	if (is_away[op->slot]) {
		store_op_fail(op, STORE_CONNECTION);
		return STORE_DONE;
	}
	assert_true(queued < QUEUE);
	queue[queued++] = op;
	return STORE_PENDING;
}

static uint64_t place_of(void *owner, uint16_t slot)
{
	(void)owner;
	return places[slot];
}

static enum store_state give_back(void *owner, struct store_op *op)
{
	(void)owner;
	assert_true(queued < QUEUE);
	assert_non_null(op->taken_us);
	queue[queued++] = op;
	return STORE_PENDING;
}

/* The key's first letter: a is in slot 0. */
static uint16_t slot_of(void *owner, const struct check *check)
{
	(void)owner;
	return (uint16_t)(check->key[0] - 'a');
}

static void on_failed(void *owner, enum store_error error)
{
	(void)owner;
	failed++;
	failed_by = error;
}

BEFORE_EACH
{
	const struct redis_parts_config config = {.max = 4 * REQUESTS,
						  .ask = ask_slot,
						  .slot = slot_of,
						  .failed = on_failed,
						  .place = place_of,
						  .give_back = give_back};

	assert_true(redis_parts_init(&parts, &config));
	for (int i = 0; i < SLOTS; i++) {
		slots[i] = memory_store_new(1 << 20);
		assert_non_null(slots[i]);
		is_away[i] = false;
		places[i] = 1;
	}
	queued = 0;
	given = 0;
	writes = 0;
	failed = 0;
	quota = window_of(FIXED_WINDOW, LIMIT, MINUTE);
}

AFTER_EACH
{
	for (int i = 0; i < SLOTS; i++)
		store_free(slots[i]);
	redis_parts_release(&parts);
}

/* As a store with a clock tells it. */
static void tell_seen(struct store_op *op)
{
	bool is_charged = !op->is_denied;

	for (size_t i = 0; i < op->count - op->shadow; i++)
		is_charged = is_charged && op->checks[i]->outcome.allowed;
	for (size_t i = 0; i < op->count; i++)
		op->seen(op, op->checks[i], NULL, is_charged && op->checks[i]->outcome.allowed,
			 NOW_US);
}

/* The slot decides, or, with an error, does nothing. */
static void answer_at(size_t at, enum store_error error)
{
	struct store_op *op = queue[at];

	queue[at] = queue[--queued];
	if (op->taken_us != NULL) {
		given++;
		if (error == STORE_OK)
			assert_int_equal(store_ask(slots[op->slot], op), STORE_DONE);
		op->answered(op);
		return;
	}
	writes += !op->is_look && !op->is_denied;
	if (error != STORE_OK || op->is_late)
		store_op_fail(op, error != STORE_OK ? error : STORE_TIMEOUT);
	else
		assert_int_equal(store_ask(slots[op->slot], op), STORE_DONE);
	if (store_op_error(op) == STORE_OK)
		tell_seen(op);
	op->answered(op);
}

static void answer_all(void)
{
	while (queued > 0)
		answer_at(0, STORE_OK);
}

static void on_answered(struct store_op *op)
{
	struct request_in_test *request = CONTAINER_OF(op, struct request_in_test, op);

	request->answers++;
	request->is_open = false;
	assert_int_equal(request->answers, 1);
}

static void add_key(struct request_in_test *request, const char *key, int64_t cost)
{
	struct check *check = check_make(&request->checks[request->op.count], key, &quota, cost);

	check->policy = &policy;
	check->terms = &policy.terms;
	check->error = STORE_FULL; /* that no answer has here */
	request->pointers[request->op.count++] = check;
	request->op.checks = request->pointers;
}

static enum store_state ask_it(struct request_in_test *request)
{
	request->op.answered = on_answered;
	request->op.now_us = NOW_US;
	request->answers = 0;
	enum store_state state = redis_parts_ask(&parts, &request->op, false);
	request->is_open = state == STORE_PENDING;
	return state;
}

static int64_t used(const char *key)
{
	struct check check;
	struct check *pointer = check_make(&check, key, &quota, 0);
	struct store_op op = {.checks = &pointer, .count = 1, .now_us = NOW_US};

	assert_int_equal(store_ask(slots[key[0] - 'a'], &op), STORE_DONE);
	return quota.limit - check.outcome.remaining;
}

static void use(const char *key, int64_t units)
{
	struct check check;
	struct check *pointer = check_make(&check, key, &quota, units);
	struct store_op op = {.checks = &pointer, .count = 1, .now_us = NOW_US};

	assert_int_equal(store_ask(slots[key[0] - 'a'], &op), STORE_DONE);
	assert_true(check.outcome.allowed);
}

TEST(redis_parts_ask_is_looked_at_and_then_taken_in_every_slot)
{
	struct request_in_test request = {.answers = 0};

	add_key(&request, "a", 3);
	add_key(&request, "b", 4);
	add_key(&request, "a2", 5);
	assert_int_equal(ask_it(&request), STORE_PENDING);
	assert_int_equal(queued, 2);
	answer_at(0, STORE_OK);
	answer_at(0, STORE_OK);
	assert_int_equal(used("a") + used("b") + used("a2"), 0);
	assert_int_equal(request.answers, 0);
	answer_all();

	assert_int_equal(request.answers, 1);
	assert_int_equal(used("a"), 3);
	assert_int_equal(used("b"), 4);
	assert_int_equal(used("a2"), 5);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(request.checks[i].error, STORE_OK);
		assert_true(request.checks[i].outcome.allowed);
		assert_int_equal(request.checks[i].outcome.remaining,
				 LIMIT - request.checks[i].cost);
	}
}

TEST(redis_parts_ask_that_is_denied_takes_nothing)
{
	struct request_in_test request = {.answers = 0};

	use("b", LIMIT);
	add_key(&request, "a", 1);
	add_key(&request, "b", 1);
	assert_int_equal(ask_it(&request), STORE_PENDING);
	answer_all();

	assert_int_equal(request.answers, 1);
	assert_int_equal(writes, 0);
	assert_int_equal(used("a"), 0);
	assert_true(request.checks[0].outcome.allowed);
	assert_int_equal(request.checks[0].outcome.remaining, LIMIT);
	assert_false(request.checks[1].outcome.allowed);
}

TEST(redis_parts_ask_a_check_in_shadow_stops_nothing)
{
	struct request_in_test request = {.answers = 0};

	use("b", LIMIT);
	add_key(&request, "a", 1);
	add_key(&request, "b", 1);
	request.op.shadow = 1;
	request.checks[1].is_shadow = true;
	assert_int_equal(ask_it(&request), STORE_PENDING);
	answer_all();

	assert_int_equal(used("a"), 1);
	assert_int_equal(used("b"), LIMIT);
	assert_false(request.checks[1].outcome.allowed);
}

TEST(redis_parts_ask_that_only_looks_takes_nothing_and_says_what_would_be)
{
	struct request_in_test request = {.op.is_look = true};

	add_key(&request, "a", 1);
	add_key(&request, "b", 2);
	assert_int_equal(ask_it(&request), STORE_PENDING);
	answer_all();

	assert_int_equal(used("a") + used("b"), 0);
	assert_int_equal(request.checks[0].outcome.remaining, LIMIT - 1);
	assert_int_equal(request.checks[1].outcome.remaining, LIMIT - 2);
}

/* What ended leases have left, of balances in any slots. */
TEST(redis_parts_give_back_each_slot_gets_its_part)
{
	struct request_in_test request = {.answers = 0};
	const int64_t taken_us[] = {NOW_US, NOW_US, NOW_US};

	use("a", 7);
	use("b", 8);
	use("a2", 9);
	add_key(&request, "a", 1);
	add_key(&request, "b", 2);
	add_key(&request, "a2", 3);
	request.op.taken_us = taken_us;
	request.op.answered = on_answered;
	request.op.now_us = NOW_US;
	assert_int_equal(redis_parts_give_back(&parts, &request.op), STORE_PENDING);
	assert_int_equal(queued, 2);
	request.is_open = true;
	answer_at(0, STORE_OK);
	assert_int_equal(request.answers, 0);
	answer_at(0, STORE_OK);

	assert_int_equal(request.answers, 1);
	assert_int_equal(failed, 0);
	assert_int_equal(used("a"), 6);
	assert_int_equal(used("b"), 6);
	assert_int_equal(used("a2"), 6);
}

TEST(redis_parts_ask_that_is_denied_before_is_looked_at_once)
{
	struct request_in_test request = {.op.is_denied = true};

	add_key(&request, "a", 1);
	add_key(&request, "b", 1);
	assert_int_equal(ask_it(&request), STORE_PENDING);
	assert_int_equal(queued, 2);
	answer_at(0, STORE_OK);
	answer_at(0, STORE_OK);

	assert_int_equal(request.answers, 1);
	assert_int_equal(used("a") + used("b"), 0);
}

TEST(redis_parts_ask_that_resets_makes_all_slots_full)
{
	struct request_in_test request = {.op.is_reset = true};

	use("a", 7);
	use("b", LIMIT);
	add_key(&request, "a", 0);
	add_key(&request, "b", 0);
	assert_int_equal(ask_it(&request), STORE_PENDING);
	answer_all();

	assert_int_equal(request.answers, 1);
	assert_int_equal(used("a") + used("b"), 0);
	assert_int_equal(request.checks[0].outcome.remaining, LIMIT - 7);
	assert_int_equal(request.checks[1].outcome.remaining, 0);
}

TEST(redis_parts_ask_a_slot_that_is_away_decides_its_own_checks_only)
{
	struct request_in_test request = {.answers = 0};

	is_away[1] = true;
	add_key(&request, "a", 1);
	add_key(&request, "b", 1);
	assert_int_equal(ask_it(&request), STORE_PENDING);
	answer_all();

	assert_int_equal(used("a"), 1);
	assert_int_equal(request.checks[0].error, STORE_OK);
	assert_int_equal(request.checks[1].error, STORE_CONNECTION);
	assert_false(request.checks[1].is_decided);
}

TEST(redis_parts_ask_a_slot_that_is_away_and_denies_by_on_error_takes_nothing)
{
	struct policy strict = {.name = "strict", .terms.on_error = ON_ERROR_DENY};
	struct request_in_test request = {.answers = 0};

	is_away[1] = true;
	add_key(&request, "a", 1);
	add_key(&request, "b", 1);
	request.checks[1].terms = &strict.terms;
	assert_int_equal(ask_it(&request), STORE_PENDING);
	answer_all();

	assert_int_equal(request.answers, 1);
	assert_int_equal(writes, 0);
	assert_int_equal(used("a"), 0);
}

TEST(redis_parts_ask_without_any_slot_is_done_at_once)
{
	struct request_in_test request = {.answers = 0};

	is_away[0] = is_away[1] = true;
	add_key(&request, "a", 1);
	add_key(&request, "b", 1);

	assert_int_equal(ask_it(&request), STORE_DONE);
	assert_int_equal(request.answers, 0);
	assert_int_equal(request.checks[1].error, STORE_CONNECTION);
}

TEST(redis_parts_ask_that_fails_in_several_slots_is_one_error)
{
	struct request_in_test request = {.answers = 0};

	add_key(&request, "a", 1);
	add_key(&request, "b", 1);
	add_key(&request, "c", 1);
	assert_int_equal(ask_it(&request), STORE_PENDING);
	for (size_t i = 0; i < 3; i++)
		assert_true(queue[i]->is_part);
	answer_at(0, STORE_TIMEOUT);
	answer_at(0, STORE_OOM);
	assert_int_equal(failed, 0);
	answer_all(); /* the look at the third slot, and the taking there */

	assert_int_equal(request.answers, 1);
	assert_int_equal(failed, 1);
	assert_int_equal(failed_by, store_op_error(&request.op));
}

TEST(redis_parts_ask_without_an_error_or_late_is_no_error)
{
	struct request_in_test good = {.answers = 0}, late = {.answers = 0};

	add_key(&good, "a", 1);
	add_key(&good, "b", 1);
	assert_int_equal(ask_it(&good), STORE_PENDING);
	answer_all();
	add_key(&late, "a", 1);
	add_key(&late, "b", 1);
	assert_int_equal(ask_it(&late), STORE_PENDING);
	late.op.is_late = true; /* which was counted when it became late */
	answer_at(0, STORE_CONNECTION);
	answer_at(0, STORE_CONNECTION);

	assert_int_equal(good.answers, 1);
	assert_int_equal(late.answers, 1);
	assert_int_equal(failed, 0);
}

TEST(redis_parts_ask_that_is_late_after_the_look_takes_nothing)
{
	struct request_in_test request = {.answers = 0};

	add_key(&request, "a", 1);
	add_key(&request, "b", 1);
	assert_int_equal(ask_it(&request), STORE_PENDING);
	answer_at(0, STORE_OK);
	request.op.is_late = true;
	redis_parts_note_late(&request.op);
	assert_true(queue[0]->is_late);
	answer_all();

	assert_int_equal(request.answers, 1);
	assert_int_equal(writes, 0);
}

/* ---- the deadline ---- */

/* As the engine does. What has no answer by now is decided by on_error. */
static void be_late(struct request_in_test *request, bool is_denied)
{
	request->op.is_late = true;
	redis_parts_note_late(&request->op);
	for (size_t i = 0; i < request->op.count; i++)
		if (!request->checks[i].is_decided && request->checks[i].error == STORE_OK)
			request->checks[i].error = STORE_TIMEOUT;
	redis_parts_settle(&request->op, is_denied);
}

static struct request_in_test request_for_a_and_b(void)
{
	struct request_in_test request = {.answers = 0};

	add_key(&request, "a", 1);
	add_key(&request, "b", 1);
	return request;
}

/* After a copy of the whole. */
static void set_pointers(struct request_in_test *request)
{
	request->op.checks = request->pointers;
	for (size_t i = 0; i < request->op.count; i++) {
		request->pointers[i] = &request->checks[i];
		request->checks[i].error = STORE_OK;
	}
}

static size_t find_queued(uint16_t slot)
{
	for (size_t i = 0; i < queued; i++)
		if (queue[i]->slot == slot)
			return i;
	fail_msg("slot %u is not asked", slot);
	return 0;
}

/* Asks, and has slot 0 answer the look. */
static void ask_and_look_at_a(struct request_in_test *request)
{
	set_pointers(request);
	assert_int_equal(ask_it(request), STORE_PENDING);
	answer_at(find_queued(0), STORE_OK);
}

TEST(redis_parts_a_slot_that_is_late_decides_its_own_checks_only)
{
	struct request_in_test request = request_for_a_and_b();

	ask_and_look_at_a(&request);
	be_late(&request, false);

	assert_true(request.checks[0].is_decided);
	assert_int_equal(request.checks[0].error, STORE_OK);
	assert_int_equal(request.checks[1].error, STORE_TIMEOUT);
	answer_all();
	assert_int_equal(request.answers, 1);
	assert_int_equal(used("a"), 1);
	assert_int_equal(used("b"), 0);
}

TEST(redis_parts_a_late_request_that_is_denied_takes_nothing)
{
	struct request_in_test request = request_for_a_and_b();

	ask_and_look_at_a(&request);
	be_late(&request, true);
	answer_all();

	assert_int_equal(request.answers, 1);
	assert_int_equal(writes, 0);
}

TEST(redis_parts_a_late_look_of_an_operator_takes_nothing)
{
	struct request_in_test request = request_for_a_and_b();

	request.op.is_look = true;
	ask_and_look_at_a(&request);
	be_late(&request, false);
	answer_all();

	assert_int_equal(request.answers, 1);
	assert_int_equal(writes, 0);
}

/* What was looked at is not what was taken. */
TEST(redis_parts_a_slot_that_is_late_after_the_look_has_no_outcome)
{
	struct request_in_test request = request_for_a_and_b();

	ask_and_look_at_a(&request);
	answer_at(0, STORE_OK);
	assert_int_equal(queued, 2);
	answer_at(find_queued(0), STORE_OK);
	be_late(&request, false);

	assert_true(request.checks[0].is_decided);
	assert_int_equal(request.checks[0].outcome.remaining, LIMIT - 1);
	assert_false(request.checks[1].is_decided);
	assert_int_equal(request.checks[1].error, STORE_TIMEOUT);
	answer_all();
	assert_int_equal(request.answers, 1);
	assert_int_equal(used("a"), 1);
}

/* An operator's request has no deadline, and may stand before others that have one. */
TEST(redis_parts_note_late_finds_a_request_behind_one_that_is_not_late)
{
	struct request_in_test first = request_for_a_and_b(), second = request_for_a_and_b();

	ask_and_look_at_a(&first);
	ask_and_look_at_a(&second);
	be_late(&second, true);

	for (size_t i = 0; i < queued; i++)
		assert_int_equal(queue[i]->is_late, queue[i]->checks[0] == &second.checks[1]);
	answer_all();
	assert_int_equal(first.answers + second.answers, 2);
	assert_int_equal(used("b"), 1);
}

/* ---- give back ---- */

/* Both slots pass the look; then somebody else takes the last units of b. */
static void ask_and_lose_b(struct request_in_test *request)
{
	ask_and_look_at_a(request);
	answer_at(find_queued(1), STORE_OK);
	use("b", LIMIT - used("b"));
}

TEST(redis_parts_a_slot_that_denies_after_the_look_has_the_others_give_back)
{
	struct request_in_test request = request_for_a_and_b();

	use("a", 5);
	ask_and_lose_b(&request);
	answer_at(find_queued(0), STORE_OK);
	assert_int_equal(used("a"), 6);
	answer_all();

	assert_int_equal(request.answers, 1);
	assert_int_equal(given, 1);
	assert_int_equal(used("a"), 5);
	assert_int_equal(used("b"), LIMIT);
	assert_true(request.checks[0].outcome.allowed);
	assert_false(request.checks[1].outcome.allowed);
}

TEST(redis_parts_give_back_that_fails_changes_no_answer)
{
	struct request_in_test request = request_for_a_and_b();

	ask_and_lose_b(&request);
	answer_at(find_queued(0), STORE_OK);
	answer_at(find_queued(1), STORE_OK);
	answer_at(find_queued(0), STORE_CONNECTION);

	assert_int_equal(request.answers, 1);
	assert_int_equal(given, 1);
	assert_true(request.checks[0].is_decided && request.checks[0].outcome.allowed);
	assert_int_equal(store_op_error(&request.op), STORE_OK);
	assert_int_equal(used("a"), 1);
}

TEST(redis_parts_give_back_includes_what_was_taken_in_shadow)
{
	struct request_in_test request = {.answers = 0};

	add_key(&request, "b", 1);
	add_key(&request, "a", 2);
	add_key(&request, "a2", 3);
	request.op.shadow = 1;
	request.checks[2].is_shadow = true;
	assert_int_equal(ask_it(&request), STORE_PENDING);
	answer_at(find_queued(0), STORE_OK);
	answer_at(find_queued(1), STORE_OK);
	use("b", LIMIT);
	answer_all();

	assert_int_equal(request.answers, 1);
	assert_int_equal(used("a") + used("a2"), 0);
}

/* Another node may not have the units, or the slot is another node's. */
TEST(redis_parts_give_back_only_where_it_was_taken)
{
	struct request_in_test request = request_for_a_and_b();

	ask_and_lose_b(&request);
	answer_at(find_queued(0), STORE_OK);
	places[0] = 2;
	answer_all();

	assert_int_equal(request.answers, 1);
	assert_int_equal(given, 0);
	assert_int_equal(used("a"), 1);
}

TEST(redis_parts_give_back_when_on_error_denies_after_the_look)
{
	struct policy strict = {.name = "strict", .terms.on_error = ON_ERROR_DENY};
	struct request_in_test request = request_for_a_and_b();

	request.checks[1].terms = &strict.terms;
	ask_and_look_at_a(&request);
	answer_at(find_queued(1), STORE_OK);
	answer_at(find_queued(1), STORE_CONNECTION);
	answer_all();

	assert_int_equal(request.answers, 1);
	assert_int_equal(used("a"), 0);
}

TEST(redis_parts_a_late_request_that_is_denied_gives_back_at_once)
{
	struct request_in_test request = request_for_a_and_b();

	ask_and_look_at_a(&request);
	answer_at(find_queued(1), STORE_OK);
	answer_at(find_queued(0), STORE_OK);
	be_late(&request, true);
	answer_at(find_queued(0), STORE_OK);

	assert_int_equal(request.answers, 0); /* slot 1 hangs */
	assert_int_equal(used("a"), 0);
	answer_all();
	assert_int_equal(request.answers, 1);
}

/* A reply after the deadline says that it was taken. */
TEST(redis_parts_a_late_request_that_is_denied_gives_back_what_is_taken_late)
{
	struct request_in_test request = request_for_a_and_b();

	ask_and_look_at_a(&request);
	answer_at(find_queued(1), STORE_OK);
	answer_at(find_queued(0), STORE_OK);
	request.op.is_late = true;
	redis_parts_settle(&request.op, true); /* the part had left before */
	answer_all();

	assert_int_equal(request.answers, 1);
	assert_int_equal(given, 2);
	assert_int_equal(used("a") + used("b"), 0);
}

TEST(redis_parts_a_late_request_that_is_allowed_keeps_what_it_took)
{
	struct request_in_test request = request_for_a_and_b();

	ask_and_look_at_a(&request);
	answer_at(find_queued(1), STORE_OK);
	answer_at(find_queued(0), STORE_OK);
	request.op.is_late = true;
	redis_parts_settle(&request.op, false);
	answer_all();

	assert_int_equal(given, 0);
	assert_int_equal(used("a") + used("b"), 2);
}

/* The deadline comes while it is given back: that is sent all the same. */
TEST(redis_parts_note_late_leaves_what_is_given_back)
{
	struct request_in_test request = request_for_a_and_b();

	ask_and_lose_b(&request);
	answer_at(find_queued(0), STORE_OK);
	answer_at(find_queued(1), STORE_OK);
	be_late(&request, true);
	assert_false(queue[0]->is_late);
	answer_all();

	assert_int_equal(request.answers, 1);
	assert_int_equal(given, 1);
	assert_int_equal(used("a"), 0);
}

/* ---- by key ---- */

/* The slot migrates: its part is asked again key by key. */
static void ask_part_by_key(size_t at)
{
	struct store_op *op = queue[at];

	queue[at] = queue[--queued];
	assert_int_equal(redis_parts_ask(&parts, op, true), STORE_PENDING);
}

static struct request_in_test request_with_two_keys_in_a_slot(void)
{
	struct request_in_test request = {.answers = 0};

	add_key(&request, "a", 1);
	add_key(&request, "a2", 1);
	add_key(&request, "b", 1);
	return request;
}

TEST(redis_parts_by_key_a_key_that_fails_leaves_the_others_charged)
{
	struct request_in_test request = request_with_two_keys_in_a_slot();

	set_pointers(&request);
	assert_int_equal(ask_it(&request), STORE_PENDING);
	ask_part_by_key(0); /* the look at slot 0 */
	for (size_t i = 0; i < queued; i++)
		if (queue[i]->checks[0] == &request.checks[1])
			answer_at(i, STORE_OTHER);
	answer_all();

	assert_int_equal(request.answers, 1);
	assert_int_equal(request.checks[1].error, STORE_OTHER);
	assert_int_equal(request.checks[0].error, STORE_OK);
	assert_int_equal(used("a"), 1);
	assert_int_equal(used("a2"), 0);
	assert_int_equal(used("b"), 1);
}

TEST(redis_parts_by_key_what_is_late_is_not_sent)
{
	struct request_in_test request = request_with_two_keys_in_a_slot();

	set_pointers(&request);
	assert_int_equal(ask_it(&request), STORE_PENDING);
	ask_part_by_key(0);
	be_late(&request, false);

	assert_int_equal(queued, 3);
	for (size_t i = 0; i < queued; i++)
		assert_true(queue[i]->is_late);
	answer_all();
	assert_int_equal(request.answers, 1);
	assert_int_equal(writes, 0);
}

/* The part leaves it to the whole, which then gives it back once. */
TEST(redis_parts_by_key_what_is_given_back_is_given_back_once)
{
	struct request_in_test request = request_with_two_keys_in_a_slot();

	use("a", 5);
	set_pointers(&request);
	assert_int_equal(ask_it(&request), STORE_PENDING);
	answer_at(find_queued(0), STORE_OK);
	answer_at(find_queued(1), STORE_OK);
	ask_part_by_key(find_queued(0));
	answer_at(find_queued(0), STORE_OK); /* both keys pass the look */
	answer_at(find_queued(0), STORE_OK);
	use("a2", LIMIT);
	answer_all();

	assert_int_equal(request.answers, 1);
	assert_int_equal(used("a"), 5);
	assert_int_equal(used("b"), 0);
}

/* ---- shadow ---- */

/* The value of a balance in shadow can't be used. */
TEST(redis_parts_a_check_in_shadow_that_fails_leaves_its_slot_charged)
{
	struct request_in_test request = request_with_two_keys_in_a_slot();
	struct store_op *part;

	request.op.checks = request.pointers;
	request.pointers[0] = &request.checks[0];
	request.pointers[1] = &request.checks[2];
	request.pointers[2] = &request.checks[1];
	request.op.shadow = 1;
	request.checks[1].is_shadow = true;
	assert_int_equal(ask_it(&request), STORE_PENDING);
	part = queue[0];
	queue[0] = queue[--queued];
	assert_int_equal(part->shadow, 1);
	assert_int_equal(store_ask(slots[0], part), STORE_DONE);
	part->checks[1]->error = STORE_OTHER;
	part->checks[1]->is_decided = false;
	part->answered(part);
	answer_all();

	assert_int_equal(request.answers, 1);
	assert_int_equal(request.checks[1].error, STORE_OTHER);
	assert_int_equal(used("a"), 1);
	assert_int_equal(used("a2"), 0);
	assert_int_equal(used("b"), 1);
}

TEST(redis_parts_ask_by_key_has_a_part_for_each_check)
{
	struct request_in_test request = {.answers = 0};

	add_key(&request, "a1", 1);
	add_key(&request, "a2", 1);
	add_key(&request, "a3", 1);
	request.op.answered = on_answered;
	request.op.now_us = NOW_US;
	assert_int_equal(redis_parts_ask(&parts, &request.op, true), STORE_PENDING);
	assert_int_equal(queued, 3);
	answer_all();

	assert_int_equal(used("a1") + used("a2") + used("a3"), 3);
}

/* ---- random schedules ---- */

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint32_t random_below(uint32_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 33) % bound;
}

#define RANDOM_ROUNDS 300
#define RANDOM_STEPS  150
#define RANDOM_LIMIT  12

/* In each round others. */
static char random_keys[6][16];

static void name_random_keys(int round)
{
	static const char *const names[] = {"a", "a2", "b", "c", "c2", "d"};

	_Static_assert(ARRAY_SIZE(names) == ARRAY_SIZE(random_keys), "a name for each");
	for (size_t k = 0; k < ARRAY_SIZE(random_keys); k++)
		snprintf(random_keys[k], sizeof random_keys[k], "%s.%d", names[k], round);
}

static void begin_random(struct request_in_test *request)
{
	bool is_used[ARRAY_SIZE(random_keys)] = {false};
	size_t count = 2 + random_below(3);

	*request = (struct request_in_test){.answers = 0};
	while (request->op.count < count) {
		uint32_t key = random_below(ARRAY_SIZE(random_keys));
		if (!is_used[key])
			add_key(request, random_keys[key], random_below(4));
		is_used[key] = true;
	}
	for (int i = 0; i < SLOTS; i++)
		is_away[i] = random_below(40) == 0;
	(void)ask_it(request);
}

/* Adds what the request was granted: it is allowed, whatever checks with an error would have said.
 */
static void add_granted(struct request_in_test *request, int64_t *granted)
{
	bool is_granted = request->answers == 1;

	for (size_t i = 0; i < request->op.count; i++)
		is_granted = is_granted && !check_denies(&request->checks[i]);
	for (size_t i = 0; i < request->op.count && is_granted; i++)
		for (size_t k = 0; k < ARRAY_SIZE(random_keys); k++)
			if (request->checks[i].is_decided &&
			    bytes_equal(check_key(&request->checks[i]),
					bytes_from_text(random_keys[k])))
				granted[k] += request->checks[i].cost;
	request->answers = 0;
}

/* Answers a part. Returns the units that an error keeps from being given back. */
static int64_t answer_random(void)
{
	size_t at = random_below((uint32_t)queued);
	enum store_error error = random_below(50) == 0 ? STORE_OTHER : STORE_OK;
	const struct store_op *op = queue[at];
	int64_t lost = 0;

	for (size_t i = 0; i < op->count && op->taken_us != NULL && error != STORE_OK; i++)
		lost += op->checks[i]->cost;
	answer_at(at, error);
	return lost;
}

/*
 * What all allowed requests got is at most what was taken, of each key: no unit is won. Nothing
 * beyond a limit is taken, and nothing is lost but what an error kept from being given back.
 */
TEST(redis_parts_ask_in_random_schedules_wins_no_unit)
{
	static struct request_in_test requests[REQUESTS];
	int64_t lost = 0, full = 0;

	quota.limit = RANDOM_LIMIT;
	for (int round = 0; round < RANDOM_ROUNDS; round++) {
		int64_t granted[ARRAY_SIZE(random_keys)] = {0};
		name_random_keys(round);
		for (int step = 0; step < RANDOM_STEPS; step++) {
			struct request_in_test *request = &requests[random_below(REQUESTS)];
			if (!request->is_open) {
				add_granted(request, granted);
				begin_random(request);
			}
			if (queued > 0)
				lost += answer_random();
		}
		while (queued > 0)
			lost += answer_random();
		for (size_t i = 0; i < REQUESTS; i++)
			add_granted(&requests[i], granted);
		for (size_t k = 0; k < ARRAY_SIZE(random_keys); k++) {
			int64_t taken = used(random_keys[k]);
			assert_in_range(taken, granted[k], RANDOM_LIMIT);
			lost -= taken - granted[k];
			full += taken == RANDOM_LIMIT;
		}
	}

	assert_int_equal(lost, 0);
	assert_true(given > 500);
	assert_true(full > 500);
}
