#include "limit/policies.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
		cmocka_unit_test(test_policies_add_copies_the_attribute_of_the_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
