#include "limit/policy_changes.h"

#include <stdio.h>
#include <string.h>

#include "samples.h"
#include "support/test.h"

/* "a1 b2": the names of policies, of one letter, and their fingerprints, of one digit. */
static struct policies *set_of(const char *notation)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	char name[] = "?:src";

	assert_non_null(policies);
	for (; *notation != '\0'; notation += notation[2] == ' ' ? 3 : 2) {
		name[0] = notation[0];
		struct policy policy = policy_of(name);
		policy.fingerprint = (uint64_t)notation[1];
		assert_true(policies_add(policies, &policy));
	}
	return policies;
}

static void assert_changes(const char *before, const char *after, const char *added,
			   const char *changed, const char *removed, bool is_reordered)
{
	struct policies *one = set_of(before), *other = set_of(after);
	struct policy_changes changes = policies_compare(one, other);

	assert_string_equal(policy_names_text(&changes.added).text, added);
	assert_string_equal(policy_names_text(&changes.changed).text, changed);
	assert_string_equal(policy_names_text(&changes.removed).text, removed);
	assert_int_equal(changes.is_reordered, is_reordered);
	assert_int_equal(policy_changes_are_none(&changes),
			 *added == '\0' && *changed == '\0' && *removed == '\0' && !is_reordered);
	policies_unref(one);
	policies_unref(other);
}

TEST(policies_compare_the_same_is_no_change)
{
	assert_changes("", "", "", "", "", false);
	assert_changes("a1", "a1", "", "", "", false);
	assert_changes("c3 a1 b2", "c3 a1 b2", "", "", "", false);
}

TEST(policies_compare_tells_what_changed_in_file_order)
{
	assert_changes("", "b1 a1", "b,a", "", "", false);
	assert_changes("b1 a1", "", "", "", "b,a", false);
	assert_changes("a1", "a2", "", "a", "", false);
	assert_changes("d1 a1 b1 c1", "d2 x1 b2 c1 y1", "x,y", "d,b", "a", false);
	assert_changes("a1", "b1", "b", "", "a", false);
}

TEST(policies_compare_lists_have_a_fingerprint_each)
{
	for (enum listed which = LISTED_BLOCK; which <= LISTED_ALLOW; which++) {
		struct policies *before = set_of("a1"), *after = set_of("a1");

		policies_list(after, which)->fingerprint = 1;
		struct policy_changes changes = policies_compare(before, after);

		assert_int_equal(changes.is_allow_changed, which == LISTED_ALLOW);
		assert_int_equal(changes.is_block_changed, which == LISTED_BLOCK);
		assert_false(policy_changes_are_none(&changes));
		policies_unref(before);
		policies_unref(after);
	}
}

TEST(policies_compare_another_order_is_a_change)
{
	assert_changes("a1 b1", "b1 a1", "", "", "", true);
	assert_changes("a1 b1 c1", "b1 c1 a1", "", "", "", true);
	assert_changes("a1 b1 c1", "c1 b2 a1", "", "b", "", true);
}

TEST(policies_compare_what_comes_and_goes_reorders_nothing)
{
	assert_changes("a1 b1", "x1 a1 y1 b1 z1", "x,y,z", "", "", false);
	assert_changes("x1 a1 y1 b1", "a1 b1", "", "", "x,y", false);
	assert_changes("a1 b1", "b1 x1", "x", "", "a", false);
}

/* A fingerprint is compared whole. */
TEST(policies_compare_every_bit_of_a_fingerprint_counts)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		struct policies *one = set_of("a0"), *other = policies_new(ON_ERROR_ALLOW);
		struct policy policy = policy_of("a:src");
		policy.fingerprint = (uint64_t)'0' ^ UINT64_C(1) << bit;
		assert_true(policies_add(other, &policy));

		struct policy_changes changes = policies_compare(one, other);

		assert_int_equal(changes.changed.count, 1);
		policies_unref(one);
		policies_unref(other);
	}
}

TEST(policy_names_text_the_longest_fits)
{
	char name[POLICY_NAME_MAX + 1], expected[POLICY_NAMES_TEXT_MAX] = "";
	struct policy_names names = {.count = POLICIES_MAX};

	snprintf(name, sizeof name, "%0*d", POLICY_NAME_MAX, 0);
	for (size_t i = 0; i < POLICIES_SHOWN; i++) {
		names.shown[i] = name;
		snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%s%s",
			 i == 0 ? "" : ",", name);
	}
	strcat(expected, " and 9990 more");

	assert_string_equal(policy_names_text(&names).text, expected);
}

TEST(policy_names_text_ten_are_all_there)
{
	struct policies *none = set_of(""), *ten = set_of("a1 b1 c1 d1 e1 f1 g1 h1 i1 j1"),
			*eleven = set_of("a1 b1 c1 d1 e1 f1 g1 h1 i1 j1 k1");
	struct policy_changes of_ten = policies_compare(none, ten),
			      of_eleven = policies_compare(none, eleven);

	assert_string_equal(policy_names_text(&of_ten.added).text, "a,b,c,d,e,f,g,h,i,j");
	assert_string_equal(policy_names_text(&of_eleven.added).text,
			    "a,b,c,d,e,f,g,h,i,j and 1 more");
	policies_unref(none);
	policies_unref(ten);
	policies_unref(eleven);
}
