/*
 * What a set says of a value must be what a look at each of its patterns says.
 */
#include "limit/pattern_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limit/conditions.h"
#include "samples.h"
#include "support/chance.h"
#include "support/test.h"

static bool add(struct pattern_set *set, const char *pattern)
{
	unsigned prefix;
	struct value network = network_read(bytes_from_text(pattern), BYTES(""), &prefix);

	return network.kind == VALUE_ABSENT ? pattern_set_add_text(set, bytes_from_text(pattern))
					    : pattern_set_add_network(set, &network, prefix);
}

/* "PATTERN PATTERN": built. */
static struct pattern_set *set_of(const char *patterns)
{
	struct bytes rest = bytes_from_text(patterns), item;
	struct pattern_set *set = pattern_set_new();
	char pattern[256];

	assert_non_null(set);
	while (bytes_next_item(&rest, ' ', &item)) {
		snprintf(pattern, sizeof pattern, "%.*s", (int)item.len, (const char *)item.data);
		assert_true(add(set, pattern));
	}
	assert_true(pattern_set_build(set));
	return set;
}

static bool fits(const struct pattern_set *set, const char *text)
{
	char memory[VALUE_SHORT_TEXT_MAX];
	struct value value = value_text(bytes_from_text(text));

	value = value_canonical(&value);
	return pattern_set_fits(set, &value, value_to_text(&value, memory));
}

static const struct {
	const char *name; /* the patterns */
	const char *inside[8], *outside[8];
} sets[] = {
	{"192.0.2.1", {"192.0.2.1", "::ffff:192.0.2.1"}, {"192.0.2.0", "192.0.2.2", "x", ""}},
	{"10.0.0.0/8 192.0.2.0/24",
	 {"10.0.0.0", "10.255.255.255", "192.0.2.77"},
	 {"11.0.0.0", "9.255.255.255", "192.0.3.0", "::a00:1", "10.0.0.0/8"}},
	{"0.0.0.0/0", {"0.0.0.0", "255.255.255.255"}, {"::", "text"}},
	{"0.0.0.0", {"0.0.0.0"}, {"0.0.0.1", "::"}},
	{"::/0", {"::", "2001:db8::1"}, {"0.0.0.0", "192.0.2.1"}},
	{"::", {"::"}, {"::1", "0.0.0.0"}},
	{"2001:db8::/32 2001:db8::/48 2001:db9::1",
	 {"2001:db8:ffff::", "2001:DB8::1", "2001:db9::1"},
	 {"2001:db9::2", "2001:db7:ffff::"}},
	{"::ffff:10.0.0.0/104", {"10.1.2.3"}, {"11.0.0.0"}},
	{"a ab abc", {"a", "ab", "abc"}, {"", "b", "abcd", "abd"}},
	{"same same same", {"same"}, {"sam", "same "}},
	{"/a/* /b*", {"/a/", "/a/b", "/b", "/bc"}, {"/a", "/", "", "/A/"}},
	{"/a* /ab* /abc*", {"/a", "/ab", "/abd", "/az"}, {"/", "/b"}},
	{"a* c* b*", {"a", "bz", "c1"}, {"", "d", "`", "B"}},
	{"*", {"", "x", "192.0.2.1"}, {NULL}},
	{"*.php /*/x a**", {".php", "/y.php", "/a/b/x", "//x", "ab"}, {".phpx", "/x", "x"}},
	{"10.0.*", {"10.0.3.4"}, {"10.1.0.0"}},
};

TEST_ROWS(sets)
{
	struct pattern_set *set = set_of(row->name);

	for (size_t i = 0; i < ARRAY_SIZE(row->inside) && row->inside[i] != NULL; i++)
		if (!fits(set, row->inside[i]))
			fail_msg("%s does not fit", row->inside[i]);
	for (size_t i = 0; i < ARRAY_SIZE(row->outside) && row->outside[i] != NULL; i++)
		if (fits(set, row->outside[i]))
			fail_msg("%s fits", row->outside[i]);
	pattern_set_unref(set);
}

TEST(pattern_set_fits_nothing_when_it_is_empty)
{
	struct pattern_set *set = pattern_set_new();

	assert_false(fits(set, "") || fits(set, "192.0.2.1"));
	assert_true(pattern_set_build(set));
	assert_false(fits(set, "") || fits(set, "192.0.2.1"));
	pattern_set_unref(set);
}

/* The length in front of a text has one byte, two or three. */
TEST(pattern_set_fits_long_texts)
{
	static char long_text[20000];

	for (size_t len = 120; len < sizeof long_text; len = len * 3 / 2) {
		struct pattern_set *set = pattern_set_new();
		memset(long_text, 'x', len);
		long_text[len] = '\0';
		assert_true(pattern_set_add_text(set, bytes_from(long_text, len)));
		assert_true(pattern_set_build(set));
		assert_true(fits(set, long_text));
		long_text[len - 1] = 'y';
		assert_false(fits(set, long_text));
		pattern_set_unref(set);
	}
}

/* ---- against a look at each ---- */

#define PATTERNS_MAX 300
#define TEXT_MAX     128

static struct chance chance = {.state = 17};

static uint64_t chance_below(uint64_t end)
{
	return chance_bits(&chance) % end;
}

static const char *random_address(char *text)
{
	if (chance_below(3) == 0)
		snprintf(text, TEXT_MAX / 2, "2001:db8:%x:%x::%x", (unsigned)chance_below(3),
			 (unsigned)chance_below(3), (unsigned)chance_below(3));
	else
		snprintf(text, TEXT_MAX / 2, "%u.%u.%u.%u", (unsigned)chance_below(3),
			 (unsigned)chance_below(3), (unsigned)chance_below(3),
			 (unsigned)chance_below(3));
	return text;
}

static const char *random_text(char *text, const char *letters)
{
	size_t len = (size_t)chance_below(6), count = strlen(letters);

	for (size_t i = 0; i < len; i++)
		text[i] = letters[chance_below(count)];
	text[len] = '\0';
	return text;
}

static const char *random_pattern(char *text)
{
	char address[TEXT_MAX / 2], begin[8], end[8];
	bool is_ipv6;

	switch (chance_below(4)) {
	case 0:
		return random_address(text);
	case 1:
		is_ipv6 = strchr(random_address(address), ':') != NULL;
		snprintf(text, TEXT_MAX, "%s/%u", address,
			 (unsigned)(is_ipv6 ? 34 + chance_below(95) : 16 + chance_below(17)));
		return text;
	case 2:
		return random_text(text, "abc");
	default:
		random_text(begin, "abc");
		random_text(end, "abc*");
		snprintf(text, TEXT_MAX, "c%s*%s", begin, chance_below(2) == 0 ? "" : end);
		return text;
	}
}

/* A condition finds what it finds by its set once it is compiled. */
TEST(condition_compile_changes_nothing)
{
	char text[TEXT_MAX];
	size_t fitting = 0, looks = 0;

	for (int round = 0; round < 60; round++) {
		struct conditions walked = {0}, compiled = {0};
		struct condition *one = conditions_add(&walked, BYTES("a"));
		struct condition *other = conditions_add(&compiled, BYTES("a"));
		size_t count = 33 + (size_t)chance_below(PATTERNS_MAX - 33);
		for (size_t i = 0; i < count; i++) {
			struct bytes pattern = bytes_from_text(random_pattern(text));
			assert_true(condition_add_pattern(one, pattern));
			assert_true(condition_add_pattern(other, pattern));
		}
		assert_true(condition_compile(other));
		assert_non_null(other->set);
		for (int i = 0; i < 300; i++, looks++) {
			const char *value = i % 3 == 0   ? random_address(text)
					    : i % 3 == 1 ? random_text(text, "abc")
							 : random_pattern(text);
			struct attribute attribute = {BYTES("a"),
						      value_text(bytes_from_text(value))};
			struct attributes attributes = {&attribute, 1};
			bool expected = conditions_fit(&walked, &attributes, NULL);
			if (conditions_fit(&compiled, &attributes, NULL) != expected)
				fail_msg("%s: %d is expected", value, expected);
			fitting += expected;
		}
		conditions_release(&walked);
		while (conditions_release_some(&compiled))
			continue;
	}
	assert_in_range(fitting, looks / 10, looks * 9 / 10);
}

/* ---- lines ---- */

static uint32_t find_line(const struct pattern_set *set, const char *text)
{
	char memory[VALUE_SHORT_TEXT_MAX];
	struct value value = value_text(bytes_from_text(text));

	value = value_canonical(&value);
	return pattern_set_find_line(set, &value, value_to_text(&value, memory));
}

/* "PATTERN PATTERN": built, with a line for each. */
static struct pattern_set *lines_of(const char *patterns)
{
	struct bytes rest = bytes_from_text(patterns), item;
	struct pattern_set *set = pattern_set_new();
	char pattern[256];
	uint32_t line = 0;

	assert_non_null(set);
	while (bytes_next_item(&rest, ' ', &item)) {
		snprintf(pattern, sizeof pattern, "%.*s", (int)item.len, (const char *)item.data);
		pattern_set_at_line(set, ++line);
		assert_true(add(set, pattern));
	}
	assert_true(pattern_set_build(set));
	return set;
}

static const struct {
	const char *name; /* the patterns */
	const char *text;
	uint32_t line;
} line_rows[] = {
	{"192.0.2.2 192.0.2.1", "192.0.2.1", 2},
	{"192.0.2.2 192.0.2.1", "192.0.2.3", 0},
	{"192.0.2.1 192.0.2.1 192.0.2.1", "192.0.2.1", 1},
	{"10.0.0.0/8 10.1.0.0/16", "10.1.2.3", 1},
	{"10.1.0.0/16 10.0.0.0/8", "10.1.2.3", 1},
	{"10.1.0.0/16 10.0.0.0/8", "10.2.2.3", 2},
	{"x 0.0.0.0 0.0.0.0 0.0.0.1", "0.0.0.0", 2},
	{"x 0.0.0.0/0 1.2.3.4", "1.2.3.4", 2},
	{"x 0.0.0.0/0", "::", 0},
	{"x ::/0 ::", "::1", 2},
	{"2001:db8::1 :: ::", "::", 2},
	{"2001:db8::2 2001:db8::1 2001:db8::1", "2001:db8::1", 2},
	{"::1 ::ffff:10.0.0.0/104", "10.1.2.3", 2},
	{"a b a b", "b", 2},
	{"/abc* /a* /b* /a*", "/abcd", 2},
	{"/z* /b* /a* /b*", "/bx", 2},
	{"x *.php *y.php", "y.php", 2},
	{"*.php y* y.php", "y.php", 1},
	{"10.* 10.0.0.1 10.0.0.0/8", "10.0.0.1", 1},
};

TEST_ROWS(line_rows)
{
	struct pattern_set *set = lines_of(row->name);

	assert_int_equal(find_line(set, row->text), row->line);
	while (pattern_set_unref_some(set))
		continue;
}

TEST(pattern_set_find_line_finds_nothing_when_no_lines_are_kept)
{
	struct pattern_set *set = set_of("192.0.2.1 x y*");

	assert_true(fits(set, "192.0.2.1") && fits(set, "x") && fits(set, "yz"));
	assert_int_equal(find_line(set, "192.0.2.1"), 0);
	assert_int_equal(find_line(set, "x") + find_line(set, "yz"), 0);
	pattern_set_unref(set);
}

/* The line is that of a pattern that fits, and there is one whenever something fits. */
TEST(pattern_set_find_line_agrees_with_a_look_at_each)
{
	static char patterns[PATTERNS_MAX][TEXT_MAX];
	char text[TEXT_MAX];
	size_t found = 0;

	for (int round = 0; round < 40; round++) {
		struct pattern_set *set = pattern_set_new();
		uint32_t count = 1 + (uint32_t)chance_below(PATTERNS_MAX - 1);
		assert_non_null(set);
		for (uint32_t i = 0; i < count; i++) {
			random_pattern(patterns[i]);
			pattern_set_at_line(set, i + 1);
			assert_true(add(set, patterns[i]));
		}
		assert_true(pattern_set_build(set));
		for (int i = 0; i < 300; i++) {
			(void)(i % 2 == 0 ? random_address(text) : random_pattern(text));
			uint32_t line = find_line(set, text);
			assert_int_equal(line > 0, fits(set, text));
			if (line == 0)
				continue;
			struct pattern_set *one = pattern_set_new();
			assert_true(one != NULL && add(one, patterns[line - 1]) &&
				    pattern_set_build(one));
			if (!fits(one, text))
				fail_msg("%s does not fit %s", text, patterns[line - 1]);
			pattern_set_unref(one);
			found++;
		}
		pattern_set_unref(set);
	}
	assert_true(found > 1000);
}

static size_t position_of(const struct conditions *conditions, const char *value)
{
	struct condition_fit fit;

	assert_true(
		condition_find(&conditions->items[0], &ATTRIBUTES(text("a", value)), NULL, &fit));
	assert_null(fit.lines);
	return fit.position;
}

/* Of few patterns, and of many, which are in a set. */
TEST(condition_find_names_the_pattern)
{
	char pattern[TEXT_MAX];

	for (size_t count = 5; count <= 500; count *= 10) {
		struct conditions conditions = {0};
		struct condition *condition = conditions_add(&conditions, BYTES("a"));
		struct condition_fit fit;
		for (size_t i = 0; i < count; i++) {
			snprintf(pattern, sizeof pattern, "10.0.%zu.0/24", i);
			assert_true(condition_add_pattern(condition, bytes_from_text(pattern)));
		}
		assert_true(condition_compile(condition));
		assert_int_equal(position_of(&conditions, "10.0.0.9"), 0);
		assert_int_equal(position_of(&conditions, "10.0.3.9"), 3);
		assert_int_equal(position_of(&conditions, "10.0.4.0/24"), 4);
		assert_false(
			condition_find(condition, &ATTRIBUTES(text("a", "10.1.0.0")), NULL, &fit));
		assert_false(
			condition_find(condition, &ATTRIBUTES(text("b", "10.0.0.9")), NULL, &fit));
		conditions_release(&conditions);
	}
}

TEST(condition_find_names_the_line_of_the_first_file_that_has_one)
{
	struct conditions conditions = {0};
	struct condition *condition = conditions_add(&conditions, BYTES("a"));
	struct pattern_set *first = lines_of("192.0.2.1 x*"), *second = lines_of("y xz 192.0.2.9");
	struct condition_fit fit;

	assert_true(condition_add_file(condition, BYTES("@first"), first));
	assert_true(condition_add_pattern(condition, BYTES("z")));
	assert_true(condition_add_file(condition, BYTES("@second"), second));
	assert_true(condition_compile(condition));

	assert_true(condition_find(condition, &ATTRIBUTES(text("a", "xz")), NULL, &fit));
	assert_int_equal(fit.position, 0);
	assert_int_equal(fit.line, 2);
	assert_ptr_equal(fit.lines, first);
	assert_true(condition_find(condition, &ATTRIBUTES(text("a", "192.0.2.9")), NULL, &fit));
	assert_int_equal(fit.position, 2);
	assert_int_equal(fit.line, 3);
	assert_ptr_equal(fit.lines, second);
	assert_int_equal(position_of(&conditions, "z"), 1);
	pattern_set_unref(first);
	pattern_set_unref(second);
	conditions_release(&conditions);
}

/* ---- files ---- */

TEST(condition_add_file_fits_by_its_lines)
{
	struct conditions conditions = {0};
	struct condition *condition = conditions_add(&conditions, BYTES("a"));
	struct pattern_set *lines = set_of("192.0.2.1 x*");

	assert_true(condition_add_pattern(condition, BYTES("y")));
	assert_true(condition_add_file(condition, BYTES("@f"), lines));
	assert_true(condition_compile(condition));
	pattern_set_unref(lines);

	assert_true(conditions_fit(&conditions, &ATTRIBUTES(text("a", "192.0.2.1")), NULL));
	assert_true(conditions_fit(&conditions, &ATTRIBUTES(text("a", "xyz")), NULL));
	assert_true(conditions_fit(&conditions, &ATTRIBUTES(text("a", "y")), NULL));
	assert_false(conditions_fit(&conditions, &ATTRIBUTES(text("a", "@f")), NULL));
	conditions_release(&conditions);
}

TEST(pattern_set_unref_some_leaves_it_to_the_others)
{
	struct pattern_set *set = set_of("x");

	(void)pattern_set_ref(set);
	assert_false(pattern_set_unref_some(set));
	assert_true(fits(set, "x"));
	while (pattern_set_unref_some(set))
		continue;
}

/* ---- size ---- */

static struct pattern_set *many_addresses(size_t count, bool is_ipv6, bool has_lines)
{
	struct pattern_set *set = pattern_set_new();

	for (size_t i = 0; i < count; i++) {
		if (has_lines)
			pattern_set_at_line(set, (uint32_t)i + 1);
		struct value value = {.kind = is_ipv6 ? VALUE_IPV6 : VALUE_IPV4};
		uint32_t number = (uint32_t)i * 2654435761u;
		memcpy(is_ipv6 ? value.ipv6 + 12 : value.ipv4, &number, sizeof number);
		assert_true(pattern_set_add_network(set, &value, is_ipv6 ? 128 : 32));
	}
	assert_true(pattern_set_build(set));
	return set;
}

TEST(pattern_set_takes_at_most_32_bytes_an_address)
{
	for (size_t count = 1000; count <= 262144; count *= 4)
		for (int kind = 0; kind < 4; kind++) {
			bool is_ipv6 = kind % 2 == 1, has_lines = kind >= 2;
			struct pattern_set *set = many_addresses(count, is_ipv6, has_lines);
			assert_in_range(pattern_set_bytes(set), 4 * count, 32 * count);
			size_t pieces = 1;
			while (pattern_set_unref_some(set))
				pieces++;
			assert_true(pieces >= 4 * count >> 20);
		}
}
