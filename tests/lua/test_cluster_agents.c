/*
 * Several agents ask a real cluster at once, about a few balances that all of them share. Requests
 * over several slots are looked at, taken, and given back when one slot denies after all.
 *
 * Of each random schedule, when all requests are answered:
 *
 *     granted    what the allowed requests asked of a balance
 *     used       what the node says is used of it
 *     used < granted is a unit that was won, and used > granted a unit that was lost.
 *
 * No reply is lost here and no time passes within a schedule, so no unit may be lost either. More
 * is asked for than there is; so it shows, too, how much of a limit stays unused because requests
 * took from each other what they had to give back.
 *
 * CLUSTER_SCHEDULES of the environment is the number of schedules, 200 unless it is given.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "stage.h"
#include "support/chance.h"
#include "support/test.h"
#include "unit/store/contract.h"

#define AGENTS   4
#define KEYS     3
#define OPEN_MAX 24 /* requests at once */
#define REQUESTS 120
#define LIMIT    50
#define START_US INT64_C(1700000000000000)

struct agents {
	struct stage *stage;
	struct store *stores[AGENTS];
	struct chance chance;
	char keys[KEYS][64];
	struct quota quota;
	int64_t granted[KEYS], asked[KEYS];
	int64_t allowed, denied, given_back; /* requests */
	size_t open;
};

struct asking {
	struct store_op op;
	struct agents *agents;
	struct check checks[KEYS];
	struct check *pointers[KEYS];
	size_t key[KEYS]; /* of each check */
	bool is_open, has_taken;
};

static void on_seen(struct store_op *op, const struct check *check, const struct balance *balance,
		    bool is_charged, int64_t now_us)
{
	struct asking *asking = CONTAINER_OF(op, struct asking, op);

	(void)check, (void)balance, (void)now_us;
	asking->has_taken = asking->has_taken || is_charged;
}

static void on_answered(struct store_op *op)
{
	struct asking *asking = CONTAINER_OF(op, struct asking, op);
	struct agents *agents = asking->agents;
	bool is_allowed = true;

	asking->is_open = false;
	agents->open--;
	for (size_t i = 0; i < op->count; i++) {
		assert_int_equal(asking->checks[i].error, STORE_OK);
		is_allowed = is_allowed && asking->checks[i].outcome.allowed;
	}
	agents->allowed += is_allowed;
	agents->denied += !is_allowed;
	agents->given_back += !is_allowed && asking->has_taken;
	for (size_t i = 0; i < op->count && is_allowed; i++)
		agents->granted[asking->key[i]] += asking->checks[i].cost;
}

static void ask_once(struct agents *agents, struct asking *asking)
{
	struct store *store = agents->stores[chance_between(&agents->chance, 0, AGENTS - 1)];
	size_t first = (size_t)chance_between(&agents->chance, 0, KEYS - 1);
	size_t count = (size_t)chance_between(&agents->chance, 1, KEYS);

	asking->agents = agents;
	asking->op = (struct store_op){.checks = asking->pointers,
				       .count = count,
				       .now_us = START_US,
				       .answered = on_answered,
				       .seen = on_seen};
	for (size_t i = 0; i < count; i++) {
		size_t key = (first + i) % KEYS;
		struct check *check =
			check_make(&asking->checks[i], agents->keys[key], &agents->quota,
				   chance_between(&agents->chance, 1, 2));
		asking->key[i] = key;
		asking->pointers[i] = check;
		agents->asked[key] += check->cost;
	}
	asking->is_open = true;
	asking->has_taken = false;
	agents->open++;
	assert_int_equal(store_ask(store, &asking->op), STORE_PENDING);
}

/* Asks a few at a time, while others are on their way. */
static void play(struct agents *agents)
{
	static struct asking askings[OPEN_MAX];
	int left = REQUESTS;

	memset(agents->granted, 0, sizeof agents->granted);
	memset(agents->asked, 0, sizeof agents->asked);
	while (left > 0 || agents->open > 0) {
		for (int i = 0; i < OPEN_MAX && left > 0; i++) {
			if (askings[i].is_open || chance_is_one_in(&agents->chance, 3))
				continue;
			ask_once(agents, &askings[i]);
			left--;
		}
		stage_turn(agents->stage);
	}
}

static int64_t used_of(struct agents *agents, size_t key)
{
	struct outcome outcome =
		stage_ask_one(agents->stage, agents->keys[key], &agents->quota, 0, START_US);

	return LIMIT - outcome.remaining;
}

static struct quota terms_of(enum algorithm algorithm)
{
	return algorithm == TOKEN_BUCKET
		       ? bucket_of(LIMIT, "1")
		       : window_of(algorithm, LIMIT, INT64_C(3600) * US_PER_SECOND);
}

static void open_agents(struct agents *agents)
{
	agents->stage = stage_new_cluster();
	for (size_t i = 0; i < AGENTS; i++)
		agents->stores[i] = stage_open_store(agents->stage);
}

static void close_agents(struct agents *agents)
{
	for (size_t i = 0; i < AGENTS; i++)
		store_free(agents->stores[i]);
	stage_free(agents->stage);
}

static const struct {
	const char *name, *form; /* of a key: the schedule, and a number */
	bool is_one_slot;
} places[] = {
	{"agents over several slots win no unit and lose none", "%d:%d", false},
	{"agents in one slot win no unit and lose none", "{%d}:%d", true},
};

TEST_ROWS(places)
{
	struct agents agents = {.chance = {1}};
	int64_t granted = 0, limits = 0, schedules = environment_number("CLUSTER_SCHEDULES", 200);

	open_agents(&agents);
	for (int schedule = 0; schedule < schedules; schedule++) {
		agents.quota = terms_of((enum algorithm)(schedule % ALGORITHM_COUNT));
		for (int key = 0; key < KEYS; key++)
			snprintf(agents.keys[key], sizeof agents.keys[key], row->form, schedule,
				 key);
		play(&agents);
		for (size_t key = 0; key < KEYS; key++) {
			int64_t used = used_of(&agents, key);
			assert_int_equal(used, agents.granted[key]);
			assert_in_range(used, 0, LIMIT);
			/* A single unit may stay of which nobody asked alone. */
			limits += agents.asked[key] >= 2 * LIMIT ? LIMIT : 0;
			granted += agents.asked[key] >= 2 * LIMIT ? used : 0;
		}
	}

	print_message("%" PRId64 " schedules: %" PRId64 " requests allowed, %" PRId64
		      " denied, of which %" PRId64 " gave back; %.4f of the limits was granted\n",
		      schedules, agents.allowed, agents.denied, agents.given_back,
		      (double)granted / (double)limits);
	assert_true(agents.denied > 0 && limits > 0);
	assert_true((agents.given_back > 0) == !row->is_one_slot);
	if (row->is_one_slot)
		assert_true(granted * 100 >= limits * 98);
	close_agents(&agents);
}
