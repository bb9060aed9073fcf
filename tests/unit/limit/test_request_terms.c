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

static const struct request_row costs[] = {
	{"the cost is every check's", {"a:x", "b:"}, {"x=1&cost:int=7"}, .checks = "a:1*7 b:*7"},
	{"equal balances are added up over messages",
	 {"a:x", "b:y"},
	 {"x=1&cost:int=2", "y=1&cost:int=4", "x=1&cost:int=0", "x=2&cost:int=8",
	  "policy=a&x=1&cost=16"},
	 .checks = "a:1*18 a:2*8 b:1*4"},
	{"the sum does not overflow",
	 {"a:x"},
	 {"x=1&cost:int=9223372036854775807", "x=1&cost:int=9223372036854775807", "x=1&cost:int=1"},
	 .checks = "a:1*9223372036854775807"},
};

TEST_ROWS(costs)
{
	assert_request_row(row);
}

/* ---- the cost that a policy says ---- */

#define BY_NUMBER 3, NULL
#define BY_SIZE   0, "size"
#define BY_NONE   0, NULL
#define LARGEST   "p:1*9223372036854775807"

static const struct {
	const char *name;
	int64_t number;        /* what the policy says: a number, */
	const char *attribute; /* or the name of an attribute */
	const char *message;
	const char *expected;
	uint64_t bad_costs;
} costs_of_policies[] = {
	/* The policy says neither: the request's cost holds. */
	{"none, and none of the request", BY_NONE, "x=1", "p:1", 0},
	{"none, so the request's", BY_NONE, "x=1&size:int=5&cost:int=7", "p:1*7", 0},
	/* The policy says a number: it takes the place of the request's cost. */
	{"number, none of the request", BY_NUMBER, "x=1", "p:1*3", 0},
	{"number, not the request's", BY_NUMBER, "x=1&cost:int=7", "p:1*3", 0},
	/* The policy says an attribute: so does the attribute's value. */
	{"attribute, not the request's", BY_SIZE, "x=1&size:int=5&cost:int=7", "p:1*5", 0},
	{"attribute as text", BY_SIZE, "x=1&size=5", "p:1*5", 0},
	{"attribute of 1", BY_SIZE, "x=1&size:int=1", "p:1", 0},
	{"attribute of 2^63 - 1", BY_SIZE, "x=1&size:uint=9223372036854775807", LARGEST, 0},
	/* A number that is too large to be counted is above every limit. */
	{"attribute of 2^63", BY_SIZE, "x=1&size:uint=9223372036854775808", LARGEST, 0},
	{"attribute of 2^64 - 1", BY_SIZE, "x=1&size:uint=18446744073709551615", LARGEST, 0},
	{"attribute of 2^63 as text", BY_SIZE, "x=1&size=9223372036854775808", LARGEST, 0},
	{"attribute of 26 digits", BY_SIZE, "x=1&size=99999999999999999999999999", LARGEST, 0},
	/* An attribute that is no whole number from 1 on costs 1, and is counted as bad. */
	{"attribute is lacking", BY_SIZE, "x=1&cost:int=7", "p:1", 1},
	{"attribute is null", BY_SIZE, "x=1&size:null", "p:1", 1},
	{"attribute of 0", BY_SIZE, "x=1&size:int=0", "p:1", 1},
	{"attribute below 0", BY_SIZE, "x=1&size:int=-5", "p:1", 1},
	{"attribute is empty", BY_SIZE, "x=1&size=", "p:1", 1},
	{"attribute of 0 as text", BY_SIZE, "x=1&size=0", "p:1", 1},
	{"attribute with a fraction", BY_SIZE, "x=1&size=1.5", "p:1", 1},
	{"attribute with a space", BY_SIZE, "x=1&size=5 ", "p:1", 1},
	{"attribute of 2^63 and a letter", BY_SIZE, "x=1&size=9223372036854775808x", "p:1", 1},
	{"attribute is a boolean", BY_SIZE, "x=1&size:bool=true", "p:1", 1},
	{"attribute is an address", BY_SIZE, "x=1&size:ip=192.0.2.1", "p:1", 1},
	/* A request of cost 0 only looks, whatever the policy says. */
	{"none, the request looks", BY_NONE, "x=1&cost:int=0", "p:1*0", 0},
	{"number, the request looks", BY_NUMBER, "x=1&cost:int=0", "p:1*0", 0},
	{"attribute, the request looks", BY_SIZE, "x=1&size:int=5&cost=0", "p:1*0", 0},
	{"attribute is lacking, the request looks", BY_SIZE, "x=1&cost:int=0", "p:1*0", 0},
};

TEST_ROWS(costs_of_policies)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of("p:x");

	policy.terms.cost = row->number;
	if (row->attribute != NULL)
		policy.terms.cost_attribute = bytes_from_text(row->attribute);
	add_policy(policies, &policy);
	struct request request = request_on(policies);
	add_message(&request, row->message);

	assert_valid_checks(&request, row->expected);
	assert_int_equal(policies_at(policies, 0)->tally->bad_costs, row->bad_costs);
	request_clear(&request);
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
	add_message(&request, "x=1");
	add_message(&request, "x=2&size:int=9");
	add_message(&request, "x=3&size:int=9");

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

	add_message(&request, "src=192.0.2.1&path=/login&method=GET");
	assert_valid_checks(&request, "all:");
	add_message(&request, "src=192.0.2.1&path=/login&method=POST");
	assert_valid_checks(&request, "login:192.0.2.1 all:*2");
	request_clear(&request);
}

TEST(request_add_named_policy_applies_whatever_its_match_says)
{
	struct request request = request_on(matched_policies());

	add_message(&request, "policy=login&src=192.0.2.1");

	assert_valid_checks(&request, "login:192.0.2.1");
	request_clear(&request);
}

/* ---- overrides ---- */

/* The policy `p` counts by x; an override has these terms for every x that begins with 1. */
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

	add_message(&request, "x=1");
	add_message(&request, "x=2");

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

	add_message(&request, "x=1");
	add_message(&request, "policy=p&x=1");
	add_message(&request, "policy=p&key=1");
	assert_valid_checks(&request, "");
	add_message(&request, "x=2");
	assert_valid_checks(&request, "p:2");
	request_clear(&request);
}

TEST(request_add_blocked_is_decided_already)
{
	struct request request =
		request_on(policies_with((struct terms){.is_blocked = true}, false));

	add_message(&request, "x=1");
	add_message(&request, "x=2");

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

	add_message(&request, "x=1");
	add_message(&request, "x=2");

	assert_true(request.checks[0]->is_shadow);
	assert_false(request.checks[1]->is_shadow);
	request_clear(&request);
}

/* 636068 is the place of `p:1` by another implementation of SipHash. */
TEST(request_add_shadow_of_a_share_of_the_keys)
{
	for (unsigned more = 0; more < 2; more++) {
		struct request request = request_on(
			policies_with((struct terms){.shadow_share = 636068 + more}, false));

		add_message(&request, "x=1");

		assert_int_equal(request.checks[0]->is_shadow, more);
		request_clear(&request);
	}
}

/* The key takes the place of the attribute, in the override's match as in the balance. */
TEST(request_add_key_is_what_an_override_looks_at)
{
	struct request request = request_on(policies_with((struct terms){0}, true));

	add_message(&request, "policy=p&key=1&x=2");
	add_message(&request, "policy=p&key=2&x=1");
	add_message(&request, "x=1");

	assert_valid_checks(&request, "p:1*2 p:2");
	assert_int_equal(request.checks[0]->quota->limit, 99);
	assert_int_equal(request.checks[1]->quota->limit, 10);
	request_clear(&request);
}

/* ---- checks of different terms that meet in one balance ---- */

/* One policy counts everything; one message has the terms `a`, the next, of cost 2, those of `b`.
 */
static void meet(struct request *request, struct terms a, struct terms b)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of("p:");

	a.quota = b.quota = policy.terms.quota;
	*add_override(&policy, "by=a") = a;
	*add_override(&policy, "by=b") = b;
	add_policy(policies, &policy);
	*request = request_on(policies);
	add_message(request, "by=a");
	add_message(request, "by=b&cost:int=2");
}

static const struct terms plain = {.on_error = ON_ERROR_ALLOW},
			  denies = {.on_error = ON_ERROR_DENY},
			  local = {.on_error = ON_ERROR_LOCAL}, shadow = {.is_shadow = true},
			  shadow_denies = {.on_error = ON_ERROR_DENY, .is_shadow = true},
			  blocked = {.is_blocked = true},
			  blocked_shadow = {.is_blocked = true, .is_shadow = true};

#define ADDED_UP "p:*3"
#define APART    "p: p:*2"

static const struct {
	const char *name;
	const struct terms *a, *b;
	const char *checks;
	enum on_error on_error; /* of the first check; any denial denies */
	const char *is_shadow;  /* y or n, a letter each check */
	const char *is_decided;
	const char *denies;
} meetings[] = {
	{"plain and plain", &plain, &plain, ADDED_UP, ON_ERROR_ALLOW, "n", "n", "n"},
	{"plain and shadow", &plain, &shadow, APART, ON_ERROR_ALLOW, "ny", "nn", "nn"},
	{"shadow and plain", &shadow, &plain, APART, ON_ERROR_ALLOW, "yn", "nn", "nn"},
	{"shadow and shadow", &shadow, &shadow, ADDED_UP, ON_ERROR_ALLOW, "y", "n", "n"},

	{"allow and deny", &plain, &denies, ADDED_UP, ON_ERROR_DENY, "n", "n", "n"},
	{"deny and allow", &denies, &plain, ADDED_UP, ON_ERROR_DENY, "n", "n", "n"},
	{"local and deny", &local, &denies, ADDED_UP, ON_ERROR_DENY, "n", "n", "n"},
	{"deny and local", &denies, &local, ADDED_UP, ON_ERROR_DENY, "n", "n", "n"},
	{"allow and local", &plain, &local, ADDED_UP, ON_ERROR_LOCAL, "n", "n", "n"},
	{"local and allow", &local, &plain, ADDED_UP, ON_ERROR_LOCAL, "n", "n", "n"},
	{"shadow allow and shadow deny", &shadow, &shadow_denies, ADDED_UP, ON_ERROR_DENY, "y", "n",
	 "n"},

	{"plain and blocked", &plain, &blocked, APART, ON_ERROR_ALLOW, "nn", "ny", "ny"},
	{"blocked and plain", &blocked, &plain, APART, ON_ERROR_ALLOW, "nn", "yn", "yn"},
	{"blocked shadow and blocked", &blocked_shadow, &blocked, APART, ON_ERROR_ALLOW, "yn", "yy",
	 "ny"},
};

TEST_ROWS(meetings)
{
	struct request request;
	char is_shadow[3] = "", is_decided[3] = "", denials[3] = "";

	meet(&request, *row->a, *row->b);

	assert_valid_checks(&request, row->checks);
	assert_int_equal(request.checks[0]->terms->on_error, row->on_error);
	for (size_t i = 0; i < request.count; i++) {
		const struct check *check = request.checks[i];
		is_shadow[i] = check->is_shadow ? 'y' : 'n';
		is_decided[i] = check->is_decided ? 'y' : 'n';
		denials[i] = check->is_decided && check_denies(check) ? 'y' : 'n';
	}
	assert_string_equal(is_shadow, row->is_shadow);
	assert_string_equal(is_decided, row->is_decided);
	assert_string_equal(denials, row->denies);
	request_clear(&request);
}

/* ---- keys that never come ---- */

static const struct tally *tally_at(const struct policies *policies, size_t position)
{
	return policies_at(policies, position)->tally;
}

/* Adds the message as a request of its own; returns the name of the policy that is to be told. */
static const char *tell_of(const struct policies *policies, const char *message)
{
	struct request request = request_on(policies_ref(policies));

	add_message(&request, message);
	const char *told = request.key_never_came == NULL ? "" : request.key_never_came->name;
	request_clear(&request);
	return told;
}

static void add_times(const struct policies *policies, const char *message, size_t times)
{
	for (size_t i = 0; i < times; i++)
		assert_string_equal(tell_of(policies, message), "");
}

TEST(request_add_key_that_never_comes_is_counted_and_told_once)
{
	struct policies *policies = POLICIES("a:x", "b:y,z");

	add_times(policies, "x=1&y=1", REQUEST_ABSENT_KEYS - 1);
	assert_string_equal(tell_of(policies, "x=1&z=1"), "b");
	add_times(policies, "x=1&y=1", 2 * REQUEST_ABSENT_KEYS);

	assert_int_equal(tally_at(policies, 0)->keys_absent, 0);
	assert_int_equal(tally_at(policies, 1)->keys_absent, 3 * REQUEST_ABSENT_KEYS);
	policies_unref(policies);
}

TEST(request_add_key_that_comes_at_times_is_counted_and_not_told)
{
	struct policies *policies = POLICIES("a:x");

	add_times(policies, "y=1", REQUEST_ABSENT_KEYS - 1);
	add_times(policies, "x=1", 1);
	add_times(policies, "y=1", 2 * REQUEST_ABSENT_KEYS);

	assert_int_equal(tally_at(policies, 0)->keys_absent, 3 * REQUEST_ABSENT_KEYS - 1);
	policies_unref(policies);
}

TEST(request_add_of_two_policies_to_be_told_each_has_its_request)
{
	struct policies *policies = POLICIES("a:x", "b:y");

	add_times(policies, "z=1", REQUEST_ABSENT_KEYS - 1);
	assert_string_equal(tell_of(policies, "z=1"), "a");
	assert_string_equal(tell_of(policies, "z=1"), "b");
	add_times(policies, "z=1", 5);
	policies_unref(policies);
}

TEST(request_add_key_of_a_policy_that_does_not_fit_is_not_missed)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of("a:x");

	add_match(&policy.match, "path=/login");
	add_policy(policies, &policy);
	assert_true(policies_compile(policies));
	add_times(policies, "path=/", 2 * REQUEST_ABSENT_KEYS);
	assert_int_equal(tally_at(policies, 0)->keys_absent, 0);
	policies_unref(policies);
}

TEST(request_add_key_is_awaited_anew_when_the_policy_counts_by_another_one)
{
	struct policies *policies = POLICIES("a:x");

	add_times(policies, "x=1", 1);
	add_times(policies, "y=1", REQUEST_ABSENT_KEYS);
	tally_forget_keys(policies_at(policies, 0)->tally); /* as a reload does */
	add_times(policies, "y=1", REQUEST_ABSENT_KEYS - 1);
	assert_string_equal(tell_of(policies, "y=1"), "a");

	assert_int_equal(tally_at(policies, 0)->keys_absent, 2 * REQUEST_ABSENT_KEYS);
	policies_unref(policies);
}
