#include "app/operate/token_file.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "support/test.h"

static struct http_tokens tokens;
static struct err err;

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

static const char *name_of(const char *token)
{
	const struct http_token *found = http_tokens_find(&tokens, bytes_from_text(token));

	return found == NULL ? NULL : found->name;
}

TEST(parse_lines_are_names_and_tokens)
{
	assert_true(token_file_parse_admins(
		BYTES("# who\n\nann s3cret\r\n  bob\t \tb0b  \nann other"), &tokens, &err));

	assert_true(tokens.is_set);
	assert_int_equal(tokens.count, 3);
	assert_string_equal(name_of("s3cret"), "ann");
	assert_string_equal(name_of("b0b"), "bob");
	assert_string_equal(name_of("other"), "ann");
	assert_null(name_of("s3cre"));
	assert_null(name_of(""));
}

TEST(parse_nothing_is_a_set_that_opens_nothing)
{
	assert_true(token_file_parse_admins(BYTES(" \n# ann s3cret\n"), &tokens, &err));

	assert_true(tokens.is_set);
	assert_int_equal(tokens.count, 0);
	assert_null(name_of(""));
}

static const struct {
	const char *name;
	struct bytes text;
	const char *why;
} bad_lines[] = {
	{"a name alone", BYTES("ann t\nbob"), "line 2: accepted is NAME TOKEN"},
	{"three words", BYTES("ann two words"), "line 1: accepted is NAME TOKEN"},
	{"a token twice", BYTES("ann t\nbob t"), "line 2: another line has this token"},
	{"not ASCII", BYTES("ann t\xc3\xb6"), "line 1: accepted is NAME TOKEN"},
	{"a NUL character", BYTES("ann t\0t"), "line 1: accepted is NAME TOKEN"},
	{"a byte order mark",
	 BYTES("\xef\xbb\xbf"
	       "ann t"),
	 "byte order mark"},
	{"a long name",
	 BYTES("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa t"),
	 "line 1: the name is"},
};

TEST_ROWS(bad_lines)
{
	assert_false(token_file_parse_admins(row->text, &tokens, &err));

	assert_non_null(strstr(err.text, row->why));
}

TEST(parse_more_tokens_than_fit_is_refused)
{
	char text[HTTP_TOKENS_MAX * 12];
	size_t len = 0;

	for (int i = 0; i <= HTTP_TOKENS_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "ann t%d\n", i);

	assert_false(token_file_parse_admins(bytes_from(text, len), &tokens, &err));

	assert_string_equal(err.text, "line 257: more than 256 tokens");
}
