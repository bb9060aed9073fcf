#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>

#include "support/guarded.h"
#include "support/test.h"

static struct guarded *guarded;

BEFORE_ALL
{
	guarded = guarded_new(16);
}

AFTER_ALL
{
	guarded_free(guarded);
}

TEST(utf8_length_is_that_of_the_first_character)
{
	static const struct {
		const char *text;
		size_t length;
	} cases[] = {
		{"a", 1},
		{"\x7f", 1},
		{"\xc2\x80", 2},
		{"\xdf\xbf", 2},
		{"\xe0\xa0\x80", 3},
		{"\xed\x9f\xbf", 3},
		{"\xee\x80\x80", 3},
		{"\xef\xbf\xbf", 3},
		{"\xf0\x90\x80\x80", 4},
		{"\xf4\x8f\xbf\xbf", 4},
		{"\xc3\xa9z", 2},
		{"", 0},
		{"\x80", 0},             /* a continuation */
		{"\xc3", 0},             /* cut off */
		{"\xe2\x82", 0},         /* cut off */
		{"\xf0\x9f\x98", 0},     /* cut off */
		{"\xc3z", 0},            /* not continued */
		{"\xe2\x82z", 0},        /* not continued */
		{"\xc0\xaf", 0},         /* overlong */
		{"\xc1\xbf", 0},         /* overlong */
		{"\xe0\x9f\xbf", 0},     /* overlong */
		{"\xf0\x8f\xbf\xbf", 0}, /* overlong */
		{"\xed\xa0\x80", 0},     /* a surrogate */
		{"\xed\xbf\xbf", 0},     /* a surrogate */
		{"\xf4\x90\x80\x80", 0}, /* above U+10FFFF */
		{"\xf5\x80\x80\x80", 0}, /* above U+10FFFF */
		{"\xff", 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bytes text = guarded_copy(guarded, bytes_from_text(cases[i].text));
		assert_int_equal(utf8_length(text), cases[i].length);
		assert_int_equal(utf8_is_good(text),
				 cases[i].length > 0 || strlen(cases[i].text) == 0);
	}
}

TEST(utf8_length_a_nul_is_a_character)
{
	assert_int_equal(utf8_length(bytes_from("", 1)), 1);
}

TEST(utf8_is_good_looks_at_all_of_it)
{
	assert_true(utf8_is_good(BYTES("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z")));
	assert_false(utf8_is_good(BYTES("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xc3")));
}

TEST(utf8_put_every_code_is_read_back)
{
	for (uint32_t code = 0; code <= 0x10ffff; code++) {
		uint8_t memory[4];
		struct writer w = writer_on(memory, sizeof memory);
		if (code >= 0xd800 && code < 0xe000)
			continue;
		utf8_put(&w, code);
		assert_int_equal(utf8_length(writer_bytes(&w)), w.len);
	}
}
