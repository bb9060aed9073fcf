#include "limit/policies.h"

#include <stdio.h>
#include <stdlib.h>

#include "samples.h"
#include "support/sweep.h"
#include "support/test.h"

#define SIXTEEN    "0123456789abcdef"
#define SIXTY_FOUR SIXTEEN SIXTEEN SIXTEEN SIXTEEN

TEST(policies_at_keeps_the_files_order)
{
	struct policies *policies = POLICIES("b:x", "a:x", "c:x");

	assert_int_equal(policies_count(policies), 3);
	assert_string_equal(policies_at(policies, 0)->name, "b");
	assert_string_equal(policies_at(policies, 1)->name, "a");
	assert_string_equal(policies_at(policies, 2)->name, "c");
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(policies_at(policies, i)->position, i);
	policies_unref(policies);
}

TEST(policies_find_finds_each_of_many)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	char notation[32];

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

TEST(policies_find_name_is_whole)
{
	struct policies *policies = POLICIES("login:x", "log:x", "login2:x", "Login-:x");
	static const char *const others[] = {"",       "l",      "lo",       "logi",   "login22",
					     "Login",  "login-", "login ",   " login", "log\n",
					     "inline", "none",   "login,log"};

	assert_string_equal(policies_find(policies, BYTES("login"))->name, "login");
	assert_string_equal(policies_find(policies, BYTES("log"))->name, "log");
	assert_null(policies_find(policies, BYTES("log\0")));
	assert_null(policies_find(policies, BYTES("login\0x")));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (policies_find(policies, bytes_from_text(others[i])) != NULL)
			fail_msg("%s is found", others[i]);
	policies_unref(policies);
}

TEST(policies_find_longest_name_is_found)
{
	struct policies *policies = POLICIES(SIXTY_FOUR ":x");

	assert_non_null(policies_find(policies, BYTES(SIXTY_FOUR)));
	assert_null(policies_find(policies, BYTES(SIXTY_FOUR "0")));
	policies_unref(policies);
}

TEST(policies_find_empty_set_has_none)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);

	assert_int_equal(policies_count(policies), 0);
	assert_null(policies_find(policies, BYTES("login")));
	policies_unref(policies);
}

TEST(policies_add_copies_the_names_of_the_key)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of("login:");
	char name[] = "src";

	policy.key[policy.key_count++] = bytes_from_text(name);
	assert_true(policies_add(policies, &policy));
	memset(name, 'x', sizeof name);

	assert_bytes_text(policies_at(policies, 0)->key[0], "src");
	policies_unref(policies);
}

TEST(policies_inline_has_the_defaults)
{
	struct policies *policies = policies_new(ON_ERROR_DENY);

	const struct policy *found = policies_inline(policies);

	assert_string_equal(found->name, "inline");
	assert_int_equal(found->terms.on_error, ON_ERROR_DENY);
	assert_int_equal(found->ipv4_prefix, 32);
	assert_int_equal(found->ipv6_prefix, 64);
	policies_unref(policies);
}

TEST(policies_unref_the_last_reference_frees)
{
	struct policies *policies = POLICIES("login:src");

	const struct policies *again = policies_ref(policies);
	policies_unref(policies);

	assert_ptr_equal(again, policies);
	assert_string_equal(policies_at(again, 0)->name, "login");
	policies_unref(again);
}

TEST(policies_inherit_counts_on_by_name)
{
	struct policies *before = POLICIES("login:src", "gone:src");
	struct policies *after = POLICIES("new:src", "login:src");

	policies_at(before, 0)->tally->checks[TALLY_DENIED] = 3;
	policies_inline(before)->tally->checks[TALLY_ALLOWED] = 4;
	policies_inherit(after, before);
	policies_unref(before);

	assert_int_equal(policies_at(after, 0)->tally->checks[TALLY_DENIED], 0);
	assert_int_equal(policies_at(after, 1)->tally->checks[TALLY_DENIED], 3);
	assert_int_equal(policies_inline(after)->tally->checks[TALLY_ALLOWED], 4);
	policies_unref(after);
}

TEST(policies_inherit_another_key_forgets_the_top_ones)
{
	struct policies *before = POLICIES("login:src", "same:src");
	struct policies *after = POLICIES("login:user", "same:src");

	for (size_t i = 0; i < 2; i++)
		policies_at(before, i)->tally->seen = calloc(1, sizeof(struct top_keys));
	policies_inherit(after, before);

	assert_null(policies_at(after, 0)->tally->seen);
	assert_non_null(policies_at(after, 1)->tally->seen);
	policies_unref(before);
	policies_unref(after);
}

TEST(policies_unref_takes_null)
{
	policies_unref(NULL);
}

TEST(policies_add_copies_the_attribute_of_the_cost)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of("p:");
	char name[] = "size";

	policy.terms.cost_attribute = bytes_from_text(name);
	(void)add_override(&policy, "");
	add_policy(policies, &policy);
	memset(name, 'x', sizeof name);

	const struct policy *p = policies_at(policies, 0);
	assert_bytes_text(p->terms.cost_attribute, "size");
	assert_bytes_text(p->overrides[0].terms.cost_attribute, "size");
	policies_unref(policies);
}
