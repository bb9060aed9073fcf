#include "limit/policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "samples.h"
#include "support/test.h"

#define SIXTEEN    "0123456789abcdef"
#define SIXTY_FOUR SIXTEEN SIXTEEN SIXTEEN SIXTEEN

/* ---- names ---- */

TEST(policy_name_is_good_takes_the_documented_signs)
{
	static const char *const names[] = {"a",     "Z",         "0",        ".",      "_",
					    "-",     "azAZ09._-", SIXTY_FOUR, "Inline", "inline-",
					    "inlin", "NONE",      "non"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!policy_name_is_good(bytes_from_text(names[i])))
			fail_msg("%s is refused", names[i]);
}

TEST(policy_name_is_good_refuses_all_else)
{
	static const char *const names[] = {"",    SIXTY_FOUR "0", "inline", "none", "a b", " a",
					    "a ",  "a,b",          "a:b",    "a/b",  "a|b", "a%",
					    "a\"", "\xc3\xa4",     "a\n",    "{a}",  "a*"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (policy_name_is_good(bytes_from_text(names[i])))
			fail_msg("%s is taken", names[i]);
}

TEST(policy_name_is_good_every_single_byte_is_told)
{
	static const char good[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

	for (unsigned byte = 0; byte < 256; byte++) {
		uint8_t name = (uint8_t)byte;
		bool expected = memchr(good, (int)byte, sizeof good - 1) != NULL;
		assert_int_equal(policy_name_is_good(bytes_from(&name, 1)), expected);
	}
}

TEST(attribute_name_is_reserved_tells_the_eight)
{
	static const char *const reserved[] = {"policy",   "key",         "cost",  "algorithm",
					       "capacity", "refill_rate", "limit", "window"};
	static const char *const others[] = {"",   "src",   "Key",        "keys",
					     "ke", "polic", "refill-rate"};

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		assert_true(attribute_name_is_reserved(bytes_from_text(reserved[i])));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_false(attribute_name_is_reserved(bytes_from_text(others[i])));
}

/* ---- terms ---- */

TEST(policy_terms_the_first_override_that_fits_holds)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of("p:src");
	struct attributes x = ATTRIBUTES(text("a", "x")), xy = ATTRIBUTES(text("a", "xy")),
			  y = ATTRIBUTES(text("a", "y"));

	(void)add_override(&policy, "a=x");
	(void)add_override(&policy, "a=x*");
	add_policy(policies, &policy);
	const struct policy *p = policies_at(policies, 0);

	assert_ptr_equal(policy_terms(p, &x, NULL), &p->overrides[0].terms);
	assert_ptr_equal(policy_terms(p, &xy, NULL), &p->overrides[1].terms);
	assert_ptr_equal(policy_terms(p, &y, NULL), &p->terms);
	policies_unref(policies);
}

TEST(policy_terms_key_stands_for_the_single_attribute)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy one = policy_of("one:a"), two = policy_of("two:a,b"),
		      none = policy_of("none-:");
	struct value key = value_text(BYTES("x"));
	struct attributes other = ATTRIBUTES(text("a", "y"), text("b", "z"));

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
TEST(policy_compile_many_patterns_of_one_override_have_an_index)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy few = policy_of("few:"), many = policy_of("many:");
	struct attributes inside = ATTRIBUTES(address("src", "10.0.99.1")),
			  outside = ATTRIBUTES(address("src", "10.1.0.1"));
	char network[32];

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
