#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/test.h"

TEST(err_set_is_false_and_sets_the_text)
{
	struct err err;

	assert_false(err_set(&err, "%s is %d", "x", 5));

	assert_string_equal(err.text, "x is 5");
}

TEST(err_set_long_text_is_cut)
{
	char text[2 * ERR_TEXT_MAX];
	struct err err;

	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	(void)err_set(&err, "%s", text);

	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

TEST(err_at_puts_the_place_in_front)
{
	struct err err;

	(void)err_set(&err, "window: wrong");
	assert_false(err_at(&err, "policies.%s.", "login"));
	(void)err_at(&err, "%s: ", "file.json");

	assert_string_equal(err.text, "file.json: policies.login.window: wrong");
}

TEST(err_at_no_text_is_the_place)
{
	struct err err;

	(void)err_set(&err, "%s", "");
	(void)err_at(&err, "place: ");

	assert_string_equal(err.text, "place: ");
}

/* A path may be longer than an error: what is left of both is still something to read. */
TEST(err_at_any_lengths_are_cut_to_fit)
{
	char text[ERR_TEXT_MAX], place[2 * ERR_TEXT_MAX];
	struct err err;

	for (size_t i = 0; i < 2 * ERR_TEXT_MAX - 1; i += 7) {
		memset(text, 't', sizeof text);
		text[i % (sizeof text - 1)] = '\0';
		memset(place, 'p', sizeof place);
		place[i] = '\0';
		(void)err_set(&err, "%s", text);
		(void)err_at(&err, "%s", place);

		size_t whole = i + strlen(text);
		assert_int_equal(strlen(err.text), whole < ERR_TEXT_MAX ? whole : ERR_TEXT_MAX - 1);
	}
}

/* ---- quoted ---- */

TEST(quoted_printable_ascii_stands_as_it_is)
{
	assert_string_equal(quoted(BYTES("")).text, "\"\"");
	assert_string_equal(quoted(bytes_from(NULL, 0)).text, "\"\"");
	assert_string_equal(quoted(BYTES("a b~'/")).text, "\"a b~'/\"");
}

TEST(quoted_all_else_is_escaped)
{
	assert_string_equal(quoted(BYTES("a\"b\\c")).text, "\"a\\\"b\\\\c\"");
	assert_string_equal(quoted(BYTES("\n\0\x1f\x7f\x80\xff")).text,
			    "\"\\x0a\\x00\\x1f\\x7f\\x80\\xff\"");
}

/* Every length, of bytes that take one, two and four characters. */
TEST(quoted_what_does_not_fit_is_cut_between_two_bytes)
{
	static const char *const units[] = {"x", "\"", "\n"};
	static const size_t widths[] = {1, 2, 4};
	char text[2 * QUOTED_MAX];

	for (size_t u = 0; u < ARRAY_SIZE(units); u++)
		for (size_t len = 0; len < sizeof text; len++) {
			memset(text, units[u][0], len);
			struct quoted q = quoted(bytes_from(text, len));
			size_t got = strlen(q.text);
			bool is_cut = strstr(q.text, "...\"") != NULL;
			size_t shown = got - (is_cut ? strlen("\"...\"") : strlen("\"\""));

			assert_true(got < QUOTED_MAX);
			assert_int_equal(q.text[0], '"');
			assert_int_equal(q.text[got - 1], '"');
			assert_int_equal(shown % widths[u], 0);
			assert_int_equal(is_cut, shown / widths[u] < len);
		}
}

TEST(quoted_seventy_bytes_are_not_cut)
{
	char text[70];

	memset(text, 'x', sizeof text);

	assert_int_equal(strlen(quoted(bytes_from(text, sizeof text)).text), 72);
}
