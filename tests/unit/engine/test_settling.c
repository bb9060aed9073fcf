/*
 * What was granted in place of the store is charged there once: with a store that answers, refuses
 * and loses replies as the test says, and with time in hand.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/least.h"
#include "engines.h"
#include "store/memory.h"
#include "support/test.h"

#define SECOND_US INT64_C(1000000)
#define LIMIT     10
#define ASKED_MAX 64
#define IN_FLIGHT 512

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

struct fake_store {
	struct store store;
	bool is_up;
	bool is_refusing; /* though it is up: there is no room */
	const char *away; /* balances whose key ends so are at a server that can't be asked */
	const char *full; /* and these are at one that has no room */
	size_t refused;   /* ops, for that reason or since is_refusing */
	size_t window;
	struct store_op *asked[ASKED_MAX]; /* those that were taken; NULL: answered */
	size_t asked_count;
};

struct world {
	struct fake_store fake;
	struct store *local;
	struct engine *engine;
	struct list open;
	struct quota quota;
	int64_t mono_us;
	struct verdict last;
};

static struct world *the_world; /* for mono_us */

static int64_t mono_us(void)
{
	return the_world->mono_us;
}

static int64_t now_us(const struct world *world)
{
	return NOW_US + (world->mono_us - MONO_US);
}

static bool ends_with(const struct check *check, const char *end)
{
	size_t len = strlen(end);

	return check->key_len >= len && memcmp(check->key + check->key_len - len, end, len) == 0;
}

static enum store_state fake_ask(struct store *store, struct store_op *op)
{
	struct fake_store *fake = CONTAINER_OF(store, struct fake_store, store);

	if (!fake->is_up) {
		store_op_fail(op, STORE_CONNECTION);
		return STORE_DONE;
	}
	if (fake->is_refusing || (fake->full != NULL && ends_with(op->checks[0], fake->full))) {
		fake->refused++;
		store_op_fail(op, STORE_FULL);
		return STORE_DONE;
	}
	if (fake->away != NULL && ends_with(op->checks[0], fake->away)) {
		store_op_fail(op, STORE_CONNECTION);
		return STORE_DONE;
	}
	assert_true(fake->asked_count < ASKED_MAX);
	fake->asked[fake->asked_count++] = op;
	return STORE_PENDING;
}

static uint64_t fake_connection(const struct store *store)
{
	return CONTAINER_OF(store, const struct fake_store, store)->is_up;
}

static struct store_description fake_describe(const struct store *store)
{
	const struct fake_store *fake = CONTAINER_OF(store, const struct fake_store, store);

	return (struct store_description){.is_up = fake->is_up, .stats.window = fake->window};
}

/* ---- answers of the store ---- */

static struct store_op *take_op(struct world *world, size_t index)
{
	struct store_op *op = world->fake.asked[index];

	assert_non_null(op);
	world->fake.asked[index] = NULL;
	return op;
}

static void answer_error(struct world *world, size_t index, enum store_error error, bool is_unsure)
{
	struct store_op *op = take_op(world, index);

	store_op_fail(op, error);
	op->is_unsure = is_unsure;
	op->answered(op);
}

/* The store has a balance with nothing used but `used`, and charges what it can. */
static void answer(struct world *world, size_t index, int64_t used)
{
	struct store_op *op = take_op(world, index);
	struct check *check = op->checks[0];
	struct balance balance = {.is_new = true};
	int64_t store_us = now_us(world);

	balance_look(&balance, check->quota, store_us);
	balance_take(&balance, check->quota, used);
	int64_t left = balance_remaining(&balance, check->quota);
	if (op->is_settling)
		check->cost = least_i64(check->cost, left);
	bool is_charged = check->cost <= left;
	if (is_charged)
		balance_take(&balance, check->quota, check->cost);
	check->outcome = balance_outcome(&balance, check->quota, store_us, check->cost, is_charged);
	check->is_decided = true;
	check->error = STORE_OK;
	op->seen(op, check, &balance, is_charged, store_us);
	op->answered(op);
}

/* ---- an engine on it ---- */

static struct world *world_of(struct quota quota)
{
	struct world *world = calloc(1, sizeof *world);
	struct policies *policies = policies_new(ON_ERROR_LOCAL);
	struct policy policy = {.terms = {.on_error = ON_ERROR_LOCAL, .quota = quota},
				.ipv4_prefix = 32,
				.ipv6_prefix = 64};

	strcpy(policy.name, "p");
	policy.key[policy.key_count++] = BYTES("src");
	assert_true(policies_add(policies, &policy));
	the_world = world;
	world->mono_us = MONO_US;
	world->quota = quota;
	world->fake = (struct fake_store){.store = {.ask = fake_ask,
						    .connection = fake_connection,
						    .describe = fake_describe},
					  .window = 30};
	world->local = memory_store_new(MEMORY_LIMIT_MIN);
	list_init(&world->open);
	world->engine = engine_on((struct engine_config){.store = &world->fake.store,
							 .local = world->local,
							 .on_error = ON_ERROR_LOCAL,
							 .max_in_flight = IN_FLIGHT,
							 .mono_us = mono_us},
				  policies);
	return world;
}

static struct world *world_new(void)
{
	struct quota quota;
	struct err err;

	assert_true(quota_set_window(&quota, FIXED_WINDOW, LIMIT, 3600 * SECOND_US, &err));
	return world_of(quota);
}

static void world_free(struct world *world)
{
	for (size_t i = 0; i < world->fake.asked_count; i++)
		if (world->fake.asked[i] != NULL)
			answer_error(world, i, STORE_CONNECTION, true);
	assert_int_equal(engine_stats(world->engine).in_flight, 0);
	engine_free(world->engine);
	store_free(world->local);
	free(world);
}

static void on_done(const struct asker *asker, const struct verdict *verdict)
{
	((struct world *)asker->owner)->last = *verdict;
}

static enum engine_state ask_for(struct world *world, const char *src, int64_t cost)
{
	struct inquiry *inquiry = engine_begin(world->engine);
	struct attribute items[] = {{BYTES("src"), value_text(bytes_from_text(src))},
				    {BYTES("cost"), value_integer(cost)}};
	struct asker asker = {.done = on_done, .open = &world->open, .owner = world};

	engine_add(inquiry, &(struct attributes){items, 2});
	enum engine_state state = engine_submit(inquiry, &asker, now_us(world), world->mono_us);
	if (state == ENGINE_DONE) {
		world->last = *engine_verdict(inquiry);
		engine_end(inquiry);
	}
	return state;
}

/* The agent grants so many units by itself, while the store is away. */
static void grant(struct world *world, const char *src, int64_t units)
{
	assert_false(world->fake.is_up);
	assert_int_equal(ask_for(world, src, units), ENGINE_DONE);
	assert_true(world->last.allowed && world->last.degraded);
}

static void pass(struct world *world, int64_t us)
{
	world->mono_us += us;
	engine_expire(world->engine, world->mono_us);
}

static struct settling_stats stats_of(const struct world *world)
{
	return engine_stats(world->engine).settling;
}

/* The op that was asked as number `index` is a charge of so many units. */
static void assert_settlement(const struct world *world, size_t index, int64_t units)
{
	assert_true(index < world->fake.asked_count);
	const struct store_op *op = world->fake.asked[index];
	assert_non_null(op);
	assert_true(op->is_settling);
	assert_int_equal(op->count, 1);
	assert_int_equal(op->checks[0]->cost, units);
}

/* How much the agent has left for the client by itself. */
static int64_t left_locally(struct world *world, const char *src)
{
	world->fake.is_up = false;
	for (int64_t units = LIMIT; units > 0; units--) {
		struct inquiry *inquiry = engine_begin(world->engine);
		struct attribute items[] = {{BYTES("src"), value_text(bytes_from_text(src))},
					    {BYTES("cost"), value_integer(units)}};
		struct asker asker = {.done = on_done, .open = &world->open, .owner = world};
		engine_look(inquiry);
		engine_add(inquiry, &(struct attributes){items, 2});
		enum engine_state state =
			engine_submit(inquiry, &asker, now_us(world), world->mono_us);
		assert_int_equal(state, ENGINE_DONE);
		bool allowed = engine_verdict(inquiry)->allowed;
		engine_end(inquiry);
		if (allowed)
			return units;
	}
	return 0;
}

/* ---- by the next request ---- */

TEST(granted_units_are_charged_before_the_next_request_of_the_balance)
{
	struct world *world = world_new();

	grant(world, "192.0.2.1", 1);
	grant(world, "192.0.2.1", 2);
	world->fake.is_up = true;
	assert_int_equal(ask_for(world, "192.0.2.2", 1), ENGINE_PENDING);
	assert_int_equal(world->fake.asked_count, 1); /* another balance */
	assert_int_equal(ask_for(world, "192.0.2.1", 1), ENGINE_PENDING);

	assert_int_equal(world->fake.asked_count, 3);
	assert_settlement(world, 1, 3);
	assert_int_equal(world->fake.asked[1]->room_behind, 1);
	assert_false(world->fake.asked[2]->is_settling);
	answer(world, 1, 0);
	answer(world, 2, 3);
	assert_true(world->last.allowed && !world->last.degraded);
	assert_int_equal(stats_of(world).charged, 3);
	assert_int_equal(left_locally(world, "192.0.2.1"), LIMIT - 4);
	world_free(world);
}

TEST(charged_units_are_not_charged_again)
{
	struct world *world = world_new();

	grant(world, "192.0.2.1", 3);
	world->fake.is_up = true;
	(void)ask_for(world, "192.0.2.1", 1);
	answer(world, 0, 0);
	answer(world, 1, 3);
	(void)ask_for(world, "192.0.2.1", 1);
	pass(world, SECOND_US);

	assert_int_equal(world->fake.asked_count, 3);
	assert_false(world->fake.asked[2]->is_settling);
	assert_int_equal(engine_next_us(world->engine), -1);
	world_free(world);
}

TEST(units_that_are_asked_for_are_not_asked_for_again)
{
	struct world *world = world_new();

	grant(world, "192.0.2.1", 3);
	world->fake.is_up = true;
	(void)ask_for(world, "192.0.2.1", 1);
	(void)ask_for(world, "192.0.2.1", 1);
	pass(world, SECOND_US);

	assert_int_equal(world->fake.asked_count, 3);
	assert_settlement(world, 0, 3);
	assert_true(world->fake.asked[0]->is_late);
	world_free(world);
}

/* Units that are granted while others are asked for wait for the next settlement. */
TEST(units_granted_meanwhile_are_charged_next)
{
	struct world *world = world_new();

	grant(world, "192.0.2.1", 3);
	world->fake.is_up = true;
	(void)ask_for(world, "192.0.2.1", 1);
	world->fake.is_up = false;
	grant(world, "192.0.2.1", 2);
	world->fake.is_up = true;
	answer(world, 0, 0);
	answer(world, 1, 3);
	(void)ask_for(world, "192.0.2.1", 1);

	assert_settlement(world, 2, 2);
	answer(world, 2, 4);
	answer(world, 3, 6);
	assert_int_equal(stats_of(world).charged, 5);
	world_free(world);
}

TEST(as_much_is_charged_as_is_left)
{
	struct world *world = world_new();

	grant(world, "192.0.2.1", 6);
	world->fake.is_up = true;
	(void)ask_for(world, "192.0.2.1", 1);
	answer(world, 0, 8);

	assert_int_equal(stats_of(world).charged, 2);
	assert_int_equal(stats_of(world).nothing_left, 4);
	assert_int_equal(left_locally(world, "192.0.2.1"), 0);
	world_free(world);
}

TEST(denied_checks_owe_nothing)
{
	struct world *world = world_new();

	grant(world, "192.0.2.1", LIMIT);
	assert_int_equal(ask_for(world, "192.0.2.1", 1), ENGINE_DONE);
	assert_false(world->last.allowed);
	world->fake.is_up = true;
	(void)ask_for(world, "192.0.2.1", 1);

	assert_settlement(world, 0, LIMIT);
	world_free(world);
}

/* ---- what is not certain ---- */

TEST(lost_reply_to_a_settlement_is_unsure_and_charged_no_more)
{
	struct world *world = world_new();

	grant(world, "192.0.2.1", 3);
	world->fake.is_up = true;
	(void)ask_for(world, "192.0.2.1", 1);
	answer_error(world, 0, STORE_CONNECTION, true);
	answer_error(world, 1, STORE_FULL, false);
	assert_int_equal(stats_of(world).unsure, 3);
	(void)ask_for(world, "192.0.2.1", 1);

	/* The request, which was not asked, was granted by itself; the 3 units were not. */
	assert_settlement(world, 2, 1);
	/* They still count here. */
	assert_int_equal(left_locally(world, "192.0.2.1"), LIMIT - 4);
	world_free(world);
}

TEST(settlement_that_the_store_did_not_charge_is_asked_again)
{
	static const enum store_error errors[] = {STORE_LOADING,    STORE_READONLY, STORE_MOVED,
						  STORE_CONNECTION, STORE_TIMEOUT,  STORE_OOM};

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct world *world = world_new();
		grant(world, "192.0.2.1", 3);
		world->fake.is_up = true;
		(void)ask_for(world, "192.0.2.1", 0);
		answer_error(world, 0, errors[i], false);
		(void)ask_for(world, "192.0.2.1", 0);
		assert_settlement(world, 2, 3);
		assert_int_equal(stats_of(world).unsure, 0);
		world_free(world);
	}
}

TEST(request_with_a_lost_reply_is_not_charged)
{
	struct world *world = world_new();

	world->fake.is_up = true;
	assert_int_equal(ask_for(world, "192.0.2.1", 3), ENGINE_PENDING);
	answer_error(world, 0, STORE_CONNECTION, true);
	assert_true(world->last.allowed && world->last.degraded);
	(void)ask_for(world, "192.0.2.1", 1);

	assert_int_equal(world->fake.asked_count, 2);
	assert_false(world->fake.asked[1]->is_settling);
	assert_int_equal(stats_of(world).unsure, 3);
	world_free(world);
}

static const struct {
	const char *name;
	enum { CHARGES, ERROR, LOST } reply;
	int64_t charged_later; /* 0: nothing is */
	uint64_t unsure;
} late[] = {
	{"late reply that says charged", CHARGES, 0, 0},
	{"late reply that says an error", ERROR, 3, 0},
	{"late reply that never comes", LOST, 0, 3},
};

/* Until the reply comes nobody knows, so nothing is charged meanwhile. */
TEST_ROWS(late)
{
	struct world *world = world_new();

	world->fake.is_up = true;
	assert_int_equal(ask_for(world, "192.0.2.1", 3), ENGINE_PENDING);
	pass(world, TIMEOUT_US);
	assert_true(world->last.allowed && world->last.degraded);
	(void)ask_for(world, "192.0.2.1", 1);
	assert_int_equal(world->fake.asked_count, 2);
	answer(world, 1, 0);

	if (row->reply == CHARGES)
		answer(world, 0, 1);
	else
		answer_error(world, 0, STORE_CONNECTION, row->reply == LOST);
	(void)ask_for(world, "192.0.2.1", 1);
	assert_int_equal(stats_of(world).unsure, row->unsure);
	assert_int_equal(stats_of(world).late, row->reply == CHARGES ? 3 : 0);
	if (row->charged_later > 0)
		assert_settlement(world, 2, row->charged_later);
	else
		assert_false(world->fake.asked[2]->is_settling);
	world_free(world);
}

/* ---- without a request ---- */

TEST(nothing_is_asked_while_the_store_is_away)
{
	struct world *world = world_new();

	grant(world, "192.0.2.1", 3);
	pass(world, 60 * SECOND_US);
	assert_true(engine_next_us(world->engine) > world->mono_us);

	assert_int_equal(world->fake.asked_count, 0);
	assert_int_equal(stats_of(world).dropped, 0);
	world_free(world);
}

TEST(rest_is_charged_newest_first_by_a_tenth_of_the_window)
{
	struct world *world = world_new(); /* its window is 30 */

	for (int i = 1; i <= 8; i++) {
		char src[32];
		snprintf(src, sizeof src, "192.0.2.%d", i);
		grant(world, src, i);
	}
	pass(world, 1);
	world->fake.is_up = true;
	pass(world, engine_next_us(world->engine) - world->mono_us);

	assert_int_equal(world->fake.asked_count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_settlement(world, i, 8 - (int64_t)i);
	/* More are asked for when all of these are answered. */
	answer(world, 0, 0);
	answer(world, 1, 0);
	assert_int_equal(world->fake.asked_count, 3);
	answer(world, 2, 0);
	assert_int_equal(world->fake.asked_count, 6);
	for (size_t i = 3; i < 6; i++)
		answer(world, i, 0);
	answer(world, 6, 0);
	answer(world, 7, 0);
	assert_int_equal(world->fake.asked_count, 8);
	assert_int_equal(stats_of(world).charged, 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8);
	assert_int_equal(engine_next_us(world->engine), -1);
	world_free(world);
}

TEST(one_at_least_is_charged_however_small_the_window)
{
	struct world *world = world_new();

	grant(world, "192.0.2.1", 3);
	grant(world, "192.0.2.2", 3);
	world->fake.window = 1;
	world->fake.is_up = true;
	pass(world, 1);

	assert_int_equal(world->fake.asked_count, 1);
	assert_int_equal(world->fake.asked[0]->room_behind, 0);
	world_free(world);
}

TEST(what_is_not_charged_in_time_is_dropped_and_counted)
{
	struct world *world = world_new();

	grant(world, "192.0.2.1", 3);
	grant(world, "192.0.2.2", 2);
	pass(world, 20 * SECOND_US);
	world->fake.is_up = true;
	world->fake.is_refusing = true;
	pass(world, SECOND_US);
	pass(world, SETTLING_UNTIL_US - 1);
	assert_int_equal(stats_of(world).dropped, 0);
	pass(world, SECOND_US);

	assert_int_equal(stats_of(world).dropped, 5);
	assert_int_equal(engine_next_us(world->engine), -1);
	world->fake.is_refusing = false;
	(void)ask_for(world, "192.0.2.1", 1);
	assert_int_equal(world->fake.asked_count, 1); /* the request alone */
	world_free(world);
}

/* In overload the store is there all the time: each debt has its own 10 s. */
TEST(debt_of_an_overload_is_dropped_after_its_own_time)
{
	struct world *world = world_new();

	world->fake.is_up = true;
	world->fake.is_refusing = true;
	assert_int_equal(ask_for(world, "192.0.2.1", 3), ENGINE_DONE);
	assert_true(world->last.allowed);
	pass(world, 1);
	pass(world, SETTLING_UNTIL_US / 2);
	assert_int_equal(ask_for(world, "192.0.2.2", 2), ENGINE_DONE);
	pass(world, SETTLING_UNTIL_US / 2);
	assert_int_equal(stats_of(world).dropped, 3);
	pass(world, SETTLING_UNTIL_US / 2);

	assert_int_equal(stats_of(world).dropped, 5);
	world_free(world);
}

/* Of a cluster, one server of several. */
TEST(debts_of_a_server_that_is_away_hold_up_no_others)
{
	struct world *world = world_new();

	grant(world, "192.0.2.1", 3);
	grant(world, "192.0.2.99", 2); /* the newest one */
	world->fake.is_up = true;
	world->fake.away = ".99";
	pass(world, SECOND_US / 10);

	assert_settlement(world, 0, 3);
	assert_int_equal(world->fake.asked_count, 1);
	world_free(world);
}

TEST(debts_of_a_server_that_is_away_are_charged_when_it_is_back)
{
	struct world *world = world_new();

	grant(world, "192.0.2.99", 2);
	world->fake.is_up = true;
	world->fake.away = ".99";
	for (int tenths = 0; tenths < 300; tenths++) /* much longer than SETTLING_UNTIL_US */
		pass(world, SECOND_US / 10);
	assert_int_equal(stats_of(world).dropped, 0);
	assert_int_equal(world->fake.asked_count, 0);

	world->fake.away = NULL;
	pass(world, SECOND_US / 10);

	assert_settlement(world, 0, 2);
	world_free(world);
}

/* New balances at the server that is away must not keep the debts that wait from being tried. */
TEST(debts_of_a_server_that_is_away_outlast_its_traffic)
{
	enum { GRANTS = 60 };
	struct world *world = world_new();
	char src[32];

	grant(world, "192.0.2.99", 2);
	world->fake.is_up = true;
	world->fake.away = ".99";
	for (int i = 0; i < GRANTS; i++) { /* for 30 s */
		snprintf(src, sizeof src, "10.0.%d.99", i);
		assert_int_equal(ask_for(world, src, 1), ENGINE_DONE);
		assert_true(world->last.allowed && world->last.degraded);
		pass(world, SECOND_US / 2);
	}
	world->fake.away = NULL;
	pass(world, SECOND_US / 2);
	for (size_t i = 0; i < world->fake.asked_count; i++)
		answer(world, i, 0);

	assert_int_equal(stats_of(world).dropped, 0);
	assert_int_equal(stats_of(world).charged, GRANTS + 2);
	world_free(world);
}

/* Its turn may come late, since settlements of the other servers fill the window. */
TEST(debt_of_a_server_that_was_away_is_tried_before_it_is_dropped)
{
	struct world *world = world_new();

	grant(world, "192.0.2.1", 3);
	grant(world, "192.0.2.99", 2); /* the newest one */
	world->fake.window = 1;
	world->fake.is_up = true;
	world->fake.away = ".99";
	pass(world, SECOND_US / 10);
	assert_settlement(world, 0, 3);
	for (int seconds = 0; seconds < 20; seconds++)
		pass(world, SECOND_US);
	world->fake.away = NULL;
	answer(world, 0, 0);
	pass(world, SECOND_US);

	assert_int_equal(stats_of(world).dropped, 0);
	assert_settlement(world, 1, 2);
	world_free(world);
}

/* A request that finds the server away says so, too: the 10 s begin when the server is back. */
TEST(debt_that_a_request_finds_away_is_not_overdue)
{
	struct world *world = world_new();

	world->fake.is_up = true;
	world->fake.is_refusing = true;
	assert_int_equal(ask_for(world, "192.0.2.99", 2), ENGINE_DONE);
	world->fake.is_refusing = false;
	world->fake.away = ".99";
	pass(world, 1);
	world->mono_us += SETTLING_UNTIL_US;
	assert_int_equal(ask_for(world, "192.0.2.99", 0), ENGINE_DONE);
	world->fake.away = NULL;
	pass(world, 1);

	assert_int_equal(stats_of(world).dropped, 0);
	assert_settlement(world, 0, 2);
	world_free(world);
}

/* Of a cluster, one server of several. */
TEST(debts_of_a_server_that_is_full_hold_up_no_others)
{
	struct world *world = world_new();

	grant(world, "192.0.2.1", 3);
	grant(world, "192.0.2.99", 2); /* the newest one */
	world->fake.is_up = true;
	world->fake.full = ".99";
	pass(world, SECOND_US / 10);
	assert_settlement(world, 0, 3);
	assert_int_equal(world->fake.asked_count, 1);

	world->fake.full = NULL;
	pass(world, SECOND_US / 10);
	assert_settlement(world, 1, 2);
	world_free(world);
}

TEST(debts_that_a_server_refuses_hold_up_no_others)
{
	struct world *world = world_new();

	grant(world, "192.0.2.1", 3);
	grant(world, "192.0.2.99", 2);
	world->fake.window = 1;
	world->fake.is_up = true;
	pass(world, SECOND_US / 10);
	assert_settlement(world, 0, 2);
	answer_error(world, 0, STORE_OOM, false);
	pass(world, SECOND_US / 10);

	assert_settlement(world, 1, 3);
	world_free(world);
}

/* In an overload the agent does not try all debts at each tick. */
TEST(server_that_is_full_is_asked_so_often_in_a_tick_at_most)
{
	enum { DEBTS = 1000, A_TICK = 256 };
	struct world *world = world_new();
	char src[32];

	for (int i = 0; i < DEBTS; i++) {
		snprintf(src, sizeof src, "10.0.%d.%d", i / 250, i % 250);
		grant(world, src, 1);
	}
	world->fake.is_up = true;
	world->fake.is_refusing = true;
	for (size_t tick = 1; tick <= 20; tick++) {
		pass(world, SECOND_US / 10);
		assert_int_equal(world->fake.refused, tick * A_TICK);
	}

	assert_int_equal(stats_of(world).dropped, 0);
	world_free(world);
}

/* A node of a cluster that has come back may refuse for some seconds more (CLUSTERDOWN). */
TEST(debts_that_a_node_refuses_are_not_overdue)
{
	struct world *world = world_new();

	grant(world, "192.0.2.1", 2);
	world->fake.is_up = true;
	for (size_t tenths = 0; tenths < 3 * ASKED_MAX / 4; tenths++) {
		pass(world, SECOND_US / 3);
		assert_int_equal(world->fake.asked_count, tenths + 1);
		answer_error(world, tenths, STORE_MOVED, false);
	}

	assert_int_equal(stats_of(world).dropped, 0);
	pass(world, SECOND_US / 3);
	assert_settlement(world, 3 * ASKED_MAX / 4, 2);
	world_free(world);
}

TEST(window_that_is_over_is_not_charged)
{
	struct world *world = world_new();

	grant(world, "192.0.2.1", 3);
	pass(world, 3600 * SECOND_US);
	grant(world, "192.0.2.2", 2);
	world->fake.is_up = true;
	pass(world, SECOND_US);

	assert_int_equal(world->fake.asked_count, 1);
	assert_settlement(world, 0, 2);
	(void)ask_for(world, "192.0.2.1", 1);
	assert_int_equal(world->fake.asked_count, 2);
	assert_false(world->fake.asked[1]->is_settling);
	assert_int_equal(stats_of(world).over, 3);
	world_free(world);
}

TEST(what_the_bucket_has_refilled_is_not_charged)
{
	struct quota quota;
	struct err err;
	struct ratio rate;
	assert_true(refill_rate_parse(BYTES("1"), &rate));
	assert_true(quota_set_bucket(&quota, TOKEN_BUCKET, LIMIT, rate, &err));
	struct world *world = world_of(quota);

	grant(world, "192.0.2.1", 5);
	pass(world, 2 * SECOND_US);
	world->fake.is_up = true;
	(void)ask_for(world, "192.0.2.1", 1);

	assert_settlement(world, 0, 3);
	assert_int_equal(stats_of(world).over, 2);
	world_free(world);
}

/* Of 10,000 windows of such a limit, all of which were granted, no number of 64 bits has the sum.
 */
TEST(debt_of_many_windows_is_one_limit_at_most)
{
	struct quota quota;
	struct err err;
	assert_true(quota_set_window(&quota, FIXED_WINDOW, QUOTA_UNITS_MAX, 1000, &err));
	struct world *world = world_of(quota);

	for (int i = 0; i < 10000; i++) {
		world->mono_us += 1000;
		grant(world, "192.0.2.1", QUOTA_UNITS_MAX);
	}
	world->fake.is_up = true;
	(void)ask_for(world, "192.0.2.1", 1);

	assert_settlement(world, 0, QUOTA_UNITS_MAX);
	assert_int_equal(stats_of(world).over, UINT64_C(9999) * QUOTA_UNITS_MAX);
	world_free(world);
}

TEST(turn_looks_at_so_many_debts_at_most)
{
	enum { DEBTS = 3000, A_TURN = 1024 };
	struct world *world = world_new();
	char src[32];

	for (int i = 0; i < DEBTS; i++) {
		snprintf(src, sizeof src, "10.0.%d.%d", i / 250, i % 250);
		grant(world, src, 1);
	}
	pass(world, 2 * 3600 * SECOND_US); /* all windows are over */
	world->fake.is_up = true;

	for (uint64_t turn = 1; turn * A_TURN < DEBTS; turn++) {
		pass(world, SECOND_US / 10);
		assert_int_equal(stats_of(world).over, turn * A_TURN);
	}
	pass(world, SECOND_US / 10);
	assert_int_equal(stats_of(world).over, DEBTS);
	assert_int_equal(engine_next_us(world->engine), -1);
	world_free(world);
}

TEST(numbers_of_a_reload_hold_for_what_is_charged)
{
	struct world *world = world_new();

	grant(world, "192.0.2.1", 3);
	struct policies *policies = policies_new(ON_ERROR_LOCAL);
	struct policy policy = {.terms = {.on_error = ON_ERROR_LOCAL, .quota = world->quota},
				.ipv4_prefix = 32,
				.ipv6_prefix = 64};
	policy.terms.quota.limit = LIMIT / 2;
	strcpy(policy.name, "p");
	policy.key[policy.key_count++] = BYTES("src");
	assert_true(policies_add(policies, &policy));
	engine_set_policies(world->engine, policies);
	policies_unref(policies);
	world->fake.is_up = true;
	(void)ask_for(world, "192.0.2.1", 1);

	assert_settlement(world, 0, 3);
	assert_int_equal(world->fake.asked[0]->checks[0]->quota->limit, LIMIT / 2);
	world_free(world);
}

TEST(oldest_debt_makes_room_for_a_new_one)
{
	size_t in_flight = 0;
	struct settling settling;
	struct fake_store fake = {.store = {.ask = fake_ask, .connection = fake_connection}};
	struct store *local = memory_store_new(MEMORY_LIMIT_MIN);
	struct check check = {.cost = 1, .key_len = 1, .key = "k"};

	assert_true(settling_init(&settling, &(struct settling_config){.store = &fake.store,
								       .local = local,
								       .in_flight = &in_flight,
								       .in_flight_max = 1}));
	check.quota = &check.own_quota;
	check.own_quota.limit = LIMIT;
	for (uint64_t i = 0; i <= DEBTS_MAX; i++) {
		check.hash = (struct key_hash){.low = i, .high = i};
		check.cost = i == 0 ? 7 : 1;
		settling_owe(&settling, &check, NOW_US, MONO_US);
	}

	assert_int_equal(settling.count, DEBTS_MAX);
	assert_int_equal(settling.stats.dropped, 7);
	settling_release(&settling);
	store_free(local);
}

static int64_t all_granted(struct store *store, struct key_hash hash, const struct quota *quota,
			   int64_t now_us)
{
	(void)store, (void)hash, (void)now_us;
	return quota->limit;
}

static int64_t standing_us(void)
{
	return MONO_US;
}

/* The oldest one is the first of those whose server was found to be away. */
TEST(oldest_debt_of_a_server_that_is_away_makes_room_for_a_new_one)
{
	size_t in_flight = 0;
	struct settling settling;
	struct fake_store fake = {.store = {.ask = fake_ask,
					    .connection = fake_connection,
					    .describe = fake_describe},
				  .is_up = true,
				  .away = "k"};
	struct store *local = memory_store_new(MEMORY_LIMIT_MIN);
	struct check check = {.key_len = 1, .key = "k"};

	local->granted = all_granted;
	assert_true(settling_init(&settling, &(struct settling_config){.store = &fake.store,
								       .local = local,
								       .in_flight = &in_flight,
								       .in_flight_max = 1,
								       .mono_us = standing_us}));
	settling.looked_us = MONO_US;
	check.quota = &check.own_quota;
	check.own_quota.limit = LIMIT;
	for (uint64_t i = 0; i <= DEBTS_MAX; i++) {
		check.hash = (struct key_hash){.low = i, .high = i};
		check.cost = i == 0 ? 7 : 1;
		settling_owe(&settling, &check, NOW_US, MONO_US + (int64_t)i - DEBTS_MAX);
		settling.tick_us = 0; /* so each is found to be away at once */
		settling_expire(&settling, MONO_US);
	}

	assert_int_equal(settling.count, DEBTS_MAX);
	assert_int_equal(settling.stats.dropped, 7);
	settling_release(&settling);
	store_free(local);
}

TEST(store_without_a_server_owes_nothing)
{
	struct world *world = world_new();
	struct policies *policies = policies_new(ON_ERROR_LOCAL);
	struct engine *engine = engine_new(&(struct engine_config){.store = world->local,
								   .local = world->local,
								   .on_error = ON_ERROR_LOCAL,
								   .max_in_flight = 1,
								   .mono_us = mono_us},
					   policies);

	assert_non_null(engine);
	assert_int_equal(engine_next_us(engine), -1);
	engine_free(engine);
	policies_unref(policies);
	world_free(world);
}
