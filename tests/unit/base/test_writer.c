#include "base/writer.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/guarded.h"
#include "support/sweep.h"
#include "support/test.h"

static void put_number(struct writer *w, const void *context)
{
	writer_put_decimal(w, *(const int64_t *)context);
}

static void put_natural(struct writer *w, const void *context)
{
	writer_put_unsigned(w, *(const uint64_t *)context);
}

static void put_u32(struct writer *w, const void *context)
{
	writer_put_u32_be(w, *(const uint32_t *)context);
}

static void put_bytes(struct writer *w, const void *context)
{
	writer_put(w, *(const struct bytes *)context);
}

static void put_hex(struct writer *w, const void *context)
{
	writer_put_hex(w, *(const struct bytes *)context);
}

TEST(writer_put_any_room_stays_inside)
{
	struct bytes bytes = BYTES("a\0b");

	sweep_encoder(bytes, put_bytes, &bytes);
}

TEST(writer_put_nothing_fits_anywhere)
{
	struct writer w = writer_on(NULL, 0);

	writer_put(&w, bytes_from(NULL, 0));
	writer_put_hex(&w, bytes_from(NULL, 0));
	writer_put_text(&w, "");

	assert_false(w.full);
	assert_int_equal(w.len, 0);
}

TEST(writer_put_decimal_any_number_is_its_text)
{
	static const struct {
		int64_t number;
		const char *expected;
	} cases[] = {
		{0, "0"},
		{7, "7"},
		{10, "10"},
		{-1, "-1"},
		{INT64_MAX, "9223372036854775807"},
		{INT64_MIN, "-9223372036854775808"},
	};

	/* A sign and its digits are two puts: only the whole is checked. */
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char memory[32];
		struct writer w = writer_on(memory, sizeof memory);
		put_number(&w, &cases[i].number);
		assert_string_equal(writer_text(&w), cases[i].expected);
		if (cases[i].number >= 0)
			sweep_encoder(bytes_from_text(cases[i].expected), put_number,
				      &cases[i].number);
	}
}

TEST(writer_put_unsigned_any_number_is_its_text)
{
	static const struct {
		uint64_t number;
		const char *expected;
	} cases[] = {{0, "0"}, {9, "9"}, {100, "100"}, {UINT64_MAX, "18446744073709551615"}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		sweep_encoder(bytes_from_text(cases[i].expected), put_natural, &cases[i].number);
}

TEST(writer_put_u32_be_is_most_significant_first)
{
	uint32_t value = 0x01020384;

	sweep_encoder(BYTES("\x01\x02\x03\x84"), put_u32, &value);
}

TEST(writer_put_hex_is_two_digits_a_byte)
{
	struct bytes bytes = BYTES("\x00\x0f\xa5\xff");

	sweep_encoder(BYTES("000fa5ff"), put_hex, &bytes);
}

TEST(writer_put_fraction_is_exact_without_zeros_at_the_end)
{
	static const struct {
		uint64_t value;
		unsigned decimals;
		const char *expected;
	} cases[] = {
		{0, 6, "0"},        {1, 6, "0.000001"}, {50, 6, "0.00005"},
		{1000000, 6, "1"},  {2500, 3, "2.5"},   {100000, 3, "100"},
		{1001, 3, "1.001"}, {12, 0, "12"},      {UINT64_MAX, 6, "18446744073709.551615"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char memory[32];
		struct writer w = writer_on(memory, sizeof memory);
		writer_put_fraction(&w, cases[i].value, cases[i].decimals);
		assert_string_equal(writer_text(&w), cases[i].expected);
	}
}

TEST(writer_take_full_sticks)
{
	char memory[4] = "....";
	struct writer w = writer_on(memory, sizeof memory);

	writer_put_text(&w, "ab");
	writer_put_text(&w, "cde");
	writer_put_u8(&w, 'f');
	writer_put_text(&w, "");

	assert_true(w.full);
	assert_bytes_equal(writer_bytes(&w), BYTES("ab"));
	assert_memory_equal(memory, "ab..", 4);
}

TEST(writer_take_length_near_the_largest_does_not_wrap)
{
	char memory[4];
	struct writer w = writer_on(memory, sizeof memory);

	writer_put_u8(&w, 'a');

	assert_null(writer_take(&w, SIZE_MAX));
	assert_true(w.full);
	assert_int_equal(w.len, 1);
}

TEST(writer_rewind_takes_back_what_was_put_and_the_failure)
{
	char memory[4];
	struct writer w = writer_on(memory, sizeof memory);

	writer_put_text(&w, "ab");
	size_t mark = writer_mark(&w);
	writer_put_text(&w, "c");
	writer_put_text(&w, "de");
	writer_rewind(&w, mark);
	writer_put_text(&w, "fg");

	assert_false(w.full);
	assert_bytes_equal(writer_bytes(&w), BYTES("abfg"));
}

TEST(writer_text_ends_with_a_nul_that_is_not_counted)
{
	char memory[4] = "....";
	struct writer w = writer_on(memory, sizeof memory);

	writer_put_text(&w, "abc");

	assert_string_equal(writer_text(&w), "abc");
	assert_int_equal(w.len, 3);
}

TEST(writer_text_without_room_is_cut)
{
	struct guarded *memory = guarded_new(8);
	struct writer w = writer_on(guarded_room(memory, 4), 4);

	writer_put_text(&w, "abcd");

	assert_string_equal(writer_text(&w), "abc");
	assert_int_equal(w.len, 3);
	guarded_free(memory);
}

TEST(writer_text_nothing_is_empty)
{
	char memory[1] = ".";
	struct writer w = writer_on(memory, sizeof memory);

	writer_put_text(&w, "ab");

	assert_true(w.full);
	assert_string_equal(writer_text(&w), "");
}
