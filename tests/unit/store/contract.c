#include "contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "limit/request.h"
#include "support/test.h"

#define START_US INT64_C(1700000000000000)
#define SECOND   INT64_C(1000000)

static const struct store_under_test *tested;
static const struct policy test_policy = {.name = "test"};

struct check *check_make(struct check *check, const char *key, const struct quota *quota,
			 int64_t cost)
{
	memset(check, 0, sizeof *check);
	check->policy = &test_policy;
	check->terms = &test_policy.terms;
	check->is_shadow = false;
	check->quota = quota;
	check->cost = cost;
	check->key_len = strlen(key);
	memcpy(check->key, key, check->key_len);
	check_set_hash(check);
	return check;
}

struct quota bucket_of(int64_t capacity, const char *rate)
{
	struct quota quota;
	struct ratio ratio;
	struct err err;

	assert_true(refill_rate_parse(bytes_from_text(rate), &ratio));
	assert_true(quota_set_bucket(&quota, TOKEN_BUCKET, capacity, ratio, &err));
	return quota;
}

struct quota window_of(enum algorithm algorithm, int64_t limit, int64_t window_us)
{
	struct quota quota;
	struct err err;

	assert_true(quota_set_window(&quota, algorithm, limit, window_us, &err));
	return quota;
}

struct quota quota_of(enum algorithm algorithm, int64_t limit, int64_t full_us)
{
	struct quota quota;
	struct err err;

	if (!algorithm_traits(algorithm)->is_by_rate)
		return window_of(algorithm, limit, full_us);
	struct ratio rate = {limit, full_us};
	assert_true(ratio_multiply(rate, (struct ratio){1, 1}, &rate)); /* in lowest terms */
	assert_true(quota_set_bucket(&quota, algorithm, limit, rate, &err));
	return quota;
}

static void answered_once(struct store_op *op)
{
	op->answered = NULL; /* a second call would crash */
}

static void ask_op(struct store *store, struct store_op op)
{
	op.answered = answered_once;
	if (store_ask(store, &op) == STORE_PENDING)
		tested->await(store, &op);
}

void ask(struct store *store, struct check *const *checks, size_t count, int64_t now_us)
{
	ask_op(store, (struct store_op){.checks = checks, .count = count, .now_us = now_us});
}

static struct outcome ask_one(struct store *store, const char *key, const struct quota *quota,
			      int64_t cost, int64_t now_us)
{
	struct check check;

	ask(store, (struct check *[]){check_make(&check, key, quota, cost)}, 1, now_us);
	assert_true(check.is_decided);
	assert_int_equal(check.error, STORE_OK);
	return check.outcome;
}

static const struct quota *quotas(size_t *ret_count)
{
	static struct quota all[ALGORITHM_COUNT];

	for (size_t i = 0; i < ALGORITHM_COUNT; i++)
		all[i] = quota_of((enum algorithm)i, 3, 3 * SECOND);
	*ret_count = ALGORITHM_COUNT;
	return all;
}

static void test_ask_up_to_the_limit_is_allowed_then_denied(TEST_STATE)
{
	struct store *store = tested->make();
	size_t count;
	const struct quota *all = quotas(&count);

	for (size_t i = 0; i < count; i++) {
		const char *key = algorithm_name(all[i].algorithm);
		for (int64_t left = 2; left >= 0; left--) {
			struct outcome outcome = ask_one(store, key, &all[i], 1, START_US);
			assert_true(outcome.allowed);
			assert_int_equal(outcome.remaining, left);
		}
		struct outcome denied = ask_one(store, key, &all[i], 1, START_US);
		assert_false(denied.allowed);
		assert_true(denied.retry_after_us > 0);
	}
	store_free(store);
}

static void test_ask_after_retry_after_is_allowed_and_before_denied(TEST_STATE)
{
	struct store *store = tested->make();
	size_t count;
	const struct quota *all = quotas(&count);

	for (size_t i = 0; i < count; i++) {
		const char *key = algorithm_name(all[i].algorithm);
		(void)ask_one(store, key, &all[i], 3, START_US + 12345);
		int64_t wait_us = ask_one(store, key, &all[i], 2, START_US + 12345).retry_after_us;
		int64_t then_us = START_US + 12345 + wait_us;
		assert_false(ask_one(store, key, &all[i], 2, then_us - 1).allowed);
		assert_true(ask_one(store, key, &all[i], 2, then_us).allowed);
	}
	store_free(store);
}

static void test_ask_one_denied_charges_none_of_the_others(TEST_STATE)
{
	struct store *store = tested->make();
	struct quota wide = bucket_of(10, "1"), narrow = bucket_of(1, "1");
	struct check a, b;
	struct check *const both[] = {&a, &b};

	check_make(&a, "wide", &wide, 1);
	check_make(&b, "narrow", &narrow, 1);
	ask(store, both, 2, START_US);
	assert_true(a.outcome.allowed && b.outcome.allowed);
	check_make(&a, "wide", &wide, 1);
	check_make(&b, "narrow", &narrow, 1);
	ask(store, both, 2, START_US);

	assert_true(a.outcome.allowed);
	assert_false(b.outcome.allowed);
	assert_int_equal(a.outcome.remaining, 9);
	assert_int_equal(ask_one(store, "wide", &wide, 0, START_US).remaining, 9);
	store_free(store);
}

static void test_ask_cost_zero_takes_nothing(TEST_STATE)
{
	struct store *store = tested->make();
	size_t count;
	const struct quota *all = quotas(&count);

	for (size_t i = 0; i < count; i++) {
		struct outcome outcome = ask_one(store, "zero", &all[i], 0, START_US);
		assert_true(outcome.allowed);
		assert_int_equal(outcome.remaining, 3);
		assert_int_equal(outcome.reset_us, 0);
	}
	store_free(store);
}

static void test_ask_cost_above_the_limit_never_passes(TEST_STATE)
{
	struct store *store = tested->make();
	size_t count;
	const struct quota *all = quotas(&count);

	for (size_t i = 0; i < count; i++) {
		assert_int_equal(ask_one(store, "never", &all[i], 4, START_US).retry_after_us, -1);
		assert_int_equal(
			ask_one(store, "never", &all[i], INT64_MAX, START_US).retry_after_us, -1);
	}
	store_free(store);
}

static void test_ask_sixteen_checks_are_all_answered(TEST_STATE)
{
	struct store *store = tested->make();
	struct quota quota = window_of(SLIDING_WINDOW, 5, SECOND);
	struct check checks[REQUEST_CHECKS_MAX];
	struct check *pointers[REQUEST_CHECKS_MAX];
	char key[8];

	for (size_t i = 0; i < REQUEST_CHECKS_MAX; i++) {
		snprintf(key, sizeof key, "k%zu", i);
		pointers[i] = check_make(&checks[i], key, &quota, (int64_t)i % 5 + 1);
	}
	ask(store, pointers, REQUEST_CHECKS_MAX, START_US);

	for (size_t i = 0; i < REQUEST_CHECKS_MAX; i++) {
		assert_true(checks[i].is_decided && checks[i].outcome.allowed);
		assert_int_equal(checks[i].outcome.remaining, 5 - checks[i].cost);
	}
	store_free(store);
}

/* ---- checks in shadow, and requests that are denied already ---- */

/* Checks named a, b and so on have the limit 3 and these costs; the last ones are in shadow. */
static void ask_costs(struct store *store, const struct quota *quota, const char *costs,
		      size_t shadow, bool is_denied, struct check *checks)
{
	struct check *pointers[REQUEST_CHECKS_MAX];
	struct store_op op = {.checks = pointers,
			      .count = strlen(costs),
			      .shadow = shadow,
			      .is_denied = is_denied,
			      .now_us = START_US};

	for (size_t i = 0; i < op.count; i++)
		pointers[i] = check_make(&checks[i], (char[]){(char)('a' + i), '\0'}, quota,
					 costs[i] - '0');
	ask_op(store, op);
}

static void test_ask_shadow_is_decided_alone(TEST_STATE)
{
	static const struct {
		const char *first, *then; /* costs of two requests */
		size_t shadow;
		bool is_denied;         /* the second one */
		const char *allowed;    /* whether each of its checks passes by itself */
		const char *left_after; /* of each */
	} cases[] = {
		/* all pass, and are charged */
		{"11", "11", 1, false, "yy", "11"},
		/* one in shadow would deny: the request passes, and that one is not charged */
		{"13", "11", 1, false, "yn", "10"},
		{"113", "111", 2, false, "yyn", "110"},
		{"131", "111", 2, false, "yny", "101"},
		{"12", "12", 1, false, "yn", "11"},
		{"11", "14", 1, false, "yn", "12"},
		/* another check denies: those in shadow are not charged */
		{"311", "111", 1, false, "nyy", "022"},
		{"311", "111", 2, false, "nyy", "022"},
		{"313", "111", 1, false, "nyn", "020"},
		/* nothing but shadow */
		{"1", "1", 1, false, "y", "1"},
		{"31", "11", 2, false, "ny", "01"},
		/* denied already: nothing is charged, all are looked at */
		{"11", "11", 0, true, "yy", "22"},
		{"13", "11", 0, true, "yn", "20"},
		{"11", "11", 1, true, "yy", "22"},
		{"31", "11", 1, true, "ny", "02"},
		{"11", "11", 2, true, "yy", "22"},
		/* checks of cost 0 */
		{"11", "00", 1, false, "yy", "22"},
		{"33", "00", 1, false, "yy", "00"},
		{"31", "01", 1, false, "yy", "01"},
	};
	size_t quota_count;
	const struct quota *all = quotas(&quota_count);

	for (size_t k = 0; k < quota_count; k++)
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			struct store *store = tested->make();
			struct check checks[3], after[3];
			ask_costs(store, &all[k], cases[i].first, strlen(cases[i].first), false,
				  after);
			ask_costs(store, &all[k], cases[i].then, cases[i].shadow,
				  cases[i].is_denied, checks);
			ask_costs(store, &all[k], "000", 3, false, after);
			for (size_t c = 0; c < strlen(cases[i].then); c++) {
				int64_t left = cases[i].left_after[c] - '0';
				assert_true(checks[c].is_decided);
				assert_int_equal(checks[c].error, STORE_OK);
				if (checks[c].outcome.allowed != (cases[i].allowed[c] == 'y') ||
				    checks[c].outcome.remaining != left ||
				    after[c].outcome.remaining != left)
					fail_msg("%s, case %zu, check %zu: allowed %d, %d left, %d "
						 "after it",
						 algorithm_name(all[k].algorithm), i, c,
						 checks[c].outcome.allowed,
						 (int)checks[c].outcome.remaining,
						 (int)after[c].outcome.remaining);
			}
			store_free(store);
		}
}

/* An override puts one of two messages in shadow and changes no numbers, so both share a balance.
 */
static void test_ask_shadow_of_the_same_balance_comes_behind(TEST_STATE)
{
	static const struct {
		int64_t cost, shadow; /* of 3 */
		bool shadow_allowed;
		int64_t left, shadow_left, after;
	} cases[] = {
		{1, 1, true, 2, 1, 1}, {2, 2, false, 1, 1, 1}, {3, 4, false, 0, 0, 0},
		{1, 2, true, 2, 0, 0}, {4, 1, true, 3, 3, 3},  {0, 3, true, 3, 0, 0},
	};
	size_t quota_count;
	const struct quota *all = quotas(&quota_count);

	for (size_t k = 0; k < quota_count; k++)
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			struct store *store = tested->make();
			struct check check, shadow;
			struct check *pointers[] = {
				check_make(&check, "a", &all[k], cases[i].cost),
				check_make(&shadow, "a", &all[k], cases[i].shadow)};
			ask_op(store, (struct store_op){.checks = pointers,
							.count = 2,
							.shadow = 1,
							.now_us = START_US});
			assert_int_equal(check.outcome.allowed, cases[i].cost <= 3);
			assert_int_equal(check.outcome.remaining, cases[i].left);
			assert_int_equal(shadow.outcome.allowed, cases[i].shadow_allowed);
			assert_int_equal(shadow.outcome.remaining, cases[i].shadow_left);
			assert_int_equal(ask_one(store, "a", &all[k], 0, START_US).remaining,
					 cases[i].after);
			store_free(store);
		}
}

/* ---- looks ---- */

static void assert_same(const struct check *a, const struct check *b)
{
	assert_true(a->is_decided && b->is_decided);
	assert_int_equal(a->outcome.allowed, b->outcome.allowed);
	assert_int_equal(a->outcome.remaining, b->outcome.remaining);
	assert_int_equal(a->outcome.retry_after_us, b->outcome.retry_after_us);
	assert_int_equal(a->outcome.reset_us, b->outcome.reset_us);
	assert_int_equal(a->outcome.grows_us, b->outcome.grows_us);
}

/* Of three checks the last one is in shadow. Two looks, then the request itself: all are one. */
static void test_look_is_what_the_request_then_gets(TEST_STATE)
{
	struct store *store = tested->make();
	struct quota wide = bucket_of(7, "1");
	size_t count;
	const struct quota *all = quotas(&count);

	for (size_t i = 0; i < 6 * count; i++) {
		const struct quota *quota = &all[i % count];
		char key[64];
		snprintf(key, sizeof key, "shadow %s", algorithm_name(quota->algorithm));
		struct check looked[2][3], checks[3];
		struct check *const asked[] = {&checks[0], &checks[1], &checks[2]};
		struct store_op op = {.checks = asked,
				      .count = 3,
				      .shadow = 1,
				      .now_us = START_US + (int64_t)i * 1000};
		for (int round = 0; round < 3; round++) {
			check_make(&checks[0], algorithm_name(quota->algorithm), quota, 1);
			check_make(&checks[1], "wide", &wide, 1);
			check_make(&checks[2], key, quota, 2);
			op.is_look = round < 2;
			ask_op(store, op);
			if (round < 2)
				memcpy(looked[round], checks, sizeof checks);
		}
		for (size_t k = 0; k < 3; k++) {
			assert_same(&looked[0][k], &checks[k]);
			assert_same(&looked[1][k], &checks[k]);
		}
	}
	store_free(store);
}

/* As an agent whose clock was ahead left it: the next write brings the balance back to now. */
static void test_look_mends_nothing(TEST_STATE)
{
	struct store *store = tested->make();
	struct quota quota = bucket_of(3, "1");
	struct check check;
	struct check *const checks[] = {&check};
	int64_t ahead_us = START_US + 1000 * SECOND;

	(void)ask_one(store, "a", &quota, 2, ahead_us);
	check_make(&check, "a", &quota, 0);
	ask_op(store, (struct store_op){
			      .checks = checks, .count = 1, .now_us = START_US, .is_look = true});

	assert_int_equal(check.outcome.remaining, 1);
	assert_int_equal(ask_one(store, "a", &quota, 0, ahead_us).remaining, 1);
	store_free(store);
}

/* ---- resets ---- */

static void test_reset_makes_full_and_says_what_was_used(TEST_STATE)
{
	struct store *store = tested->make();
	size_t count;
	const struct quota *all = quotas(&count);

	for (size_t i = 0; i < count; i++) {
		const char *key = algorithm_name(all[i].algorithm);
		struct check check, other;
		struct check *const checks[] = {&check, &other};
		(void)ask_one(store, key, &all[i], 2, START_US);
		check_make(&check, key, &all[i], 0);
		check_make(&other, "never seen", &all[i], 0);
		ask_op(store,
		       (struct store_op){
			       .checks = checks, .count = 2, .now_us = START_US, .is_reset = true});
		assert_true(check.is_decided && other.is_decided);
		assert_int_equal(check.outcome.remaining, 1);
		assert_int_equal(other.outcome.remaining, 3);
		assert_int_equal(ask_one(store, key, &all[i], 0, START_US).remaining, 3);
		assert_int_equal(ask_one(store, key, &all[i], 0, START_US).reset_us, 0);
	}
	store_free(store);
}

/* The log of a large limit is a hash in Redis. */
static void test_reset_of_a_large_log(TEST_STATE)
{
	struct store *store = tested->make();
	struct quota quota = window_of(SLIDING_WINDOW, 100000, 1000 * SECOND);
	struct check check;
	struct check *const checks[] = {&check};

	for (int64_t i = 0; i < 100; i++)
		(void)ask_one(store, "large", &quota, 5, START_US + i);
	check_make(&check, "large", &quota, 0);
	ask_op(store,
	       (struct store_op){
		       .checks = checks, .count = 1, .now_us = START_US + 100, .is_reset = true});

	assert_int_equal(check.outcome.remaining, 99500);
	assert_int_equal(ask_one(store, "large", &quota, 1, START_US + 101).remaining, 99999);
	store_free(store);
}

void store_contract_add(const struct store_under_test *under_test)
{
	static struct test tests[] = {
		{.name = "ask_up_to_the_limit_is_allowed_then_denied",
		 .run = test_ask_up_to_the_limit_is_allowed_then_denied},
		{.name = "ask_after_retry_after_is_allowed_and_before_denied",
		 .run = test_ask_after_retry_after_is_allowed_and_before_denied},
		{.name = "ask_one_denied_charges_none_of_the_others",
		 .run = test_ask_one_denied_charges_none_of_the_others},
		{.name = "ask_cost_zero_takes_nothing", .run = test_ask_cost_zero_takes_nothing},
		{.name = "ask_cost_above_the_limit_never_passes",
		 .run = test_ask_cost_above_the_limit_never_passes},
		{.name = "ask_sixteen_checks_are_all_answered",
		 .run = test_ask_sixteen_checks_are_all_answered},
		{.name = "ask_shadow_is_decided_alone", .run = test_ask_shadow_is_decided_alone},
		{.name = "ask_shadow_of_the_same_balance_comes_behind",
		 .run = test_ask_shadow_of_the_same_balance_comes_behind},
		{.name = "look_is_what_the_request_then_gets",
		 .run = test_look_is_what_the_request_then_gets},
		{.name = "look_mends_nothing", .run = test_look_mends_nothing},
		{.name = "reset_makes_full_and_says_what_was_used",
		 .run = test_reset_makes_full_and_says_what_was_used},
		{.name = "reset_of_a_large_log", .run = test_reset_of_a_large_log},
	};

	tested = under_test;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		test_add(&tests[i]);
}
