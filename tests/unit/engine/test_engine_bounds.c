/*
 * The engine at its bounds: pools that are used up to the last slot, and every counter read back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "engines.h"
#include "store/memory.h"
#include "support/test.h"

#define LATENCY_US INT64_C(700) /* when the answer leaves, after MONO_US */
#define ASKED_MAX  64

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

/* A store that keeps what it is asked until the test has it answer. */
struct slow_store {
	struct store store;
	struct store_op *asked[ASKED_MAX];
	size_t count;
};

static enum store_state ask_slow(struct store *store, struct store_op *op)
{
	struct slow_store *slow = CONTAINER_OF(store, struct slow_store, store);

	assert_true(slow->count < ASKED_MAX);
	slow->asked[slow->count++] = op;
	return STORE_PENDING;
}

static void answer_all(struct slow_store *slow, bool allowed)
{
	for (size_t i = 0; i < slow->count; i++) {
		struct store_op *op = slow->asked[i];
		for (size_t k = 0; k < op->count; k++) {
			op->checks[k]->outcome = (struct outcome){.allowed = allowed};
			op->checks[k]->is_decided = true;
		}
		op->answered(op);
	}
	slow->count = 0;
}

struct world {
	struct slow_store slow;
	struct store *local;
	struct engine *engine;
	struct list open;
	size_t done_count;
};

static int64_t mono_us(void)
{
	return MONO_US + LATENCY_US;
}

/* So many policies p0, p1 ... that all fit every request. */
static struct world *world_of(size_t policy_count, enum on_error on_error, size_t max_in_flight)
{
	struct world *world = calloc(1, sizeof *world);
	struct policies *policies = policies_new(on_error);
	struct err err;

	for (size_t i = 0; i < policy_count; i++) {
		struct policy policy = {.terms.on_error = on_error};
		snprintf(policy.name, sizeof policy.name, "p%zu", i);
		assert_true(quota_set_window(&policy.terms.quota, FIXED_WINDOW, 2, 1000000, &err));
		assert_true(policies_add(policies, &policy));
	}
	world->slow.store.ask = ask_slow;
	world->local = memory_store_new(MEMORY_LIMIT_MIN);
	list_init(&world->open);
	world->engine = engine_on((struct engine_config){.store = &world->slow.store,
							 .local = world->local,
							 .on_error = on_error,
							 .max_in_flight = max_in_flight,
							 .mono_us = mono_us},
				  policies);
	return world;
}

static void world_free(struct world *world)
{
	engine_free(world->engine);
	store_free(world->local);
	free(world);
}

static void on_done(const struct asker *asker, const struct verdict *verdict)
{
	struct world *world = asker->owner;

	(void)verdict;
	world->done_count++;
}

/* Asks with one attribute; an invalid one when it is `cost` with a text. */
static enum engine_state ask_with(struct world *world, enum source source, struct attribute item)
{
	struct inquiry *inquiry = engine_begin(world->engine);
	struct asker asker = {
		.done = on_done, .open = &world->open, .owner = world, .source = source};

	engine_add(inquiry, &(struct attributes){&item, 1});
	enum engine_state state = engine_submit(inquiry, &asker, NOW_US, MONO_US);
	if (state == ENGINE_DONE)
		engine_end(inquiry);
	return state;
}

static enum engine_state ask(struct world *world, enum source source)
{
	return ask_with(world, source, (struct attribute){BYTES("x"), value_text(BYTES("y"))});
}

/* ---- pools ---- */

/*
 * A request of 17 checks takes a slot for each of the 16 that fit and one for the 17th, beside the
 * largest one that waits.
 */
TEST(engine_add_the_largest_request_has_slots_beside_those_that_wait)
{
	struct world *world = world_of(REQUEST_CHECKS_MAX + 1, ON_ERROR_ALLOW, REQUEST_CHECKS_MAX);

	assert_int_equal(ask(world, SOURCE_SPOP), ENGINE_PENDING);
	assert_int_equal(engine_stats(world->engine).in_flight, REQUEST_CHECKS_MAX);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(world, SOURCE_SPOP), ENGINE_DONE);
	assert_int_equal(engine_stats(world->engine).full, 3);
	assert_int_equal(engine_stats(world->engine).left_out, 3);
	answer_all(&world->slow, true);
	assert_int_equal(engine_stats(world->engine).left_out, 4);
	assert_int_equal(engine_stats(world->engine).in_flight, 0);
	world_free(world);
}

/* As many wait as may, one check each, and one more is asked meanwhile. */
TEST(engine_begin_has_a_slot_beside_those_that_wait)
{
	struct world *world = world_of(1, ON_ERROR_DENY, 3);

	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(world, SOURCE_SPOP), ENGINE_PENDING);
	assert_int_equal(ask(world, SOURCE_SPOP), ENGINE_DONE);
	assert_int_equal(engine_stats(world->engine).full, 1);
	assert_int_equal(engine_stats(world->engine).in_flight, 3);
	answer_all(&world->slow, true);
	assert_int_equal(world->done_count, 3);
	assert_int_equal(ask(world, SOURCE_SPOP), ENGINE_PENDING);
	answer_all(&world->slow, true);
	world_free(world);
}

/* ---- counters ---- */

TEST(engine_stats_counts_by_source_and_reason)
{
	struct world *world = world_of(1, ON_ERROR_ALLOW, 8);
	const struct tally *tally = policies_at(engine_policies(world->engine), 0)->tally;

	(void)ask(world, SOURCE_SPOP);
	(void)ask(world, SOURCE_HTTP);
	answer_all(&world->slow, true);
	(void)ask(world, SOURCE_HTTP);
	answer_all(&world->slow, false);

	struct engine_stats stats = engine_stats(world->engine);
	assert_int_equal(stats.allowed, 2);
	assert_int_equal(stats.blocked, 1);
	assert_int_equal(stats.reasons[SOURCE_SPOP][REASON_OK], 1);
	assert_int_equal(stats.reasons[SOURCE_HTTP][REASON_OK], 1);
	assert_int_equal(stats.reasons[SOURCE_HTTP][REASON_LIMITED], 1);
	assert_int_equal(stats.reasons[SOURCE_SPOP][REASON_LIMITED], 0);
	assert_int_equal(stats.latency[SOURCE_SPOP].count, 1);
	assert_int_equal(stats.latency[SOURCE_HTTP].count, 2);
	assert_int_equal(stats.latency[SOURCE_HTTP].sum_us, 2 * LATENCY_US);
	assert_int_equal(stats.degraded, 0);
	assert_int_equal(tally->requests_allowed[SOURCE_SPOP], 1);
	assert_int_equal(tally->requests_allowed[SOURCE_HTTP], 1);
	assert_int_equal(tally->requests_blocked[SOURCE_HTTP], 1);
	assert_int_equal(tally->requests_blocked[SOURCE_SPOP], 0);
	assert_int_equal(tally->checks[TALLY_ALLOWED], 2);
	assert_int_equal(tally->checks[TALLY_DENIED], 1);
	assert_int_equal(tally->latency.count, 3);
	assert_int_equal(tally->latency.sum_us, 3 * LATENCY_US);
	assert_int_equal(tally->seen->total, 3);
	assert_int_equal(tally->denied->total, 1);
	world_free(world);
}

/* No policy, or an invalid message: no policy's tally counts such a request. */
TEST(engine_stats_counts_those_without_a_policy)
{
	static const struct {
		enum on_error on_error;
		bool is_invalid;
		size_t policies;
		uint64_t allowed, blocked;
		enum reason reason;
	} cases[] = {
		{ON_ERROR_DENY, false, 0, 1, 0, REASON_NONE},
		{ON_ERROR_ALLOW, true, 1, 1, 0, REASON_INVALID},
		{ON_ERROR_DENY, true, 1, 0, 1, REASON_INVALID},
	};
	struct attribute bad = {BYTES("cost"), value_text(BYTES("much"))};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *world = world_of(cases[i].policies, cases[i].on_error, 8);
		enum engine_state now = cases[i].is_invalid ? ask_with(world, SOURCE_HTTP, bad)
							    : ask(world, SOURCE_HTTP);
		assert_int_equal(now, ENGINE_DONE);
		struct engine_stats stats = engine_stats(world->engine);
		assert_int_equal(stats.none_allowed[SOURCE_HTTP], cases[i].allowed);
		assert_int_equal(stats.none_blocked[SOURCE_HTTP], cases[i].blocked);
		assert_int_equal(stats.none_allowed[SOURCE_SPOP], 0);
		assert_int_equal(stats.none_blocked[SOURCE_SPOP], 0);
		assert_int_equal(stats.reasons[SOURCE_HTTP][cases[i].reason], 1);
		world_free(world);
	}
}

TEST(engine_stats_counts_deadlines_and_those_who_answer_after_them)
{
	struct world *world = world_of(2, ON_ERROR_DENY, 8);

	(void)ask(world, SOURCE_SPOP);
	(void)ask(world, SOURCE_SPOP);
	assert_int_equal(engine_stats(world->engine).in_flight, 4);
	engine_expire(world->engine, MONO_US + TIMEOUT_US);
	assert_int_equal(world->done_count, 2);

	struct engine_stats stats = engine_stats(world->engine);
	assert_int_equal(stats.expired, 2);
	assert_int_equal(stats.late, 0);
	assert_int_equal(stats.degraded, 2);
	assert_int_equal(stats.blocked, 2);
	assert_int_equal(stats.in_flight, 4); /* until the store gives them back */
	answer_all(&world->slow, true);
	stats = engine_stats(world->engine);
	assert_int_equal(stats.late, 2);
	assert_int_equal(stats.expired, 2);
	assert_int_equal(stats.allowed, 0);
	assert_int_equal(stats.in_flight, 0);
	world_free(world);
}
