#include "app/policies/policy_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/writer.h"
#include "support/guarded.h"
#include "support/sweep.h"
#include "support/test.h"

#define SECOND INT64_C(1000000)
#define DAY    (86400 * SECOND)

#define SIXTEEN          "0123456789abcdef"
#define SIXTY_FOUR       SIXTEEN SIXTEEN SIXTEEN SIXTEEN
#define SIXTY_FOUR_ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

/* What stands between the braces of the policy `p`, and of the file. */
#define FIELDS(text)   "{\"policies\":{\"p\":{" text "}}}"
#define POLICIES(text) "{\"policies\":{" text "}}"

/* All that a policy needs but one thing. */
#define BUCKET      "\"algorithm\":\"token_bucket\","
#define WINDOW      "\"algorithm\":\"fixed_window\","
#define KEY         ",\"key\":[]"
#define CAPACITY(n) FIELDS(BUCKET "\"refill_rate\":1,\"capacity\":" n KEY)
#define RATE(n)     FIELDS(BUCKET "\"capacity\":10,\"refill_rate\":" n KEY)
#define LIMIT(n)    FIELDS(WINDOW "\"window\":1,\"limit\":" n KEY)
#define LENGTH(n)   FIELDS(WINDOW "\"limit\":10,\"window\":" n KEY)
#define KEYS(list)  FIELDS(WINDOW "\"limit\":10,\"window\":1,\"key\":" list)
#define NAMED(name) POLICIES("\"" name "\":{" WINDOW "\"limit\":10,\"window\":1" KEY "}")

/* `err` is the first problem. */
static struct policies *parse(struct bytes json, struct err *err)
{
	struct problems problems;
	struct policies *policies = policy_file_parse(json, ON_ERROR_ALLOW, &problems);

	if (policies == NULL)
		*err = problems.items[0];
	return policies;
}

static struct policies *parse_good(const char *json)
{
	struct err err;
	struct policies *policies = parse(bytes_from_text(json), &err);

	if (policies == NULL)
		fail_msg("%s: %s", json, err.text);
	return policies;
}

/* The error of a file that is refused, in one printable line. */
static struct err parse_bad(struct bytes json)
{
	struct err err;

	if (parse(json, &err) != NULL)
		fail_msg("%.*s is taken", (int)json.len, (const char *)json.data);
	for (const char *c = err.text; *c != '\0'; c++)
		assert_in_range(*c, ' ', '~');
	return err;
}

/* ---- good files ---- */

static void assert_quota(const char *json, struct quota expected)
{
	struct policies *policies = parse_good(json);
	const struct quota *quota = &policies_at(policies, 0)->terms.quota;

	if (quota->algorithm != expected.algorithm || quota->limit != expected.limit ||
	    quota->refill_tokens != expected.refill_tokens ||
	    quota->refill_us != expected.refill_us || quota->window_us != expected.window_us)
		fail_msg("%s: limit %lld, refill %lld/%lld us, window %lld us", json,
			 (long long)quota->limit, (long long)quota->refill_tokens,
			 (long long)quota->refill_us, (long long)quota->window_us);
	policies_unref(policies);
}

TEST(policy_file_parse_numbers_are_exact)
{
	static const struct {
		const char *json;
		struct quota expected;
	} cases[] = {
		{RATE("1"), {TOKEN_BUCKET, 10, 1, SECOND, 0}},
		{RATE("50"), {TOKEN_BUCKET, 10, 1, 20000, 0}},
		{RATE("0.5"), {TOKEN_BUCKET, 10, 1, 2 * SECOND, 0}},
		{RATE("0.1"), {TOKEN_BUCKET, 10, 1, 10 * SECOND, 0}},
		{RATE("0.3"), {TOKEN_BUCKET, 10, 3, 10 * SECOND, 0}},
		{RATE("2.5e-3"), {TOKEN_BUCKET, 10, 1, 400 * SECOND, 0}},
		{RATE("1E3"), {TOKEN_BUCKET, 10, 1, 1000, 0}},
		{RATE("1e+3"), {TOKEN_BUCKET, 10, 1, 1000, 0}},
		/* more digits than a double keeps */
		{RATE("0.50000000000000000"), {TOKEN_BUCKET, 10, 1, 2 * SECOND, 0}},
		{RATE("1234567.890625"), {TOKEN_BUCKET, 10, 15802469, 12800000, 0}},
		{CAPACITY("10000000000000000e-16"), {TOKEN_BUCKET, 1, 1, SECOND, 0}},
		{RATE("\"0.5\""), {TOKEN_BUCKET, 10, 1, 2 * SECOND, 0}},
		{RATE("\"1000/1m\""), {TOKEN_BUCKET, 10, 1, 60000, 0}},
		{RATE("\"1/3s\""), {TOKEN_BUCKET, 10, 1, 3 * SECOND, 0}},
		{CAPACITY("1"), {TOKEN_BUCKET, 1, 1, SECOND, 0}},
		{CAPACITY("1e6"), {TOKEN_BUCKET, 1000000, 1, SECOND, 0}},
		{CAPACITY("10.0"), {TOKEN_BUCKET, 10, 1, SECOND, 0}},
		{LIMIT("1"), {FIXED_WINDOW, 1, 0, 0, SECOND}},
		{LIMIT("999999999999999"), {FIXED_WINDOW, QUOTA_UNITS_MAX, 0, 0, SECOND}},
		{LENGTH("60"), {FIXED_WINDOW, 10, 0, 0, 60 * SECOND}},
		{LENGTH("0.5"), {FIXED_WINDOW, 10, 0, 0, SECOND / 2}},
		{LENGTH("0.001"), {FIXED_WINDOW, 10, 0, 0, 1000}},
		{LENGTH("\"1ms\""), {FIXED_WINDOW, 10, 0, 0, 1000}},
		{LENGTH("\"1.5s\""), {FIXED_WINDOW, 10, 0, 0, SECOND * 3 / 2}},
		{LENGTH("\"1m\""), {FIXED_WINDOW, 10, 0, 0, 60 * SECOND}},
		{LENGTH("\"1h\""), {FIXED_WINDOW, 10, 0, 0, 3600 * SECOND}},
		{LENGTH("\"1d\""), {FIXED_WINDOW, 10, 0, 0, DAY}},
		{LENGTH("\"3650d\""), {FIXED_WINDOW, 10, 0, 0, 3650 * DAY}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_quota(cases[i].json, cases[i].expected);
}

TEST(policy_file_parse_every_algorithm_has_its_name)
{
	static const struct {
		const char *fields;
		enum algorithm expected;
	} cases[] = {
		{FIELDS("\"algorithm\":\"token_bucket\",\"capacity\":1,\"refill_rate\":1" KEY),
		 TOKEN_BUCKET},
		{FIELDS("\"algorithm\":\"sliding_window\",\"limit\":1000000,\"window\":1" KEY),
		 SLIDING_WINDOW},
		{FIELDS("\"algorithm\":\"sliding_window_counter\",\"limit\":1,\"window\":1" KEY),
		 SLIDING_WINDOW_COUNTER},
		{FIELDS("\"algorithm\":\"fixed_window\",\"limit\":1,\"window\":1" KEY),
		 FIXED_WINDOW},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct policies *policies = parse_good(cases[i].fields);
		assert_int_equal(policies_at(policies, 0)->terms.quota.algorithm,
				 cases[i].expected);
		policies_unref(policies);
	}
}

TEST(policy_file_parse_names_are_taken)
{
	static const char *const files[] = {NAMED("a"),       NAMED("A-Z_0.9"), NAMED(SIXTY_FOUR),
					    NAMED("Inline"),  NAMED("none-"),   NAMED("policies"),
					    NAMED("\\u0061"), NAMED("-")};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		policies_unref(parse_good(files[i]));
}

TEST(policy_file_parse_policies_are_in_file_order)
{
	struct policies *policies =
		parse_good(POLICIES("\"b\":{" WINDOW "\"limit\":1,\"window\":1,\"key\":[\"x\"]},"
				    "\"a\":{" WINDOW "\"limit\":2,\"window\":1,\"key\":[]},"
				    "\"c\":{" WINDOW "\"limit\":3,\"window\":1,\"key\":[]}"));

	assert_int_equal(policies_count(policies), 3);
	assert_string_equal(policies_at(policies, 0)->name, "b");
	assert_string_equal(policies_at(policies, 1)->name, "a");
	assert_string_equal(policies_at(policies, 2)->name, "c");
	policies_unref(policies);
}

TEST(policy_file_parse_key_is_in_order)
{
	struct policies *policies = parse_good(KEYS("[\"src\",\"x-y z\",\"\\u00e4\"]"));
	const struct policy *policy = policies_at(policies, 0);

	assert_int_equal(policy->key_count, 3);
	assert_bytes_text(policy->key[0], "src");
	assert_bytes_text(policy->key[1], "x-y z");
	assert_bytes_text(policy->key[2], "\xc3\xa4");
	policies_unref(policies);
}

TEST(policy_file_parse_defaults_are_the_flags)
{
	struct problems problems;
	struct policies *policies = policy_file_parse(BYTES(NAMED("p")), ON_ERROR_LOCAL, &problems);

	assert_non_null(policies);
	assert_int_equal(policies_at(policies, 0)->terms.on_error, ON_ERROR_LOCAL);
	assert_int_equal(policies_at(policies, 0)->ipv4_prefix, 32);
	assert_int_equal(policies_at(policies, 0)->ipv6_prefix, 64);
	assert_int_equal(policies_inline(policies)->terms.on_error, ON_ERROR_LOCAL);
	policies_unref(policies);
}

/* ---- all the other fields ---- */

#define BASE      WINDOW "\"limit\":10,\"window\":1" KEY ","
#define AND(text) FIELDS(BASE text)

TEST(policy_file_parse_match_is_in_order)
{
	struct policies *policies = parse_good(AND(
		"\"match\":{\"path\":[\"/a\",\"/b*\"],\"src\":\"10.0.0.0/8\",\"\\u00e4\":\"\"}"));
	const struct conditions *match = &policies_at(policies, 0)->match;

	assert_int_equal(match->count, 3);
	assert_bytes_text(match->items[0].attribute, "path");
	assert_int_equal(match->items[0].count, 2);
	assert_bytes_text(match->items[0].patterns[0].text, "/a");
	assert_bytes_text(match->items[0].patterns[1].text, "/b*");
	assert_int_equal(match->items[1].count, 1);
	assert_int_equal(match->items[1].patterns[0].network.kind, VALUE_IPV4);
	assert_bytes_text(match->items[2].attribute, "\xc3\xa4");
	assert_bytes_text(match->items[2].patterns[0].text, "");
	policies_unref(policies);
}

TEST(policy_file_parse_what_is_not_said_is_off)
{
	struct policies *policies = parse_good(NAMED("p"));
	const struct policy *policy = policies_at(policies, 0);

	assert_int_equal(policy->match.count, 0);
	assert_int_equal(policy->override_count, 0);
	assert_false(policy->terms.is_shadow || policy->terms.is_unlimited ||
		     policy->terms.is_blocked);
	assert_int_equal(policy->terms.cost, 0);
	assert_null(policy->terms.cost_attribute.data);
	policies_unref(policies);
}

TEST(policy_file_parse_terms_are_the_policys)
{
	struct policies *policies =
		parse_good(AND("\"cost\":7,\"shadow\":true,\"on_error\":\"deny\","
			       "\"ipv4_prefix\":0,\"ipv6_prefix\":128"));
	const struct policy *policy = policies_at(policies, 0);

	assert_int_equal(policy->terms.cost, 7);
	assert_true(policy->terms.is_shadow);
	assert_int_equal(policy->terms.on_error, ON_ERROR_DENY);
	assert_int_equal(policy->ipv4_prefix, 0);
	assert_int_equal(policy->ipv6_prefix, 128);
	policies_unref(policies);
}

static const struct {
	const char *name, *text;
	bool is_shadow;
	unsigned share;
} shadows[] = {
	{"none", "0%", false, 0},
	{"most", "90%", false, 900000},
	{"decimals", "0.5%", false, 5000},
	{"the_least", "0.0001%", false, 1},
	{"nearly_all", "99.9999%", false, 999999},
	{"all", "100.0%", true, 0},
};

TEST_ROWS(shadows)
{
	char json[512];

	snprintf(json, sizeof json, AND("\"shadow\":\"%s\""), row->text);
	struct policies *policies = parse_good(json);

	assert_int_equal(policies_at(policies, 0)->terms.is_shadow, row->is_shadow);
	assert_int_equal(policies_at(policies, 0)->terms.shadow_share, row->share);
	policies_unref(policies);
}

TEST(policy_file_parse_a_lease_reduces_the_bucket_and_those_of_overrides)
{
	struct policies *policies = parse_good(FIELDS(
		"\"algorithm\":\"token_bucket\",\"capacity\":100,\"refill_rate\":\"501/10s\"" KEY
		",\"lease\":\"100ms\",\"overrides\":["
		"{\"match\":{\"a\":\"1\"},\"capacity\":1000},"
		"{\"match\":{\"a\":\"2\"},\"cost\":2},"
		"{\"match\":{\"a\":\"3\"},\"unlimited\":true}]"));
	const struct policy *policy = policies_at(policies, 0);

	assert_int_equal(policy->terms.lease_us, 100000);
	assert_int_equal(policy->terms.quota.limit, 94); /* 5.01 are refilled in 100 ms */
	assert_int_equal(policy->overrides[0].terms.lease_us, 100000);
	assert_int_equal(policy->overrides[0].terms.quota.limit, 994);
	assert_int_equal(policy->overrides[1].terms.quota.limit, 94);
	assert_int_equal(policy->overrides[2].terms.lease_us, 0);
	policies_unref(policies);
}

TEST(policy_file_parse_a_lease_reduces_no_window)
{
	struct policies *policies = parse_good(AND("\"lease\":\"10s\""));
	const struct policy *policy = policies_at(policies, 0);

	assert_int_equal(policy->terms.lease_us, 10000000);
	assert_int_equal(policy->terms.quota.limit, 10);
	policies_unref(policies);
}

TEST(policy_file_parse_shadow_of_an_override_replaces_a_share)
{
	struct policies *policies =
		parse_good(AND("\"shadow\":\"10%\",\"overrides\":[{\"match\":{\"a\":\"1\"}},"
			       "{\"match\":{\"a\":\"2\"},\"shadow\":false},"
			       "{\"match\":{\"a\":\"3\"},\"shadow\":true}]"));
	const struct override *overrides = policies_at(policies, 0)->overrides;

	assert_int_equal(overrides[0].terms.shadow_share, 100000);
	assert_int_equal(overrides[1].terms.shadow_share, 0);
	assert_false(overrides[1].terms.is_shadow);
	assert_int_equal(overrides[2].terms.shadow_share, 0);
	assert_true(overrides[2].terms.is_shadow);
	policies_unref(policies);
}

TEST(policy_file_parse_override_has_what_it_does_not_replace)
{
	struct policies *policies = parse_good(
		AND("\"overrides\":[{\"match\":{\"a\":\"1\"}},"
		    "{\"match\":{\"a\":\"2\"},\"limit\":20},"
		    "{\"match\":{\"a\":\"3\"},\"window\":\"2s\",\"shadow\":false},"
		    "{\"match\":{\"a\":\"4\"},\"cost\":\"bytes\",\"on_error\":\"local\"}],"
		    "\"cost\":7,\"shadow\":true,\"on_error\":\"deny\""));
	const struct override *overrides = policies_at(policies, 0)->overrides;

	assert_int_equal(policies_at(policies, 0)->override_count, 4);
	assert_int_equal(overrides[0].terms.quota.limit, 10);
	assert_int_equal(overrides[0].terms.cost, 7);
	assert_true(overrides[0].terms.is_shadow);
	assert_int_equal(overrides[0].terms.on_error, ON_ERROR_DENY);
	assert_false(overrides[0].has_own_balances);
	assert_int_equal(overrides[1].terms.quota.limit, 20);
	assert_int_equal(overrides[1].terms.quota.window_us, SECOND);
	assert_true(overrides[1].has_own_balances);
	assert_int_equal(overrides[2].terms.quota.limit, 10);
	assert_int_equal(overrides[2].terms.quota.window_us, 2 * SECOND);
	assert_false(overrides[2].terms.is_shadow);
	assert_true(overrides[2].has_own_balances);
	assert_int_equal(overrides[3].terms.cost, 0);
	assert_bytes_text(overrides[3].terms.cost_attribute, "bytes");
	assert_int_equal(overrides[3].terms.on_error, ON_ERROR_LOCAL);
	assert_false(overrides[3].has_own_balances);
	policies_unref(policies);
}

TEST(policy_file_parse_override_of_a_bucket_changes_either_number)
{
	struct policies *policies = parse_good(FIELDS(
		BUCKET "\"capacity\":10,\"refill_rate\":1" KEY ",\"cost\":\"bytes\",\"overrides\":["
		       "{\"match\":{\"a\":\"1\"},\"capacity\":20,\"cost\":3},"
		       "{\"match\":{\"a\":\"2\"},\"refill_rate\":\"1/1m\"}]"));
	const struct override *overrides = policies_at(policies, 0)->overrides;

	assert_int_equal(overrides[0].terms.quota.limit, 20);
	assert_int_equal(overrides[0].terms.quota.refill_us, SECOND);
	assert_int_equal(overrides[0].terms.cost, 3);
	assert_null(overrides[0].terms.cost_attribute.data);
	assert_int_equal(overrides[1].terms.quota.limit, 10);
	assert_int_equal(overrides[1].terms.quota.refill_us, 60 * SECOND);
	assert_bytes_text(overrides[1].terms.cost_attribute, "bytes");
	policies_unref(policies);
}

TEST(policy_file_parse_override_may_free_or_block)
{
	struct policies *policies =
		parse_good(AND("\"overrides\":[{\"match\":{\"a\":\"1\"},\"unlimited\":true},"
			       "{\"match\":{\"a\":\"2\"},\"blocked\":true,\"unlimited\":false}]"));
	const struct override *overrides = policies_at(policies, 0)->overrides;

	assert_true(overrides[0].terms.is_unlimited && !overrides[0].terms.is_blocked);
	assert_true(overrides[1].terms.is_blocked && !overrides[1].terms.is_unlimited);
	policies_unref(policies);
}

/* Found by the index, which a load makes: the second is, the first is not. */
TEST(policy_file_parse_policies_are_found_by_match)
{
	struct policies *policies =
		parse_good(POLICIES("\"a\":{" BASE "\"match\":{\"path\":\"/a\"}},"
				    "\"b\":{" BASE "\"match\":{\"path\":\"/b\"}}"));
	struct attribute path = {BYTES("path"), value_text(BYTES("/b"))};
	struct attributes attributes = {&path, 1};
	struct policy_search search;

	policy_search_begin(&search, policies, &attributes);

	const struct policy *found = policy_search_next(&search);
	assert_non_null(found);
	assert_string_equal(found->name, "b");
	assert_null(policy_search_next(&search));
	policies_unref(policies);
}

static uint64_t fingerprint_of(const char *json)
{
	struct policies *policies = parse_good(json);
	uint64_t fingerprint = policies_at(policies, 0)->fingerprint;

	policies_unref(policies);
	return fingerprint;
}

TEST(policy_file_parse_fingerprint_changes_with_any_field)
{
	static const char *const others[] = {
		LIMIT("11"),
		LENGTH("2"),
		KEYS("[\"src\"]"),
		AND("\"shadow\":false"),
		AND("\"cost\":1"),
		AND("\"match\":{\"a\":\"b\"}"),
		AND("\"match\":{\"a\":\"c\"}"),
		AND("\"overrides\":[{\"match\":{\"a\":\"b\"},\"blocked\":true}]"),
	};
	uint64_t first = fingerprint_of(NAMED("p"));

	assert_true(fingerprint_of(" " NAMED("p") "\n") == first);
	assert_true(fingerprint_of(NAMED("q")) == first);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_true(fingerprint_of(others[i]) != first);
}

TEST(policy_file_parse_hash_tag_is_of_the_policies_that_count_by_it)
{
	struct policies *policies =
		parse_good("{\"policies\":{\"a\":{" WINDOW
			   "\"limit\":1,\"window\":1,\"key\":[\"src\",\"path\"]},"
			   "\"b\":{" WINDOW "\"limit\":1,\"window\":1,\"key\":[\"path\",\"src\"]},"
			   "\"c\":{" WINDOW "\"limit\":1,\"window\":1,\"key\":[\"path\"]}},"
			   "\"hash_tag\":\"src\"}");

	assert_int_equal(policies_at(policies, 0)->hash_tag, 1);
	assert_int_equal(policies_at(policies, 1)->hash_tag, 2);
	assert_int_equal(policies_at(policies, 2)->hash_tag, 0);
	policies_unref(policies);
}

TEST(policy_file_parse_hash_tag_changes_the_fingerprint)
{
	struct policies *before = parse_good(NAMED("p"));
	struct policies *after = parse_good("{\"hash_tag\":\"src\",\"policies\":{\"p\":{" WINDOW
					    "\"limit\":10,\"window\":1,\"key\":[\"src\"]}}}");

	assert_true(policies_at(before, 0)->fingerprint != policies_at(after, 0)->fingerprint);
	policies_unref(before);
	policies_unref(after);
}

/* Only what is said counts, not how it is written. */
TEST(policy_file_parse_fingerprint_is_the_same_in_other_words)
{
	static const char *const same[] = {
		FIELDS(WINDOW "\"limit\" : 10,\n\"window\":1" KEY),
		FIELDS(WINDOW "\"limit\":1e1,\"window\":1.0" KEY),
		FIELDS(WINDOW "\"l\\u0069mit\":10,\"window\":1" KEY),
		FIELDS("\"algorithm\":\"fixed\\u005fwindow\",\"limit\":10,\"window\":1" KEY),
		POLICIES("\"a\":{" WINDOW "\"limit\":10,\"window\":1" KEY "},\"b\":{" BUCKET
			 "\"capacity\":1,\"refill_rate\":1" KEY "}"),
	};
	uint64_t first = fingerprint_of(NAMED("p"));

	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		if (fingerprint_of(same[i]) != first)
			fail_msg("%s", same[i]);
}

/* What stands in one list must not look like what stands in two. */
TEST(policy_file_parse_fingerprint_tells_lists_apart)
{
	static const char *const all[] = {
		KEYS("[\"ab\"]"),
		KEYS("[\"a\",\"b\"]"),
		KEYS("[\"b\",\"a\"]"),
		AND("\"match\":{\"a\":[\"b\",\"c\"]}"),
		AND("\"match\":{\"a\":[\"c\",\"b\"]}"),
		AND("\"match\":{\"a\":[\"b\"],\"c\":[\"d\"]}"),
		AND("\"match\":{\"a\":[\"b\",\"c\"],\"d\":[\"e\"]}"),
		AND("\"match\":{\"a\":[\"b\"],\"c\":[\"d\",\"e\"]}"),
		AND("\"overrides\":[{\"match\":{\"a\":\"b\"}},{\"match\":{\"c\":\"d\"}}]"),
		AND("\"overrides\":[{\"match\":{\"c\":\"d\"}},{\"match\":{\"a\":\"b\"}}]"),
		AND("\"overrides\":[{\"match\":{\"a\":\"b\",\"c\":\"d\"}}]"),
		AND("\"match\":{\"a\":\"true\"},\"shadow\":true"),
		AND("\"match\":{\"a\":\"true\"},\"shadow\":false"),
		AND("\"ipv4_prefix\":0"),
		AND("\"ipv6_prefix\":0"),
	};
	uint64_t fingerprints[ARRAY_SIZE(all)];

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		fingerprints[i] = fingerprint_of(all[i]);
		for (size_t j = 0; j < i; j++)
			if (fingerprints[i] == fingerprints[j])
				fail_msg("%s\n%s", all[i], all[j]);
	}
}

/* The decoded strings of a file have room, also when it is hardly more than one long string. */
TEST(policy_file_parse_a_long_string_with_escapes_is_kept)
{
	enum { LEN = 100000 };
	char *json = malloc(LEN + 200);
	int begin = sprintf(json, "%s",
			    "{\"policies\":{\"\\u0070\":{" WINDOW "\"limit\":10,\"window\":1" KEY
			    ",\"match\":{\"a\":\"\\n");

	memset(json + begin, 'x', LEN);
	strcpy(json + begin + LEN, "\"}}}}");
	struct policies *policies = parse_good(json);
	struct bytes pattern = policies_at(policies, 0)->match.items[0].patterns[0].text;
	free(json);

	assert_string_equal(policies_at(policies, 0)->name, "p");
	assert_int_equal(pattern.len, LEN + 1);
	assert_int_equal(pattern.data[0], '\n');
	assert_int_equal(pattern.data[LEN], 'x');
	policies_unref(policies);
}

TEST(policy_file_parse_long_number_is_shortened)
{
	struct err err = parse_bad(BYTES(LIMIT("1" SIXTY_FOUR_ZEROS SIXTY_FOUR_ZEROS)));

	assert_non_null(strstr(err.text, "policies.p.limit: 10000"));
	assert_non_null(strstr(err.text, "0... is not a whole number"));
}

TEST(policy_file_parse_no_policies_is_good)
{
	struct policies *policies = parse_good(" { \"policies\" : { } }\n");

	assert_int_equal(policies_count(policies), 0);
	policies_unref(policies);
}

/* ---- what is refused, and the place that is named ---- */

static const struct {
	const char *json;
	const char *error; /* how the error begins */
} refused[] = {
	/* the file */
	{"[]", "must be an object"},
	{"1", "must be an object"},
	{"null", "must be an object"},
	{"{}", "policies: "},
	{"{\"policies\":[]}", "policies: "},
	{"{\"policies\":null}", "policies: "},
	{"{\"policies\":{},\"x\":1}", "x: unknown field"},
	{"{\"Policies\":{}}", "Policies: unknown field"},
	{"{\"x\\ny\":1}", "\"x\\x0ay\": unknown field"},
	{"{\"policies\":{},\"policies\":{}}", "policies: stands there twice"},
	{"{\"policies\":{},\"block\":[],\"block\":[]}", "block: stands there twice"},
	{"{\"policies\":{},\"allow\":{}}", "allow: must be a list of matches, not an object"},
	{"{\"policies\":{},\"allow\":\"x\"}", "allow: must be a list of matches, not \"x\""},
	{"{\"policies\":{},\"block\":[{\"a\":\"b\"},\"10.0.0.0/8\"]}",
	 "block[1]: \"10.0.0.0/8\" is not an object of attributes"},
	{"{\"policies\":{},\"block\":[{}]}",
	 "block[0]: a match of a list names at least one attribute"},
	{"{\"policies\":{},\"allow\":[{\"src\":[\"::1\",\"10.0.0.0/33\"]}]}",
	 "allow[0].src[1]: \"10.0.0.0/33\" is not a network"},
	{"{\"policies\":{},\"block\":[{\"cost\":\"1\"}]}",
	 "block[0].cost: \"cost\" is a reserved name"},

	/* a policy */
	{NAMED(""), "policies: \"\" is not a name"},
	{NAMED("inline"), "policies: \"inline\" is not a name"},
	{NAMED("none"), "policies: \"none\" is not a name"},
	{NAMED("blocked"), "policies: \"blocked\" is not a name"},
	{NAMED("a b"), "policies: \"a b\" is not a name"},
	{NAMED(SIXTY_FOUR "0"), "policies: \"" SIXTY_FOUR "0\" is not a name"},
	{NAMED("\xc3\xa4"), "policies: \"\\xc3\\xa4\" is not a name"},
	{POLICIES("\"p\":[]"), "policies.p: must be an object"},
	{POLICIES("\"p\":\"x\""), "policies.p: must be an object"},
	{POLICIES("\"p\":{" WINDOW "\"limit\":1,\"window\":1" KEY "},"
		  "\"p\":{" WINDOW "\"limit\":1,\"window\":1" KEY "}"),
	 "policies.p: stands there twice"},
	{POLICIES("\"p\":{" WINDOW "\"limit\":1,\"window\":1" KEY "},"
		  "\"\\u0070\":{" WINDOW "\"limit\":1,\"window\":1" KEY "}"),
	 "policies.p: stands there twice"},
	{POLICIES("\"p\":{" WINDOW "\"limit\":1,\"window\":1" KEY "},"
		  "\"q\":{" WINDOW "\"limit\":0,\"window\":1" KEY "}"),
	 "policies.q.limit: "},

	/* its fields */
	{FIELDS(WINDOW "\"limit\":1,\"limit\":1,\"window\":1" KEY),
	 "policies.p.limit: stands there twice"},
	{FIELDS(WINDOW "\"limit\":1,\"window\":1,\"key\":[],\"key\":[]"),
	 "policies.p.key: stands there twice"},
	{FIELDS(""), "policies.p.algorithm: is missing"},
	{FIELDS("\"algorithm\":\"leaky\""), "policies.p.algorithm: \"leaky\" is unknown"},
	{FIELDS("\"algorithm\":\"Fixed_Window\""),
	 "policies.p.algorithm: \"Fixed_Window\" is unknown"},
	{FIELDS("\"algorithm\":1"), "policies.p.algorithm: "},
	{FIELDS("\"algorithm\":null"), "policies.p.algorithm: "},
	{FIELDS(BUCKET "\"capacity\":1,\"refill_rate\":1,\"limit\":1" KEY),
	 "policies.p.limit: is not a field of a token_bucket"},
	{FIELDS(BUCKET "\"capacity\":1,\"refill_rate\":1,\"window\":1" KEY),
	 "policies.p.window: is not a field of a token_bucket"},
	{FIELDS(WINDOW "\"limit\":1,\"window\":1,\"capacity\":1" KEY),
	 "policies.p.capacity: is not a field of a fixed_window"},
	{FIELDS(WINDOW "\"limit\":1,\"window\":1,\"refill_rate\":1" KEY),
	 "policies.p.refill_rate: is not a field of a fixed_window"},

	/* capacity and limit */
	{FIELDS(BUCKET "\"refill_rate\":1" KEY), "policies.p.capacity: is missing"},
	{CAPACITY("0"), "policies.p.capacity: "},
	{CAPACITY("-1"), "policies.p.capacity: "},
	{CAPACITY("1.5"), "policies.p.capacity: "},
	{CAPACITY("\"10\""), "policies.p.capacity: "},
	{CAPACITY("true"), "policies.p.capacity: "},
	{CAPACITY("null"), "policies.p.capacity: "},
	{CAPACITY("[]"), "policies.p.capacity: "},
	{CAPACITY("1e999"), "policies.p.capacity: "},
	{CAPACITY("-1e999"), "policies.p.capacity: "},
	{CAPACITY("9223372036854775808"), "policies.p.capacity: "},
	{FIELDS(WINDOW "\"window\":1" KEY), "policies.p.limit: is missing"},
	{LIMIT("0"), "policies.p.limit: "},
	{LIMIT("0.5"), "policies.p.limit: "},
	{LIMIT("1000000000000000"),
	 "policies.p.limit: 1000000000000000 is not a whole number from 1 to 999999999999999, the "
	 "most that a RateLimit field can say"},
	{LIMIT("1e15"), "policies.p.limit: 1e15 is not a whole number from 1 to 999999999999999"},
	{CAPACITY("1e15"),
	 "policies.p.capacity: 1e15 is not a whole number from 1 to 999999999999999"},
	{LIMIT("4503599627370496"), "policies.p.limit: "},
	{LIMIT("4503599627370497"), "policies.p.limit: "},
	{LIMIT("9007199254740993"), "policies.p.limit: "},
	{LIMIT("1e308"), "policies.p.limit: "},
	{LIMIT("\"x\""), "policies.p.limit: "},
	{FIELDS("\"algorithm\":\"sliding_window\",\"limit\":1000001,\"window\":1" KEY),
	 "policies.p.limit: a sliding_window takes at most 1000000"},
	{FIELDS("\"algorithm\":\"sliding_window_counter\",\"limit\":1e15,\"window\":1" KEY),
	 "policies.p.limit: "},

	/* refill_rate */
	{FIELDS(BUCKET "\"capacity\":1" KEY), "policies.p.refill_rate: is missing"},
	{RATE("0"), "policies.p.refill_rate: "},
	{RATE("-1"), "policies.p.refill_rate: "},
	{RATE("\"0\""), "policies.p.refill_rate: "},
	{RATE("\"\""), "policies.p.refill_rate: "},
	{RATE("\"1/0s\""), "policies.p.refill_rate: "},
	{RATE("\"1/3\""), "policies.p.refill_rate: "},
	{RATE("\"1 / 3s\""), "policies.p.refill_rate: "},
	{RATE("true"), "policies.p.refill_rate: "},
	{RATE("1e999"), "policies.p.refill_rate: "},
	{RATE("1e-300"), "policies.p.refill_rate: "},
	{RATE("0.3333333333333333"),
	 "policies.p.refill_rate: 0.3333333333333333 has too many digits to be kept exactly; "
	 "write a ratio"},
	{RATE("-0.3333333333333333"), "policies.p.refill_rate: -0.3333333333333333 is not a rate"},
	{RATE("0.00000123456789012345"),
	 "policies.p.refill_rate: 0.00000123456789012345 is not a rate"},
	{RATE("0.000001234567890123456"),
	 "policies.p.refill_rate: 0.000001234567890123456 has too many digits"},
	{RATE("0.000000000000000000"),
	 "policies.p.refill_rate: 0.000000000000000000 is not a rate"},
	{FIELDS(BUCKET "\"capacity\":1e12,\"refill_rate\":0.0001" KEY),
	 "policies.p.refill_rate: with a capacity of 1000000000000 it can't be kept exactly; write "
	 "a ratio"},

	/* window */
	{FIELDS(WINDOW "\"limit\":1" KEY), "policies.p.window: is missing"},
	{LENGTH("\"1x\""), "policies.p.window: \"1x\" is not a duration"},
	{LENGTH("\"\""), "policies.p.window: \"\" is not a duration"},
	{LENGTH("\"60\""), "policies.p.window: \"60\" is not a duration"},
	{LENGTH("\"1m30s\""), "policies.p.window: \"1m30s\" is not a duration"},
	{LENGTH("\"-1s\""), "policies.p.window: \"-1s\" is not a duration"},
	{LENGTH("\"1\\ns\""), "policies.p.window: \"1\\x0as\" is not a duration"},
	{LENGTH("0"), "policies.p.window: "},
	{LENGTH("-1"), "policies.p.window: "},
	{LENGTH("\"0s\""), "policies.p.window: "},
	{LENGTH("\"0.5ms\""), "policies.p.window: "},
	{LENGTH("0.0001"), "policies.p.window: "},
	{LENGTH("\"3651d\""), "policies.p.window: "},
	{LENGTH("1e18"), "policies.p.window: "},
	{LENGTH("1e999"), "policies.p.window: "},
	{LENGTH("0.0010001"), "policies.p.window: 0.0010001 is not a duration"},
	{LENGTH("false"), "policies.p.window: "},
	{LENGTH("{}"), "policies.p.window: "},

	/* key */
	{FIELDS(WINDOW "\"limit\":1,\"window\":1"), "policies.p.key: is missing"},
	{KEYS("\"src\""), "policies.p.key: "},
	{KEYS("null"), "policies.p.key: "},
	{KEYS("{}"), "policies.p.key: "},
	{KEYS("[1]"), "policies.p.key[0]: 1 is not the name"},
	{KEYS("[\"src\",null]"), "policies.p.key[1]: null is not the name"},
	{KEYS("[[\"src\"]]"), "policies.p.key[0]: a list is not the name"},
	{KEYS("[\"\"]"), "policies.p.key[0]: \"\" is not the name"},
	{KEYS("[\"src\",\"src\"]"), "policies.p.key[1]: \"src\" stands there twice"},
	{KEYS("[\"key\"]"), "policies.p.key[0]: \"key\" is a reserved name"},
	{KEYS("[\"cost\"]"), "policies.p.key[0]: \"cost\" is a reserved name"},
	{KEYS("[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\",\"l\",\"m\","
	      "\"n\",\"o\",\"p\",\"q\"]"),
	 "policies.p.key: more than 16 attributes"},

	/* match */
	{AND("\"match\":[\"POST\"]"), "policies.p.match: a list is not an object of attributes"},
	{AND("\"match\":{\"m\":1}"), "policies.p.match.m: 1 is not text"},
	{AND("\"match\":{\"m\":[]}"), "policies.p.match.m: an empty list"},
	{AND("\"match\":{\"m\":[ ]}"), "policies.p.match.m: an empty list"},
	{AND("\"match\":{\"m\":[\"a\",null]}"), "policies.p.match.m[1]: null is not text"},
	{AND("\"match\":{\"m\":{}}"), "policies.p.match.m: an object is not text"},
	{AND("\"match\":{\"\":\"x\"}"),
	 "policies.p.match.\"\": \"\" is not the name of an attribute"},
	{AND("\"match\":{\"key\":\"x\"}"), "policies.p.match.key: \"key\" is a reserved name"},
	{AND("\"match\":{\"a\":\"1\",\"a\":\"2\"}"), "policies.p.match.a: stands there twice"},
	{AND("\"match\":{\"s\":\"10.0.0.0/33\"}"),
	 "policies.p.match.s: \"10.0.0.0/33\" is not a network"},
	{AND("\"match\":{\"s\":[\"::1\",\"::1/129\"]}"),
	 "policies.p.match.s[1]: \"::1/129\" is not a network"},
	{AND("\"match\":{\"s\":\"::ffff:10.0.0.0/8\"}"),
	 "policies.p.match.s: \"::ffff:10.0.0.0/8\" is not a network"},
	{AND("\"match\":{\"s\":\"10.0.0.0/255.0.0.0\"}"),
	 "policies.p.match.s: \"10.0.0.0/255.0.0.0\" is not a network"},
	{AND("\"match\":{\"s\":\"10.0.0.0/-1\"}"),
	 "policies.p.match.s: \"10.0.0.0/-1\" is not a network"},

	/* cost and the others */
	{AND("\"cost\":1000000000000000"),
	 "policies.p.cost: 1000000000000000 is not a whole number"},
	{AND("\"cost\":0"), "policies.p.cost: 0 is not a whole number from 1 to 999999999999999"},
	{AND("\"cost\":true"),
	 "policies.p.cost: true is neither a whole number from 1 on nor the name"},
	{AND("\"cost\":\"2\""), "policies.p.cost: \"2\": a number stands without quotes"},
	{AND("\"cost\":\"-1.5\""), "policies.p.cost: \"-1.5\": a number stands without quotes"},
	{AND("\"cost\":\"\""), "policies.p.cost: \"\" is not the name of an attribute"},
	{AND("\"cost\":\"cost\""), "policies.p.cost: \"cost\" is a reserved name"},
	{AND("\"shadow\":\"yes\""), "policies.p.shadow: \"yes\" is neither true nor false"},
	{AND("\"shadow\":null"), "policies.p.shadow: null is neither true nor false"},
	{AND("\"on_error\":\"denied\""),
	 "policies.p.on_error: \"denied\" is unknown; accepted are allow"},
	{AND("\"on_error\":\"lokal\""),
	 "policies.p.on_error: \"lokal\" is unknown (did you mean local?); accepted"},
	{AND("\"on_error\":true"), "policies.p.on_error: true is unknown; accepted are allow"},
	{AND("\"ipv4_prefix\":33"),
	 "policies.p.ipv4_prefix: 33 is not a number of bits from 0 to 32"},
	{AND("\"ipv6_prefix\":129"),
	 "policies.p.ipv6_prefix: 129 is not a number of bits from 0 to 128"},
	{AND("\"ipv4_prefix\":-0"), "policies.p.ipv4_prefix: -0 is not a number of bits"},
	{AND("\"ipv4_prefix\":-1"), "policies.p.ipv4_prefix: -1 is not a number of bits"},
	{AND("\"ipv6_prefix\":0.5"), "policies.p.ipv6_prefix: 0.5 is not a number of bits"},
	{AND("\"ipv6_prefix\":\"64\""), "policies.p.ipv6_prefix: \"64\" is not a number of bits"},
	{AND("\"blocked\":true"), "policies.p.blocked: is a field of overrides only"},
	{AND("\"unlimited\":true"), "policies.p.unlimited: is a field of overrides only"},
	{AND("\"lease\":0.1"), "policies.p.lease: 0.1 is not a duration from \"10ms\" to \"10s\""},
	{AND("\"lease\":\"9ms\""), "policies.p.lease: \"9ms\" is not a duration from \"10ms\""},
	{AND("\"lease\":\"11s\""), "policies.p.lease: \"11s\" is not a duration from \"10ms\""},
	{FIELDS("\"algorithm\":\"sliding_window\",\"limit\":5,\"window\":\"1m\"" KEY
		",\"lease\":\"1s\""),
	 "policies.p.lease: a sliding_window can't be leased"},
	{FIELDS("\"algorithm\":\"token_bucket\",\"capacity\":10,\"refill_rate\":51" KEY
		",\"lease\":\"100ms\""),
	 "policies.p.lease: in \"100ms\" 6 of the 10 tokens are refilled; accepted is a time in "
	 "which at most half"},
	{FIELDS("\"algorithm\":\"token_bucket\",\"capacity\":1,\"refill_rate\":1" KEY
		",\"lease\":\"100ms\""),
	 "policies.p.lease: in \"100ms\" 1 of the 1 tokens are refilled"},
	{FIELDS("\"algorithm\":\"token_bucket\",\"capacity\":1000,\"refill_rate\":1" KEY
		",\"lease\":\"100ms\",\"overrides\":[{\"match\":{\"a\":\"1\"},"
		"\"refill_rate\":100000}]"),
	 "policies.p.lease: in \"100ms\" 10000 of the 1000 tokens of an override are refilled"},
	{AND("\"overrides\":[{\"match\":{\"a\":\"1\"},\"lease\":\"1s\"}]"),
	 "policies.p.overrides[0].lease: is not a field of an override"},
	{AND("\"limits\":1"), "policies.p.limits: unknown field (did you mean limit?); accepted "
			      "are algorithm, capacity"},

	/* overrides */
	{AND("\"overrides\":{}"), "policies.p.overrides: must be a list, not an object"},
	{AND("\"overrides\":["
	     "\"x\""
	     "]"),
	 "policies.p.overrides[0]: must be an object, not \"x\""},
	{AND("\"overrides\":["
	     "{\"limit\":1}"
	     "]"),
	 "policies.p.overrides[0].match: is missing"},
	{AND("\"overrides\":["
	     "{\"match\":{}}"
	     "]"),
	 "policies.p.overrides[0].match: an override names at least one"},
	{AND("\"overrides\":["
	     "{\"match\":{ }}"
	     "]"),
	 "policies.p.overrides[0].match: an override names at least one"},
	{AND("\"overrides\":["
	     "{\"match\":[]}"
	     "]"),
	 "policies.p.overrides[0].match: a list is not an object of attributes"},
	{AND("\"overrides\":["
	     "{\"match\":{\"t\":\"x\"},\"limit\":0}"
	     "]"),
	 "policies.p.overrides[0].limit: 0 is not"},
	{AND("\"overrides\":["
	     "{\"match\":{\"t\":\"x\"},\"capacity\":1}"
	     "]"),
	 "policies.p.overrides[0].capacity: is not a field of a fixed_window"},
	{AND("\"overrides\":["
	     "{\"match\":{\"t\":\"x\"},\"key\":[]}"
	     "]"),
	 "policies.p.overrides[0].key: is not a field of an override"},
	{AND("\"overrides\":["
	     "{\"match\":{\"t\":\"x\"},\"unlimitd\":true}"
	     "]"),
	 "policies.p.overrides[0].unlimitd: unknown field (did you mean unlimited?)"},
	{AND("\"overrides\":["
	     "{\"match\":{\"t\":\"x\"},\"unlimited\":1}"
	     "]"),
	 "policies.p.overrides[0].unlimited: 1 is neither true nor false"},
	{AND("\"overrides\":["
	     "{\"match\":{\"t\":\"x\"},\"unlimited\":true,\"blocked\":true}"
	     "]"),
	 "policies.p.overrides[0].blocked: stands beside unlimited"},
	{AND("\"overrides\":["
	     "{\"match\":{\"t\":\"x\"},\"unlimited\":true,\"limit\":1}"
	     "]"),
	 "policies.p.overrides[0].unlimited: stands beside numbers"},
	{AND("\"overrides\":["
	     "{\"match\":{\"t\":\"x\"},\"unlimited\":true,\"window\":1}"
	     "]"),
	 "policies.p.overrides[0].unlimited: stands beside numbers"},
	{AND("\"overrides\":["
	     "{\"match\":{\"t\":\"x\"},\"blocked\":true,\"cost\":2}"
	     "]"),
	 "policies.p.overrides[0].blocked: stands beside numbers"},
	{AND("\"overrides\":["
	     "{\"match\":{\"t\":\"x\"},\"blocked\":true},{\"match\":{\"s\":[\"a\",7]}}"
	     "]"),
	 "policies.p.overrides[1].match.s[1]: 7 is not text"},
};

TEST(policy_file_parse_refused_names_the_place)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct err err = parse_bad(bytes_from_text(refused[i].json));
		if (strncmp(err.text, refused[i].error, strlen(refused[i].error)) != 0)
			fail_msg("%s\n%s\nin place of\n%s", refused[i].json, err.text,
				 refused[i].error);
	}
}

/* ---- bounds ---- */

/* A policy with `match` of so many attributes; the caller frees it. */
static char *match_of(size_t count)
{
	enum { MAX = 16384 };
	char *json = malloc(MAX);
	struct writer w = writer_on(json, MAX);

	writer_put_text(&w, "{\"policies\":{\"p\":{" BASE "\"match\":{");
	for (size_t i = 0; i < count; i++) {
		writer_put_text(&w, i == 0 ? "\"a" : ",\"a");
		writer_put_unsigned(&w, i);
		writer_put_text(&w, "\":\"x\"");
	}
	writer_put_text(&w, "}}}}");
	(void)writer_text(&w);
	assert_false(w.full);
	return json;
}

TEST(policy_file_parse_match_of_the_most_attributes)
{
	char *most = match_of(255), *more = match_of(256);
	struct policies *policies = parse_good(most);
	struct err err = parse_bad(bytes_from_text(more));

	assert_int_equal(policies_at(policies, 0)->match.count, 255);
	assert_string_equal(
		err.text,
		"policies.p.match.a255: more than 255 attributes; no request has so many");
	policies_unref(policies);
	free(most);
	free(more);
}

TEST(policy_file_parse_key_of_the_most_attributes)
{
	struct policies *policies = parse_good(
		KEYS("[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\",\"l\","
		     "\"m\",\"n\",\"o\",\"p\"]"));

	assert_int_equal(policies_at(policies, 0)->key_count, POLICY_KEY_MAX);
	policies_unref(policies);
}

/* A file of so many policies, as JSON in `w`. */
static struct bytes many_policies(struct writer *w, size_t count)
{
	writer_put_text(w, "{\"policies\":{");
	for (size_t i = 0; i < count; i++) {
		writer_put_text(w, i == 0 ? "\"p" : ",\"p");
		writer_put_unsigned(w, i);
		writer_put_text(w, "\":{" WINDOW "\"limit\":10,\"window\":1" KEY "}");
	}
	writer_put_text(w, "}}");
	assert_false(w->full);
	return writer_bytes(w);
}

TEST(policy_file_parse_the_most_policies_and_one_more)
{
	enum { MAX = 1 << 20 };
	struct writer w = writer_on(malloc(MAX), MAX);
	struct err err;
	struct policies *policies = parse(many_policies(&w, POLICIES_MAX), &err);

	assert_non_null(policies);
	assert_int_equal(policies_count(policies), POLICIES_MAX);
	policies_unref(policies);
	writer_rewind(&w, 0);
	err = parse_bad(many_policies(&w, POLICIES_MAX + 1));
	assert_string_equal(err.text, "policies: more than 10000");
	free(w.data);
}

TEST(policy_file_parse_schema_is_ignored)
{
	struct problems problems;
	struct policies *policies = policy_file_parse(BYTES("{\"$schema\":\"x\",\"policies\":{}}"),
						      ON_ERROR_ALLOW, &problems);

	assert_non_null(policies);
	assert_int_equal(policies_count(policies), 0);
	policies_unref(policies);
}

TEST(policy_file_parse_all_problems_are_told)
{
	static const char *const expected[] = {
		"x: unknown field; accepted are policies, $schema",
		"policies.a.limit: 0 is not a whole number from 1 to 999999999999999",
		"policies.a.window: \"1x\" is not a duration",
		"policies.a.key: is missing",
		"policies.a.overrides[0].match: is missing",
		"policies.a.overrides[2]: must be an object, not 1",
		"policies: \"b c\" is not a name",
		"policies.d: must be an object, not null",
		"policies.e.key[1]: true is not the name of an attribute",
	};
	struct problems problems;

	assert_null(policy_file_parse(
		BYTES("{\"x\":1,\"policies\":{\"a\":{" WINDOW "\"limit\":0,\"window\":\"1x\","
		      "\"overrides\":[{\"limit\":1},{\"match\":{\"a\":\"b\"}},1]},"
		      "\"b c\":{},\"d\":null,"
		      "\"e\":{" WINDOW "\"limit\":1,\"window\":1,\"key\":[\"a\",true]}}}"),
		ON_ERROR_ALLOW, &problems));

	assert_int_equal(problems.count, ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_ptr_equal(strstr(problems.items[i].text, expected[i]),
				 problems.items[i].text);
}

/* What is wrong with the policy is told once, and not again for each override that has it too. */
TEST(policy_file_parse_override_of_a_wrong_policy_is_not_blamed)
{
	struct problems problems;

	assert_null(policy_file_parse(
		BYTES(FIELDS(WINDOW "\"limit\":0,\"window\":1" KEY
				    ",\"overrides\":[{\"match\":{\"a\":\"b\"},\"window\":2}]")),
		ON_ERROR_ALLOW, &problems));

	assert_int_equal(problems.count, 1);
}

TEST(policy_file_parse_unknown_field_is_named)
{
	static const struct {
		const char *name;
		const char *place;
	} cases[] = {
		{"colour", "policies.p.colour: "},
		{"Limit", "policies.p.Limit: "},
		{"capacity_", "policies.p.capacity_: "},
		{"", "policies.p.\"\": "},
		{"algorithm ", "policies.p.\"algorithm \": "},
	};
	char json[256];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(json, sizeof json, FIELDS("\"%s\":1"), cases[i].name);
		struct err err = parse_bad(bytes_from_text(json));
		assert_ptr_equal(strstr(err.text, cases[i].place), err.text);
		assert_non_null(strstr(err.text, "unknown field"));
	}
}

/* The example of docs/reference.md, section Policy file. */
TEST(policy_file_parse_refused_says_the_reason)
{
	struct err err = parse_bad(BYTES(POLICIES(
		"\"login\":{\"algorithm\":\"sliding_window\",\"limit\":5,\"window\":\"1x\"" KEY
		"}")));

	assert_non_null(strstr(err.text, "policies.login.window: \"1x\" is not a duration"));
}

TEST(policy_file_parse_long_values_are_shortened)
{
	struct err err = parse_bad(BYTES(LENGTH("\"" SIXTY_FOUR SIXTY_FOUR "\"")));

	assert_non_null(strstr(err.text, "...\" is not a duration"));
}

/* ---- not JSON ---- */

TEST(policy_file_parse_not_json_names_line_and_column)
{
	static const struct {
		const char *json;
		const char *error;
	} cases[] = {
		{"", "line 1, column 1: "},
		{"x", "line 1, column 1: "},
		{"{\"policies\":x}", "line 1, column 13: "},
		{"{\n  \"policies\": x\n}", "line 2, column 15: "},
		{"{\n  \"policies\": {\n  }\n", "line 4, column 1: "},
		{"{\"policies\":{}} x", "line 1, column 17: "},
		{"{\"policies\":{}}\n\n{}", "line 3, column 1: "},
		{"{\"policies\":{}}}", "line 1, column 16: "},
		{"{\"policies\" {}}", "line 1, column 13: "},
		{"{'policies':{}}", "line 1, column 2: "},
		{"{policies:{}}", "line 1, column 2: "},
		{"{\"policies\":{},}", "line 1, column 16: "},
		{"// comment\n{\"policies\":{}}", "line 1, column 1: "},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = parse_bad(bytes_from_text(cases[i].json));
		if (strncmp(err.text, cases[i].error, strlen(cases[i].error)) != 0)
			fail_msg("%s\n%s\nin place of\n%s", cases[i].json, err.text,
				 cases[i].error);
	}
}

TEST(policy_file_parse_every_truncation_is_refused)
{
	static const char whole[] = NAMED("login");
	struct guarded *memory = guarded_new(sizeof whole);

	for (size_t len = 0; len < sizeof whole - 1; len++)
		(void)parse_bad(guarded_copy(memory, bytes_from(whole, len)));
	guarded_free(memory);
}

TEST(policy_file_parse_any_changed_byte_is_survived)
{
	static const char whole[] = NAMED("login");
	static const uint8_t bytes[] = {0,   1,   '"', '\\', '{',  '}', '[',
					']', ',', '9', '-',  0x80, 0xff};
	struct guarded *memory = guarded_new(sizeof whole);

	for (size_t at = 0; at < sizeof whole - 1; at++)
		for (size_t i = 0; i < ARRAY_SIZE(bytes); i++) {
			struct err err;
			uint8_t *json = guarded_room(memory, sizeof whole - 1);
			memcpy(json, whole, sizeof whole - 1);
			json[at] = bytes[i];
			policies_unref(parse(bytes_from(json, sizeof whole - 1), &err));
		}
	guarded_free(memory);
}

TEST(policy_file_parse_deep_nesting_is_refused)
{
	enum { DEPTH = 100000 };
	char *json = malloc(DEPTH + 1);

	memset(json, '[', DEPTH);
	json[DEPTH] = '\0';

	(void)parse_bad(bytes_from(json, DEPTH));
	free(json);
}

TEST(policy_file_parse_nul_is_refused)
{
	(void)parse_bad(BYTES("{\"policies\":{}}\0"));
	(void)parse_bad(BYTES("\0{\"policies\":{}}"));
	(void)parse_bad(BYTES("{\"policies\":{}}\0{}"));
	(void)parse_bad(BYTES("{\"poli\0cies\":{}}"));
	(void)parse_bad(BYTES(KEYS("[\"src\\u0000x\"]")));
	(void)parse_bad(BYTES(NAMED("login\\u0000x")));
	(void)parse_bad(BYTES("{\"policies\\u0000\":{}}"));
}

/* There is no NUL in it: a backslash, and five characters. */
TEST(policy_file_parse_escaped_backslash_before_u0000_is_no_nul)
{
	struct policies *policies = parse_good(KEYS("[\"a\\\\u0000\"]"));

	assert_bytes_text(policies_at(policies, 0)->key[0], "a\\u0000");
	policies_unref(policies);
}

/*
 * docs/reference.md, section Policy file: a number is kept exactly or refused, and never becomes
 * another number than was written.
 */
TEST(policy_file_parse_number_that_does_not_fit_is_refused)
{
	(void)parse_bad(BYTES(RATE("0.30000000000000000001")));
	(void)parse_bad(BYTES(LIMIT("4503599627370495.9")));
	(void)parse_bad(BYTES(LIMIT("999999999999998.9")));
	(void)parse_bad(BYTES(CAPACITY("1.0000000000000000001")));
	(void)parse_bad(BYTES(CAPACITY("10000000000000001e-16")));
}

/* ---- from a file ---- */

struct file {
	int fd;
	char path[64];
};

static struct file file_of(struct bytes content)
{
	struct file file = {.fd = memfd_create("policies", MFD_CLOEXEC)};

	assert_true(file.fd >= 0);
	assert_int_equal(write(file.fd, content.data, content.len), content.len);
	snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.fd);
	return file;
}

TEST(policy_file_load_good_file_is_taken)
{
	struct file file = file_of(BYTES(NAMED("login") "\n"));
	struct problems problems;

	struct policies *policies = policy_file_load(file.path, ON_ERROR_ALLOW, &problems);

	assert_non_null(policies);
	assert_string_equal(policies_at(policies, 0)->name, "login");
	policies_unref(policies);
	close(file.fd);
}

static void assert_load_fails(const char *path, const char *reason)
{
	struct problems problems;
	char expected[ERR_TEXT_MAX];

	assert_null(policy_file_load(path, ON_ERROR_ALLOW, &problems));

	snprintf(expected, sizeof expected, "%s: %s", path, reason);
	assert_int_equal(problems.count, 1);
	assert_ptr_equal(strstr(problems.items[0].text, expected), problems.items[0].text);
}

TEST(policy_file_load_error_begins_with_the_path)
{
	struct file file = file_of(BYTES(LENGTH("\"1x\"")));

	assert_load_fails(file.path, "policies.p.window: \"1x\" is not a duration");
	close(file.fd);
}

TEST(policy_file_load_empty_file_is_refused)
{
	struct file file = file_of(BYTES(""));

	assert_load_fails(file.path, "line 1, column 1: ");
	close(file.fd);
}

TEST(policy_file_load_what_cannot_be_read_says_why)
{
	assert_load_fails("there-is-no-such-file.json", "No such file or directory");
	assert_load_fails(".", "Is a directory");
	assert_load_fails("", "No such file or directory");
}

TEST(policy_file_load_too_large_file_is_refused)
{
	struct file file = file_of(BYTES(NAMED("login")));

	assert_int_equal(ftruncate(file.fd, 1 << 30), 0);

	assert_load_fails(file.path, "File too large");
	close(file.fd);
}

/* Less than 16 MiB, as docs/policies.md says; the file ends with spaces. */
TEST(policy_file_load_the_largest_file_is_taken)
{
	enum { LARGEST = (16 << 20) - 1 };
	char *spaces = malloc(LARGEST + 1);
	struct problems problems;

	memset(spaces, ' ', LARGEST + 1);
	memcpy(spaces, NAMED("login"), strlen(NAMED("login")));
	struct file file = file_of(bytes_from(spaces, LARGEST));
	struct policies *policies = policy_file_load(file.path, ON_ERROR_ALLOW, &problems);
	assert_non_null(policies);
	policies_unref(policies);
	close(file.fd);

	file = file_of(bytes_from(spaces, LARGEST + 1));
	assert_load_fails(file.path, "File too large");
	close(file.fd);
	free(spaces);
}

/* A path may be longer than an error has room for; the reason is what a user needs. */
TEST(policy_file_load_long_path_still_has_an_error)
{
	char path[2000];
	struct problems problems;

	memset(path, '/', sizeof path);
	memcpy(path, "/proc/self/fd", 13);
	struct file file = file_of(BYTES(LENGTH("\"1x\"")));
	snprintf(path + sizeof path - 16, 16, "%d", file.fd);

	assert_null(policy_file_load(path, ON_ERROR_ALLOW, &problems));

	assert_int_equal(problems.count, 1);
	assert_string_not_equal(problems.items[0].text, "");
	close(file.fd);
}
