/*
 * Several agents, each with a memory store that stands in for Redis, grant a share of what Redis
 * said. The tests compare what they grant together with what one limiter would.
 */
#include <sodium.h>

#include "contract.h"
#include "limit/share.h"
#include "store/memory.h"
#include "support/chance.h"
#include "support/test.h"

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

#define START_US   INT64_C(1700000000000000)
#define SECOND     INT64_C(1000000)
#define AGENTS_MAX 5

static struct store *make_agent(int64_t num, int64_t den)
{
	struct store *store = memory_store_new(1 << 20);

	memory_store_set_share(store, (struct ratio){num, den});
	return store;
}

static struct outcome stand_in(struct store *store, const struct quota *quota, int64_t cost,
			       int64_t now_us)
{
	struct check check;
	struct store_op op = {
		.checks = (struct check *[]){check_make(&check, "k", quota, cost)},
		.count = 1,
		.now_us = now_us,
		.is_stand_in = true,
	};

	assert_int_equal(store_ask(store, &op), STORE_DONE);
	assert_true(check.is_decided);
	return check.outcome;
}

/* Redis says at START_US that so many units are used, the oldest of them since `oldest_us`. */
static void say_used(struct store *store, const struct quota *quota, int64_t used,
		     int64_t oldest_us)
{
	struct log_excerpt excerpt;
	struct state_reply reply = {.now_us = START_US, .cost = 0, .excerpt = &excerpt};
	struct balance balance;
	struct check check;

	switch (quota->algorithm) {
	case TOKEN_BUCKET:
		reply.numbers[0] = (quota->limit - used) * quota->refill_us;
		reply.numbers[1] = START_US;
		break;
	case SLIDING_WINDOW:
		reply.numbers[0] = used;
		reply.numbers[1] = START_US;
		reply.numbers[2] = START_US - 1;
		reply.numbers[3] = reply.numbers[4] = used > 0 ? oldest_us : START_US - 1;
		break;
	case SLIDING_WINDOW_COUNTER:
		reply.numbers[1] = used;
		reply.numbers[2] = START_US;
		break;
	case FIXED_WINDOW:
		reply.numbers[0] = used;
		reply.numbers[1] = START_US;
		break;
	case ALGORITHM_COUNT:
		break;
	}
	assert_true(balance_read_reply(&balance, quota, &reply));
	store->keep(store, check_make(&check, "k", quota, 0), &balance, START_US);
}

static int64_t grant_all(struct store *store, const struct quota *quota, int64_t now_us)
{
	int64_t granted = 0;

	while (stand_in(store, quota, 1, now_us).allowed)
		granted++;
	return granted;
}

/* 20 units an hour; `later`: an hour and two after that, when all has refilled or left. */
static const struct granted {
	const char *name;
	int64_t num, den, used, at_once;
	bool is_unseen;
	int64_t later;
} granted_shares[] = {
	{"all of 12", 1, 1, 8, 12, false, 20},
	{"a quarter of 12", 1, 4, 8, 3, false, 5},
	{"a quarter of 11 is rounded down", 1, 4, 9, 2, false, 5},
	{"a quarter of 3 is none", 1, 4, 17, 0, false, 5},
	{"of none none", 1, 4, 20, 0, false, 5},
	{"three quarters of 2", 3, 4, 18, 1, false, 15},
	{"a quarter of all", 1, 4, 0, 5, false, 5},
	{"a quarter of a key that was never seen", 1, 4, 0, 5, true, 5},
	{"a hundredth of a key that was never seen is one", 1, 100, 0, 1, true, 1},
	{"a hundredth of 12 is none, and one of a new window", 1, 100, 8, 0, false, 1},
};
TEST_ROWS(granted_shares)
{
	for (int i = 0; i < ALGORITHM_COUNT; i++) {
		struct quota quota = quota_of((enum algorithm)i, 20, 3600 * SECOND);
		struct store *store = make_agent(row->num, row->den);
		/* A bucket of a hundredth that is not full has to refill by a hundredth of the
		 * rate. */
		int64_t later_us = algorithm_traits(quota.algorithm)->is_by_rate ? 200 : 2;
		if (!row->is_unseen)
			say_used(store, &quota, row->used, START_US - 1);

		assert_int_equal(stand_in(store, &quota, 0, START_US).remaining, row->at_once);
		assert_int_equal(grant_all(store, &quota, START_US), row->at_once);
		assert_int_equal(stand_in(store, &quota, 0, START_US + 1).remaining, 0);
		assert_int_equal(
			grant_all(store, &quota, START_US + 3600 * SECOND * later_us + SECOND),
			row->later);
		store_free(store);
	}
}

TEST(grants_are_taken_off_what_redis_says_again)
{
	for (int i = 0; i < ALGORITHM_COUNT; i++) {
		struct quota quota = quota_of((enum algorithm)i, 20, 36000 * SECOND);
		struct store *store = make_agent(1, 2);

		say_used(store, &quota, 8, START_US - 1);
		assert_true(stand_in(store, &quota, 4, START_US).allowed);
		say_used(store, &quota, 8, START_US - 1);
		assert_int_equal(stand_in(store, &quota, 0, START_US).remaining, 2);
		assert_true(stand_in(store, &quota, 2, START_US).allowed);
		say_used(store, &quota, 10, START_US - 1);

		assert_int_equal(stand_in(store, &quota, 0, START_US).remaining, 0);
		store_free(store);
	}
}

TEST(a_check_above_the_share_is_denied_until_redis_may_be_back)
{
	struct quota quota = quota_of(FIXED_WINDOW, 20, 60 * SECOND);
	struct store *store = make_agent(1, 4);

	struct outcome above_share = stand_in(store, &quota, 6, START_US);
	struct outcome above_limit = stand_in(store, &quota, 21, START_US);

	assert_false(above_share.allowed);
	assert_int_equal(above_share.retry_after_us, 60 * SECOND);
	assert_int_equal(above_limit.retry_after_us, -1);
	store_free(store);
}

/* What one limiter grants at most from START_US until `us` later, of which `used` were used. */
static int64_t most(const struct quota *quota, int64_t used, int64_t oldest_us, int64_t us)
{
	int64_t left = quota->limit - used;

	switch (quota->algorithm) {
	case TOKEN_BUCKET:
		return left + us * quota->refill_tokens / quota->refill_us;
	case SLIDING_WINDOW:
		/* One unit leaves at a time of its own; all others count until START_US - 1 has
		 * left. */
		if (us < quota->window_us - 1)
			return left + (used > 0 && us >= oldest_us + quota->window_us - START_US);
		return quota->limit * (2 + us / quota->window_us);
	case SLIDING_WINDOW_COUNTER:
	case FIXED_WINDOW:
		return left + quota->limit * ((START_US + us) / quota->window_us -
					      START_US / quota->window_us);
	case ALGORITHM_COUNT:
		break;
	}
	return 0;
}

/* The clients ask one agent or another for this or that, at random times, as much as there is. */
static void check_together(struct chance *chance, enum algorithm algorithm)
{
	int64_t agents = chance_between(chance, 1, AGENTS_MAX);
	struct quota quota = quota_of(algorithm, chance_between(chance, agents, 60),
				      chance_between(chance, 1, 100) * SECOND);
	int64_t used = chance_between(chance, 0, quota.limit);
	int64_t oldest_us = START_US - 1 - chance_between(chance, 0, quota_full_us(&quota) / 2);
	struct store *stores[AGENTS_MAX];
	int64_t granted = 0, us = 0;

	for (int64_t i = 0; i < agents; i++) {
		stores[i] = make_agent(1, agents);
		if (used > 0 || chance_is_one_in(chance, 2))
			say_used(stores[i], &quota, used, oldest_us);
	}
	for (int step = 0; step < 300; step++) {
		struct store *store = stores[chance_between(chance, 0, agents - 1)];
		int64_t cost = chance_between(chance, 1, 3);
		us += chance_between(chance, 0, quota_full_us(&quota) / 100);
		if (stand_in(store, &quota, cost, START_US + us).allowed)
			granted += cost;
		assert_true(granted <= most(&quota, used, oldest_us, us));
	}
	for (int64_t i = 0; i < agents; i++)
		store_free(stores[i]);
}

TEST(n_agents_with_an_nth_each_grant_together_what_one_limiter_would)
{
	struct chance chance = {2};
	int64_t rounds = environment_number("LOCAL_SHARE_ROUNDS", 300);

	for (int i = 0; i < ALGORITHM_COUNT; i++)
		for (int64_t n = 0; n < rounds; n++)
			check_together(&chance, (enum algorithm)i);
}
