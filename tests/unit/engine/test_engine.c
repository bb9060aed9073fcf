#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "engine/engine.h"
#include "store/memory.h"
#include "support/test.h"

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

#define NOW_US     INT64_C(1700000000000000)
#define MONO_US    INT64_C(5000000)
#define TIMEOUT_US INT64_C(2000)

/* ---- a store that answers as the test says: at once, late, wrongly, never ---- */

enum behaviour { ANSWERS_AT_ONCE = 0, FAILS_AT_ONCE, WAITS };

#define ASKED_MAX 64

struct fake_store {
	struct store store;
	enum behaviour behaviour;
	struct store_op *asked[ASKED_MAX];
	size_t asked_count;
	/* What it was told of those that are late: when, and how many of them were by then. */
	int64_t expired_us[ASKED_MAX];
	size_t late_counts[ASKED_MAX];
	size_t expired_count;
};

static void allow_all(struct store_op *op)
{
	for (size_t i = 0; i < op->count; i++) {
		op->checks[i]->outcome = (struct outcome){.allowed = true, .remaining = 7};
		op->checks[i]->is_decided = true;
		op->checks[i]->error = STORE_OK;
	}
}

static enum store_state fake_ask(struct store *store, struct store_op *op)
{
	struct fake_store *fake = CONTAINER_OF(store, struct fake_store, store);

	fake->asked[fake->asked_count++ % ASKED_MAX] = op;
	switch (fake->behaviour) {
	case ANSWERS_AT_ONCE:
		allow_all(op);
		return STORE_DONE;
	case FAILS_AT_ONCE:
		store_op_fail(op, STORE_CONNECTION);
		return STORE_DONE;
	case WAITS:
		break;
	}
	return STORE_PENDING;
}

/* Only of those that did not answer yet: the others are gone. */
static size_t count_late(const struct fake_store *fake)
{
	size_t count = 0;

	for (size_t i = 0; i < ASKED_MAX; i++)
		count += fake->asked[i] != NULL && fake->asked[i]->is_late;
	return count;
}

static void fake_expired(struct store *store, int64_t mono_us)
{
	struct fake_store *fake = CONTAINER_OF(store, struct fake_store, store);

	assert_true(fake->expired_count < ASKED_MAX);
	fake->expired_us[fake->expired_count] = mono_us;
	fake->late_counts[fake->expired_count++] = count_late(fake);
}

static void answer(struct fake_store *fake, size_t index)
{
	struct store_op *op = fake->asked[index];

	fake->asked[index] = NULL;
	allow_all(op);
	op->answered(op);
}

static void answer_error(struct fake_store *fake, size_t index, enum store_error error)
{
	struct store_op *op = fake->asked[index];

	fake->asked[index] = NULL;
	store_op_fail(op, error);
	op->answered(op);
}

/* ---- an engine on it, and someone who asks ---- */

struct world {
	struct fake_store fake;
	struct store *local;
	struct engine *engine;
	struct list open;
	size_t done_count;
	struct verdict last;
	char last_policy[POLICY_NAME_MAX + 1];
	uint64_t done_ids[ASKED_MAX];
};

/* Two an hour, by src. */
static struct policy policy_of(const char *name, enum on_error on_error)
{
	struct policy policy = {.terms.on_error = on_error, .ipv4_prefix = 32, .ipv6_prefix = 64};
	struct err err;

	strcpy(policy.name, name);
	assert_true(quota_set_window(&policy.terms.quota, FIXED_WINDOW, 2, 3600000000, &err));
	policy.key[policy.key_count++] = BYTES("src");
	return policy;
}

static void add_policy(struct policies *policies, const char *name, struct terms terms)
{
	struct policy policy = policy_of(name, terms.on_error);

	policy.terms.is_shadow = terms.is_shadow;
	policy.terms.is_blocked = terms.is_blocked;
	assert_true(policies_add(policies, &policy));
}

static struct policies *policies_of(const char *name, enum on_error on_error)
{
	struct policies *policies = policies_new(on_error);

	add_policy(policies, name, (struct terms){.on_error = on_error});
	return policies;
}

static int64_t mono_us(void)
{
	return MONO_US;
}

static struct world *world_new(enum behaviour behaviour, enum on_error on_error,
			       size_t max_in_flight)
{
	struct world *world = calloc(1, sizeof *world);
	struct policies *policies = policies_of("first", on_error);

	world->fake.store.ask = fake_ask;
	world->fake.store.expired = fake_expired;
	world->fake.behaviour = behaviour;
	world->local = memory_store_new(MEMORY_LIMIT_MIN);
	list_init(&world->open);
	world->engine = engine_new(
		&(struct engine_config){
			.store = &world->fake.store,
			.local = world->local,
			.on_error = on_error,
			.max_in_flight = max_in_flight,
			.store_timeout_us = TIMEOUT_US,
			.mono_us = mono_us,
		},
		policies);
	assert_non_null(world->engine);
	policies_unref(policies);
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

	world->done_ids[world->done_count++ % ASKED_MAX] = asker->tag[0];
	world->last = *verdict;
	strcpy(world->last_policy, verdict->lead != NULL ? verdict->lead->policy->name : "");
}

/* Asks by src; the verdict of a DONE is in world->last. */
static enum engine_state ask_at(struct world *world, uint64_t id, const char *src, int64_t mono_us)
{
	struct inquiry *inquiry = engine_begin(world->engine);
	struct attribute attribute = {BYTES("src"), value_text(bytes_from_text(src))};
	struct asker asker = {.done = on_done, .open = &world->open, .owner = world, .tag = {id}};

	engine_add(inquiry, &(struct attributes){&attribute, 1});
	enum engine_state state = engine_submit(inquiry, &asker, NOW_US, mono_us);
	if (state == ENGINE_DONE) {
		world->last = *engine_verdict(inquiry);
		engine_end(inquiry);
	}
	return state;
}

static enum engine_state ask(struct world *world)
{
	return ask_at(world, 1, "192.0.2.1", MONO_US);
}

/* ---- the cases ---- */

TEST(submit_store_that_answers_at_once_is_done)
{
	struct world *world = world_new(ANSWERS_AT_ONCE, ON_ERROR_ALLOW, 16);

	assert_int_equal(ask(world), ENGINE_DONE);
	assert_true(world->last.allowed);
	assert_int_equal(world->last.reason, REASON_OK);
	assert_int_equal(engine_next_us(world->engine), -1);
	assert_int_equal(world->done_count, 0);
	world_free(world);
}

/* More checks than --max-in-flight, of a store that nothing waits for. */
TEST(submit_store_that_is_the_local_one_is_never_full)
{
	struct store *memory = memory_store_new(MEMORY_LIMIT_MIN);
	struct policies *policies = policies_of("first", ON_ERROR_DENY);
	struct engine *engine = engine_new(
		&(struct engine_config){
			.store = memory, .local = memory, .max_in_flight = 1, .mono_us = mono_us},
		policies);
	struct inquiry *inquiry = engine_begin(engine);
	struct attribute one = {BYTES("src"), value_text(BYTES("1"))};
	struct attribute two = {BYTES("src"), value_text(BYTES("2"))};

	engine_add(inquiry, &(struct attributes){&one, 1});
	engine_add(inquiry, &(struct attributes){&two, 1});
	assert_int_equal(engine_submit(inquiry, &(struct asker){0}, NOW_US, MONO_US), ENGINE_DONE);
	assert_int_equal(engine_verdict(inquiry)->reason, REASON_OK);
	assert_int_equal(engine_stats(engine).full, 0);
	engine_end(inquiry);
	policies_unref(policies);
	engine_free(engine);
	store_free(memory);
}

TEST(submit_without_a_policy_that_fits_does_not_ask_the_store)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);
	struct inquiry *inquiry = engine_begin(world->engine);
	struct asker asker = {.done = on_done, .open = &world->open, .owner = world};

	assert_int_equal(engine_submit(inquiry, &asker, NOW_US, MONO_US), ENGINE_DONE);
	assert_int_equal(engine_verdict(inquiry)->reason, REASON_NONE);
	assert_true(engine_verdict(inquiry)->allowed);
	assert_int_equal(world->fake.asked_count, 0);
	engine_end(inquiry);
	world_free(world);
}

TEST(submit_store_that_answers_later_calls_done_once)
{
	struct world *world = world_new(WAITS, ON_ERROR_DENY, 16);

	assert_int_equal(ask_at(world, 77, "192.0.2.1", MONO_US), ENGINE_PENDING);
	assert_int_equal(world->done_count, 0);
	assert_int_equal(engine_next_us(world->engine), MONO_US + TIMEOUT_US);
	answer(&world->fake, 0);

	assert_int_equal(world->done_count, 1);
	assert_int_equal(world->done_ids[0], 77);
	assert_true(world->last.allowed);
	assert_false(world->last.degraded);
	assert_int_equal(engine_next_us(world->engine), -1);
	engine_expire(world->engine, MONO_US + 10 * TIMEOUT_US);
	assert_int_equal(world->done_count, 1);
	world_free(world);
}

TEST(submit_answers_in_any_order_find_their_asker)
{
	struct world *world = world_new(WAITS, ON_ERROR_DENY, 16);

	for (uint64_t id = 0; id < 3; id++)
		assert_int_equal(ask_at(world, id, "192.0.2.1", MONO_US), ENGINE_PENDING);
	answer(&world->fake, 2);
	answer(&world->fake, 0);
	answer(&world->fake, 1);

	assert_int_equal(world->done_count, 3);
	assert_int_equal(world->done_ids[0], 2);
	assert_int_equal(world->done_ids[1], 0);
	assert_int_equal(world->done_ids[2], 1);
	world_free(world);
}

TEST(expire_before_the_deadline_does_nothing)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);

	(void)ask(world);
	engine_expire(world->engine, MONO_US + TIMEOUT_US - 1);
	assert_int_equal(world->done_count, 0);
	answer(&world->fake, 0);
	world_free(world);
}

TEST(expire_at_the_deadline_answers_by_on_error)
{
	static const struct {
		enum on_error on_error;
		bool allowed;
		enum reason reason;
	} cases[] = {
		{ON_ERROR_ALLOW, true, REASON_ERROR},
		{ON_ERROR_DENY, false, REASON_ERROR},
		{ON_ERROR_LOCAL, true, REASON_OK},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *world = world_new(WAITS, cases[i].on_error, 16);
		(void)ask(world);
		engine_expire(world->engine, MONO_US + TIMEOUT_US);
		assert_int_equal(world->done_count, 1);
		assert_int_equal(world->last.allowed, cases[i].allowed);
		assert_int_equal(world->last.reason, cases[i].reason);
		assert_true(world->last.degraded);
		answer(&world->fake, 0); /* late */
		assert_int_equal(world->done_count, 1);
		world_free(world);
	}
}

/* ---- what the store is told of those that are late ---- */

TEST(expire_tells_the_store_once_of_each_that_is_late)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);
	struct fake_store *fake = &world->fake;

	(void)ask_at(world, 0, "192.0.2.1", MONO_US);
	(void)ask_at(world, 1, "192.0.2.1", MONO_US);
	(void)ask_at(world, 2, "192.0.2.1", MONO_US + 1);
	engine_expire(world->engine, MONO_US + TIMEOUT_US - 1);
	assert_int_equal(fake->expired_count, 0);
	assert_int_equal(count_late(fake), 0);

	engine_expire(world->engine, MONO_US + TIMEOUT_US);
	assert_int_equal(fake->expired_count, 2);
	assert_int_equal(count_late(fake), 2);
	engine_expire(world->engine, MONO_US + TIMEOUT_US); /* of the same it is not told again */
	assert_int_equal(fake->expired_count, 2);
	engine_expire(world->engine, MONO_US + 10 * TIMEOUT_US);
	assert_int_equal(fake->expired_count, 3);

	/* The op is marked by then, and the time is the one that was given. */
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(fake->late_counts[i], i + 1);
	assert_int_equal(fake->expired_us[1], MONO_US + TIMEOUT_US);
	assert_int_equal(fake->expired_us[2], MONO_US + 10 * TIMEOUT_US);
	for (size_t i = 0; i < 3; i++)
		answer(fake, i);
	assert_int_equal(fake->expired_count, 3);
	world_free(world);
}

TEST(expire_does_not_tell_of_what_was_answered_in_time)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);

	for (uint64_t id = 0; id < 3; id++)
		(void)ask_at(world, id, "192.0.2.1", MONO_US);
	answer(&world->fake, 1);
	answer_error(&world->fake, 2, STORE_CONNECTION);
	engine_expire(world->engine, MONO_US + TIMEOUT_US);

	assert_int_equal(world->fake.expired_count, 1);
	answer(&world->fake, 0);
	world_free(world);
}

TEST(expire_does_not_tell_of_what_never_waited)
{
	struct world *world = world_new(FAILS_AT_ONCE, ON_ERROR_ALLOW, 16);

	(void)ask(world);
	world->fake.behaviour = ANSWERS_AT_ONCE;
	(void)ask(world);
	engine_expire(world->engine, MONO_US + 10 * TIMEOUT_US);

	assert_int_equal(world->fake.expired_count, 0);
	world_free(world);
}

/* That the asker is gone does not matter: the store did not answer in time. */
TEST(expire_tells_of_what_was_abandoned)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);

	(void)ask(world);
	engine_abandon(&world->open);
	engine_expire(world->engine, MONO_US + TIMEOUT_US);

	assert_int_equal(world->fake.expired_count, 1);
	assert_int_equal(world->done_count, 0);
	answer(&world->fake, 0);
	world_free(world);
}

/* A store that always answers at once has no use for it. */
TEST(expire_store_that_is_not_to_be_told_is_not)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);

	world->fake.store.expired = NULL;
	(void)ask(world);
	engine_expire(world->engine, MONO_US + TIMEOUT_US);

	assert_int_equal(world->done_count, 1);
	answer(&world->fake, 0);
	world_free(world);
}

TEST(on_error_local_counts_in_the_local_store)
{
	struct world *world = world_new(FAILS_AT_ONCE, ON_ERROR_LOCAL, 16);

	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask(world), ENGINE_DONE);
		assert_true(world->last.allowed && world->last.degraded);
		assert_int_equal(world->last.reason, REASON_OK);
	}
	assert_int_equal(ask(world), ENGINE_DONE);
	assert_false(world->last.allowed);
	assert_int_equal(world->last.reason, REASON_LIMITED);
	assert_true(world->last.degraded);
	world_free(world);
}

TEST(on_error_local_charges_nothing_when_another_check_denies)
{
	struct world *world = world_new(FAILS_AT_ONCE, ON_ERROR_LOCAL, 16);
	struct policies *policies = policies_of("deny", ON_ERROR_DENY);
	struct policy local = *policies_at(policies, 0);

	strcpy(local.name, "local");
	local.terms.on_error = ON_ERROR_LOCAL;
	assert_true(policies_add(policies, &local));
	struct policies *only_local = policies_new(ON_ERROR_LOCAL);
	assert_true(policies_add(only_local, &local));

	engine_set_policies(world->engine, policies);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(ask(world), ENGINE_DONE);
		assert_false(world->last.allowed);
		assert_int_equal(world->last.reason, REASON_ERROR);
	}
	engine_set_policies(world->engine, only_local);
	assert_int_equal(ask(world), ENGINE_DONE);
	assert_true(world->last.allowed);
	assert_int_equal(ask(world), ENGINE_DONE);
	assert_true(world->last.allowed); /* both of its two are there */
	policies_unref(policies);
	policies_unref(only_local);
	world_free(world);
}

TEST(store_that_fails_later_is_decided_by_on_error)
{
	struct world *world = world_new(WAITS, ON_ERROR_DENY, 16);

	(void)ask(world);
	answer_error(&world->fake, 0, STORE_CONNECTION);

	assert_int_equal(world->done_count, 1);
	assert_false(world->last.allowed);
	assert_int_equal(world->last.reason, REASON_ERROR);
	assert_int_equal(world->last.retry_after_us, 1000000);
	world_free(world);
}

TEST(store_that_never_answers_costs_slots_then_answers_at_once)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 4);

	for (uint64_t id = 0; id < 4; id++)
		assert_int_equal(ask_at(world, id, "192.0.2.1", MONO_US), ENGINE_PENDING);
	engine_expire(world->engine, MONO_US + TIMEOUT_US);
	assert_int_equal(world->done_count, 4);

	for (uint64_t id = 4; id < 50; id++) {
		assert_int_equal(ask_at(world, id, "192.0.2.1", MONO_US), ENGINE_DONE);
		assert_int_equal(world->last.reason, REASON_ERROR);
		assert_true(world->last.degraded);
	}
	assert_int_equal(world->fake.asked_count, 4);

	answer(&world->fake, 1); /* one slot is given back, so one may wait again */
	assert_int_equal(ask_at(world, 50, "192.0.2.1", MONO_US), ENGINE_PENDING);
	assert_int_equal(ask_at(world, 51, "192.0.2.1", MONO_US), ENGINE_DONE);
	for (size_t i = 0; i < 5; i++)
		if (i != 1)
			answer(&world->fake, i);
	world_free(world);
}

TEST(abandon_nobody_is_called_any_more)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);

	(void)ask_at(world, 1, "192.0.2.1", MONO_US);
	(void)ask_at(world, 2, "192.0.2.1", MONO_US);
	(void)ask_at(world, 3, "192.0.2.1", MONO_US);
	engine_abandon(&world->open);
	assert_true(list_is_empty(&world->open));
	answer(&world->fake, 0);
	engine_expire(world->engine, MONO_US + TIMEOUT_US);
	answer_error(&world->fake, 1, STORE_CONNECTION);
	answer(&world->fake, 2);

	assert_int_equal(world->done_count, 0);
	world_free(world);
}

TEST(set_policies_open_requests_keep_those_that_they_began_with)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);
	struct policies *second = policies_of("second", ON_ERROR_ALLOW);

	(void)ask(world);
	engine_set_policies(world->engine, second);
	policies_unref(second);
	(void)ask(world);
	answer(&world->fake, 0);
	assert_string_equal(world->last_policy, "first");
	answer(&world->fake, 1);
	assert_string_equal(world->last_policy, "second");
	world_free(world);
}

/* ---- shadow and blocked ---- */

static const struct terms limits = {.on_error = ON_ERROR_ALLOW},
			  denies = {.on_error = ON_ERROR_DENY},
			  local = {.on_error = ON_ERROR_LOCAL}, blocks = {.is_blocked = true},
			  shadow = {.is_shadow = true},
			  local_shadow = {.on_error = ON_ERROR_LOCAL, .is_shadow = true};

/* Policies a, b and so on of such terms, up to NULL, take the place of what was there. */
static void set_terms(struct world *world, const struct terms *const *terms)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	char name[] = "a";

	for (; *terms != NULL; terms++, name[0]++)
		add_policy(policies, name, **terms);
	engine_set_policies(world->engine, policies);
	policies_unref(policies);
}
#define SET_TERMS(world, ...) set_terms(world, (const struct terms *const[]){__VA_ARGS__, NULL})

static const struct tally *tally_of(const struct world *world, size_t position)
{
	return policies_at(engine_policies(world->engine), position)->tally;
}

TEST(submit_nothing_but_blocked_does_not_ask_the_store)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);

	SET_TERMS(world, &blocks, &blocks);
	assert_int_equal(ask(world), ENGINE_DONE);

	assert_false(world->last.allowed || world->last.degraded);
	assert_int_equal(world->last.reason, REASON_BLOCKED);
	assert_int_equal(world->last.retry_after_us, -1);
	assert_int_equal(world->fake.asked_count, 0);
	assert_int_equal(tally_of(world, 0)->checks[TALLY_DENIED], 1);
	assert_int_equal(tally_of(world, 0)->requests_blocked[SOURCE_SPOP], 1);
	assert_int_equal(tally_of(world, 1)->checks[TALLY_DENIED], 1);
	world_free(world);
}

TEST(submit_blocked_makes_the_others_look_only)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);

	SET_TERMS(world, &limits, &blocks, &shadow);
	assert_int_equal(ask(world), ENGINE_PENDING);

	const struct store_op *op = world->fake.asked[0];
	assert_int_equal(op->count, 2);
	assert_int_equal(op->shadow, 1);
	assert_true(op->is_denied);
	assert_string_equal(op->checks[0]->policy->name, "a");
	answer(&world->fake, 0);
	assert_int_equal(world->last.reason, REASON_BLOCKED);
	assert_string_equal(world->last_policy, "b");
	world_free(world);
}

TEST(submit_blocked_in_shadow_denies_nothing)
{
	static const struct terms blocks_in_shadow = {.is_blocked = true, .is_shadow = true};
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);

	SET_TERMS(world, &limits, &blocks_in_shadow);
	assert_int_equal(ask(world), ENGINE_PENDING);

	assert_false(world->fake.asked[0]->is_denied);
	answer(&world->fake, 0);
	assert_true(world->last.allowed);
	assert_int_equal(world->last.reason, REASON_SHADOW);
	assert_int_equal(tally_of(world, 1)->checks[TALLY_SHADOW_DENIED], 1);
	world_free(world);
}

/* They hold slots as long as the request waits: a store that is dead must not use up all. */
TEST(submit_blocked_counts_in_flight_with_those_that_wait)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 40);

	SET_TERMS(world, &blocks, &blocks, &blocks, &blocks, &blocks, &blocks, &blocks, &blocks,
		  &blocks, &blocks, &blocks, &blocks, &blocks, &blocks, &blocks, &limits);
	assert_int_equal(ask(world), ENGINE_PENDING);
	assert_int_equal(ask(world), ENGINE_PENDING);
	assert_int_equal(engine_stats(world->engine).in_flight, 32);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(ask(world), ENGINE_DONE);
		assert_int_equal(world->last.reason, REASON_BLOCKED);
		assert_true(world->last.degraded);
	}
	assert_int_equal(engine_stats(world->engine).full, 10);

	answer(&world->fake, 0);
	assert_int_equal(engine_stats(world->engine).in_flight, 16);
	assert_int_equal(ask(world), ENGINE_PENDING);
	answer(&world->fake, 1);
	answer(&world->fake, 2);
	assert_int_equal(engine_stats(world->engine).in_flight, 0);
	world_free(world);
}

TEST(submit_those_in_shadow_stand_behind_the_others)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);
	char names[5] = "";

	SET_TERMS(world, &shadow, &limits, &shadow, &denies);
	assert_int_equal(ask(world), ENGINE_PENDING);

	const struct store_op *op = world->fake.asked[0];
	for (size_t i = 0; i < op->count; i++)
		names[i] = op->checks[i]->policy->name[0];
	assert_string_equal(names, "bdac");
	assert_int_equal(op->shadow, 2);
	assert_false(op->is_denied);
	answer(&world->fake, 0);
	world_free(world);
}

/* What the store says of the checks of an op: a letter each. */
static void answer_each(struct fake_store *fake, size_t index, const char *answers)
{
	struct store_op *op = fake->asked[index];

	assert_int_equal(strlen(answers), op->count);
	fake->asked[index] = NULL;
	for (size_t i = 0; i < op->count; i++) {
		struct check *check = op->checks[i];
		check->is_decided = answers[i] != 'e';
		check->error = answers[i] == 'e' ? STORE_OTHER : STORE_OK;
		check->outcome = answers[i] == 'p'
					 ? (struct outcome){.allowed = true, .remaining = 7}
					 : (struct outcome){.retry_after_us = 1000};
	}
	op->answered(op);
}

TEST(answered_shadow_that_would_deny_denies_nothing)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);

	SET_TERMS(world, &limits, &shadow);
	(void)ask(world);
	answer_each(&world->fake, 0, "pd");

	assert_true(world->last.allowed);
	assert_int_equal(world->last.reason, REASON_SHADOW);
	assert_string_equal(world->last_policy, "b");
	assert_int_equal(tally_of(world, 0)->checks[TALLY_ALLOWED], 1);
	assert_int_equal(tally_of(world, 1)->checks[TALLY_SHADOW_DENIED], 1);
	assert_int_equal(tally_of(world, 1)->checks[TALLY_DENIED], 0);
	assert_int_equal(tally_of(world, 1)->requests_allowed[SOURCE_SPOP], 1);
	world_free(world);
}

TEST(answered_shadow_that_failed_alone_degrades)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);

	SET_TERMS(world, &denies, &shadow);
	(void)ask(world);
	answer_each(&world->fake, 0, "pe");

	assert_true(world->last.allowed && world->last.degraded);
	assert_int_equal(world->last.reason, REASON_OK);
	assert_int_equal(tally_of(world, 1)->checks[TALLY_ERROR], 1);
	world_free(world);
}

TEST(answered_what_the_store_decided_is_not_asked_locally)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);

	SET_TERMS(world, &local, &shadow);
	(void)ask(world);
	answer_each(&world->fake, 0, "pe");

	assert_int_equal(memory_store_stats(world->local).balances, 0);
	world_free(world);
}

/* How much the local store has left of the second policy, which is in shadow there. */
static int64_t remaining_locally(struct world *world)
{
	world->fake.behaviour = FAILS_AT_ONCE;
	SET_TERMS(world, &limits, &local_shadow);
	struct inquiry *inquiry = engine_begin(world->engine);
	struct attribute items[] = {{BYTES("src"), value_text(BYTES("192.0.2.1"))},
				    {BYTES("cost"), value_integer(0)}};
	struct asker asker = {.done = on_done, .open = &world->open, .owner = world};
	engine_add(inquiry, &(struct attributes){items, 2});
	assert_int_equal(engine_submit(inquiry, &asker, NOW_US, MONO_US), ENGINE_DONE);
	assert_int_equal(engine_request(inquiry)->checks[1]->error, STORE_CONNECTION);
	assert_true(engine_request(inquiry)->checks[1]->is_decided);
	int64_t remaining = engine_request(inquiry)->checks[1]->outcome.remaining;
	engine_end(inquiry);
	return remaining;
}

TEST(answered_shadow_that_failed_is_decided_locally)
{
	static const struct {
		const char *answers;
		bool allowed;
		int64_t left; /* it is charged if the request is allowed */
	} cases[] = {{"pe", true, 1}, {"de", false, 2}, {"ee", true, 1}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);
		SET_TERMS(world, &limits, &local_shadow);
		(void)ask(world);
		answer_each(&world->fake, 0, cases[i].answers);
		assert_int_equal(world->last.allowed, cases[i].allowed);
		assert_true(world->last.degraded);
		assert_int_equal(tally_of(world, 1)->checks[TALLY_ALLOWED], 1);
		assert_int_equal(remaining_locally(world), cases[i].left);
		world_free(world);
	}
}

/* Denied by what it is blocked by, or by on_error: the local store charges neither of them. */
TEST(on_error_local_charges_nothing_of_what_is_denied)
{
	const struct terms *const deniers[] = {&blocks, &denies};

	for (size_t i = 0; i < ARRAY_SIZE(deniers); i++) {
		struct world *world = world_new(FAILS_AT_ONCE, ON_ERROR_ALLOW, 16);
		SET_TERMS(world, &local, &local_shadow, deniers[i]);
		for (int k = 0; k < 3; k++) {
			assert_int_equal(ask(world), ENGINE_DONE);
			assert_false(world->last.allowed);
		}
		assert_int_equal(tally_of(world, 0)->checks[TALLY_ALLOWED], 3);
		assert_int_equal(tally_of(world, 1)->checks[TALLY_ALLOWED], 3);
		assert_int_equal(remaining_locally(world), 2);
		world_free(world);
	}
}

/* In shadow it would be denied by on_error: that stops nothing. */
TEST(on_error_deny_in_shadow_stops_nothing)
{
	static const struct terms denies_in_shadow = {.on_error = ON_ERROR_DENY, .is_shadow = true};
	struct world *world = world_new(FAILS_AT_ONCE, ON_ERROR_ALLOW, 16);

	SET_TERMS(world, &denies_in_shadow, &local_shadow);
	assert_int_equal(ask(world), ENGINE_DONE);

	assert_true(world->last.allowed && world->last.degraded);
	assert_int_equal(world->last.reason, REASON_SHADOW);
	assert_int_equal(remaining_locally(world), 1);
	world_free(world);
}

TEST(expire_blocked_stays_blocked)
{
	struct world *world = world_new(WAITS, ON_ERROR_ALLOW, 16);

	SET_TERMS(world, &limits, &blocks);
	(void)ask(world);
	engine_expire(world->engine, MONO_US + TIMEOUT_US);

	assert_int_equal(world->done_count, 1);
	assert_int_equal(world->last.reason, REASON_BLOCKED);
	assert_true(world->last.degraded);
	assert_int_equal(engine_stats(world->engine).in_flight, 2);
	answer(&world->fake, 0);
	assert_int_equal(engine_stats(world->engine).in_flight, 0);
	world_free(world);
}

TEST(submit_invalid_message_is_answered_by_the_flag)
{
	static const enum on_error flags[] = {ON_ERROR_ALLOW, ON_ERROR_DENY, ON_ERROR_LOCAL};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		struct world *world = world_new(ANSWERS_AT_ONCE, flags[i], 16);
		struct inquiry *inquiry = engine_begin(world->engine);
		struct attribute bad = {BYTES("cost"), value_text(BYTES("x"))};
		struct attribute good = {BYTES("src"), value_text(BYTES("192.0.2.1"))};
		engine_add(inquiry, &(struct attributes){&bad, 1});
		engine_add(inquiry, &(struct attributes){&good, 1});
		struct asker asker = {.done = on_done, .open = &world->open, .owner = world};
		assert_int_equal(engine_submit(inquiry, &asker, NOW_US, MONO_US), ENGINE_DONE);
		assert_int_equal(engine_verdict(inquiry)->reason, REASON_INVALID);
		assert_int_equal(engine_verdict(inquiry)->allowed, flags[i] != ON_ERROR_DENY);
		/* Denied whole, it charges nobody; else the good message counts. */
		assert_int_equal(world->fake.asked_count, flags[i] != ON_ERROR_DENY);
		engine_end(inquiry);
		world_free(world);
	}
}
