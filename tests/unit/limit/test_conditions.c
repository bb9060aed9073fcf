#include "limit/conditions.h"

#include <stdio.h>
#include <stdlib.h>

#include "samples.h"
#include "support/chance.h"
#include "support/test.h"

static struct conditions conditions_of(const char *notation)
{
	struct conditions conditions = {0};

	add_match(&conditions, notation);
	return conditions;
}

static bool fits(const char *notation, struct attributes attributes)
{
	struct conditions conditions = conditions_of(notation);
	bool is_fit = conditions_fit(&conditions, &attributes, NULL);

	conditions_release(&conditions);
	return is_fit;
}

/* One pattern, taken whole. */
static bool pattern_fits_value(struct bytes pattern, struct value value)
{
	struct conditions conditions = {0};
	struct condition *condition = conditions_add(&conditions, BYTES("a"));
	struct attribute item = {BYTES("a"), value};

	assert_non_null(condition);
	assert_true(condition_add_pattern(condition, pattern));
	bool is_fit = conditions_fit(&conditions, &(struct attributes){&item, 1}, NULL);
	conditions_release(&conditions);
	return is_fit;
}

/* ---- texts ---- */

TEST(conditions_fit_texts_and_stars)
{
	static const struct {
		const char *pattern, *text;
		bool expected;
	} cases[] = {
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"a", "a", true},
		{"a", "A", false},
		{"a", "ab", false},
		{"ab", "a", false},
		{"*", "", true},
		{"*", "anything /?[]\\", true},
		{"***", "", true},
		{"***", "abc", true},
		{"a*", "a", true},
		{"a*", "abc", true},
		{"a*", "ba", false},
		{"*a", "a", true},
		{"*a", "aa", true},
		{"*a", "ab", false},
		{"a*b", "ab", true},
		{"a*b", "aXb", true},
		{"a*b", "aXbX", false},
		{"a*b", "aXbXb", true},
		{"a*a", "a", false},
		{"*a*", "bab", true},
		{"*a*", "bbb", false},
		{"*ab*ab*", "abab", true},
		{"*ab*ab*", "aab", false},
		{"a**b", "ab", true},
		/* all but the star is itself */
		{"a?", "ab", false},
		{"a?", "a?", true},
		{"[ab]", "a", false},
		{"\\*", "\\anything", true},
		{"\\*", "*", false},
		{"/login", "/login/", false},
		{"/api/login/*", "/api/login/", true},
		{"/api/login/*", "/api/login", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (pattern_fits_value(bytes_from_text(cases[i].pattern),
				       value_text(bytes_from_text(cases[i].text))) !=
		    cases[i].expected)
			fail_msg("\"%s\" on \"%s\"", cases[i].pattern, cases[i].text);
}

TEST(conditions_fit_any_bytes_are_themselves)
{
	assert_true(pattern_fits_value(BYTES("a\0b"), value_text(BYTES("a\0b"))));
	assert_false(pattern_fits_value(BYTES("a\0b"), value_text(BYTES("a\0c"))));
	assert_true(pattern_fits_value(BYTES("\0*\xff"), value_text(BYTES("\0\0\xff"))));
	assert_true(pattern_fits_value(BYTES(""), value_text((struct bytes){NULL, 0})));
	assert_true(pattern_fits_value(BYTES("*"), value_text((struct bytes){NULL, 0})));
}

/* By definition: a star is nothing, or a character and itself. */
static bool fits_by_definition(struct bytes pattern, struct bytes text)
{
	if (pattern.len == 0)
		return text.len == 0;
	if (pattern.data[0] == '*')
		return fits_by_definition(bytes_skip(pattern, 1), text) ||
		       (text.len > 0 && fits_by_definition(pattern, bytes_skip(text, 1)));
	return text.len > 0 && text.data[0] == pattern.data[0] &&
	       fits_by_definition(bytes_skip(pattern, 1), bytes_skip(text, 1));
}

static struct bytes random_text(struct chance *chance, const char *alphabet, char memory[16],
				int64_t max)
{
	size_t len = (size_t)chance_between(chance, 0, max);

	for (size_t i = 0; i < len; i++)
		memory[i] = alphabet[chance_bits(chance) % strlen(alphabet)];
	return bytes_from(memory, len);
}

TEST(conditions_fit_random_patterns_as_defined)
{
	struct chance chance = {1};
	size_t fitting = 0, rounds = 200000;
	char memory[2][16];

	for (size_t i = 0; i < rounds; i++) {
		struct bytes pattern = random_text(&chance, "xy**", memory[0], 8);
		struct bytes text = random_text(&chance, "xy", memory[1], 10);
		bool expected = fits_by_definition(pattern, text);
		fitting += expected;
		if (pattern_fits_value(pattern, value_text(text)) != expected)
			fail_msg("\"%.*s\" on \"%.*s\"", (int)pattern.len, memory[0], (int)text.len,
				 memory[1]);
	}
	assert_in_range(fitting, rounds / 10, rounds * 9 / 10);
}

/* A search that tried every run of every star would not end. */
TEST(conditions_fit_many_stars_on_a_long_text_end)
{
	static char text[20000], pattern[401];

	memset(text, 'a', sizeof text);
	for (size_t i = 0; i < 400; i += 2) {
		pattern[i] = '*';
		pattern[i + 1] = 'a';
	}
	pattern[400] = 'b';

	assert_false(pattern_fits_value(bytes_from(pattern, 401),
					value_text(bytes_from(text, sizeof text))));
	assert_true(pattern_fits_value(bytes_from(pattern, 400),
				       value_text(bytes_from(text, sizeof text))));
}

TEST(conditions_fit_other_kinds_by_their_text)
{
	assert_true(pattern_fits_value(BYTES("5"), number("", 5).value));
	assert_true(pattern_fits_value(BYTES("-5"), number("", -5).value));
	assert_true(
		pattern_fits_value(BYTES("18446744073709551615"), natural("", UINT64_MAX).value));
	assert_true(pattern_fits_value(BYTES("4*"), number("", 443).value));
	assert_false(pattern_fits_value(BYTES("05"), number("", 5).value));
	assert_true(pattern_fits_value(BYTES("true"), boolean("", true).value));
	assert_false(pattern_fits_value(BYTES("true"), boolean("", false).value));
	assert_false(pattern_fits_value(BYTES("1"), boolean("", true).value));
}

/* ---- addresses ---- */

static const struct {
	const char *pattern, *address;
	bool expected;
} addresses[] = {
	{"192.0.2.1", "192.0.2.1", true},
	{"192.0.2.1", "192.0.2.2", false},
	{"192.0.2.1/32", "192.0.2.1", true},
	{"192.0.2.1/32", "192.0.2.0", false},
	{"10.0.0.0/8", "10.255.255.255", true},
	{"10.0.0.0/8", "11.0.0.0", false},
	{"10.1.2.3/8", "10.9.9.9", true}, /* bits behind the prefix are as good as 0 */
	{"10.0.0.128/25", "10.0.0.127", false},
	{"10.0.0.128/25", "10.0.0.128", true},
	{"10.0.0.0/31", "10.0.0.1", true},
	{"10.0.0.0/31", "10.0.0.2", false},
	{"0.0.0.0/0", "255.255.255.255", true},
	{"0.0.0.0/0", "2001:db8::1", false},
	{"0.0.0.0/1", "127.255.255.255", true},
	{"0.0.0.0/1", "128.0.0.0", false},
	{"::/0", "2001:db8::1", true},
	{"::/0", "192.0.2.1", false}, /* also when it came as a mapped one */
	{"2001:db8::/32", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true},
	{"2001:db8::/32", "2001:db9::", false},
	{"2001:db8::5/32", "2001:db8::6", true},
	{"2001:db8::/33", "2001:db8:8000::", false},
	{"2001:db8::/127", "2001:db8::1", true},
	{"2001:db8::/127", "2001:db8::2", false},
	{"2001:db8::1/128", "2001:db8::1", true},
	{"2001:db8::1/128", "2001:db8::", false},
	{"2001:DB8:0:0:0:0:0:1", "2001:db8::1", true}, /* another notation of it */
	{"2001:db8::0001", "2001:db8::1", true},
	/* IPv4-mapped is IPv4 */
	{"::ffff:192.0.2.1", "192.0.2.1", true},
	{"::ffff:c000:201", "192.0.2.1", true},
	{"::ffff:10.0.0.0/104", "10.9.9.9", true},
	{"::ffff:10.0.0.0/104", "11.0.0.0", false},
	{"::ffff:0:0/96", "192.0.2.1", true},
	{"::ffff:0:0/96", "2001:db8::1", false},
	{"::ffff:10.0.0.0/128", "10.0.0.0", true},
	{"::ffff:10.0.0.0/128", "10.0.0.1", false},
	{"::ffff:10.0.0.0/95", "10.0.0.0", false}, /* neither one nor the other */
	/* stars are for the text form */
	{"192.0.2.*", "192.0.2.77", true},
	{"192.0.2.*", "192.0.20.77", false},
	{"2001:db8::*", "2001:db8::1", true},
	{"*", "2001:db8::1", true},
	/* what is no address or no length fits no address */
	{"10.0.0.0/33", "10.0.0.0", false},
	{"10.0.0.0/", "10.0.0.0", false},
	{"10.0.0.0/-1", "10.0.0.0", false},
	{"10.0.0.0/8/8", "10.0.0.0", false},
	{"10.0.0.0/8 ", "10.0.0.0", false},
	{"10.0.0.0/+8", "10.0.0.0", false},
	{"10.0.0/8", "10.0.0.0", false},
	{"10/8", "10.0.0.0", false},
	{"/8", "10.0.0.0", false},
	{"2001:db8::/129", "2001:db8::", false},
	{"2001:db8::/18446744073709551648", "2001:db8::", false}, /* 2^64 + 32 */
	{"", "10.0.0.0", false},
	{"localhost", "127.0.0.1", false},
};

static void assert_address_row(size_t i, struct value value)
{
	if (pattern_fits_value(bytes_from_text(addresses[i].pattern), value) !=
	    addresses[i].expected)
		fail_msg("%s on %s", addresses[i].pattern, addresses[i].address);
}

TEST(conditions_fit_networks)
{
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		assert_address_row(i, address("", addresses[i].address).value);
		assert_address_row(i, value_text(bytes_from_text(addresses[i].address)));
	}
}

TEST(conditions_fit_networks_on_mapped_ones_alike)
{
	char mapped[64];

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		if (strchr(addresses[i].address, ':') != NULL)
			continue;
		snprintf(mapped, sizeof mapped, "::ffff:%s", addresses[i].address);
		assert_address_row(i, address("", mapped).value);
		assert_address_row(i, value_text(bytes_from_text(mapped)));
	}
}

TEST(conditions_fit_network_on_what_is_no_address)
{
	assert_false(pattern_fits_value(BYTES("0.0.0.0/0"), value_text(BYTES("localhost"))));
	assert_false(pattern_fits_value(BYTES("0.0.0.0/0"), value_text(BYTES(""))));
	assert_false(pattern_fits_value(BYTES("0.0.0.0/0"), number("", 5).value));
	assert_false(pattern_fits_value(BYTES("0.0.0.0/0"), value_text(BYTES("10.0.0.1 "))));
	/* It is a text of its own, too. */
	assert_true(pattern_fits_value(BYTES("10.0.0.0/8"), value_text(BYTES("10.0.0.0/8"))));
	assert_true(pattern_fits_value(BYTES("10.0.0.0/99"), value_text(BYTES("10.0.0.0/99"))));
}

/* Every prefix, and the addresses on both sides of its border. */
TEST(conditions_fit_every_prefix_ends_where_it_says)
{
	char pattern[64];

	for (unsigned prefix = 1; prefix <= 128; prefix++) {
		struct value inside = address("", "2001:db8::1:2:3:4").value, outside = inside;
		outside.ipv6[(prefix - 1) / 8] ^= (uint8_t)(0x80 >> (prefix - 1) % 8);
		for (unsigned bit = prefix; bit < 128; bit++)
			inside.ipv6[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		snprintf(pattern, sizeof pattern, "2001:db8::1:2:3:4/%u", prefix);
		assert_true(pattern_fits_value(bytes_from_text(pattern), inside));
		assert_false(pattern_fits_value(bytes_from_text(pattern), outside));
	}
	for (unsigned prefix = 1; prefix <= 32; prefix++) {
		struct value inside = address("", "192.0.2.77").value, outside = inside;
		outside.ipv4[(prefix - 1) / 8] ^= (uint8_t)(0x80 >> (prefix - 1) % 8);
		for (unsigned bit = prefix; bit < 32; bit++)
			inside.ipv4[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		snprintf(pattern, sizeof pattern, "192.0.2.77/%u", prefix);
		assert_true(pattern_fits_value(bytes_from_text(pattern), inside));
		assert_false(pattern_fits_value(bytes_from_text(pattern), outside));
	}
}

/* ---- all of them ---- */

TEST(conditions_fit_none_fits_everything)
{
	assert_true(fits("", ATTRIBUTES(text("a", "x"))));
	assert_true(fits("", (struct attributes){NULL, 0}));
}

TEST(conditions_fit_in_src_an_address_with_a_port_or_zone_is_that_address)
{
	static const struct {
		const char *match, *src;
		bool expected;
	} cases[] = {
		{"src=203.0.113.9:4711", "203.0.113.9", true},
		{"src=203.0.113.9:4711", "203.0.113.9:80", true},
		{"src=203.0.113.9:4711", "203.0.113.10", false},
		{"src=[2001:db8::1]:443", "2001:db8::1", true},
		{"src=[2001:db8::1]", "2001:db8::2", false},
		{"src=fe80::1%eth0", "fe80::1", true},
		{"src=[::ffff:192.0.2.1]:80", "192.0.2.1", true},
		{"src=203.0.113.9:4711/24", "203.0.113.9", false}, /* no network: a text */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (fits(cases[i].match, ATTRIBUTES(text("src", cases[i].src))) !=
		    cases[i].expected)
			fail_msg("%s, %s", cases[i].match, cases[i].src);
	assert_false(fits("server=10.0.0.5:8001", ATTRIBUTES(text("server", "10.0.0.5"))));
	assert_true(fits("server=10.0.0.5:8001", ATTRIBUTES(text("server", "10.0.0.5:8001"))));
}

TEST(conditions_fit_all_attributes_and_one_pattern_of_each)
{
	static const char match[] = "method=POST;path=/a|/b*;src=10.0.0.0/8|2001:db8::/32";

	assert_true(fits(match, ATTRIBUTES(text("src", "10.0.0.1"), text("path", "/a"),
					   text("method", "POST"))));
	assert_true(fits(match, ATTRIBUTES(address("src", "2001:db8::1"), text("path", "/bc"),
					   text("method", "POST"))));
	assert_false(fits(match, ATTRIBUTES(text("src", "10.0.0.1"), text("path", "/c"),
					    text("method", "POST"))));
	assert_false(fits(match, ATTRIBUTES(text("src", "192.0.2.1"), text("path", "/a"),
					    text("method", "POST"))));
	assert_false(fits(match, ATTRIBUTES(text("src", "10.0.0.1"), text("path", "/a"),
					    text("method", "GET"))));
}

TEST(conditions_fit_absent_attribute_fits_nothing)
{
	assert_false(fits("a=*", (struct attributes){NULL, 0}));
	assert_false(fits("a=*", ATTRIBUTES(text("b", "x"))));
	assert_false(fits("a=*", ATTRIBUTES(absent("a"))));
	assert_false(fits("a=", ATTRIBUTES(absent("a"))));
	assert_true(fits("a=", ATTRIBUTES(text("a", ""))));
	assert_true(fits("a=*", ATTRIBUTES(text("a", ""))));
}

TEST(conditions_fit_of_a_repeated_attribute_the_last_counts)
{
	assert_true(fits("a=x", ATTRIBUTES(text("a", "y"), text("a", "x"))));
	assert_false(fits("a=x", ATTRIBUTES(text("a", "x"), text("a", "y"))));
	assert_false(fits("a=x", ATTRIBUTES(text("a", "x"), absent("a"))));
}

TEST(conditions_fit_condition_without_patterns_fits_nothing)
{
	struct conditions conditions = {0};
	struct attributes attributes = ATTRIBUTES(text("a", ""));

	assert_non_null(conditions_add(&conditions, BYTES("a")));

	assert_false(conditions_fit(&conditions, &attributes, NULL));
	conditions_release(&conditions);
}

TEST(conditions_fit_instead_takes_the_place_of_its_name)
{
	struct conditions conditions = conditions_of("a=x;b=y");
	struct attributes attributes = ATTRIBUTES(text("a", "other"), text("b", "y"));
	struct attribute good = text("a", "x"), bad = text("b", "x"), unused = text("c", "x");

	assert_true(conditions_fit(&conditions, &attributes, &good));
	assert_false(conditions_fit(&conditions, &attributes, &bad));
	assert_false(conditions_fit(&conditions, &attributes, &unused));
	conditions_release(&conditions);
}

TEST(conditions_add_copies_and_release_empties)
{
	char name[] = "a", pattern[] = "x";
	struct conditions conditions = {0};
	struct attributes attributes = ATTRIBUTES(text("a", "x"));

	struct condition *condition = conditions_add(&conditions, bytes_from_text(name));
	assert_true(condition_add_pattern(condition, bytes_from_text(pattern)));
	name[0] = pattern[0] = '?';
	assert_true(conditions_fit(&conditions, &attributes, NULL));
	conditions_release(&conditions);

	assert_int_equal(conditions.count, 0);
	assert_null(conditions.items);
	conditions_release(&conditions);
}
