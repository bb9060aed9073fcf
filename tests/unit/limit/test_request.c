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

#define BUCKET(capacity, rate, key) \
	"algorithm=token_bucket&capacity:int=" capacity "&refill_rate=" rate "&key=" key
#define WINDOW(algorithm, limit, window, key) \
	"algorithm=" algorithm "&limit:int=" limit "&window=" window "&key=" key

#define SIXTEEN                                                                                   \
	"p00:x", "p01:x", "p02:x", "p03:x", "p04:x", "p05:x", "p06:x", "p07:x", "p08:x", "p09:x", \
		"p10:x", "p11:x", "p12:x", "p13:x", "p14:x", "p15:x"
#define SIXTEEN_NAMES "p00,p01,p02,p03,p04,p05,p06,p07,p08,p09,p10,p11,p12,p13,p14,p15"
#define SIXTEEN_CHECKS                                                                   \
	"p00:1 p01:1 p02:1 p03:1 p04:1 p05:1 p06:1 p07:1 p08:1 p09:1 p10:1 p11:1 p12:1 " \
	"p13:1 p14:1 p15:1"
#define SIXTEEN_CHECKS_TWICE                                                               \
	"p00:1*2 p01:1*2 p02:1*2 p03:1*2 p04:1*2 p05:1*2 p06:1*2 p07:1*2 p08:1*2 p09:1*2 " \
	"p10:1*2 p11:1*2 p12:1*2 p13:1*2 p14:1*2 p15:1*2"

static const struct request_row requests[] = {
	{"nothing", {"a:x"}, {NULL}, .checks = ""},

	/* ---- which policies apply ---- */
	{"every policy that fits applies",
	 {"src:src", "path:path", "both:src,path"},
	 {"src=192.0.2.1&path=/a"},
	 .checks = "src:192.0.2.1 path:/a both:192.0.2.1|/a"},
	{"a policy that lacks an attribute is left out",
	 {"src:src", "path:path", "both:src,path"},
	 {"src=192.0.2.1"},
	 .checks = "src:192.0.2.1"},
	{"an attribute that is null is lacking",
	 {"src:src", "all:"},
	 {"src=192.0.2.1&src:null"},
	 .checks = "all:"},
	{"an empty text is a value",
	 {"src:src", "both:src,path"},
	 {"src=&path="},
	 .checks = "src: both:|"},
	{"a request that no policy fits is valid", {"src:src"}, {"path=/", ""}, .checks = ""},
	{"a policy without a key counts everything", {"all:"}, {""}, .checks = "all:"},
	{"values come in the order of the key",
	 {"ab:a,b", "ba:b,a"},
	 {"b=2&a=1"},
	 .checks = "ab:1|2 ba:2|1"},
	{"values of all kinds have their text",
	 {"p:a,b,c,d,e"},
	 {"a:int=-5&b:uint=18446744073709551615&c:bool=true&d:ip=::ffff:192.0.2.1"
	  "&e:ip=2001:db8::1"},
	 .checks = "p:-5|18446744073709551615|true|192.0.2.1|2001:db8::"},
	{"an address in text is the address",
	 {"src:src"},
	 {"src:ip=2001:db8:0:1::5", "src=2001:DB8:0:1:FFFF::1", "src:ip=192.0.2.1",
	  "src=::ffff:192.0.2.1"},
	 .checks = "src:2001:db8:0:1::*2 src:192.0.2.1*2"},

	/* ---- policy ---- */
	{"one is named", {"a:x", "b:x", "c:x"}, {"policy=b&x=1"}, .checks = "b:1"},
	{"two are named", {"a:x", "b:x", "c:x"}, {"policy=a,b&x=1"}, .checks = "a:1 b:1"},
	{"the order is the file's", {"a:x", "b:x", "c:x"}, {"policy=c,a&x=1"}, .checks = "a:1 c:1"},
	{"spaces around names", {"a:x", "b:x", "c:x"}, {"policy= a , b &x=1"}, .checks = "a:1 b:1"},
	{"spaces before a name", {"a:x", "b:x", "c:x"}, {"policy=  a&x=1"}, .checks = "a:1"},
	{"named twice counts once", {"a:x", "b:x", "c:x"}, {"policy=a,a&x=1"}, .checks = "a:1"},
	{"named three times counts once",
	 {"a:x", "b:x", "c:x"},
	 {"policy=a,b,a, a &x=1"},
	 .checks = "a:1 b:1"},
	{"a named policy without its attributes is invalid",
	 {"a:x", "b:x,y"},
	 {"policy=a,b&x=1&y:null"},
	 .checks = "",
	 .invalid_why = "neither key nor the policy's attributes"},
	{"a policy that is null is no policy",
	 {"a:x", "b:x"},
	 {"policy:null&x=1"},
	 .checks = "a:1 b:1"},

	/* ---- key ---- */
	{"a key counts in place of the attributes",
	 {"a:x", "b:x,y", "c:"},
	 {"policy=a,b,c&key=k&x=1&y=2"},
	 .checks = "a:k b:=k c:=k"},
	{"a key of one attribute shares its balance",
	 {"a:x"},
	 {"x=192.0.2.1", "policy=a&key=192.0.2.1", "policy=a&key:ip=::ffff:192.0.2.1"},
	 .checks = "a:192.0.2.1*3"},
	{"a key of several attributes has a balance of its own",
	 {"b:x,y"},
	 {"x=1&y=2", "policy=b&key=1|2", "x==1&y=2"},
	 .checks = "b:1|2 b:=1%7c2 b:%3d1|2"},
	{"a key of no attribute has a balance of its own",
	 {"c:"},
	 {"", "policy=c&key=", "policy=c"},
	 .checks = "c:*2 c:="},
	{"a key that is null is absent", {"a:x"}, {"policy=a&key:null&x=1"}, .checks = "a:1"},
	{"a key alone is invalid",
	 {"a:x"},
	 {"key=k&x=1"},
	 .checks = "",
	 .invalid_why = "key with neither policy nor algorithm"},

	/* ---- inline policies ---- */
	{"inline applies alone",
	 {"key:key_", "all:"},
	 {BUCKET("10", "0.5", "k")},
	 .checks = "inline:1t10,1/2000000:k"},
	{"inline works without a policy file",
	 {NULL},
	 {WINDOW("fixed_window", "5", "1m", "k")},
	 .checks = "inline:1f5,60000000:k"},
	{"inline buckets that are equal in everything share a balance",
	 {NULL},
	 {BUCKET("10", "0.5", "192.0.2.1"), BUCKET("10", "1/2s", "::ffff:192.0.2.1"),
	  BUCKET("10", "30/1m", "192.0.2.1")},
	 .checks = "inline:1t10,1/2000000:192.0.2.1*3"},
	{"inline windows that are equal in everything share a balance",
	 {NULL},
	 {WINDOW("fixed_window", "5", "1m", "k"), WINDOW("fixed_window", "5", "60", "k")},
	 .checks = "inline:1f5,60000000:k*2"},
	{"inline ones that differ have balances of their own",
	 {NULL},
	 {WINDOW("fixed_window", "5", "1m", "k"), WINDOW("sliding_window", "5", "1m", "k"),
	  WINDOW("fixed_window", "6", "1m", "k"), WINDOW("fixed_window", "5", "2m", "k"),
	  WINDOW("fixed_window", "5", "1m", "K")},
	 .checks = "inline:1f5,60000000:k inline:1s5,60000000:k inline:1f6,60000000:k "
		   "inline:1f5,120000000:k inline:1f5,60000000:K"},
	{"an inline IPv6 key is cut to 64 bits",
	 {NULL},
	 {WINDOW("fixed_window", "5", "1m", "2001:db8::1")},
	 .checks = "inline:1f5,60000000:2001:db8::"},

	/* ---- more than one message ---- */
	{"the checks of all messages are in the order of the file",
	 {"a:x", "b:y", "c:z"},
	 {WINDOW("fixed_window", "5", "1m", "k"), "z=1", "y=1", "x=2", "x=1"},
	 .checks = "a:2 a:1 b:1 c:1 inline:1f5,60000000:k"},
	{"an invalid message leaves the others",
	 {"a:x"},
	 {"x=1", "x=2&cost:int=-1", "x=3"},
	 .checks = "a:1 a:3",
	 .invalid_why = "cost is not a whole number from 0 on"},

	/* ---- ports and zones ---- */
	{"in src alone a port is cut off",
	 {"a:src", "b:server", "c:src,server"},
	 {"src=192.0.2.1:80&server=192.0.2.1:80", "src=192.0.2.1&server=192.0.2.1"},
	 .checks = "a:192.0.2.1*2 b:192.0.2.1:80 b:192.0.2.1 c:192.0.2.1|192.0.2.1:80 "
		   "c:192.0.2.1|192.0.2.1"},
	{"a zone is cut off before the prefix counts",
	 {"a:src"},
	 {"src=fe80::1%eth0", "src=[fe80::2%eth1]:80"},
	 .checks = "a:fe80::*2"},
	{"a key in place of src is one",
	 {"a:src", "b:server", "c:src,server"},
	 {"policy=a,b,c&key=192.0.2.1:80"},
	 .checks = "a:192.0.2.1 b:192.0.2.1:80 c:=192.0.2.1:80"},
	{"the key of an inline policy is not src",
	 {"a:src"},
	 {WINDOW("fixed_window", "5", "1m", "192.0.2.1:80")},
	 .checks = "inline:1f5,60000000:192.0.2.1:80"},

	/* ---- more than 16 ---- */
	{"sixteen fit and all apply", {SIXTEEN}, {"x=1"}, .checks = SIXTEEN_CHECKS},
	{"more fit and the first sixteen of the file apply",
	 {SIXTEEN, "p16:x", "p17:x", "p18:y"},
	 {"x=1"},
	 .checks = SIXTEEN_CHECKS,
	 .left_out = 2},
	{"more named than sixteen is not invalid",
	 {SIXTEEN, "p16:x"},
	 {"x=1&policy=" SIXTEEN_NAMES ",p16"},
	 .checks = SIXTEEN_CHECKS,
	 .left_out = 1},
	{"named again behind sixteen counts once",
	 {SIXTEEN},
	 {"x=1&policy=" SIXTEEN_NAMES ",p00,p15"},
	 .checks = SIXTEEN_CHECKS},
	{"an unknown name behind sixteen is invalid",
	 {SIXTEEN},
	 {"x=1&policy=" SIXTEEN_NAMES ",other"},
	 .checks = "",
	 .invalid_why = "unknown policy"},
	/*
	 * docs/reference.md, section SPOP: checks that meet in one balance are added up first. They
	 * need no slot, so even a request that has sixteen checks charges them.
	 */
	{"equal balances are added up even when there are sixteen",
	 {SIXTEEN},
	 {"x=1", "x=1"},
	 .checks = SIXTEEN_CHECKS_TWICE},
	{"of more than sixteen the last of the file are left out",
	 {SIXTEEN},
	 {"x=1", "x=2"},
	 .checks = "p00:1 p00:2 p01:1 p01:2 p02:1 p02:2 p03:1 p03:2 p04:1 p04:2 p05:1 p05:2 p06:1 "
		   "p06:2 "
		   "p07:1 p07:2",
	 .left_out = 16},
};

TEST_ROWS(requests)
{
	assert_request_row(row);
}

static const struct {
	const char *name;
} requests_for_unknown_policies[] = {
	{"d"},   {""},    {","}, {" "},      {"a,"},   {",a"},  {"a,,b"},     {"a,d"},
	{"d,a"}, {"a b"}, {"A"}, {"inline"}, {"none"}, {"a;b"}, {"a,inline"}, {"*"},
};

TEST_ROWS(requests_for_unknown_policies)
{
	struct request request = request_on(POLICIES("a:x", "b:x", "c:x"));

	add(&request, ATTRIBUTES(text("policy", row->name), text("x", "1")));

	assert_invalid_why(&request, "unknown policy");
	assert_checks(&request, "");
	request_clear(&request);
}

TEST(request_add_prefixes_of_the_policy_cut)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);
	struct policy policy = policy_of("net:src");

	policy.ipv4_prefix = 24;
	policy.ipv6_prefix = 56;
	add_policy(policies, &policy);
	struct request request = request_on(policies);
	add_message(&request, "src=192.0.2.255");
	add_message(&request, "src:ip=2001:db8:0:12ff::1");
	add_message(&request, "policy=net&key=192.0.2.7");

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

TEST(request_add_inline_has_the_limit_of_the_message)
{
	struct request request = request_on(policies_new(ON_ERROR_ALLOW));

	add_message(&request, BUCKET("10", "0.5", "k"));

	assert_int_equal(request.checks[0]->quota->limit, 10);
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
	add_message(&request, "x=1");

	assert_valid_checks(&request,
			    "p00:1 p01:1 p02:1 p03:1 p05:1 p06:1 p07:1 p08:1 p09:1 p10:1 p11:1 "
			    "p12:1 p13:1 p14:1 p15:1 p16:1");
	assert_int_equal(request.left_out, 3);
	request_clear(&request);
}

TEST(request_clear_gives_every_slot_back)
{
	struct policies *policies = POLICIES("a:", "b:", "c:", "d:", "e:", "f:", "g:", "h:", "i:",
					     "j:", "k:", "l:", "m:", "n:", "o:", "p:", "q:");

	for (int i = 0; i < 1000; i++) {
		struct request request = request_on(policies_ref(policies));
		add_message(&request, "policy=a,b,q");
		add_message(&request, "");
		if (i % 2 == 0)
			request_drop_checks(&request);
		request_clear(&request);
	}

	policies_unref(policies);
}

TEST(request_drop_checks_keeps_that_a_message_was_invalid)
{
	struct request request = request_on(POLICIES("all:"));

	add_message(&request, "policy=other");
	add_message(&request, "");
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
	add_message(&request, "src=192.0.2.1");

	assert_valid_checks(&request, "src:192.0.2.1");
	request_clear(&request);
}
