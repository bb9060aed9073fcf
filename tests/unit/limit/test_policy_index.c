/*
 * What policy_search_next gives must be what conditions_fit says of each policy, in file order,
 * with an index and without one.
 */
#include "limit/policy_index.h"

#include <stdio.h>
#include <stdlib.h>

#include "samples.h"
#include "support/chance.h"
#include "support/test.h"

#define SIXTY_THREE "/23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONG_TEXT   SIXTY_THREE SIXTY_THREE SIXTY_THREE

static void add_matched(struct policies *policies, const char *match)
{
	struct policy policy = policy_of("p:");

	snprintf(policy.name, sizeof policy.name, "p%zu", policies_count(policies));
	add_match(&policy.match, match);
	add_policy(policies, &policy);
}

static struct policies *compiled(struct policies *policies)
{
	assert_true(policies_compile(policies));
	return policies;
}

/* Returns how many fit. */
static size_t assert_found_as_fits(const struct policies *policies, struct attributes attributes)
{
	const struct policy *policy;
	struct policy_search search;
	size_t count = 0;

	policy_search_begin(&search, policies, &attributes);
	for (size_t i = 0; i < policies_count(policies); i++) {
		const struct policy *expected = policies_at(policies, i);
		if (!conditions_fit(&expected->match, &attributes, NULL))
			continue;
		policy = policy_search_next(&search);
		if (policy != expected)
			fail_msg("%s is found and not %s", policy == NULL ? "none" : policy->name,
				 expected->name);
		count++;
	}
	policy = policy_search_next(&search);
	if (policy != NULL)
		fail_msg("%s is found", policy->name);
	return count;
}

/* "p0 p3" */
static void assert_found(struct policies *policies, struct attributes attributes,
			 const char *expected)
{
	char names[256] = "";
	const struct policy *policy;
	struct policy_search search;

	policy_search_begin(&search, policies, &attributes);
	while ((policy = policy_search_next(&search)) != NULL) {
		strcat(names, *names == '\0' ? "" : " ");
		strcat(names, policy->name);
	}
	assert_string_equal(names, expected);
}

/* ---- a few ---- */

static struct policies *sample_policies(void)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);

	add_matched(policies, "method=POST;path=/login");
	add_matched(policies, "path=/a/b*|/c");
	add_matched(policies, "src=10.0.0.0/8;path=*.css");
	add_matched(policies, "");
	add_matched(policies, "path=*");
	add_matched(policies, "method=POST|PUT");
	return policies;
}

static void assert_sample_policies(struct policies *policies)
{
	assert_found(policies, (struct attributes){NULL, 0}, "p3");
	assert_found(policies, ATTRIBUTES(text("path", "/login")), "p3 p4");
	assert_found(policies, ATTRIBUTES(text("path", "/login"), text("method", "POST")),
		     "p0 p3 p4 p5");
	assert_found(policies, ATTRIBUTES(text("path", "/a/bc"), text("method", "PUT")),
		     "p1 p3 p4 p5");
	assert_found(policies, ATTRIBUTES(text("path", "/c"), absent("method")), "p1 p3 p4");
	assert_found(policies, ATTRIBUTES(text("path", "/x.css"), address("src", "10.1.2.3")),
		     "p2 p3 p4");
	assert_found(policies,
		     ATTRIBUTES(text("path", "/x.css"), address("src", "::ffff:10.1.2.3")),
		     "p2 p3 p4");
	assert_found(policies, ATTRIBUTES(text("path", "/x.css"), text("src", "10.1.2.3:4711")),
		     "p2 p3 p4");
	assert_found(policies, ATTRIBUTES(text("path", "/login"), text("path", "/c")), "p1 p3 p4");
}

TEST(policy_search_next_without_an_index)
{
	struct policies *policies = sample_policies();

	assert_sample_policies(policies);
	policies_unref(policies);
}

TEST(policy_search_next_with_an_index)
{
	struct policies *policies = compiled(sample_policies());

	assert_sample_policies(policies);
	policies_unref(policies);
}

TEST(policies_compile_empty_set_finds_nothing)
{
	struct policies *policies = compiled(policies_new(ON_ERROR_ALLOW));

	assert_found(policies, ATTRIBUTES(text("path", "/")), "");
	policies_unref(policies);
}

TEST(policy_search_begin_forgets_the_search_before)
{
	struct policies *policies = compiled(sample_policies());

	for (int i = 0; i < 3; i++) {
		assert_found(policies, ATTRIBUTES(text("path", "/c")), "p1 p3 p4");
		assert_found(policies, ATTRIBUTES(text("method", "PUT")), "p3 p5");
	}
	policies_unref(policies);
}

/* A search keeps nothing in the set: several may be under way. */
TEST(policy_search_next_of_two_searches_at_a_time)
{
	struct policies *policies = compiled(sample_policies());
	struct attributes a = ATTRIBUTES(text("path", "/c")), b = ATTRIBUTES(text("method", "PUT"));
	struct policy_search one, other;

	policy_search_begin(&one, policies, &a);
	policy_search_begin(&other, policies, &b);
	assert_string_equal(policy_search_next(&one)->name, "p1");
	assert_string_equal(policy_search_next(&other)->name, "p3");
	assert_string_equal(policy_search_next(&one)->name, "p3");
	assert_string_equal(policy_search_next(&other)->name, "p5");
	assert_null(policy_search_next(&other));
	assert_string_equal(policy_search_next(&one)->name, "p4");
	assert_null(policy_search_next(&one));
	assert_null(policy_search_next(&one));
	policies_unref(policies);
}

/* As many as a search has room for, and the last one is among them. */
TEST(policy_search_next_of_the_largest_set)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	char match[32];

	for (int i = 0; i < POLICIES_MAX; i++) {
		snprintf(match, sizeof match, "a=%d", i);
		add_matched(policies, match);
	}
	(void)compiled(policies);
	snprintf(match, sizeof match, "p%d", POLICIES_MAX - 1);
	assert_found(policies, ATTRIBUTES(text("a", match + 1)), match);
	assert_found(policies, ATTRIBUTES(text("a", "0")), "p0");
	policies_unref(policies);
}

/* The bitmaps have words of 64. */
TEST(policy_search_next_across_the_borders_of_words)
{
	static const size_t counts[] = {1, 63, 64, 65, 127, 128, 129, 200};
	char match[32], value[32];

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		struct policies *policies = policies_new(ON_ERROR_ALLOW);
		for (size_t k = 0; k < counts[i]; k++) {
			snprintf(match, sizeof match, "a=%zu", k);
			add_matched(policies, k % 5 == 0 ? "" : match);
		}
		(void)compiled(policies);
		for (size_t k = 0; k <= counts[i]; k++) {
			snprintf(value, sizeof value, "%zu", k);
			(void)assert_found_as_fits(policies, ATTRIBUTES(text("a", value)));
		}
		policies_unref(policies);
	}
}

TEST(policy_search_next_by_many_attributes)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	char match[32], name[16];

	for (int i = 0; i < 1000; i++) {
		snprintf(match, sizeof match, "a%d=x;all=*", i);
		add_matched(policies, match);
	}
	(void)compiled(policies);

	for (int i = 0; i <= 1000; i++) {
		snprintf(name, sizeof name, "a%d", i);
		(void)assert_found_as_fits(policies, ATTRIBUTES(text(name, "x"), text("all", "")));
		(void)assert_found_as_fits(policies, ATTRIBUTES(text(name, "y"), text("all", "")));
	}
	policies_unref(policies);
}

/* Beginnings are looked at up to 64 bytes, whole texts up to the longest that there is. */
TEST(policy_search_next_long_texts_and_beginnings)
{
	static const char *const matches[] = {
		"a=" SIXTY_THREE "*",  "a=" SIXTY_THREE "x*", "a=" SIXTY_THREE "xy*",
		"a=" SIXTY_THREE "xz", "a=" LONG_TEXT,        "a=" LONG_TEXT "*x",
		"a=" LONG_TEXT "y",
	};
	static const char *const values[] = {
		SIXTY_THREE,
		SIXTY_THREE "x",
		SIXTY_THREE "xy",
		SIXTY_THREE "xz",
		SIXTY_THREE "xyz",
		LONG_TEXT,
		LONG_TEXT "x",
		LONG_TEXT "y",
		LONG_TEXT "yx",
		LONG_TEXT "xx",
		"/",
		"",
	};

	/* Also without the last ones: the longest text is then another. */
	for (size_t count = 1; count <= ARRAY_SIZE(matches); count++) {
		struct policies *policies = policies_new(ON_ERROR_ALLOW);
		for (size_t i = 0; i < count; i++)
			add_matched(policies, matches[i]);
		(void)compiled(policies);
		for (size_t i = 0; i < ARRAY_SIZE(values); i++)
			(void)assert_found_as_fits(policies, ATTRIBUTES(text("a", values[i])));
		policies_unref(policies);
	}
}

/* ---- random ones ---- */

static const char *const names[] = {"a", "b", "c", "src", ""};

static const char *const patterns[] = {
	"",
	"x",
	"xy",
	"xyz",
	"y",
	"*",
	"**",
	"x*",
	"xy*",
	"*x",
	"x*y",
	"xy*z*",
	SIXTY_THREE "*",
	SIXTY_THREE "x*",
	SIXTY_THREE "xy*",
	SIXTY_THREE,
	LONG_TEXT,
	"5",
	"-5",
	"true",
	"0.0.0.0/0",
	"10.0.0.0/8",
	"10.1.0.0/16",
	"10.1.2.3",
	"::ffff:10.1.2.3",
	"10.1.2.2/31",
	"10.*",
	"::/0",
	"::ffff:10.1.0.0/112",
	"2001:db8::/32",
	"2001:db8::/63",
	"2001:db8::/64",
	"2001:DB8::1",
	"2001:db8::1/128",
	"2001:db8::*",
	"10.0.0.0/99",
};

static const char *const values[] = {
	"",
	"x",
	"xy",
	"xyz",
	"xyzz",
	"y",
	"yx",
	"xqy",
	"*",
	"x*",
	SIXTY_THREE,
	SIXTY_THREE "x",
	SIXTY_THREE "xy",
	LONG_TEXT,
	LONG_TEXT "x",
	"5",
	"-5",
	"true",
	"10.1.2.3",
	"10.1.2.2",
	"10.1.9.9",
	"10.9.9.9",
	"11.0.0.1",
	"::ffff:10.1.2.3",
	"2001:db8::1",
	"2001:0DB8::0001",
	"2001:db8:0:1::1",
	"2001:db9::1",
	"10.0.0.0/8",
	"10.0.0.0/99",
};

static void add_random_condition(struct chance *chance, struct conditions *conditions)
{
	struct condition *condition =
		conditions_add(conditions, bytes_from_text(CHANCE_PICK(chance, names)));

	assert_non_null(condition);
	for (int64_t count = chance_between(chance, 1, 3); count > 0; count--)
		assert_true(condition_add_pattern(condition,
						  bytes_from_text(CHANCE_PICK(chance, patterns))));
}

static struct policies *random_policies(struct chance *chance)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	int64_t count = chance_between(chance, 0, chance_is_one_in(chance, 4) ? 200 : 20);

	for (int64_t i = 0; i < count; i++) {
		struct policy policy = policy_of("p:");
		snprintf(policy.name, sizeof policy.name, "p%d", (int)i);
		for (int64_t left = chance_between(chance, 0, 3); left > 0; left--)
			add_random_condition(chance, &policy.match);
		add_policy(policies, &policy);
	}
	return policies;
}

static struct attribute random_attribute(struct chance *chance)
{
	const char *name = CHANCE_PICK(chance, names);

	switch (chance_between(chance, 0, 15)) {
	case 0:
		return absent(name);
	case 1:
		return number(name, chance_is_one_in(chance, 2) ? 5 : -5);
	case 2:
		return boolean(name, true);
	case 3:
		return address(name, chance_is_one_in(chance, 2) ? "::ffff:10.1.2.3" : "10.1.2.3");
	case 4:
		return address(name, "2001:db8::1");
	}
	return text(name, CHANCE_PICK(chance, values));
}

static size_t ask_randomly(struct chance *chance, struct policies *policies)
{
	struct attribute items[8];
	size_t count = (size_t)chance_between(chance, 0, 8);

	for (size_t i = 0; i < count; i++)
		items[i] = random_attribute(chance);
	return assert_found_as_fits(policies, (struct attributes){items, count});
}

TEST(policy_search_next_random_sets_and_requests)
{
	struct chance chance = {(uint64_t)environment_number("MODEL_SEED", 7)};
	int64_t sets = environment_number("MODEL_STEPS", 200000) / 200;
	size_t fitting = 0;

	for (int64_t i = 0; i < sets; i++) {
		struct policies *policies = compiled(random_policies(&chance));
		for (int k = 0; k < 200; k++)
			fitting += ask_randomly(&chance, policies);
		policies_unref(policies);
	}
	assert_true(fitting > (size_t)sets * 200);
}

/* Overrides are found by an index when they are many: the terms must be those of the first fit. */
static struct policies *random_overrides(struct chance *chance)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of("p:a");

	for (int64_t left = chance_between(chance, 0, 40); left > 0; left--) {
		struct override *override = policy_add_override(&policy);
		assert_non_null(override);
		for (int64_t count = chance_between(chance, 1, 3); count > 0; count--)
			add_random_condition(chance, &override->match);
	}
	add_policy(policies, &policy);
	return policies;
}

static const struct terms *first_that_fits(const struct policy *policy,
					   const struct attributes *attributes,
					   const struct attribute *instead)
{
	for (size_t i = 0; i < policy->override_count; i++)
		if (conditions_fit(&policy->overrides[i].match, attributes, instead))
			return &policy->overrides[i].terms;
	return &policy->terms;
}

TEST(policy_terms_random_overrides_and_requests)
{
	struct chance chance = {(uint64_t)environment_number("MODEL_SEED", 8)};
	int64_t sets = environment_number("MODEL_STEPS", 200000) / 400, overridden = 0;

	for (int64_t i = 0; i < sets; i++) {
		struct policies *policies = compiled(random_overrides(&chance));
		const struct policy *policy = policies_at(policies, 0);
		for (int k = 0; k < 200; k++) {
			struct attribute items[8], key = random_attribute(&chance);
			struct attributes attributes = {items, 8};
			for (size_t n = 0; n < attributes.count; n++)
				items[n] = random_attribute(&chance);
			key.name = BYTES("a");
			bool has_key = k % 2 == 0 && key.value.kind != VALUE_ABSENT;
			const struct terms *terms =
				policy_terms(policy, &attributes, has_key ? &key.value : NULL);
			assert_ptr_equal(
				terms, first_that_fits(policy, &attributes, has_key ? &key : NULL));
			overridden += terms != &policy->terms;
		}
		policies_unref(policies);
	}
	assert_in_range(overridden, sets * 200 / 4, sets * 200 * 9 / 10);
}

/* It finds few more than fit: of a thousand policies a request looks at some. */
TEST(policy_index_next_finds_few_that_do_not_fit)
{
	struct conditions matches[1000] = {{0}};
	const struct conditions *pointers[1000];
	char match[96], path[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(match, sizeof match, "method=POST;path=/p%d*|/q%d;src=10.%d.0.0/16", i, i,
			 i % 256);
		add_match(&matches[i], match);
		pointers[i] = &matches[i];
	}
	struct policy_index *index = policy_index_new(pointers, 1000);
	assert_non_null(index);

	for (int i = 0; i < 1000; i++) {
		struct policy_found in;
		size_t found = 0;
		snprintf(path, sizeof path, "/p%d/x", i);
		struct attributes attributes = ATTRIBUTES(
			text("method", "POST"), text("path", path), address("src", "10.1.2.3"));
		policy_index_search(index, &attributes, &in);
		for (size_t at = 0; (at = policy_index_next(index, &in, at)) < 1000; at++)
			found++;
		assert_in_range(found, 1,
				8); /* /p1 and /p12 begin /p123/x, and four have the src */
	}
	policy_index_free(index);
	for (int i = 0; i < 1000; i++)
		conditions_release(&matches[i]);
}
