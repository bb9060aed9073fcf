#include "limit/generation.h"

#include <stdio.h>
#include <stdlib.h>

#include "samples.h"
#include "support/test.h"

struct generation {
	char text[POLICY_GENERATION_MAX + 1];
};

static struct generation generation_of(const struct policy *policy)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct generation generation;

	assert_non_null(policies);
	assert_true(policies_add(policies, policy));
	strcpy(generation.text, policies_at(policies, 0)->terms.generation);
	policies_unref(policies);
	return generation;
}

static void assert_same_generation(const struct policy *a, const struct policy *b)
{
	assert_string_equal(generation_of(a).text, generation_of(b).text);
}

static void assert_other_generation(const struct policy *a, const struct policy *b)
{
	assert_string_not_equal(generation_of(a).text, generation_of(b).text);
}

/*
 * All agents, of all builds, must come to these: they are a part of the keys in Redis. Whoever has
 * to change them makes every balance start anew, and raises
 * the algorithm's format.
 */
TEST(generations_set_is_as_it_always_was)
{
	struct policy window = policy_of("login:src");
	struct policy bucket = policy_of("tenant:tenant,path");

	bucket.terms.quota = (struct quota){
		.algorithm = TOKEN_BUCKET, .limit = 10, .refill_tokens = 1, .refill_us = 2000000};

	assert_string_equal(generation_of(&window).text, "b201c14df38e");
	assert_string_equal(generation_of(&bucket).text, "9732aa479138");
}

TEST(generations_set_is_stable_under_what_a_reload_may_change)
{
	struct policy before = policy_of("login:src"), after = policy_of("other:src");

	after.terms.quota.limit = 1000;
	after.terms.on_error = ON_ERROR_DENY;
	after.position = 7;

	assert_same_generation(&before, &after);
}

TEST(generations_set_does_not_depend_on_a_buckets_numbers)
{
	struct policy before = policy_of("login:src"), after = policy_of("login:src");

	before.terms.quota = (struct quota){
		.algorithm = TOKEN_BUCKET, .limit = 10, .refill_tokens = 1, .refill_us = 2000000};
	after.terms.quota = (struct quota){
		.algorithm = TOKEN_BUCKET, .limit = 99, .refill_tokens = 3, .refill_us = 7000000};

	assert_same_generation(&before, &after);
}

TEST(generations_set_does_not_depend_on_the_place)
{
	struct policies *one = POLICIES("a:src", "b:path");
	struct policies *two = POLICIES("b:path", "c:x", "a:src");

	assert_string_equal(policies_find(one, BYTES("a"))->terms.generation,
			    policies_find(two, BYTES("a"))->terms.generation);

	policies_unref(one);
	policies_unref(two);
}

TEST(generations_set_tells_algorithms)
{
	static const enum algorithm algorithms[] = {TOKEN_BUCKET, SLIDING_WINDOW,
						    SLIDING_WINDOW_COUNTER, FIXED_WINDOW};

	for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++)
		for (size_t k = 0; k < i; k++) {
			struct policy a = policy_of("login:src"), b = policy_of("login:src");
			a.terms.quota.algorithm = algorithms[i];
			b.terms.quota.algorithm = algorithms[k];
			assert_other_generation(&a, &b);
		}
}

TEST(generations_set_tells_windows)
{
	struct policy before = policy_of("login:src"), after = policy_of("login:src");

	after.terms.quota.window_us++;

	assert_other_generation(&before, &after);
}

TEST(generations_set_tells_prefixes)
{
	struct policy before = policy_of("login:src");
	struct policy ipv4 = before, ipv6 = before, swapped = before;

	ipv4.ipv4_prefix = 24;
	ipv6.ipv6_prefix = 56;
	swapped.ipv4_prefix = 3;
	swapped.ipv6_prefix = 264;

	assert_other_generation(&before, &ipv4);
	assert_other_generation(&before, &ipv6);
	assert_other_generation(&before, &swapped);
}

/* Else an agent that knows the hash tag and one that does not would count in different keys. */
TEST(generations_set_tells_hash_tags)
{
	struct policy none = policy_of("p:a,b"), first = none, second = none;

	first.hash_tag = 1;
	second.hash_tag = 2;

	assert_other_generation(&none, &first);
	assert_other_generation(&none, &second);
	assert_other_generation(&first, &second);
}

TEST(generations_set_tells_keys)
{
	static const char *const notations[] = {"p:",    "p:a",   "p:b",    "p:ab",  "p:a,b",
						"p:b,a", "p:abc", "p:a,bc", "p:ab,c"};

	for (size_t i = 0; i < ARRAY_SIZE(notations); i++)
		for (size_t k = 0; k < i; k++) {
			struct policy a = policy_of(notations[i]), b = policy_of(notations[k]);
			assert_other_generation(&a, &b);
		}
}

/* ---- of an override ---- */

/* Of the only override of a policy, whose match is `match`. */
static struct generation generation_by(const char *notation, const char *match,
				       bool has_own_balances, int64_t window_us)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of(notation);
	struct generation generation;

	add_override(&policy, match)->quota.window_us = window_us;
	policy.overrides[0].has_own_balances = has_own_balances;
	add_policy(policies, &policy);
	strcpy(generation.text, policies_at(policies, 0)->overrides[0].terms.generation);
	policies_unref(policies);
	return generation;
}

#define WINDOW_US INT64_C(60000000) /* of policy_of */

/* As above: who changes them makes the balances of overrides start anew. */
TEST(generations_set_of_overrides_is_as_it_always_was)
{
	assert_string_equal(generation_by("login:src", "a=x", true, WINDOW_US).text,
			    "da60b3c73469");
	assert_string_equal(generation_by("login:src", "a=x|y*;b=", true, WINDOW_US).text,
			    "eaa07db32529");
}

TEST(generations_set_of_override_without_numbers_is_the_policys)
{
	struct policy policy = policy_of("login:src");

	assert_string_equal(generation_by("login:src", "a=x", false, WINDOW_US).text,
			    generation_of(&policy).text);
}

TEST(generations_set_of_overrides_tells_all_that_differ)
{
	static const struct {
		const char *notation, *match;
		int64_t window_us;
	} cases[] = {
		{"p:src", "", WINDOW_US},        {"p:src", "", WINDOW_US + 1},
		{"p:", "", WINDOW_US},           {"p:src", "a=x", WINDOW_US},
		{"p:src", "a=x", WINDOW_US + 1}, {"p:", "a=x", WINDOW_US},
		{"p:src", "a=", WINDOW_US},      {"p:src", "a=X", WINDOW_US},
		{"p:src", "b=x", WINDOW_US},     {"p:src", "ax=", WINDOW_US},
		{"p:src", "a=x|", WINDOW_US},    {"p:src", "a=x||b|y", WINDOW_US},
		{"p:src", "a=x;b=y", WINDOW_US}, {"p:src", "a=x|b|y", WINDOW_US},
		{"p:src", "a=x|y", WINDOW_US},   {"p:src", "a=x;a=y", WINDOW_US},
		{"p:src", "a=xy", WINDOW_US},
	};
	struct policy plain = policy_of("p:src");

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct generation a =
			generation_by(cases[i].notation, cases[i].match, true, cases[i].window_us);
		assert_string_not_equal(a.text, generation_of(&plain).text);
		for (size_t k = 0; k < i; k++) {
			struct generation b = generation_by(cases[k].notation, cases[k].match, true,
							    cases[k].window_us);
			if (strcmp(a.text, b.text) == 0)
				fail_msg("\"%s\" and \"%s\" are alike", cases[i].match,
					 cases[k].match);
		}
	}
}

/* No list of attributes to count by is taken for an override: before and after a reload. */
TEST(generations_set_of_override_is_no_plain_one)
{
	struct policy plain = policy_of("p:src,override,a,x,,");

	assert_string_not_equal(generation_by("p:src", "a=x", true, WINDOW_US).text,
				generation_of(&plain).text);
}

TEST(generations_set_of_override_is_stable_under_a_reload)
{
	struct policies *before = policies_new(ON_ERROR_ALLOW);
	struct policies *after = policies_new(ON_ERROR_ALLOW);
	struct policy old = policy_of("p:src"), new = policy_of("p:src");

	add_override(&old, "a=x")->quota.limit = 5;
	old.overrides[0].has_own_balances = true;
	add_override(&new, "a=new")->is_unlimited = true;
	add_override(&new, "a=x")->quota.limit = 7;
	new.overrides[1].terms.is_shadow = true;
	new.overrides[1].terms.cost = 3;
	new.overrides[1].has_own_balances = true;
	add_policy(before, &old);
	add_policy(after, &new);

	assert_string_equal(policies_at(before, 0)->overrides[0].terms.generation,
			    policies_at(after, 0)->overrides[1].terms.generation);
	policies_unref(before);
	policies_unref(after);
}
