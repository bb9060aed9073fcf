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

/* ---- which policies apply ---- */

TEST(request_add_every_policy_that_fits_applies)
{
	struct request request = request_on(POLICIES("src:src", "path:path", "both:src,path"));

	add(&request, ATTRIBUTES(text("src", "192.0.2.1"), text("path", "/a")));

	assert_valid_checks(&request, "src:192.0.2.1 path:/a both:192.0.2.1|/a");
	request_clear(&request);
}

TEST(request_add_policy_that_lacks_an_attribute_is_left_out)
{
	struct request request = request_on(POLICIES("src:src", "path:path", "both:src,path"));

	add(&request, ATTRIBUTES(text("src", "192.0.2.1")));

	assert_valid_checks(&request, "src:192.0.2.1");
	assert_int_equal(request.left_out, 0);
	request_clear(&request);
}

TEST(request_add_null_attribute_lacks)
{
	struct request request = request_on(POLICIES("src:src", "all:"));

	add(&request, ATTRIBUTES(text("src", "192.0.2.1"), absent("src")));

	assert_valid_checks(&request, "all:");
	request_clear(&request);
}

TEST(request_add_empty_string_is_a_value)
{
	struct request request = request_on(POLICIES("src:src", "both:src,path"));

	add(&request, ATTRIBUTES(text("src", ""), text("path", "")));

	assert_valid_checks(&request, "src: both:|");
	request_clear(&request);
}

TEST(request_add_nothing_fits_is_valid)
{
	struct request request = request_on(POLICIES("src:src"));

	add(&request, ATTRIBUTES(text("path", "/")));
	add(&request, (struct attributes){NULL, 0});

	assert_valid_checks(&request, "");
	request_clear(&request);
}

TEST(request_add_policy_without_key_counts_everything)
{
	struct request request = request_on(POLICIES("all:"));

	add(&request, (struct attributes){NULL, 0});

	assert_valid_checks(&request, "all:");
	request_clear(&request);
}

TEST(request_add_values_come_in_the_order_of_the_key)
{
	struct request request = request_on(POLICIES("ab:a,b", "ba:b,a"));

	add(&request, ATTRIBUTES(text("b", "2"), text("a", "1")));

	assert_valid_checks(&request, "ab:1|2 ba:2|1");
	request_clear(&request);
}

TEST(request_add_values_of_all_kinds_have_their_text)
{
	struct request request = request_on(POLICIES("p:a,b,c,d,e"));

	add(&request, ATTRIBUTES(number("a", -5), natural("b", UINT64_MAX), boolean("c", true),
				 address("d", "::ffff:192.0.2.1"), address("e", "2001:db8::1")));

	assert_valid_checks(&request, "p:-5|18446744073709551615|true|192.0.2.1|2001:db8::");
	request_clear(&request);
}

TEST(request_add_address_in_text_is_the_address)
{
	struct request request = request_on(POLICIES("src:src"));

	add(&request, ATTRIBUTES(address("src", "2001:db8:0:1::5")));
	add(&request, ATTRIBUTES(text("src", "2001:DB8:0:1:FFFF::1")));
	add(&request, ATTRIBUTES(address("src", "192.0.2.1")));
	add(&request, ATTRIBUTES(text("src", "::ffff:192.0.2.1")));

	assert_valid_checks(&request, "src:2001:db8:0:1::*2 src:192.0.2.1*2");
	request_clear(&request);
}

TEST(request_add_prefixes_of_the_policy_cut)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of("net:src");

	policy.ipv4_prefix = 24;
	policy.ipv6_prefix = 56;
	assert_true(policies_add(policies, &policy));
	struct request request = request_on(policies);
	add(&request, ATTRIBUTES(text("src", "192.0.2.255")));
	add(&request, ATTRIBUTES(address("src", "2001:db8:0:12ff::1")));
	add(&request, ATTRIBUTES(text("policy", "net"), text("key", "192.0.2.7")));

	assert_valid_checks(&request, "net:192.0.2.0*2 net:2001:db8:0:1200::");
	request_clear(&request);
}

TEST(request_add_attributes_may_die_after_it)
{
	struct request request = request_on(POLICIES("src:src"));
	char value[] = "192.0.2.1";

	add(&request, ATTRIBUTES(text("src", value)));
	memset(value, 'x', sizeof value);

	assert_valid_checks(&request, "src:192.0.2.1");
	request_clear(&request);
}

TEST(request_clear_gives_every_slot_back)
{
	struct policies *policies = POLICIES("a:", "b:", "c:", "d:", "e:", "f:", "g:", "h:", "i:",
					     "j:", "k:", "l:", "m:", "n:", "o:", "p:", "q:");

	for (int i = 0; i < 1000; i++) {
		struct request request = request_on(policies_ref(policies));
		add(&request, ATTRIBUTES(text("policy", "a,b,q")));
		add(&request, (struct attributes){NULL, 0});
		if (i % 2 == 0)
			request_drop_checks(&request);
		request_clear(&request);
	}

	policies_unref(policies);
}

TEST(request_drop_checks_keeps_that_a_message_was_invalid)
{
	struct request request = request_on(POLICIES("all:"));

	add(&request, ATTRIBUTES(text("policy", "other")));
	add(&request, (struct attributes){NULL, 0});
	request_drop_checks(&request);

	assert_true(request.is_invalid);
	assert_checks(&request, "");
	request_clear(&request);
}

TEST(request_init_holds_the_policies)
{
	struct policies *policies = POLICIES("src:src");
	struct request request;

	request_init(&request, policies, &slots);
	policies_unref(policies);
	add(&request, ATTRIBUTES(text("src", "192.0.2.1")));

	assert_valid_checks(&request, "src:192.0.2.1");
	request_clear(&request);
}

/* ---- policy ---- */

TEST(request_add_named_policies_apply_alone)
{
	static const struct {
		const char *list;
		const char *expected;
	} cases[] = {
		{"b", "b:1"},
		{"a,b", "a:1 b:1"},
		{"c,a", "a:1 c:1"}, /* in the file's order, not in the list's */
		{" a , b ", "a:1 b:1"},
		{"  a", "a:1"},
		{"a,a", "a:1"}, /* counts once: not charged twice */
		{"a,b,a, a ", "a:1 b:1"},
	};
	struct policies *policies = POLICIES("a:x", "b:x", "c:x");

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct request request = request_on(policies_ref(policies));
		add(&request, ATTRIBUTES(text("policy", cases[i].list), text("x", "1")));
		assert_valid_checks(&request, cases[i].expected);
		request_clear(&request);
	}
	policies_unref(policies);
}

TEST(request_add_unknown_policy_is_invalid_and_adds_nothing)
{
	static const char *const lists[] = {"d",    "",    ",",        " ",   "a,", ",a",
					    "a,,b", "a,d", "d,a",      "a b", "A",  "inline",
					    "none", "a;b", "a,inline", "*"};
	struct policies *policies = POLICIES("a:x", "b:x", "c:x");

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct request request = request_on(policies_ref(policies));
		add(&request, ATTRIBUTES(text("policy", lists[i]), text("x", "1")));
		if (!request.is_invalid)
			fail_msg("\"%s\" is taken", lists[i]);
		assert_string_equal(request.invalid_why, "unknown policy");
		assert_checks(&request, "");
		request_clear(&request);
	}
	policies_unref(policies);
}

TEST(request_add_named_policy_without_its_attributes_is_invalid)
{
	struct request request = request_on(POLICIES("a:x", "b:x,y"));

	add(&request, ATTRIBUTES(text("policy", "a,b"), text("x", "1"), absent("y")));

	assert_true(request.is_invalid);
	assert_checks(&request, "");
	request_clear(&request);
}

TEST(request_add_null_policy_is_no_policy)
{
	struct request request = request_on(POLICIES("a:x", "b:x"));

	add(&request, ATTRIBUTES(absent("policy"), text("x", "1")));

	assert_valid_checks(&request, "a:1 b:1");
	request_clear(&request);
}

/* ---- key ---- */

TEST(request_add_key_counts_in_place_of_the_attributes)
{
	struct request request = request_on(POLICIES("a:x", "b:x,y", "c:"));

	add(&request,
	    ATTRIBUTES(text("policy", "a,b,c"), text("key", "k"), text("x", "1"), text("y", "2")));

	assert_valid_checks(&request, "a:k b:=k c:=k");
	request_clear(&request);
}

TEST(request_add_key_of_one_attribute_shares_its_balance)
{
	struct request request = request_on(POLICIES("a:x"));

	add(&request, ATTRIBUTES(text("x", "192.0.2.1")));
	add(&request, ATTRIBUTES(text("policy", "a"), text("key", "192.0.2.1")));
	add(&request, ATTRIBUTES(text("policy", "a"), address("key", "::ffff:192.0.2.1")));

	assert_valid_checks(&request, "a:192.0.2.1*3");
	request_clear(&request);
}

TEST(request_add_key_of_several_attributes_has_a_balance_of_its_own)
{
	struct request request = request_on(POLICIES("b:x,y"));

	add(&request, ATTRIBUTES(text("x", "1"), text("y", "2")));
	add(&request, ATTRIBUTES(text("policy", "b"), text("key", "1|2")));
	add(&request, ATTRIBUTES(text("x", "=1"), text("y", "2")));

	assert_valid_checks(&request, "b:1|2 b:=1%7c2 b:%3d1|2");
	request_clear(&request);
}

TEST(request_add_key_of_no_attribute_has_a_balance_of_its_own)
{
	struct request request = request_on(POLICIES("c:"));

	add(&request, (struct attributes){NULL, 0});
	add(&request, ATTRIBUTES(text("policy", "c"), text("key", "")));
	add(&request, ATTRIBUTES(text("policy", "c")));

	assert_valid_checks(&request, "c:*2 c:=");
	request_clear(&request);
}

TEST(request_add_key_that_is_null_is_absent)
{
	struct request request = request_on(POLICIES("a:x"));

	add(&request, ATTRIBUTES(text("policy", "a"), absent("key"), text("x", "1")));

	assert_valid_checks(&request, "a:1");
	request_clear(&request);
}

TEST(request_add_key_alone_is_invalid)
{
	struct request request = request_on(POLICIES("a:x"));

	add(&request, ATTRIBUTES(text("key", "k"), text("x", "1")));

	assert_true(request.is_invalid);
	assert_checks(&request, "");
	request_clear(&request);
}

/* ---- inline policies ---- */

#define INLINE_BUCKET(capacity_, rate, key_)                                           \
	ATTRIBUTES(text("algorithm", "token_bucket"), number("capacity", (capacity_)), \
		   text("refill_rate", (rate)), text("key", (key_)))
#define INLINE_WINDOW(algorithm_, limit_, window_, key_)                       \
	ATTRIBUTES(text("algorithm", (algorithm_)), number("limit", (limit_)), \
		   text("window", (window_)), text("key", (key_)))

TEST(request_add_inline_applies_alone)
{
	struct request request = request_on(POLICIES("key:key_", "all:"));

	add(&request, INLINE_BUCKET(10, "0.5", "k"));

	assert_valid_checks(&request, "inline:1t10,1/2000000:k");
	assert_int_equal(request.checks[0]->quota->limit, 10);
	request_clear(&request);
}

TEST(request_add_inline_works_without_a_file)
{
	struct request request = request_on(policies_new(ON_ERROR_ALLOW));

	add(&request, INLINE_WINDOW("fixed_window", 5, "1m", "k"));

	assert_valid_checks(&request, "inline:1f5,60000000:k");
	request_clear(&request);
}

TEST(request_add_inline_equal_in_everything_share_a_balance)
{
	struct request request = request_on(policies_new(ON_ERROR_ALLOW));

	add(&request, INLINE_BUCKET(10, "0.5", "192.0.2.1"));
	add(&request, INLINE_BUCKET(10, "1/2s", "::ffff:192.0.2.1"));
	add(&request, INLINE_BUCKET(10, "30/1m", "192.0.2.1"));
	add(&request, INLINE_WINDOW("fixed_window", 5, "1m", "k"));
	add(&request, INLINE_WINDOW("fixed_window", 5, "60", "k"));

	assert_valid_checks(&request, "inline:1t10,1/2000000:192.0.2.1*3 inline:1f5,60000000:k*2");
	request_clear(&request);
}

TEST(request_add_inline_that_differ_have_balances_of_their_own)
{
	struct request request = request_on(policies_new(ON_ERROR_ALLOW));

	add(&request, INLINE_WINDOW("fixed_window", 5, "1m", "k"));
	add(&request, INLINE_WINDOW("sliding_window", 5, "1m", "k"));
	add(&request, INLINE_WINDOW("fixed_window", 6, "1m", "k"));
	add(&request, INLINE_WINDOW("fixed_window", 5, "2m", "k"));
	add(&request, INLINE_WINDOW("fixed_window", 5, "1m", "K"));

	assert_valid_checks(&request, "inline:1f5,60000000:k inline:1s5,60000000:k "
				      "inline:1f6,60000000:k inline:1f5,120000000:k "
				      "inline:1f5,60000000:K");
	request_clear(&request);
}

TEST(request_add_inline_ipv6_key_is_cut_to_64)
{
	struct request request = request_on(policies_new(ON_ERROR_ALLOW));

	add(&request, INLINE_WINDOW("fixed_window", 5, "1m", "2001:db8::1"));

	assert_valid_checks(&request, "inline:1f5,60000000:2001:db8::");
	request_clear(&request);
}

/* ---- more than one message ---- */

TEST(request_add_checks_of_all_messages_are_in_file_order)
{
	struct request request = request_on(POLICIES("a:x", "b:y", "c:z"));

	add(&request, INLINE_WINDOW("fixed_window", 5, "1m", "k"));
	add(&request, ATTRIBUTES(text("z", "1")));
	add(&request, ATTRIBUTES(text("y", "1")));
	add(&request, ATTRIBUTES(text("x", "2")));
	add(&request, ATTRIBUTES(text("x", "1")));

	assert_valid_checks(&request, "a:2 a:1 b:1 c:1 inline:1f5,60000000:k");
	request_clear(&request);
}

TEST(request_add_invalid_message_leaves_the_others)
{
	struct request request = request_on(POLICIES("a:x"));

	add(&request, ATTRIBUTES(text("x", "1")));
	add(&request, ATTRIBUTES(text("x", "2"), number("cost", -1)));
	add(&request, ATTRIBUTES(text("x", "3")));

	assert_true(request.is_invalid);
	assert_string_equal(request.invalid_why, "cost is not a whole number from 0 on");
	assert_checks(&request, "a:1 a:3");
	request_clear(&request);
}

TEST(request_init_is_valid)
{
	struct request request = request_on(POLICIES("a:x"));

	assert_false(request.is_invalid);
	assert_int_equal(request.count, 0);
	assert_int_equal(request.left_out, 0);
	request_clear(&request);
}

/* ---- more than 16 ---- */

#define SIXTEEN                                                                                   \
	"p00:x", "p01:x", "p02:x", "p03:x", "p04:x", "p05:x", "p06:x", "p07:x", "p08:x", "p09:x", \
		"p10:x", "p11:x", "p12:x", "p13:x", "p14:x", "p15:x"
#define SIXTEEN_CHECKS                                                                   \
	"p00:1 p01:1 p02:1 p03:1 p04:1 p05:1 p06:1 p07:1 p08:1 p09:1 p10:1 p11:1 p12:1 " \
	"p13:1 p14:1 p15:1"
#define SIXTEEN_CHECKS_TWICE                                                               \
	"p00:1*2 p01:1*2 p02:1*2 p03:1*2 p04:1*2 p05:1*2 p06:1*2 p07:1*2 p08:1*2 p09:1*2 " \
	"p10:1*2 p11:1*2 p12:1*2 p13:1*2 p14:1*2 p15:1*2"

TEST(request_add_sixteen_fit_all_apply)
{
	struct request request = request_on(POLICIES(SIXTEEN));

	add(&request, ATTRIBUTES(text("x", "1")));

	assert_valid_checks(&request, SIXTEEN_CHECKS);
	assert_int_equal(request.left_out, 0);
	request_clear(&request);
}

TEST(request_add_more_fit_the_first_sixteen_of_the_file_apply)
{
	struct request request = request_on(POLICIES(SIXTEEN, "p16:x", "p17:x", "p18:y"));

	add(&request, ATTRIBUTES(text("x", "1")));

	assert_valid_checks(&request, SIXTEEN_CHECKS);
	assert_int_equal(request.left_out, 2);
	request_clear(&request);
}

TEST(request_add_more_fit_by_the_index_the_first_sixteen_apply)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	char notation[16];

	/* Every other one fits, and of those the fifth is not limited: it takes no place. */
	for (int i = 0; i < 40; i++) {
		snprintf(notation, sizeof notation, "p%02d:x", i / 2);
		notation[0] = i % 2 == 0 ? 'p' : 'q';
		struct policy policy = policy_of(notation);
		add_match(&policy.match, i % 2 == 0 ? "x=1|2" : "x=3");
		if (i == 8)
			add_override(&policy, "x=1")->is_unlimited = true;
		add_policy(policies, &policy);
	}
	assert_true(policies_compile(policies));
	struct request request = request_on(policies);
	add(&request, ATTRIBUTES(text("x", "1")));

	assert_valid_checks(&request,
			    "p00:1 p01:1 p02:1 p03:1 p05:1 p06:1 p07:1 p08:1 p09:1 p10:1 p11:1 "
			    "p12:1 p13:1 p14:1 p15:1 p16:1");
	assert_int_equal(request.left_out, 3);
	request_clear(&request);
}

TEST(request_add_more_named_than_sixteen_is_not_invalid)
{
	struct request request = request_on(POLICIES(SIXTEEN, "p16:x"));

	add(&request,
	    ATTRIBUTES(text("x", "1"),
		       text("policy", "p00,p01,p02,p03,p04,p05,p06,p07,p08,p09,p10,p11,p12,p13,"
				      "p14,p15,p16")));

	assert_valid_checks(&request, SIXTEEN_CHECKS);
	assert_int_equal(request.left_out, 1);
	request_clear(&request);
}

TEST(request_add_named_again_behind_sixteen_counts_once)
{
	struct request request = request_on(POLICIES(SIXTEEN));

	add(&request,
	    ATTRIBUTES(text("x", "1"),
		       text("policy", "p00,p01,p02,p03,p04,p05,p06,p07,p08,p09,p10,p11,p12,p13,"
				      "p14,p15,p00,p15")));

	assert_valid_checks(&request, SIXTEEN_CHECKS);
	assert_int_equal(request.left_out, 0);
	request_clear(&request);
}

TEST(request_add_unknown_behind_sixteen_is_invalid)
{
	struct request request = request_on(POLICIES(SIXTEEN));

	add(&request,
	    ATTRIBUTES(text("x", "1"),
		       text("policy", "p00,p01,p02,p03,p04,p05,p06,p07,p08,p09,p10,p11,p12,p13,"
				      "p14,p15,other")));

	assert_true(request.is_invalid);
	assert_checks(&request, "");
	request_clear(&request);
}

/*
 * INTERFACE.md, section 3: checks that meet in one balance are added up first. They need no slot,
 * so that there are sixteen already is no reason to leave them out uncharged.
 */
TEST(request_add_full_equal_balances_are_still_added_up)
{
	struct request request = request_on(POLICIES(SIXTEEN));

	add(&request, ATTRIBUTES(text("x", "1")));
	add(&request, ATTRIBUTES(text("x", "1")));

	assert_valid_checks(&request, SIXTEEN_CHECKS_TWICE);
	assert_int_equal(request.left_out, 0);
	request_clear(&request);
}

TEST(request_add_full_the_last_of_the_file_are_left_out)
{
	struct request request = request_on(POLICIES(SIXTEEN));

	add(&request, ATTRIBUTES(text("x", "1")));
	add(&request, ATTRIBUTES(text("x", "2")));

	assert_valid_checks(&request, "p00:1 p00:2 p01:1 p01:2 p02:1 p02:2 p03:1 p03:2 "
				      "p04:1 p04:2 p05:1 p05:2 p06:1 p06:2 p07:1 p07:2");
	assert_int_equal(request.left_out, 16);
	request_clear(&request);
}
