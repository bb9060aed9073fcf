#include "limit/policies.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/large_block.h"
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

TEST(policies_shadow_all_overrides_and_inline_ones_too)
{
	struct policies *policies = policies_new(ON_ERROR_DENY);
	struct policy policy = {.name = "login", .terms.quota = {.limit = 1}};
	struct override *override = policy_add_override(&policy);

	assert_non_null(override);
	assert_true(policies_add(policies, &policy));
	policies_shadow_all(policies);

	assert_true(policies_at(policies, 0)->terms.is_shadow);
	assert_true(policies_at(policies, 0)->overrides[0].terms.is_shadow);
	assert_true(policies_inline(policies)->terms.is_shadow);
	assert_true(policies_blocked(policies)->terms.is_shadow);
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

/* As a reload does for a set that comes into use. */
static void inherit(struct policies *policies, const struct policies *before)
{
	for (size_t i = 0; i < policies_row_count(policies); i++)
		policies_inherit_at(policies, before, i);
	for (size_t i = 0; i < policies_row_count(policies); i++)
		policies_forget_keys_at(policies, before, i);
}

TEST(policies_rows_are_the_policies_then_inline_and_blocked)
{
	struct policies *policies = POLICIES("a:src", "b:src");
	static const char *const names[] = {"a", "b", "inline", "blocked"};

	assert_int_equal(policies_row_count(policies), ARRAY_SIZE(names));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_string_equal(policies_at_row(policies, i)->name, names[i]);
		assert_int_equal(policies_row_of(policies, policies_at_row(policies, i)), i);
	}
	policies_unref(policies);
}

TEST(policies_unref_some_frees_lists_too)
{
	struct policies *policies = POLICIES("a:src");

	for (enum listed which = LISTED_BLOCK; which <= LISTED_ALLOW; which++)
		for (int i = 0; i < 20; i++)
			add_match(match_list_add(policies_list(policies, which)),
				  "src=192.0.2.1|x");
	assert_true(policies_compile(policies));

	while (policies_unref_some(policies))
		continue;
}

TEST(policies_inherit_counts_on_by_name)
{
	struct policies *before = POLICIES("login:src", "gone:src");
	struct policies *after = POLICIES("new:src", "login:src");

	policies_at(before, 0)->tally->checks[TALLY_DENIED] = 3;
	policies_inline(before)->tally->checks[TALLY_ALLOWED] = 4;
	policies_blocked(before)->tally->checks[TALLY_DENIED] = 5;
	inherit(after, before);
	policies_unref(before);

	assert_int_equal(policies_at(after, 0)->tally->checks[TALLY_DENIED], 0);
	assert_int_equal(policies_at(after, 1)->tally->checks[TALLY_DENIED], 3);
	assert_int_equal(policies_inline(after)->tally->checks[TALLY_ALLOWED], 4);
	assert_int_equal(policies_blocked(after)->tally->checks[TALLY_DENIED], 5);
	policies_unref(after);
}

TEST(policies_inherit_another_key_forgets_the_top_ones)
{
	struct policies *before = POLICIES("login:src", "same:src");
	struct policies *after = POLICIES("login:user", "same:src");

	for (size_t i = 0; i < 2; i++)
		policies_at(before, i)->tally->seen = calloc(1, sizeof(struct top_keys));
	inherit(after, before);

	assert_null(policies_at(after, 0)->tally->seen);
	assert_non_null(policies_at(after, 1)->tally->seen);
	policies_unref(before);
	policies_unref(after);
}

TEST(policies_inherit_keys_of_the_old_policy_count_until_they_are_forgotten)
{
	struct policies *before = POLICIES("login:src");
	struct policies *after = POLICIES("login:user");

	for (size_t i = 0; i <= 1; i++)
		policies_inherit_at(after, before, i);
	policies_at(before, 0)->tally->seen = calloc(1, sizeof(struct top_keys));
	assert_ptr_equal(policies_at(after, 0)->tally, policies_at(before, 0)->tally);
	policies_forget_keys_at(after, before, 0);

	assert_null(policies_at(after, 0)->tally->seen);
	policies_unref(before);
	policies_unref(after);
}

TEST(policies_are_last_reference_counts_the_others)
{
	struct policies *policies = POLICIES("login:src");

	assert_true(policies_are_last_reference(policies));
	const struct policies *again = policies_ref(policies);
	assert_false(policies_are_last_reference(policies));
	policies_unref(again);
	assert_true(policies_are_last_reference(policies));
	policies_unref(policies);
}

/* Two policies, one of which has two overrides, one of them with `patterns` patterns. */
static struct policies *large_set(size_t patterns)
{
	struct policies *policies = POLICIES("first:src");
	struct policy policy = policy_of("second:src");

	(void)add_override(&policy, "path=/x");
	(void)add_override(&policy, "path=/0");
	for (size_t i = 1; i < patterns; i++) {
		char text[32];
		snprintf(text, sizeof text, "/%zu", i);
		assert_true(condition_add_pattern(policy.overrides[1].match.items,
						  bytes_from_text(text)));
	}
	add_policy(policies, &policy);
	assert_true(policies_compile(policies));
	return policies;
}

static size_t pieces_of(struct policies *policies)
{
	size_t pieces = 1;

	while (policies_unref_some(policies))
		pieces++;
	return pieces;
}

TEST(policies_unref_some_frees_a_large_policy_in_pieces)
{
	size_t few = pieces_of(large_set(20)), many = pieces_of(large_set(20000));

	assert_in_range(few, 4, 20);
	assert_true(many > few + 20000 / 1000);
}

/* What free() does with a block of some MiB in one call may take the loop some ms. */
TEST(policies_unref_some_gives_large_blocks_back_in_pieces)
{
	size_t patterns = 60000, bytes = patterns * sizeof(struct pattern);

	size_t pieces = pieces_of(large_set(patterns)) - patterns / 256;

	assert_true(pieces > bytes / LARGE_BLOCK_PIECE_BYTES);
}

/* Stopped anywhere, as at the end of the agent. What leaks is the sanitizers' business. */
TEST(policies_unref_some_what_is_left_is_freed_at_once)
{
	size_t pieces = pieces_of(large_set(1000));

	for (size_t stop = 0; stop < pieces; stop++) {
		struct policies *policies = large_set(1000);
		for (size_t i = 0; i < stop; i++)
			assert_true(policies_unref_some(policies));
		policies_unref(policies);
	}
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
