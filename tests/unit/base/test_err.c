#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_err_set_is_false_and_sets_the_text(void **state)
{
	struct err err;
	(void)state;

	assert_false(err_set(&err, "%s is %d", "x", 5));

	assert_string_equal(err.text, "x is 5");
}

static void test_err_set_long_text_is_cut(void **state)
{
	char text[2 * ERR_TEXT_MAX];
	struct err err;
	(void)state;

	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	(void)err_set(&err, "%s", text);

	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

static void test_err_at_puts_the_place_in_front(void **state)
{
	struct err err;
	(void)state;

	(void)err_set(&err, "window: wrong");
	assert_false(err_at(&err, "policies.%s.", "login"));
	(void)err_at(&err, "%s: ", "file.json");

	assert_string_equal(err.text, "file.json: policies.login.window: wrong");
}

static void test_err_at_no_text_is_the_place(void **state)
{
	struct err err;
	(void)state;

	(void)err_set(&err, "%s", "");
	(void)err_at(&err, "place: ");

	assert_string_equal(err.text, "place: ");
}

/* A path may be longer than an error: what is left of both is still something to read. */
static void test_err_at_any_lengths_are_cut_to_fit(void **state)
{
	char text[ERR_TEXT_MAX], place[2 * ERR_TEXT_MAX];
	struct err err;
	(void)state;

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

static void test_quoted_printable_ascii_stands_as_it_is(void **state)
{
	(void)state;

	assert_string_equal(quoted(BYTES("")).text, "\"\"");
	assert_string_equal(quoted(bytes_from(NULL, 0)).text, "\"\"");
	assert_string_equal(quoted(BYTES("a b~'/")).text, "\"a b~'/\"");
}

static void test_quoted_all_else_is_escaped(void **state)
{
	(void)state;

	assert_string_equal(quoted(BYTES("a\"b\\c")).text, "\"a\\\"b\\\\c\"");
	assert_string_equal(quoted(BYTES("\n\0\x1f\x7f\x80\xff")).text,
			    "\"\\x0a\\x00\\x1f\\x7f\\x80\\xff\"");
}

/* Every length, of bytes that take one, two and four characters. */
static void test_quoted_what_does_not_fit_is_cut_between_two_bytes(void **state)
{
	static const char *const units[] = {"x", "\"", "\n"};
	static const size_t widths[] = {1, 2, 4};
	char text[2 * QUOTED_MAX];
	(void)state;

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

static void test_quoted_seventy_bytes_are_not_cut(void **state)
{
	char text[70];
	(void)state;

	memset(text, 'x', sizeof text);

	assert_int_equal(strlen(quoted(bytes_from(text, sizeof text)).text), 72);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err_set_is_false_and_sets_the_text),
		cmocka_unit_test(test_err_set_long_text_is_cut),
		cmocka_unit_test(test_err_at_puts_the_place_in_front),
		cmocka_unit_test(test_err_at_no_text_is_the_place),
		cmocka_unit_test(test_err_at_any_lengths_are_cut_to_fit),
		cmocka_unit_test(test_quoted_printable_ascii_stands_as_it_is),
		cmocka_unit_test(test_quoted_all_else_is_escaped),
		cmocka_unit_test(test_quoted_what_does_not_fit_is_cut_between_two_bytes),
		cmocka_unit_test(test_quoted_seventy_bytes_are_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
