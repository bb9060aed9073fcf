#include "limit/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "samples.h"
#include "support/sweep.h"

#define SIXTEEN    "0123456789abcdef"
#define SIXTY_FOUR SIXTEEN SIXTEEN SIXTEEN SIXTEEN

/* ---- names ---- */

static void test_policy_name_is_good_takes_the_documented_signs(void **state)
{
	static const char *const names[] = {"a",     "Z",         "0",        ".",      "_",
					    "-",     "azAZ09._-", SIXTY_FOUR, "Inline", "inline-",
					    "inlin", "NONE",      "non"};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!policy_name_is_good(bytes_from_text(names[i])))
			fail_msg("%s is refused", names[i]);
}

static void test_policy_name_is_good_refuses_all_else(void **state)
{
	static const char *const names[] = {"",    SIXTY_FOUR "0", "inline", "none", "a b", " a",
					    "a ",  "a,b",          "a:b",    "a/b",  "a|b", "a%",
					    "a\"", "\xc3\xa4",     "a\n",    "{a}",  "a*"};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (policy_name_is_good(bytes_from_text(names[i])))
			fail_msg("%s is taken", names[i]);
}

static void test_policy_name_is_good_every_single_byte_is_told(void **state)
{
	static const char good[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	(void)state;

	for (unsigned byte = 0; byte < 256; byte++) {
		uint8_t name = (uint8_t)byte;
		bool expected = memchr(good, (int)byte, sizeof good - 1) != NULL;
		assert_int_equal(policy_name_is_good(bytes_from(&name, 1)), expected);
	}
}

static void test_attribute_name_is_reserved_tells_the_eight(void **state)
{
	static const char *const reserved[] = {"policy",   "key",         "cost",  "algorithm",
					       "capacity", "refill_rate", "limit", "window"};
	static const char *const others[] = {"",   "src",   "Key",        "keys",
					     "ke", "polic", "refill-rate"};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		assert_true(attribute_name_is_reserved(bytes_from_text(reserved[i])));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_false(attribute_name_is_reserved(bytes_from_text(others[i])));
}

/* ---- the generation ---- */

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
 * to change them makes every balance start anew, and raises STATE_FORMAT.
 */
static void test_policies_add_generation_is_as_it_always_was(void **state)
{
	struct policy window = policy_of("login:src");
	struct policy bucket = policy_of("tenant:tenant,path");
	(void)state;

	bucket.terms.quota = (struct quota){
		.algorithm = TOKEN_BUCKET, .limit = 10, .refill_tokens = 1, .refill_us = 2000000};

	assert_string_equal(generation_of(&window).text, "7ce8ecead1b5");
	assert_string_equal(generation_of(&bucket).text, "9732aa479138");
}

static void test_policies_add_generation_is_stable_under_what_a_reload_may_change(void **state)
{
	struct policy before = policy_of("login:src"), after = policy_of("other:src");
	(void)state;

	after.terms.quota.limit = 1000;
	after.terms.on_error = ON_ERROR_DENY;
	after.position = 7;

	assert_same_generation(&before, &after);
}

static void test_policies_add_generation_does_not_depend_on_a_buckets_numbers(void **state)
{
	struct policy before = policy_of("login:src"), after = policy_of("login:src");
	(void)state;

	before.terms.quota = (struct quota){
		.algorithm = TOKEN_BUCKET, .limit = 10, .refill_tokens = 1, .refill_us = 2000000};
	after.terms.quota = (struct quota){
		.algorithm = TOKEN_BUCKET, .limit = 99, .refill_tokens = 3, .refill_us = 7000000};

	assert_same_generation(&before, &after);
}

static void test_policies_add_generation_does_not_depend_on_the_place(void **state)
{
	struct policies *one = POLICIES("a:src", "b:path");
	struct policies *two = POLICIES("b:path", "c:x", "a:src");
	(void)state;

	assert_string_equal(policies_find(one, BYTES("a"))->terms.generation,
			    policies_find(two, BYTES("a"))->terms.generation);

	policies_unref(one);
	policies_unref(two);
}

static void test_policies_add_generation_tells_algorithms(void **state)
{
	static const enum algorithm algorithms[] = {TOKEN_BUCKET, SLIDING_WINDOW,
						    SLIDING_WINDOW_COUNTER, FIXED_WINDOW};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++)
		for (size_t k = 0; k < i; k++) {
			struct policy a = policy_of("login:src"), b = policy_of("login:src");
			a.terms.quota.algorithm = algorithms[i];
			b.terms.quota.algorithm = algorithms[k];
			assert_other_generation(&a, &b);
		}
}

static void test_policies_add_generation_tells_windows(void **state)
{
	struct policy before = policy_of("login:src"), after = policy_of("login:src");
	(void)state;

	after.terms.quota.window_us++;

	assert_other_generation(&before, &after);
}

static void test_policies_add_generation_tells_prefixes(void **state)
{
	struct policy before = policy_of("login:src");
	struct policy ipv4 = before, ipv6 = before, swapped = before;
	(void)state;

	ipv4.ipv4_prefix = 24;
	ipv6.ipv6_prefix = 56;
	swapped.ipv4_prefix = 3;
	swapped.ipv6_prefix = 264;

	assert_other_generation(&before, &ipv4);
	assert_other_generation(&before, &ipv6);
	assert_other_generation(&before, &swapped);
}

static void test_policies_add_generation_tells_keys(void **state)
{
	static const char *const notations[] = {"p:",    "p:a",   "p:b",    "p:ab",  "p:a,b",
						"p:b,a", "p:abc", "p:a,bc", "p:ab,c"};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(notations); i++)
		for (size_t k = 0; k < i; k++) {
			struct policy a = policy_of(notations[i]), b = policy_of(notations[k]);
			assert_other_generation(&a, &b);
		}
}

/* ---- the generation of an override ---- */

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
static void test_policies_add_generation_of_overrides_is_as_it_always_was(void **state)
{
	(void)state;

	assert_string_equal(generation_by("login:src", "a=x", true, WINDOW_US).text,
			    "8f5ab5a58c18");
	assert_string_equal(generation_by("login:src", "a=x|y*;b=", true, WINDOW_US).text,
			    "2da43fe0267f");
}

static void test_policies_add_generation_of_override_without_numbers_is_the_policys(void **state)
{
	struct policy policy = policy_of("login:src");
	(void)state;

	assert_string_equal(generation_by("login:src", "a=x", false, WINDOW_US).text,
			    generation_of(&policy).text);
}

static void test_policies_add_generation_of_overrides_tells_all_that_differ(void **state)
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
	(void)state;

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
static void test_policies_add_generation_of_override_is_no_plain_one(void **state)
{
	struct policy plain = policy_of("p:src,override,a,x,,");
	(void)state;

	assert_string_not_equal(generation_by("p:src", "a=x", true, WINDOW_US).text,
				generation_of(&plain).text);
}

static void test_policies_add_generation_of_override_is_stable_under_a_reload(void **state)
{
	struct policies *before = policies_new(ON_ERROR_ALLOW);
	struct policies *after = policies_new(ON_ERROR_ALLOW);
	struct policy old = policy_of("p:src"), new = policy_of("p:src");
	(void)state;

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

/* ---- terms ---- */

static void test_policy_terms_the_first_override_that_fits_holds(void **state)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of("p:src");
	struct attributes x = ATTRIBUTES(text("a", "x")), xy = ATTRIBUTES(text("a", "xy")),
			  y = ATTRIBUTES(text("a", "y"));
	(void)state;

	(void)add_override(&policy, "a=x");
	(void)add_override(&policy, "a=x*");
	add_policy(policies, &policy);
	const struct policy *p = policies_at(policies, 0);

	assert_ptr_equal(policy_terms(p, &x, NULL), &p->overrides[0].terms);
	assert_ptr_equal(policy_terms(p, &xy, NULL), &p->overrides[1].terms);
	assert_ptr_equal(policy_terms(p, &y, NULL), &p->terms);
	policies_unref(policies);
}

static void test_policy_terms_key_stands_for_the_single_attribute(void **state)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy one = policy_of("one:a"), two = policy_of("two:a,b"),
		      none = policy_of("none-:");
	struct value key = value_text(BYTES("x"));
	struct attributes other = ATTRIBUTES(text("a", "y"), text("b", "z"));
	(void)state;

	(void)add_override(&one, "a=x;b=z");
	(void)add_override(&two, "a=x");
	(void)add_override(&none, "a=x");
	add_policy(policies, &one);
	add_policy(policies, &two);
	add_policy(policies, &none);

	const struct policy *p = policies_at(policies, 0);
	assert_ptr_equal(policy_terms(p, &other, &key), &p->overrides[0].terms);
	assert_ptr_equal(policy_terms(p, &(struct attributes){NULL, 0}, &key), &p->terms);
	for (size_t i = 1; i < 3; i++) {
		p = policies_at(policies, i);
		assert_ptr_equal(policy_terms(p, &other, &key), &p->terms);
	}
	policies_unref(policies);
}

/* A list of blocked networks is one override, and is not gone through for each request. */
static void test_policies_compile_many_patterns_of_one_override_have_an_index(void **state)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy few = policy_of("few:"), many = policy_of("many:");
	struct attributes inside = ATTRIBUTES(address("src", "10.0.99.1")),
			  outside = ATTRIBUTES(address("src", "10.1.0.1"));
	char network[32];
	(void)state;

	(void)add_override(&few, "src=10.0.0.0/24|10.0.1.0/24");
	(void)add_override(&many, "src=10.0.0.0/24");
	for (int i = 1; i < 100; i++) {
		snprintf(network, sizeof network, "10.0.%d.0/24", i);
		assert_true(condition_add_pattern(&many.overrides[0].match.items[0],
						  bytes_from_text(network)));
	}
	add_policy(policies, &few);
	add_policy(policies, &many);
	assert_true(policies_compile(policies));

	const struct policy *p = policies_at(policies, 1);
	assert_null(policies_at(policies, 0)->override_index);
	assert_non_null(p->override_index);
	assert_ptr_equal(policy_terms(p, &inside, NULL), &p->overrides[0].terms);
	assert_ptr_equal(policy_terms(p, &outside, NULL), &p->terms);
	policies_unref(policies);
}

static void test_policies_add_copies_the_attribute_of_the_cost(void **state)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of("p:");
	char name[] = "size";
	(void)state;

	policy.terms.cost_attribute = bytes_from_text(name);
	(void)add_override(&policy, "");
	add_policy(policies, &policy);
	memset(name, 'x', sizeof name);

	const struct policy *p = policies_at(policies, 0);
	assert_bytes_text(p->terms.cost_attribute, "size");
	assert_bytes_text(p->overrides[0].terms.cost_attribute, "size");
	policies_unref(policies);
}

/* ---- the set ---- */

static void test_policies_at_keeps_the_files_order(void **state)
{
	struct policies *policies = POLICIES("b:x", "a:x", "c:x");
	(void)state;

	assert_int_equal(policies_count(policies), 3);
	assert_string_equal(policies_at(policies, 0)->name, "b");
	assert_string_equal(policies_at(policies, 1)->name, "a");
	assert_string_equal(policies_at(policies, 2)->name, "c");
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(policies_at(policies, i)->position, i);
	policies_unref(policies);
}

static void test_policies_find_finds_each_of_many(void **state)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	char notation[32];
	(void)state;

	/* 7 and 997 have no divisor in common: every name once, in no order. */
	for (unsigned i = 0; i < 997; i++) {
		snprintf(notation, sizeof notation, "p%u:x", i * 7 % 997);
		struct policy policy = policy_of(notation);
		assert_true(policies_add(policies, &policy));
	}

	for (unsigned i = 0; i < 997; i++) {
		snprintf(notation, sizeof notation, "p%u", i);
		const struct policy *found = policies_find(policies, bytes_from_text(notation));
		assert_non_null(found);
		assert_string_equal(found->name, notation);
	}
	policies_unref(policies);
}

static void test_policies_find_name_is_whole(void **state)
{
	struct policies *policies = POLICIES("login:x", "log:x", "login2:x", "Login-:x");
	static const char *const others[] = {"",       "l",      "lo",       "logi",   "login22",
					     "Login",  "login-", "login ",   " login", "log\n",
					     "inline", "none",   "login,log"};
	(void)state;

	assert_string_equal(policies_find(policies, BYTES("login"))->name, "login");
	assert_string_equal(policies_find(policies, BYTES("log"))->name, "log");
	assert_null(policies_find(policies, BYTES("log\0")));
	assert_null(policies_find(policies, BYTES("login\0x")));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (policies_find(policies, bytes_from_text(others[i])) != NULL)
			fail_msg("%s is found", others[i]);
	policies_unref(policies);
}

static void test_policies_find_longest_name_is_found(void **state)
{
	struct policies *policies = POLICIES(SIXTY_FOUR ":x");
	(void)state;

	assert_non_null(policies_find(policies, BYTES(SIXTY_FOUR)));
	assert_null(policies_find(policies, BYTES(SIXTY_FOUR "0")));
	policies_unref(policies);
}

static void test_policies_find_empty_set_has_none(void **state)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	(void)state;

	assert_int_equal(policies_count(policies), 0);
	assert_null(policies_find(policies, BYTES("login")));
	policies_unref(policies);
}

static void test_policies_add_copies_the_names_of_the_key(void **state)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of("login:");
	char name[] = "src";
	(void)state;

	policy.key[policy.key_count++] = bytes_from_text(name);
	assert_true(policies_add(policies, &policy));
	memset(name, 'x', sizeof name);

	assert_bytes_text(policies_at(policies, 0)->key[0], "src");
	policies_unref(policies);
}

static void test_policies_inline_has_the_defaults(void **state)
{
	struct policies *policies = policies_new(ON_ERROR_DENY);
	(void)state;

	const struct policy *found = policies_inline(policies);

	assert_string_equal(found->name, "inline");
	assert_int_equal(found->terms.on_error, ON_ERROR_DENY);
	assert_int_equal(found->ipv4_prefix, 32);
	assert_int_equal(found->ipv6_prefix, 64);
	policies_unref(policies);
}

static void test_policies_unref_the_last_reference_frees(void **state)
{
	struct policies *policies = POLICIES("login:src");
	(void)state;

	struct policies *again = policies_ref(policies);
	policies_unref(policies);

	assert_ptr_equal(again, policies);
	assert_string_equal(policies_at(again, 0)->name, "login");
	policies_unref(again);
}

static void test_policies_inherit_counts_on_by_name(void **state)
{
	struct policies *before = POLICIES("login:src", "gone:src");
	struct policies *after = POLICIES("new:src", "login:src");
	(void)state;

	policies_at(before, 0)->tally->checks[TALLY_DENIED] = 3;
	policies_inline(before)->tally->checks[TALLY_ALLOWED] = 4;
	policies_inherit(after, before);
	policies_unref(before);

	assert_int_equal(policies_at(after, 0)->tally->checks[TALLY_DENIED], 0);
	assert_int_equal(policies_at(after, 1)->tally->checks[TALLY_DENIED], 3);
	assert_int_equal(policies_inline(after)->tally->checks[TALLY_ALLOWED], 4);
	policies_unref(after);
}

static void test_policies_inherit_another_key_forgets_the_top_ones(void **state)
{
	struct policies *before = POLICIES("login:src", "same:src");
	struct policies *after = POLICIES("login:user", "same:src");
	(void)state;

	for (size_t i = 0; i < 2; i++)
		policies_at(before, i)->tally->seen = calloc(1, sizeof(struct top_keys));
	policies_inherit(after, before);

	assert_null(policies_at(after, 0)->tally->seen);
	assert_non_null(policies_at(after, 1)->tally->seen);
	policies_unref(before);
	policies_unref(after);
}

static void test_policies_unref_takes_null(void **state)
{
	(void)state;

	policies_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy_name_is_good_takes_the_documented_signs),
		cmocka_unit_test(test_policy_name_is_good_refuses_all_else),
		cmocka_unit_test(test_policy_name_is_good_every_single_byte_is_told),
		cmocka_unit_test(test_attribute_name_is_reserved_tells_the_eight),
		cmocka_unit_test(test_policies_add_generation_is_as_it_always_was),
		cmocka_unit_test(
			test_policies_add_generation_is_stable_under_what_a_reload_may_change),
		cmocka_unit_test(test_policies_add_generation_does_not_depend_on_a_buckets_numbers),
		cmocka_unit_test(test_policies_add_generation_does_not_depend_on_the_place),
		cmocka_unit_test(test_policies_add_generation_tells_algorithms),
		cmocka_unit_test(test_policies_add_generation_tells_windows),
		cmocka_unit_test(test_policies_add_generation_tells_prefixes),
		cmocka_unit_test(test_policies_add_generation_tells_keys),
		cmocka_unit_test(test_policies_add_generation_of_overrides_is_as_it_always_was),
		cmocka_unit_test(
			test_policies_add_generation_of_override_without_numbers_is_the_policys),
		cmocka_unit_test(test_policies_add_generation_of_overrides_tells_all_that_differ),
		cmocka_unit_test(test_policies_add_generation_of_override_is_no_plain_one),
		cmocka_unit_test(test_policies_add_generation_of_override_is_stable_under_a_reload),
		cmocka_unit_test(test_policy_terms_the_first_override_that_fits_holds),
		cmocka_unit_test(test_policy_terms_key_stands_for_the_single_attribute),
		cmocka_unit_test(test_policies_compile_many_patterns_of_one_override_have_an_index),
		cmocka_unit_test(test_policies_add_copies_the_attribute_of_the_cost),
		cmocka_unit_test(test_policies_at_keeps_the_files_order),
		cmocka_unit_test(test_policies_find_finds_each_of_many),
		cmocka_unit_test(test_policies_find_name_is_whole),
		cmocka_unit_test(test_policies_find_longest_name_is_found),
		cmocka_unit_test(test_policies_find_empty_set_has_none),
		cmocka_unit_test(test_policies_add_copies_the_names_of_the_key),
		cmocka_unit_test(test_policies_inline_has_the_defaults),
		cmocka_unit_test(test_policies_unref_the_last_reference_frees),
		cmocka_unit_test(test_policies_inherit_counts_on_by_name),
		cmocka_unit_test(test_policies_inherit_another_key_forgets_the_top_ones),
		cmocka_unit_test(test_policies_unref_takes_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
