/*
 * First what one agent does, with times worked by hand. At the end a hundred agents and a server
 * walk at random, with delays, lost replies, agents that die and a server's clock that is not
 * exact; and at each unit that is spent it is checked that all agents together keep the limit.
 *
 * LEASES_STEPS and LEASES_SEED change how long and how the walk goes.
 */
#include "store/leases.h"

#include <string.h>

#include <sodium.h>

#include "base/least.h"
#include "contract.h"
#include "support/chance.h"
#include "support/test.h"

#define SECOND   INT64_C(1000000)
#define MS       INT64_C(1000)
#define NS       INT64_C(1000) /* in a microsecond */
#define EPOCH_US INT64_C(1700000000000000)
#define LEASE_US (100 * MS)

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

/* ---- one agent ---- */

static struct leases *leases;
static struct policy policy;

BEFORE_EACH
{
	leases = leases_new();
	assert_non_null(leases);
	policy.terms.lease_us = LEASE_US;
}

AFTER_EACH
{
	leases_free(leases);
	leases = NULL;
}

static struct check *make(struct check *check, const char *key, const struct quota *quota,
			  int64_t cost)
{
	check_make(check, key, quota, cost);
	check->terms = &policy.terms;
	return check;
}

static bool spend(struct check *check, int64_t at_us)
{
	struct store_op op = {.checks = &check, .count = 1};

	return leases_spend(leases, &op, at_us);
}

/* So many units were allowed in the lease's time before `at_us`. */
static void need(const struct check *check, int64_t units, int64_t at_us)
{
	struct check one = *check;

	one.cost = units;
	leases_note_need(leases, &one, at_us - LEASE_US);
}

static void answer(struct check *check, struct lease_part *part, int64_t got, int64_t asked_us,
		   int64_t at_us)
{
	check->is_decided = true;
	check->outcome = (struct outcome){.allowed = true, .remaining = 70, .reset_us = 5};
	part->got = got;
	part->got_us = EPOCH_US;
	leases_learn(leases, check, part, asked_us, at_us);
}

/* 40 units were needed, so 39 are held from `at_us` on. */
static void lease_40(struct check *check, int64_t at_us)
{
	need(check, 40, at_us);
	struct lease_part part = leases_begin(leases, check, false, at_us);
	assert_true(part.is_leased);
	assert_int_equal(part.wanted, 40);
	assert_int_equal(part.back, 0);
	answer(check, &part, 39, at_us, at_us);
}

static bool next_back(int64_t at_us, struct lease_back *ret_back)
{
	size_t looks_left = LEASES_MAX;

	return leases_next_back(leases, at_us, &looks_left, ret_back);
}

TEST(begin_of_a_balance_that_was_not_needed_lately_is_no_lease)
{
	struct quota quota = bucket_of(1000, "100");
	struct check check;

	make(&check, "a", &quota, 1);
	assert_false(leases_begin(leases, &check, false, SECOND).is_leased);
	need(&check, 40, 2 * SECOND);
	assert_false(leases_begin(leases, &check, false, 2 * SECOND + LEASE_US).is_leased);
}

TEST(begin_for_what_one_request_takes_is_no_lease)
{
	struct quota quota = bucket_of(1000, "100");
	struct check check;

	make(&check, "a", &quota, 5);
	need(&check, 5, SECOND);

	assert_false(leases_begin(leases, &check, false, SECOND).is_leased);
}

TEST(begin_takes_no_more_than_the_limit)
{
	struct quota quota = bucket_of(30, "100");
	struct check check;

	make(&check, "a", &quota, 1);
	need(&check, 40, SECOND);

	assert_int_equal(leases_begin(leases, &check, false, SECOND).wanted, 30);
}

TEST(begin_while_another_question_is_under_way_is_no_lease)
{
	struct quota quota = bucket_of(1000, "100");
	struct check check;

	make(&check, "a", &quota, 1);
	need(&check, 40, SECOND);

	assert_true(leases_begin(leases, &check, false, SECOND).is_leased);
	assert_false(leases_begin(leases, &check, false, SECOND).is_leased);
}

TEST(spend_takes_what_is_held_and_no_more)
{
	struct quota quota = bucket_of(1000, "100");
	struct check check;

	make(&check, "a", &quota, 1);
	lease_40(&check, SECOND);

	for (int i = 0; i < 39; i++) {
		assert_true(spend(&check, SECOND + 1));
		assert_true(check.outcome.allowed);
		assert_int_equal(check.outcome.remaining, 70 - i - 1);
		assert_int_equal(check.outcome.reset_us, 5);
	}
	assert_false(spend(&check, SECOND + 1));
	assert_false(leases_are_held(leases));
}

TEST(spend_more_than_is_held_takes_nothing)
{
	struct quota quota = bucket_of(1000, "100");
	struct check check;

	make(&check, "a", &quota, 1);
	lease_40(&check, SECOND);
	check.cost = 40;
	assert_false(spend(&check, SECOND + 1));
	check.cost = 39;
	assert_true(spend(&check, SECOND + 1));
}

TEST(spend_after_the_lease_is_refused)
{
	struct quota quota = bucket_of(1000, "100");
	struct check check;
	int64_t sure_us = (LEASE_US - 3) * 1000 / 1001;

	make(&check, "a", &quota, 1);
	lease_40(&check, SECOND);

	assert_true(spend(&check, SECOND + sure_us - 1));
	assert_false(spend(&check, SECOND + sure_us));
}

TEST(spend_after_the_window_is_refused)
{
	struct quota quota = window_of(FIXED_WINDOW, 1000, 10 * SECOND);
	struct check check;
	struct lease_part part;

	make(&check, "a", &quota, 1);
	need(&check, 40, SECOND);
	part = leases_begin(leases, &check, false, SECOND);
	check.is_decided = true;
	check.outcome.allowed = true;
	part.got = 39;
	part.got_us = EPOCH_US + 10 * SECOND - 20 * MS;
	leases_learn(leases, &check, &part, SECOND, SECOND);

	assert_true(spend(&check, SECOND + 19 * MS));
	assert_false(spend(&check, SECOND + 20 * MS));
}

TEST(spend_of_a_request_with_a_check_that_has_no_units_changes_nothing)
{
	struct quota quota = bucket_of(1000, "100");
	struct check a, b;
	struct check *both[] = {&a, &b};
	struct store_op op = {.checks = both, .count = 2};

	make(&a, "a", &quota, 1);
	make(&b, "b", &quota, 1);
	lease_40(&a, SECOND);
	assert_false(leases_spend(leases, &op, SECOND + 1));
	a.cost = 39;
	assert_true(spend(&a, SECOND + 1));
}

TEST(spend_of_a_request_with_all_units_takes_them_all)
{
	struct quota quota = bucket_of(1000, "100");
	struct check a, b;
	struct check *both[] = {&a, &b};
	struct store_op op = {.checks = both, .count = 2};

	make(&a, "a", &quota, 1);
	make(&b, "b", &quota, 2);
	lease_40(&a, SECOND);
	lease_40(&b, SECOND);
	for (int i = 0; i < 19; i++)
		assert_true(leases_spend(leases, &op, SECOND + 1));
	assert_false(leases_spend(leases, &op, SECOND + 1));
}

TEST(spend_of_a_look_a_denied_request_and_a_check_in_shadow_takes_nothing)
{
	struct quota quota = bucket_of(1000, "100");
	struct check check;
	struct check *one = make(&check, "a", &quota, 39);
	struct store_op op = {.checks = &one, .count = 1, .is_look = true};

	check.cost = 1;
	lease_40(&check, SECOND);
	check.cost = 39;
	assert_true(leases_spend(leases, &op, SECOND + 1));
	op.is_look = false;
	op.is_denied = true;
	assert_false(leases_spend(leases, &op, SECOND + 1));
	op.is_denied = false;
	op.shadow = 1;
	assert_false(leases_spend(leases, &op, SECOND + 1));
	op.shadow = 0;
	assert_true(leases_spend(leases, &op, SECOND + 1));
}

TEST(begin_gives_back_what_is_held)
{
	struct quota quota = bucket_of(1000, "100");
	struct check check;

	make(&check, "a", &quota, 1);
	lease_40(&check, SECOND);
	assert_true(spend(&check, SECOND + 1));

	struct lease_part look = leases_begin(leases, &check, true, SECOND + LEASE_US);
	assert_int_equal(look.back, 38);
	assert_int_equal(look.wanted, 0);
	struct lease_part part = leases_begin(leases, &check, false, SECOND + LEASE_US);
	assert_int_equal(part.back, 38);
	assert_int_equal(part.back_taken_us, EPOCH_US);
	assert_false(leases_are_held(leases));
	leases_undo(leases, &check, &part, SECOND + LEASE_US);
	assert_true(leases_are_held(leases));
	assert_int_equal(leases_begin(leases, &check, false, SECOND + LEASE_US).back, 38);
}

TEST(next_back_comes_after_the_lease_once)
{
	struct quota quota = bucket_of(1000, "100");
	struct check check;
	struct lease_back back;

	make(&check, "a", &quota, 1);
	lease_40(&check, SECOND);

	assert_false(next_back(SECOND + LEASE_US, &back));
	assert_true(next_back(SECOND + LEASE_US + 3 * LEASES_GRACE_US, &back));
	assert_int_equal(back.units, 39);
	assert_int_equal(back.taken_us, EPOCH_US);
	assert_int_equal(back.key_len, 1);
	assert_memory_equal(back.key, "a", 1);
	assert_int_equal(back.quota.limit, 1000);
	assert_false(next_back(9 * SECOND, &back));
	assert_false(leases_are_held(leases));
}

TEST(next_back_that_could_not_be_sent_comes_again)
{
	struct quota quota = bucket_of(1000, "100");
	struct check check;
	struct lease_back back;

	make(&check, "a", &quota, 1);
	lease_40(&check, SECOND);
	assert_true(next_back(2 * SECOND, &back));
	leases_hold_back(leases, &back, 2 * SECOND);

	assert_false(spend(&check, 2 * SECOND));
	assert_false(next_back(2 * SECOND, &back));
	assert_true(next_back(2 * SECOND + 3 * LEASES_GRACE_US, &back));
	assert_int_equal(back.units, 39);
}

TEST(next_back_of_a_window_that_is_over_is_nothing)
{
	struct quota quota = window_of(FIXED_WINDOW, 1000, 50 * MS);
	struct check check;
	struct lease_back back;

	make(&check, "a", &quota, 1);
	lease_40(&check, SECOND);
	assert_true(leases_are_held(leases));
	assert_false(next_back(2 * SECOND, &back));
	assert_false(leases_are_held(leases));
}

TEST(forget_drops_units_and_what_is_under_way)
{
	struct quota quota = bucket_of(1000, "100");
	struct check a, b;

	make(&a, "a", &quota, 1);
	make(&b, "b", &quota, 1);
	lease_40(&a, SECOND);
	need(&b, 40, SECOND);
	struct lease_part part = leases_begin(leases, &b, false, SECOND);
	leases_forget(leases);

	assert_false(leases_are_held(leases));
	assert_false(spend(&a, SECOND + 1));
	need(&b, 40, SECOND);
	struct lease_part later = leases_begin(leases, &b, false, SECOND);
	answer(&b, &part, 39, SECOND, SECOND);
	assert_false(spend(&b, SECOND + 1));
	answer(&b, &later, 39, SECOND, SECOND);
	assert_true(spend(&b, SECOND + 1));
}

TEST(balances_of_more_keys_than_fit_are_asked)
{
	struct quota quota = bucket_of(1000, "100");
	struct check check;
	char key[16];
	size_t held = 0;

	for (int i = 0; i < 3 * LEASES_MAX; i++) {
		snprintf(key, sizeof key, "k%d", i);
		make(&check, key, &quota, 1);
		need(&check, 40, SECOND);
		struct lease_part part = leases_begin(leases, &check, false, SECOND);
		if (!part.is_leased)
			continue;
		answer(&check, &part, 39, SECOND, SECOND);
		held++;
	}
	assert_true(held <= LEASES_MAX);
	assert_true(held > LEASES_MAX / 2);
	struct lease_back back;
	size_t given = 0;
	while (next_back(2 * SECOND, &back))
		given++;
	assert_int_equal(given, held);
}

/* Holds units of so many balances as fit, all of one window; returns of how many. */
static size_t lease_all(const struct quota *quota)
{
	struct check check;
	char key[16];
	size_t held = 0;

	for (int i = 0; i < 2 * LEASES_MAX; i++) {
		snprintf(key, sizeof key, "k%d", i);
		make(&check, key, quota, 1);
		need(&check, 40, SECOND);
		struct lease_part part = leases_begin(leases, &check, false, SECOND);
		if (!part.is_leased)
			continue;
		answer(&check, &part, 39, SECOND, SECOND);
		held++;
	}
	return held;
}

TEST(next_back_looks_at_no_more_leases_than_it_may)
{
	struct quota quota = window_of(FIXED_WINDOW, 1000, 50 * MS);
	struct lease_back back;
	size_t held = lease_all(&quota), turns = 0;

	assert_true(held > LEASES_MAX / 2);
	while (leases_are_held(leases)) {
		size_t looks_left = 1000;
		assert_false(leases_next_back(leases, 2 * SECOND, &looks_left, &back));
		assert_true(looks_left == 0 || !leases_are_held(leases));
		turns++;
	}
	assert_int_equal(turns, (held + 999) / 1000);
}

TEST(next_back_counts_what_it_returns)
{
	struct quota quota = bucket_of(1000, "100");
	struct lease_back back;
	size_t held = lease_all(&quota), looks_left = 2;

	assert_true(leases_next_back(leases, 2 * SECOND, &looks_left, &back));
	assert_true(leases_next_back(leases, 2 * SECOND, &looks_left, &back));
	assert_false(leases_next_back(leases, 2 * SECOND, &looks_left, &back));
	looks_left = held;
	while (leases_next_back(leases, 2 * SECOND, &looks_left, &back))
		;
	assert_int_equal(looks_left, 2);
}

/* ---- the walk: time, and the server ---- */

#define AGENTS      100
#define KEYS        6
#define PENDING_MAX 256

static struct chance chance;
/* In nanoseconds: ours, and by how many the server's clock runs faster in a million. */
static int64_t now_ns, server_ns, server_drift;

static int64_t mono_us(void)
{
	return now_ns / NS;
}

static int64_t server_now_us(void)
{
	return EPOCH_US + server_ns / NS;
}

static struct walk_key {
	char name[2];
	struct policy policy;
	struct quota file;        /* as the policy file says */
	struct quota quota;       /* as it is kept */
	struct balance at_server; /* by `quota` */
	struct balance spent;     /* by `file`, of what clients really got, at that moment */
	bool is_there, is_spent;
} keys[KEYS];

static struct agent {
	struct leases *leases;
	unsigned life; /* grows when it dies, or its connection ends */
} agents[AGENTS];

static struct pending {
	bool is_open, is_back, is_served;
	size_t agent, key;
	unsigned life;
	struct check check;
	struct lease_part part;
	int64_t asked_us, arrives_ns, replies_ns;
} pendings[PENDING_MAX];

static struct walk_counts {
	uint64_t asked, spent, denied, backs, units;
} counts;

static void begin_key(struct walk_key *key, size_t i)
{
	static const enum algorithm algorithms[] = {TOKEN_BUCKET, FIXED_WINDOW,
						    SLIDING_WINDOW_COUNTER};
	int64_t lease_us = chance_between(&chance, 10 * MS, 200 * MS);

	*key = (struct walk_key){.name = {(char)('a' + i)}};
	do {
		key->file = quota_of(algorithms[i % ARRAY_SIZE(algorithms)],
				     chance_between(&chance, 2, 2000),
				     chance_between(&chance, 20 * MS, 3 * SECOND));
	} while (!quota_can_be_leased(&key->file, lease_us));
	key->quota = key->file;
	key->quota.limit -= quota_lease_units(&key->file, lease_us);
	key->policy.terms.lease_us = lease_us;
}

static void look_at(struct balance *balance, bool *is_there, const struct quota *quota)
{
	balance->is_new = !*is_there;
	*is_there = true;
	balance_look(balance, quota, server_now_us());
}

/* A client gets units now. All agents together keep what the policy file says. */
static void grant(struct walk_key *key, int64_t units)
{
	look_at(&key->spent, &key->is_spent, &key->file);
	if (units > balance_remaining(&key->spent, &key->file))
		fail_msg("%s: %lld units are granted, and %lld are left",
			 algorithm_name(key->file.algorithm), (long long)units,
			 (long long)balance_remaining(&key->spent, &key->file));
	if (units > 0)
		balance_take(&key->spent, &key->file, units);
	counts.units += (uint64_t)units;
}

/* What lua/main.lua does. */
static void serve(struct pending *pending)
{
	struct walk_key *key = &keys[pending->key];
	struct balance *balance = &key->at_server;
	const struct quota *quota = &key->quota;
	int64_t cost = pending->check.cost;

	pending->is_served = true;
	look_at(balance, &key->is_there, quota);
	if (pending->is_back) {
		balance_give_back(balance, quota, pending->part.back_taken_us, pending->part.back);
		return;
	}
	if (pending->part.is_leased && pending->part.back > 0)
		balance_give_back(balance, quota, pending->part.back_taken_us, pending->part.back);
	int64_t remaining = balance_remaining(balance, quota);
	pending->check.is_decided = true;
	pending->check.outcome.allowed = cost <= remaining;
	if (cost > remaining) {
		counts.denied++;
		return;
	}
	grant(key, cost);
	int64_t extra = least_i64(greatest_i64(pending->part.wanted - cost, 0), remaining - cost);
	if (cost + extra > 0)
		balance_take(balance, quota, cost + extra);
	pending->part.got = pending->part.is_leased ? extra : 0;
	pending->part.got_us = server_now_us();
	pending->check.outcome.remaining = remaining - cost;
}

static void hear(struct pending *pending)
{
	struct agent *agent = &agents[pending->agent];

	pending->is_open = false;
	if (pending->is_back || pending->life != agent->life)
		return;
	if (pending->check.outcome.allowed)
		leases_note_need(agent->leases, &pending->check, mono_us());
	if (pending->part.is_leased)
		leases_learn(agent->leases, &pending->check, &pending->part, pending->asked_us,
			     mono_us());
}

static int64_t next_ns(const struct pending *pending)
{
	return pending->is_served ? pending->replies_ns : pending->arrives_ns;
}

static void pass(int64_t ns)
{
	now_ns += ns;
	server_ns += ns + ns * server_drift / 1000000;
}

/* Lets what is under way arrive, each at its time. */
static void advance(int64_t ns)
{
	int64_t until_ns = now_ns + ns;

	for (;;) {
		struct pending *first = NULL;
		for (size_t i = 0; i < PENDING_MAX; i++)
			if (pendings[i].is_open && next_ns(&pendings[i]) <= until_ns &&
			    (first == NULL || next_ns(&pendings[i]) < next_ns(first)))
				first = &pendings[i];
		if (first == NULL)
			break;
		pass(greatest_i64(next_ns(first) - now_ns, 0));
		if (first->is_served)
			hear(first);
		else
			serve(first);
	}
	pass(until_ns - now_ns);
}

/* ---- the walk: agents ---- */

static int64_t longest_delay_us;
static size_t busy_agents, busy_key;

static struct pending *begin_pending(size_t agent, size_t key)
{
	for (size_t i = 0; i < PENDING_MAX; i++) {
		struct pending *pending = &pendings[i];
		if (pending->is_open)
			continue;
		pending->is_open = true;
		pending->is_back = pending->is_served = false;
		pending->agent = agent;
		pending->key = key;
		pending->life = agents[agent].life;
		pending->asked_us = mono_us();
		pending->arrives_ns = now_ns + chance_between(&chance, 0, longest_delay_us * NS);
		pending->replies_ns =
			pending->arrives_ns + chance_between(&chance, 0, longest_delay_us * NS);
		pending->part = (struct lease_part){0};
		return pending;
	}
	return NULL;
}

static void give_back_ended(size_t agent)
{
	size_t looks_left = (size_t)chance_between(&chance, 1, 16);
	struct lease_back back;

	while (leases_next_back(agents[agent].leases, mono_us(), &looks_left, &back)) {
		struct pending *pending = begin_pending(agent, (size_t)(back.key[0] - 'a'));
		if (pending == NULL) {
			leases_hold_back(agents[agent].leases, &back, mono_us());
			return;
		}
		pending->is_back = true;
		pending->part.back = back.units;
		pending->part.back_taken_us = back.taken_us;
		counts.backs++;
	}
}

/* Whether the agent held so many units, which are spent. */
static bool spend_here(size_t agent, size_t key, int64_t cost, struct check *check)
{
	struct store_op op = {.checks = &check, .count = 1};

	check_make(check, keys[key].name, &keys[key].quota, cost);
	check->terms = &keys[key].policy.terms;
	if (!leases_spend(agents[agent].leases, &op, mono_us()))
		return false;
	grant(&keys[key], cost);
	counts.spent++;
	return true;
}

static void request(size_t agent, size_t key, int64_t cost)
{
	struct check check;

	if (spend_here(agent, key, cost, &check))
		return;
	struct pending *pending = begin_pending(agent, key);
	if (pending == NULL)
		return;
	pending->check = check;
	pending->part = leases_begin(agents[agent].leases, &check, false, mono_us());
	counts.asked++;
	if (chance_is_one_in(&chance, 500) && pending->part.is_leased) {
		pending->is_open = false; /* the server could not be asked */
		leases_undo(agents[agent].leases, &check, &pending->part, mono_us());
	}
}

/* At one moment all agents spend what they hold of a balance, and then all that the server has. */
static void burst(size_t key)
{
	struct walk_key *at = &keys[key];
	struct check check;
	int64_t delay_us = longest_delay_us;

	for (size_t i = 0; i < AGENTS; i++)
		for (int64_t cost = at->quota.limit; cost > 0; cost /= 2)
			while (spend_here(i, key, cost, &check))
				;
	longest_delay_us = 0;
	for (int i = 0; i < 3; i++) {
		look_at(&at->at_server, &at->is_there, &at->quota);
		request(0, key, balance_remaining(&at->at_server, &at->quota));
		advance(NS);
	}
	longest_delay_us = delay_us;
}

static void walk_step(void)
{
	size_t agent = chance_bits(&chance) % busy_agents;
	size_t key = chance_is_one_in(&chance, 3) ? busy_key : chance_bits(&chance) % KEYS;

	switch (chance_bits(&chance) % 256) {
	case 0:
		server_drift = chance_between(&chance, -1000, 1000);
		break;
	case 1: /* it dies, or its connection ends */
		agents[agent].life++;
		leases_forget(agents[agent].leases);
		break;
	case 2:
		longest_delay_us =
			chance_between(&chance, 0, chance_is_one_in(&chance, 8) ? 20 * MS : MS);
		break;
	case 3:
		busy_agents = (size_t)chance_between(&chance, 1, AGENTS);
		if (chance_is_one_in(&chance, 2))
			busy_agents = (size_t)chance_between(&chance, 1, 4);
		busy_key = chance_bits(&chance) % KEYS;
		break;
	case 4:
		burst(key);
		break;
	case 5:
		advance(chance_between(&chance, 0, 100 * MS) * NS);
		break;
	default:
		advance(chance_between(&chance, 0, 400 * NS));
		give_back_ended(chance_bits(&chance) % AGENTS);
		request(agent, key,
			chance_is_one_in(&chance, 8) ? chance_between(&chance, 0, 20) : 1);
	}
}

/* Other numbers, so other balances. */
static void begin_anew(void)
{
	for (size_t i = 0; i < AGENTS; i++) {
		agents[i].life++;
		leases_forget(agents[i].leases);
	}
	advance(SECOND * NS); /* what is under way arrives */
	for (size_t i = 0; i < KEYS; i++)
		begin_key(&keys[i], i);
}

TEST(random_walk_of_a_hundred_agents_keeps_every_limit)
{
	int64_t steps = environment_number("LEASES_STEPS", 100000);

	chance.state = (uint64_t)environment_number("LEASES_SEED", 1);
	memset(&counts, 0, sizeof counts);
	memset(pendings, 0, sizeof pendings);
	now_ns = 77 * SECOND * NS;
	longest_delay_us = 300;
	busy_agents = 2;
	for (size_t i = 0; i < AGENTS; i++) {
		agents[i].leases = leases_new();
		assert_non_null(agents[i].leases);
	}
	for (int64_t i = 0; i < steps; i++) {
		if (i % 20000 == 0)
			begin_anew();
		walk_step();
	}

	print_message("# asked %llu, spent here %llu, denied %llu, given back %llu times, "
		      "%llu units\n",
		      (unsigned long long)counts.asked, (unsigned long long)counts.spent,
		      (unsigned long long)counts.denied, (unsigned long long)counts.backs,
		      (unsigned long long)counts.units);
	for (size_t i = 0; i < AGENTS; i++)
		leases_free(agents[i].leases);
	assert_true(counts.spent > (uint64_t)steps / 50);
	assert_true(counts.asked > (uint64_t)steps / 10);
	assert_true(counts.backs > (uint64_t)steps / 2000);
}
