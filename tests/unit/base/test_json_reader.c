#include "base/json_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include "support/guarded.h"
#include "support/sweep.h"
#include "support/test.h"

#define TEXT_MAX 2048

static struct guarded *guarded;

BEFORE_ALL
{
	guarded = guarded_new(TEXT_MAX);
}

AFTER_ALL
{
	guarded_free(guarded);
}

/* The text right before a page that nobody may touch. */
static struct json_value read_good(const char *text)
{
	struct json_value root;
	struct err err;

	if (!json_read(guarded_copy(guarded, bytes_from_text(text)), &root, &err))
		fail_msg("%s: %s", text, err.text);
	return root;
}

static void assert_refused(struct bytes text, const char *why)
{
	struct json_value root;
	struct err err = {""};

	POISON(root);
	if (json_read(guarded_copy(guarded, text), &root, &err))
		fail_msg("%.*s is taken", (int)text.len, (const char *)text.data);
	assert_untouched(root);
	if (strstr(err.text, why) == NULL)
		fail_msg("%.*s: \"%s\" does not say %s", (int)text.len, (const char *)text.data,
			 err.text, why);
}

/* ---- what is JSON ---- */

TEST(json_read_takes_every_kind_of_value)
{
	static const struct {
		const char *text;
		enum json_kind kind;
		const char *inside;
	} cases[] = {
		{"null", JSON_NULL, "null"},
		{"true", JSON_TRUE, "true"},
		{"false", JSON_FALSE, "false"},
		{"0", JSON_NUMBER, "0"},
		{"-0", JSON_NUMBER, "-0"},
		{"18446744073709551616", JSON_NUMBER, "18446744073709551616"},
		{"1.50", JSON_NUMBER, "1.50"},
		{"1e999", JSON_NUMBER, "1e999"},
		{"-2.5E-07", JSON_NUMBER, "-2.5E-07"},
		{"0e+1", JSON_NUMBER, "0e+1"},
		{"\"\"", JSON_STRING, ""},
		{"\"a\xc3\xa9\"", JSON_STRING, "a\xc3\xa9"},
		{"\"\\\"\"", JSON_STRING, "\\\""},
		{"\"[{\"", JSON_STRING, "[{"},
		{"[]", JSON_ARRAY, ""},
		{"[1,\"]\",[{}]]", JSON_ARRAY, "1,\"]\",[{}]"},
		{"{}", JSON_OBJECT, ""},
		{"{\"}\":{\"\\\"\":[]}}", JSON_OBJECT, "\"}\":{\"\\\"\":[]}"},
		{" \t\r\n[ ] \t\r\n", JSON_ARRAY, " "},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct json_value root = read_good(cases[i].text);
		assert_int_equal(root.kind, cases[i].kind);
		assert_bytes_text(root.text, cases[i].inside);
	}
}

TEST(json_read_refuses_what_is_none)
{
	static const char *const cases[] = {
		"",
		" ",
		"nul",
		"nulls",
		"True",
		"NaN",
		"Infinity",
		"-",
		"+1",
		"01",
		"-01",
		"1.",
		".5",
		"1.e5",
		"1e",
		"1e+",
		"1e1.5",
		"0x1",
		"1 2",
		"1,",
		"\"",
		"\"a",
		"'a'",
		"a",
		"[",
		"]",
		"[1",
		"[1,",
		"[1,]",
		"[,1]",
		"[1 2]",
		"[1}",
		"{",
		"}",
		"{1:2}",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\" 1}",
		"{\"a\":1,}",
		"{,}",
		"{\"a\":1 \"b\":2}",
		"{\"a\":1]",
		"{a:1}",
		"{\"a\":1}}",
		"{}{}",
		"/**/1",
		"1//",
		"\xef\xbb\xbf"
		"1",
		"\f1",
		"\v1",
		"\xa0"
		"1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_refused(bytes_from_text(cases[i]), "not JSON");
}

TEST(json_read_says_what_is_wrong_with_a_string)
{
	static const struct {
		const char *text;
		const char *why;
	} cases[] = {
		{"\"\xff\"", "invalid UTF-8, at byte 1"},
		{"\"ab\xc3\"", "invalid UTF-8, at byte 3"},
		{"\"\xc0\xaf\"", "invalid UTF-8"},
		{"\"\xed\xa0\x80\"", "invalid UTF-8"},
		{"{\"\xff\":1}", "invalid UTF-8"},
		{"\"\\u0000\"", "a NUL character, at byte 1"},
		{"{\"a\\u0000\":1}", "a NUL character"},
		{"\"\n\"", "a control character"},
		{"\"\x1f\"", "a control character"},
		{"\"\\x41\"", "not an escape"},
		{"\"\\u12\"", "not an escape"},
		{"\"\\u12g4\"", "not an escape"},
		{"\"\\ud800\"", "not an escape"},
		{"\"\\ud800\\n\"", "not an escape"},
		{"\"\\ud800\\ud800\"", "not an escape"},
		{"\"\\udc00\"", "not an escape"},
		{"\"\\", "not JSON"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_refused(bytes_from_text(cases[i].text), cases[i].why);
}

TEST(json_read_a_byte_order_mark_is_named)
{
	assert_refused(BYTES("\xef\xbb\xbf{}"),
		       "a byte order mark (BOM), which is not JSON; accepted is UTF-8 without "
		       "one, at byte 0");
	assert_refused(BYTES("\xef\xbb\xbf"), "a byte order mark (BOM)");
	assert_refused(BYTES("\xff\xfe{\0}\0"), "a byte order mark (BOM) of UTF-16");
	assert_refused(BYTES("\xfe\xff\0{\0}"), "a byte order mark (BOM) of UTF-16");
	assert_refused(BYTES("\xef\xbb{}"), "not JSON, at byte 0");
	assert_refused(BYTES("{}\xef\xbb\xbf"), "not JSON, at byte 2");
	(void)read_good("\"\xef\xbb\xbf\"");
}

TEST(json_read_a_nul_is_named_wherever_it_is)
{
	assert_refused(BYTES("\0"), "a NUL character");
	assert_refused(BYTES("1\0"), "a NUL character");
	assert_refused(BYTES("\"a\0b\""), "a NUL character");
	assert_refused(BYTES("{\0}"), "a NUL character");
}

static void fill(char *text, char c, size_t count)
{
	memset(text, c, count);
	text[count] = '\0';
}

TEST(json_read_is_bounded_in_depth)
{
	char text[2 * (JSON_DEPTH_MAX + 1) + 1];

	fill(text, '[', JSON_DEPTH_MAX);
	fill(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	assert_int_equal(read_good(text).kind, JSON_ARRAY);

	fill(text, '[', JSON_DEPTH_MAX + 1);
	fill(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	assert_refused(bytes_from_text(text), "nested too deeply");
}

/* ---- walking ---- */

TEST(json_next_field_walks_in_order)
{
	static const char *const names[] = {"a", "", "a", "d"};
	static const char *const insides[] = {"1", "x", "{}, [2]", " "};
	struct json_value object, name, value;

	object = read_good(" { \"a\" : 1 , \"\":\"x\",\"a\":[{}, [2]] , \"d\":{ } } ");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_true(json_next_field(&object, &name, &value));
		assert_bytes_text(name.text, names[i]);
		assert_bytes_text(value.text, insides[i]);
	}

	assert_false(json_next_field(&object, &name, &value));
	assert_false(json_next_field(&object, &name, &value));
}

TEST(json_next_item_walks_in_order)
{
	static const enum json_kind kinds[] = {JSON_TRUE, JSON_NUMBER, JSON_STRING,
					       JSON_NULL, JSON_ARRAY,  JSON_FALSE};
	struct json_value array, item;

	array = read_good("[ true,-1.5,\",]\" , null,[ [],{} ],false ]");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		assert_true(json_next_item(&array, &item));
		assert_int_equal(item.kind, kinds[i]);
	}

	assert_false(json_next_item(&array, &item));
}

TEST(json_next_item_of_nothing_is_none)
{
	struct json_value array, item;

	array = read_good("[ ]");

	assert_false(json_next_item(&array, &item));
}

TEST(json_string_without_escapes_is_a_view)
{
	struct json_value string;
	struct writer w = writer_on(NULL, 0);

	string = read_good("\"a\xc3\xa9\"");

	assert_view_of(json_string(&string, &w), string.text);
}

TEST(json_string_escapes_become_what_they_mean)
{
	static const struct {
		const char *text;
		const char *meant;
	} cases[] = {
		{"\"\\\"\\\\\\/\"", "\"\\/"},
		{"\"\\b\\f\\n\\r\\t\"", "\b\f\n\r\t"},
		{"\"\\u0041b\\u00e9\"", "Ab\xc3\xa9"},
		{"\"\\u20AC\\u20ac\"", "\xe2\x82\xac\xe2\x82\xac"},
		{"\"x\\ud83d\\ude00y\"", "x\xf0\x9f\x98\x80y"},
		{"\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char memory[32];
		struct writer w = writer_on(memory, sizeof memory);
		struct json_value string = read_good(cases[i].text);
		assert_bytes_text(json_string(&string, &w), cases[i].meant);
	}
}

TEST(json_string_puts_behind_what_is_there)
{
	char memory[8] = "ab";
	struct writer w = writer_on(memory, sizeof memory);
	struct json_value string;
	(void)writer_take(&w, 2);

	string = read_good("\"\\n\"");

	assert_bytes_text(json_string(&string, &w), "\n");
	assert_bytes_text(writer_bytes(&w), "ab\n");
}

/* ---- any bytes ---- */

static void walk(struct json_value value)
{
	char memory[TEXT_MAX];
	struct writer w = writer_on(memory, value.text.len);
	struct json_value name, inner;

	if (value.kind == JSON_STRING)
		(void)json_string(&value, &w);
	while (value.kind == JSON_ARRAY && json_next_item(&value, &inner))
		walk(inner);
	while (value.kind == JSON_OBJECT && json_next_field(&value, &name, &inner)) {
		walk(name);
		walk(inner);
	}
}

static int decode(struct bytes input, void *context)
{
	struct json_value root;
	struct err err;

	(void)context;
	if (!json_read(input, &root, &err))
		return -1;
	walk(root);
	return 1;
}

TEST(json_read_any_bytes_are_read_within_their_bounds)
{
	static const char text[] =
		"{\"a\":[1,-2.5e+3,true,false,null,\"x\\n\\u00e9\\ud83d\\ude00\xc3\xa9\"],"
		"\"b\":{\"c\":{}, \"d\":[ ]}}";
	struct sweep_counts cut;

	cut = sweep_decoder(bytes_from_text(text), decode, NULL);

	assert_int_equal(cut.taken, 0);
}
