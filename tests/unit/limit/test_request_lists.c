/*
 * The lists `allow` and `block` are looked at before any policy. One message that fits holds for
 * all of them, and `allow` goes first.
 */
#include "limit/request.h"

#include <stdio.h>

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

#define INLINE "algorithm=fixed_window&limit:int=5&window=1m&key=k"

static const struct {
	const char *name;
	const char *allow[2], *block[2];
	const char *messages[4];
	const char *checks;
	bool is_shadow_all;
	const char *invalid_why;
} lists[] = {
	{"none fits",
	 {"src=192.0.2.1"},
	 {"src=192.0.2.2"},
	 {"src=192.0.2.3"},
	 .checks = "p:192.0.2.3 q:"},
	{"allow", {"src=192.0.2.1"}, {NULL}, {"src=192.0.2.1"}, .checks = ""},
	{"block", {NULL}, {"src=192.0.2.0/24"}, {"src=192.0.2.1"}, .checks = "blocked:"},
	{"block, an address as text with a port",
	 {NULL},
	 {"src=192.0.2.0/24"},
	 {"src=192.0.2.1:4711"},
	 .checks = "blocked:"},
	{"the second match of a list", {"a=1", "b=2"}, {NULL}, {"src=192.0.2.1&b=2"}, .checks = ""},
	{"all attributes of a match must fit",
	 {NULL},
	 {"src=192.0.2.1;b=2"},
	 {"src=192.0.2.1&b=3"},
	 .checks = "p:192.0.2.1 q:"},
	{"allow before block", {"src=192.0.2.1"}, {"src=*"}, {"src=192.0.2.1"}, .checks = ""},
	{"block, the first of the messages",
	 {NULL},
	 {"src=192.0.2.1"},
	 {"src=192.0.2.1", "src=192.0.2.2"},
	 .checks = "blocked:"},
	{"block, the last of the messages",
	 {NULL},
	 {"src=192.0.2.1"},
	 {"src=192.0.2.2", "src=192.0.2.1"},
	 .checks = "blocked:"},
	{"block twice",
	 {NULL},
	 {"src=192.0.2.*"},
	 {"src=192.0.2.2", "src=192.0.2.1"},
	 .checks = "blocked:"},
	{"allow, the last of the messages",
	 {"src=192.0.2.9"},
	 {"src=192.0.2.1"},
	 {"src=192.0.2.1", "src=192.0.2.2", "src=192.0.2.9"},
	 .checks = ""},
	{"allow, the first of the messages",
	 {"src=192.0.2.9"},
	 {"src=192.0.2.1"},
	 {"src=192.0.2.9", "src=192.0.2.1"},
	 .checks = ""},
	{"a named policy, allowed",
	 {"src=192.0.2.1"},
	 {NULL},
	 {"policy=p&src=192.0.2.1"},
	 .checks = ""},
	{"a named policy, blocked",
	 {NULL},
	 {"src=192.0.2.1"},
	 {"policy=q&src=192.0.2.1"},
	 .checks = "blocked:"},
	{"the key of a named policy stands for its attribute",
	 {NULL},
	 {"src=192.0.2.1"},
	 {"policy=q, p&key=192.0.2.1"},
	 .checks = "blocked:"},
	{"the key of a named policy without one attribute",
	 {NULL},
	 {"src=192.0.2.1"},
	 {"policy=q&key=192.0.2.1"},
	 .checks = "q:=192.0.2.1"},
	{"an inline policy, blocked",
	 {NULL},
	 {"src=192.0.2.1"},
	 {INLINE "&src=192.0.2.1"},
	 .checks = "blocked:"},
	{"an inline policy, allowed",
	 {"src=192.0.2.1"},
	 {NULL},
	 {INLINE "&src=192.0.2.1"},
	 .checks = ""},
	{"an inline policy, in no list",
	 {"src=192.0.2.1"},
	 {NULL},
	 {INLINE "&src=192.0.2.2"},
	 .checks = "inline:1f5,60000000:k"},
	{"an invalid message, blocked",
	 {NULL},
	 {"src=192.0.2.1"},
	 {"src=192.0.2.1&cost=x"},
	 .checks = "blocked:",
	 .invalid_why = "cost is not a whole number from 0 on"},
	{"an unknown policy, allowed",
	 {"src=192.0.2.1"},
	 {NULL},
	 {"src=192.0.2.1&policy=no"},
	 .checks = "",
	 .invalid_why = "unknown policy"},
	{"block in shadow leaves the policies",
	 {NULL},
	 {"src=192.0.2.1"},
	 {"src=192.0.2.2", "src=192.0.2.1"},
	 .checks = "blocked: p:192.0.2.2 p:192.0.2.1 q:*2",
	 .is_shadow_all = true},
	{"allow when all is in shadow",
	 {"src=192.0.2.9"},
	 {"src=192.0.2.1"},
	 {"src=192.0.2.1", "src=192.0.2.9"},
	 .checks = "",
	 .is_shadow_all = true},
};

static void fill(struct policies *policies, enum listed which, const char *const matches[2])
{
	for (size_t i = 0; i < 2 && matches[i] != NULL; i++) {
		struct conditions *match = match_list_add(policies_list(policies, which));
		assert_non_null(match);
		add_match(match, matches[i]);
	}
}

TEST_ROWS(lists)
{
	struct policies *policies = POLICIES("p:src", "q:");

	fill(policies, LISTED_ALLOW, row->allow);
	fill(policies, LISTED_BLOCK, row->block);
	assert_true(policies_compile(policies));
	if (row->is_shadow_all)
		policies_shadow_all(policies);
	struct request request = request_on(policies);
	for (size_t i = 0; i < ARRAY_SIZE(row->messages) && row->messages[i] != NULL; i++)
		add_message(&request, row->messages[i]);

	assert_checks(&request, row->checks);
	assert_invalid_why(&request, row->invalid_why);
	request_clear(&request);
}

TEST(request_add_blocked_is_decided_for_ever)
{
	struct policies *policies = POLICIES("p:src");

	fill(policies, LISTED_BLOCK, (const char *const[]){"src=192.0.2.1", NULL});
	assert_true(policies_compile(policies));
	struct request request = request_on(policies);
	add_message(&request, "src=192.0.2.1");

	const struct check *check = request.checks[0];
	assert_true(check->is_decided && check_denies(check));
	assert_string_equal(check->policy->name, "blocked");
	assert_int_equal(check_limit(check), 0);
	assert_int_equal(check->outcome.remaining, 0);
	assert_int_equal(check->outcome.retry_after_us, -1);
	assert_int_equal(check->outcome.reset_us, -1);
	request_clear(&request);
}

/* Slots are used again: what an earlier request left in one says nothing of the next. */
TEST(request_add_blocked_is_not_skipped_though_its_slot_was)
{
	struct policies *policies = POLICIES("p:src");

	fill(policies, LISTED_BLOCK, (const char *const[]){"src=192.0.2.1", NULL});
	assert_true(policies_compile(policies));
	struct request request = request_on(policies_ref(policies));
	add_message(&request, "src=192.0.2.2");
	request.checks[0]->is_skipped = true;
	request.checks[0]->is_remembered = true;
	request_clear(&request);
	request = request_on(policies);
	add_message(&request, "src=192.0.2.1");

	assert_string_equal(request.checks[0]->policy->name, "blocked");
	assert_false(request.checks[0]->is_skipped);
	assert_false(request.checks[0]->is_remembered);
	request_clear(&request);
}

/* As many as a request may have, and `blocked` in front. */
TEST(request_add_blocked_in_shadow_takes_the_place_of_the_last)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);

	assert_non_null(policies);
	for (size_t i = 0; i < REQUEST_CHECKS_MAX; i++) {
		char notation[] = "p?:src";
		notation[1] = (char)('a' + i);
		struct policy policy = policy_of(notation);
		assert_true(policies_add(policies, &policy));
	}
	fill(policies, LISTED_BLOCK, (const char *const[]){"src=192.0.2.1", NULL});
	assert_true(policies_compile(policies));
	policies_shadow_all(policies);
	struct request request = request_on(policies);
	add_message(&request, "src=192.0.2.2");
	add_message(&request, "policy=pa&src=192.0.2.1");

	assert_int_equal(request.count, REQUEST_CHECKS_MAX);
	assert_string_equal(request.checks[0]->policy->name, "blocked");
	assert_int_equal(request.left_out, 2);
	request_clear(&request);
}

/* More patterns than are looked at one by one. */
TEST(request_add_long_list_is_found_in)
{
	struct policies *policies = POLICIES("p:src");
	char match[32];

	for (int i = 0; i < 200; i++) {
		snprintf(match, sizeof match, "src=10.0.%d.0/24", i);
		fill(policies, LISTED_BLOCK, (const char *const[]){match, NULL});
	}
	assert_true(policies_compile(policies));

	for (int i = 0; i < 210; i++) {
		struct request request = request_on(policies_ref(policies));
		snprintf(match, sizeof match, "src=10.0.%d.7", i);
		add_message(&request, match);
		assert_string_equal(request.checks[0]->policy->name, i < 200 ? "blocked" : "p");
		request_clear(&request);
	}
	policies_unref(policies);
}
