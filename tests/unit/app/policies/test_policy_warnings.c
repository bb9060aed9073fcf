#include "app/policies/policy_warnings.h"

#include <stdio.h>

#include "app/policies/policy_file.h"
#include "support/test.h"

#define POLICY(fields)                                                                          \
	"{\"policies\":{\"p\":{\"algorithm\":\"fixed_window\",\"limit\":1,\"window\":1," fields \
	","                                                                                     \
	"\"key\":[]}}}"
#define MATCH(value) POLICY("\"match\":{\"path\":" value "}")
#define OVERRIDE(value) \
	POLICY("\"overrides\":[{\"match\":{\"a\":\"b\"}},{\"match\":{\"path\":" value "}}]")
#define REGEX    " looks like a regular expression and is taken as text; in a match only * is special"
#define NEGATION " looks like a negation and is taken as text; in a match only * is special"

#define NO_ADDRESS                                                                              \
	" is no address and no network, and is taken as text, which no address fits; accepted " \
	"are such as \"192.0.2.1\", \"192.0.2.0/24\" and \"2001:db8::/32\""

#define WINDOW "\"algorithm\":\"fixed_window\",\"limit\":1,\"window\":1"

static struct problems warnings_of(const char *json)
{
	struct problems problems, warnings = {.count = 99};
	struct policies *policies =
		policy_file_parse(bytes_from_text(json), ON_ERROR_ALLOW, &problems);

	assert_non_null(policies);
	policy_warnings_find(policies, &warnings);
	policies_unref(policies);
	return warnings;
}

static const struct {
	const char *name, *json, *warning; /* NULL: none */
} patterns[] = {
	{"text", MATCH("\"/login\""), NULL},
	{"empty text", MATCH("\"\""), NULL},
	{"stars", MATCH("\"*/a/*.php*\""), NULL},
	{"signs inside", MATCH("\"/a!b^c$d\""), NULL},
	{"a network", MATCH("\"10.0.0.0/8\""), NULL},
	{"a beginning", MATCH("\"^/login\""), "policies.p.match.path: \"^/login\"" REGEX},
	{"an end", MATCH("\"/login$\""), "policies.p.match.path: \"/login$\"" REGEX},
	{"both", MATCH("\"^/a/.*$\""), "policies.p.match.path: \"^/a/.*$\"" REGEX},
	{"a negation", MATCH("\"!/login\""), "policies.p.match.path: \"!/login\"" NEGATION},
	{"a negated end", MATCH("\"!a$\""), "policies.p.match.path: \"!a$\"" NEGATION},
	{"a negation alone", MATCH("\"!\""), "policies.p.match.path: \"!\"" NEGATION},
	{"second of a list", MATCH("[\"/a\",\"^/b\"]"), "policies.p.match.path[1]: \"^/b\"" REGEX},
	{"an override", OVERRIDE("\"^/a\""), "policies.p.overrides[1].match.path: \"^/a\"" REGEX},
	{"a list at the top", "{\"policies\":{},\"block\":[{\"a\":\"b\"},{\"path\":\"^/a\"}]}",
	 "block[1].path: \"^/a\"" REGEX},
	{"an address that is none", POLICY("\"match\":{\"src\":\"10.0.0.300\"}"),
	 "policies.p.match.src: \"10.0.0.300\"" NO_ADDRESS},
	{"a short network", "{\"policies\":{},\"block\":[{\"src\":\"10.0.0/24\"}]}",
	 "block[0].src: \"10.0.0/24\"" NO_ADDRESS},
	{"an address in a list", "{\"policies\":{},\"allow\":[{\"src\":[\"::1\",\"1:2\"]}]}",
	 "allow[0].src[1]: \"1:2\"" NO_ADDRESS},
	{"addresses and texts of src",
	 POLICY("\"match\":{\"src\":[\"10.0.0.1:80\",\"10.*\",\"unix\",\"fe80::1%eth0\",\"::/"
		"0\"]}"),
	 NULL},
	{"another attribute", POLICY("\"match\":{\"version\":\"10.0.0.300\"}"), NULL},
	{"an override's list", OVERRIDE("[\"x\",\"!y\"]"),
	 "policies.p.overrides[1].match.path[1]: \"!y\"" NEGATION},
};

TEST_ROWS(patterns)
{
	struct problems warnings = warnings_of(row->json);

	assert_int_equal(warnings.count, row->warning != NULL);
	if (row->warning != NULL)
		assert_string_equal(warnings.items[0].text, row->warning);
}

#define TAGGED(of_b)                                                                    \
	"{\"hash_tag\":\"src\",\"policies\":{\"other\":{" WINDOW ",\"key\":[\"path\"]," \
	"\"ipv4_prefix\":8},\"a\":{" WINDOW                                             \
	",\"key\":[\"src\"],\"ipv4_prefix\":24},\"b\":{" WINDOW                         \
	",\"key\":[\"src\",\"path\"],\"ipv4_prefix\":24" of_b "}}}"

TEST(policy_warnings_find_prefixes_that_make_hash_tags_differ)
{
	struct problems equal = warnings_of(TAGGED(""));
	struct problems warnings = warnings_of(TAGGED(",\"ipv6_prefix\":56"));

	assert_int_equal(equal.count, 0);
	assert_int_equal(warnings.count, 1);
	assert_string_equal(warnings.items[0].text,
			    "policies.b.ipv6_prefix: is 56 here and 64 in policies.a; the hash tag "
			    "of these two differs, so a request's keys are in different slots");
}

TEST(policy_warnings_find_tells_each_and_counts_what_is_not_kept)
{
	char json[2048], list[1024] = "[\"^0\"";

	for (size_t i = 1, len = strlen(list); i < PROBLEMS_MAX + 5; i++)
		len += (size_t)snprintf(list + len, sizeof list - len, ",\"^%zu\"", i);
	snprintf(json, sizeof json, MATCH("%s]"), list);
	struct problems warnings = warnings_of(json);

	assert_int_equal(warnings.count, PROBLEMS_MAX + 5);
	assert_non_null(strstr(warnings.items[PROBLEMS_MAX - 1].text, "path[19]: \"^19\""));
}
