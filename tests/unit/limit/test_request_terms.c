#include "limit/request.h"

#include "request_checks.h"
#include "samples.h"
#include "support/test.h"

BEFORE_EACH
{
	open_slots();
}

AFTER_EACH
{
	close_slots();
}

/* ---- cost, and balances that meet ---- */

TEST(request_add_cost_is_every_checks)
{
	struct request request = request_on(POLICIES("a:x", "b:"));

	add(&request, ATTRIBUTES(text("x", "1"), number("cost", 7)));

	assert_valid_checks(&request, "a:1*7 b:*7");
	request_clear(&request);
}

TEST(request_add_equal_balances_are_added_up_over_messages)
{
	struct request request = request_on(POLICIES("a:x", "b:y"));

	add(&request, ATTRIBUTES(text("x", "1"), number("cost", 2)));
	add(&request, ATTRIBUTES(text("y", "1"), number("cost", 4)));
	add(&request, ATTRIBUTES(text("x", "1"), number("cost", 0)));
	add(&request, ATTRIBUTES(text("x", "2"), number("cost", 8)));
	add(&request, ATTRIBUTES(text("policy", "a"), text("x", "1"), text("cost", "16")));

	assert_valid_checks(&request, "a:1*18 a:2*8 b:1*4");
	request_clear(&request);
}

TEST(request_add_sum_of_costs_does_not_overflow)
{
	struct request request = request_on(POLICIES("a:x"));

	add(&request, ATTRIBUTES(text("x", "1"), number("cost", INT64_MAX)));
	add(&request, ATTRIBUTES(text("x", "1"), number("cost", INT64_MAX)));
	add(&request, ATTRIBUTES(text("x", "1"), number("cost", 1)));

	assert_valid_checks(&request, "a:1*9223372036854775807");
	request_clear(&request);
}

/* ---- the cost that a policy says ---- */

#define NO_COST      ((struct attribute){.name = BYTES("unused")})
#define COST_NUMBER  3
#define COST_NAME    "size"
#define THE_REQUESTS number("cost", 7)

TEST(request_add_cost_of_the_policy)
{
	const struct {
		int64_t number;
		const char *attribute;
		struct attribute said, cost;
		const char *expected;
		uint64_t bad_costs;
	} cases[] = {
		/* neither: the request's */
		{0, NULL, NO_COST, NO_COST, "p:1", 0},
		{0, NULL, number(COST_NAME, 5), THE_REQUESTS, "p:1*7", 0},
		/* a number: in its place */
		{COST_NUMBER, NULL, NO_COST, NO_COST, "p:1*3", 0},
		{COST_NUMBER, NULL, NO_COST, THE_REQUESTS, "p:1*3", 0},
		/* an attribute: in its place too */
		{0, COST_NAME, number(COST_NAME, 5), THE_REQUESTS, "p:1*5", 0},
		{0, COST_NAME, text(COST_NAME, "5"), NO_COST, "p:1*5", 0},
		{0, COST_NAME, number(COST_NAME, 1), NO_COST, "p:1", 0},
		{0, COST_NAME, natural(COST_NAME, INT64_MAX), NO_COST, "p:1*9223372036854775807",
		 0},
		/* more than can be counted is above every limit */
		{0, COST_NAME, natural(COST_NAME, UINT64_C(1) << 63), NO_COST,
		 "p:1*9223372036854775807", 0},
		{0, COST_NAME, natural(COST_NAME, UINT64_MAX), NO_COST, "p:1*9223372036854775807",
		 0},
		{0, COST_NAME, text(COST_NAME, "9223372036854775808"), NO_COST,
		 "p:1*9223372036854775807", 0},
		{0, COST_NAME, text(COST_NAME, "99999999999999999999999999"), NO_COST,
		 "p:1*9223372036854775807", 0},
		/* what it says is no whole number from 1 on: 1, and counted */
		{0, COST_NAME, NO_COST, THE_REQUESTS, "p:1", 1},
		{0, COST_NAME, absent(COST_NAME), NO_COST, "p:1", 1},
		{0, COST_NAME, number(COST_NAME, 0), NO_COST, "p:1", 1},
		{0, COST_NAME, number(COST_NAME, -5), NO_COST, "p:1", 1},
		{0, COST_NAME, text(COST_NAME, ""), NO_COST, "p:1", 1},
		{0, COST_NAME, text(COST_NAME, "0"), NO_COST, "p:1", 1},
		{0, COST_NAME, text(COST_NAME, "1.5"), NO_COST, "p:1", 1},
		{0, COST_NAME, text(COST_NAME, "5 "), NO_COST, "p:1", 1},
		{0, COST_NAME, text(COST_NAME, "9223372036854775808x"), NO_COST, "p:1", 1},
		{0, COST_NAME, boolean(COST_NAME, true), NO_COST, "p:1", 1},
		{0, COST_NAME, address(COST_NAME, "192.0.2.1"), NO_COST, "p:1", 1},
		/* a request that only asks stays one */
		{0, NULL, NO_COST, number("cost", 0), "p:1*0", 0},
		{COST_NUMBER, NULL, NO_COST, number("cost", 0), "p:1*0", 0},
		{0, COST_NAME, number(COST_NAME, 5), text("cost", "0"), "p:1*0", 0},
		{0, COST_NAME, NO_COST, number("cost", 0), "p:1*0", 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct policies *policies = policies_new(ON_ERROR_ALLOW);
		struct policy policy = policy_of("p:x");
		policy.terms.cost = cases[i].number;
		if (cases[i].attribute != NULL)
			policy.terms.cost_attribute = bytes_from_text(cases[i].attribute);
		add_policy(policies, &policy);
		struct request request = request_on(policies);
		add(&request, ATTRIBUTES(text("x", "1"), cases[i].said, cases[i].cost));
		assert_valid_checks(&request, cases[i].expected);
		assert_int_equal(policies_at(policies, 0)->tally->bad_costs, cases[i].bad_costs);
		request_clear(&request);
	}
}

TEST(request_add_cost_of_an_override_holds)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of("p:x");

	policy.terms.cost = 3;
	add_override(&policy, "x=1")->cost = 5;
	struct terms *by_size = add_override(&policy, "x=2");
	by_size->cost = 0;
	by_size->cost_attribute = BYTES("size");
	add_policy(policies, &policy);
	struct request request = request_on(policies);
	add(&request, ATTRIBUTES(text("x", "1")));
	add(&request, ATTRIBUTES(text("x", "2"), number("size", 9)));
	add(&request, ATTRIBUTES(text("x", "3"), number("size", 9)));

	assert_valid_checks(&request, "p:1*5 p:2*9 p:3*3");
	request_clear(&request);
}

/* ---- match ---- */

static struct policies *matched_policies(void)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy login = policy_of("login:src"), all = policy_of("all:");

	add_match(&login.match, "path=/login;method=POST");
	add_policy(policies, &login);
	add_policy(policies, &all);
	assert_true(policies_compile(policies));
	return policies;
}

TEST(request_add_policy_whose_match_does_not_fit_is_not_asked)
{
	struct request request = request_on(matched_policies());

	add(&request,
	    ATTRIBUTES(text("src", "192.0.2.1"), text("path", "/login"), text("method", "GET")));
	assert_valid_checks(&request, "all:");
	add(&request,
	    ATTRIBUTES(text("src", "192.0.2.1"), text("path", "/login"), text("method", "POST")));
	assert_valid_checks(&request, "login:192.0.2.1 all:*2");
	request_clear(&request);
}

TEST(request_add_named_policy_applies_whatever_its_match_says)
{
	struct request request = request_on(matched_policies());

	add(&request, ATTRIBUTES(text("policy", "login"), text("src", "192.0.2.1")));

	assert_valid_checks(&request, "login:192.0.2.1");
	request_clear(&request);
}

/* ---- overrides ---- */

/* One of `p`, which counts by x, for all whose x begins with 1. */
static struct policies *policies_with(struct terms terms, bool has_own_balances)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of("p:x");

	terms.quota = policy.terms.quota;
	terms.quota.limit = has_own_balances ? 99 : terms.quota.limit;
	*add_override(&policy, "x=1*") = terms;
	policy.overrides[0].has_own_balances = has_own_balances;
	add_policy(policies, &policy);
	return policies;
}

TEST(request_add_override_with_numbers_has_balances_of_its_own)
{
	struct policies *policies = policies_with((struct terms){0}, true);
	const struct policy *policy = policies_at(policies, 0);
	struct request request = request_on(policies);

	add(&request, ATTRIBUTES(text("x", "1")));
	add(&request, ATTRIBUTES(text("x", "2")));

	assert_valid_checks(&request, "p:1 p:2");
	assert_int_equal(request.checks[0]->quota->limit, 99);
	assert_ptr_equal(request.checks[0]->terms, &policy->overrides[0].terms);
	assert_int_equal(request.checks[1]->quota->limit, 10);
	assert_memory_equal(request.checks[0]->key + 2, policy->overrides[0].terms.generation,
			    POLICY_GENERATION_MAX);
	assert_memory_equal(request.checks[1]->key + 2, policy->terms.generation,
			    POLICY_GENERATION_MAX);
	request_clear(&request);
}

TEST(request_add_unlimited_appears_nowhere)
{
	struct request request =
		request_on(policies_with((struct terms){.is_unlimited = true}, false));

	add(&request, ATTRIBUTES(text("x", "1")));
	add(&request, ATTRIBUTES(text("policy", "p"), text("x", "1")));
	add(&request, ATTRIBUTES(text("policy", "p"), text("key", "1")));
	assert_valid_checks(&request, "");
	add(&request, ATTRIBUTES(text("x", "2")));
	assert_valid_checks(&request, "p:2");
	request_clear(&request);
}

TEST(request_add_blocked_is_decided_already)
{
	struct request request =
		request_on(policies_with((struct terms){.is_blocked = true}, false));

	add(&request, ATTRIBUTES(text("x", "1")));
	add(&request, ATTRIBUTES(text("x", "2")));

	assert_valid_checks(&request, "p:1 p:2");
	const struct check *blocked = request.checks[0];
	assert_true(blocked->is_decided && check_denies(blocked));
	assert_int_equal(blocked->error, 0);
	assert_int_equal(check_limit(blocked), 0);
	assert_int_equal(blocked->outcome.remaining, 0);
	assert_int_equal(blocked->outcome.retry_after_us, -1);
	assert_int_equal(blocked->outcome.reset_us, -1);
	assert_false(request.checks[1]->is_decided);
	request_clear(&request);
}

TEST(request_add_shadow_of_the_terms)
{
	struct request request =
		request_on(policies_with((struct terms){.is_shadow = true}, false));

	add(&request, ATTRIBUTES(text("x", "1")));
	add(&request, ATTRIBUTES(text("x", "2")));

	assert_true(request.checks[0]->is_shadow);
	assert_false(request.checks[1]->is_shadow);
	request_clear(&request);
}

/* The key stands for the attribute, in the override's match as in the balance. */
TEST(request_add_key_is_what_an_override_looks_at)
{
	struct request request = request_on(policies_with((struct terms){0}, true));

	add(&request, ATTRIBUTES(text("policy", "p"), text("key", "1"), text("x", "2")));
	add(&request, ATTRIBUTES(text("policy", "p"), text("key", "2"), text("x", "1")));
	add(&request, ATTRIBUTES(text("x", "1")));

	assert_valid_checks(&request, "p:1*2 p:2");
	assert_int_equal(request.checks[0]->quota->limit, 99);
	assert_int_equal(request.checks[1]->quota->limit, 10);
	request_clear(&request);
}

/* ---- checks of other terms that meet in one balance ---- */

/* Of one policy that counts everything, by the attributes a and b. */
static struct check *meet(struct request *request, struct terms a, struct terms b)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of("p:");

	a.quota = b.quota = policy.terms.quota;
	*add_override(&policy, "by=a") = a;
	*add_override(&policy, "by=b") = b;
	add_policy(policies, &policy);
	*request = request_on(policies);
	add(request, ATTRIBUTES(text("by", "a")));
	add(request, ATTRIBUTES(text("by", "b"), number("cost", 2)));
	return request->checks[0];
}

TEST(request_add_shadow_meets_only_what_is_in_shadow)
{
	static const struct terms plain = {.on_error = ON_ERROR_ALLOW},
				  shadow = {.is_shadow = true};
	static const struct {
		const struct terms *a, *b;
		const char *expected;
	} cases[] = {
		{&plain, &plain, "p:*3"},
		{&plain, &shadow, "p: p:*2"},
		{&shadow, &plain, "p: p:*2"},
		{&shadow, &shadow, "p:*3"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct request request;
		const struct check *check = meet(&request, *cases[i].a, *cases[i].b);
		assert_valid_checks(&request, cases[i].expected);
		assert_int_equal(check->is_shadow, cases[i].a->is_shadow);
		request_clear(&request);
	}
}

/* The strictest: any denial denies. */
TEST(request_add_on_error_of_those_that_meet)
{
	static const struct {
		struct terms a, b;
		enum on_error expected;
	} cases[] = {
		{{.on_error = ON_ERROR_ALLOW}, {.on_error = ON_ERROR_DENY}, ON_ERROR_DENY},
		{{.on_error = ON_ERROR_DENY}, {.on_error = ON_ERROR_ALLOW}, ON_ERROR_DENY},
		{{.on_error = ON_ERROR_LOCAL}, {.on_error = ON_ERROR_DENY}, ON_ERROR_DENY},
		{{.on_error = ON_ERROR_DENY}, {.on_error = ON_ERROR_LOCAL}, ON_ERROR_DENY},
		{{.on_error = ON_ERROR_ALLOW}, {.on_error = ON_ERROR_LOCAL}, ON_ERROR_LOCAL},
		{{.on_error = ON_ERROR_LOCAL}, {.on_error = ON_ERROR_ALLOW}, ON_ERROR_LOCAL},
		{{.on_error = ON_ERROR_ALLOW, .is_shadow = true},
		 {.on_error = ON_ERROR_DENY, .is_shadow = true},
		 ON_ERROR_DENY},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct request request;
		const struct check *check = meet(&request, cases[i].a, cases[i].b);
		if (check->terms->on_error != cases[i].expected)
			fail_msg("case %zu: %d", i, (int)check->terms->on_error);
		request_clear(&request);
	}
}

TEST(request_add_blocked_meets_only_what_is_blocked)
{
	static const struct terms plain = {.on_error = ON_ERROR_ALLOW},
				  blocked = {.is_blocked = true},
				  shadow = {.is_blocked = true, .is_shadow = true};
	struct request request;

	(void)meet(&request, plain, blocked);
	assert_valid_checks(&request, "p: p:*2");
	assert_false(request.checks[0]->is_decided);
	assert_true(request.checks[1]->is_decided);
	request_clear(&request);
	(void)meet(&request, blocked, plain);
	assert_valid_checks(&request, "p: p:*2");
	request_clear(&request);
	(void)meet(&request, shadow, blocked);
	assert_valid_checks(&request, "p: p:*2");
	assert_false(check_denies(request.checks[0]));
	assert_true(check_denies(request.checks[1]));
	request_clear(&request);
}
