#include <stdint.h>
#include <string.h>

#include "base/parse.h"
#include "support/guarded.h"
#include "support/test.h"

static struct guarded *guarded;

/* The text right before a page that nobody may touch: a NUL would hide a byte read too many. */
static struct bytes exactly(const char *text)
{
	return guarded_copy(guarded, bytes_from_text(text));
}

BEFORE_ALL
{
	guarded = guarded_new(64);
}

AFTER_ALL
{
	guarded_free(guarded);
}

TEST(parse_whole_takes_digits_up_to_the_maximum)
{
	static const struct {
		const char *text;
		uint64_t max;
		bool is_good;
		uint64_t value;
	} cases[] = {
		{"0", 0, true, 0},
		{"007", 9, true, 7},
		{"255", 255, true, 255},
		{"256", 255, false, 0},
		{"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
		{"18446744073709551616", UINT64_MAX, false, 0},
		{"99999999999999999999999", UINT64_MAX, false, 0},
		{"", 9, false, 0},
		{"-1", 9, false, 0},
		{"+1", 9, false, 0},
		{" 1", 9, false, 0},
		{"1 ", 9, false, 0},
		{"1.0", 9, false, 0},
		{"0x1", 9, false, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 99;
		assert_int_equal(parse_whole(exactly(cases[i].text), cases[i].max, &value),
				 cases[i].is_good);
		assert_int_equal(value, cases[i].is_good ? cases[i].value : 99);
	}
}

TEST(parse_hex_digit_of_every_byte)
{
	static const char digits[] = "0123456789abcdef", capitals[] = "0123456789ABCDEF";

	for (unsigned byte = 0; byte < 256; byte++) {
		const char *lower = byte == 0 ? NULL : strchr(digits, (int)byte);
		const char *upper = byte == 0 ? NULL : strchr(capitals, (int)byte);
		int expected = lower != NULL   ? (int)(lower - digits)
			       : upper != NULL ? (int)(upper - capitals)
					       : -1;
		assert_int_equal(parse_hex_digit((uint8_t)byte), expected);
	}
}

TEST(parse_decimal_is_exact_in_lowest_terms)
{
	static const struct {
		const char *text;
		int64_t num, den;
	} cases[] = {
		{"1", 1, 1},
		{"0.5", 1, 2},
		{"0.25", 1, 4},
		{"10.0", 10, 1},
		{"123.456", 15432, 125},
		{"1e6", 1000000, 1},
		{"2.5e-3", 1, 400},
		{"1E+2", 100, 1},
		{"9223372036854775807", INT64_MAX, 1},
		{"0.000000000000000001", 1, INT64_C(1000000000000000000)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ratio ratio;
		assert_true(parse_decimal(exactly(cases[i].text), &ratio));
		assert_int_equal(ratio.num, cases[i].num);
		assert_int_equal(ratio.den, cases[i].den);
	}
}

TEST(parse_decimal_refuses_what_is_not_one_or_does_not_fit)
{
	static const char *const texts[] = {
		"",
		"0",
		"0.0",
		".5",
		"5.",
		"-1",
		"+1",
		"1e",
		"1e999",
		"1e-99",
		"1,5",
		"1 ",
		"e5",
		"0x10",
		"nan",
		"inf",
		"1..2",
		"1e1.5",
		"1/2",
		"9223372036854775808",
		"0.0000000000000000001",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct ratio ratio = {7, 7};
		assert_false(parse_decimal(exactly(texts[i]), &ratio));
		assert_int_equal(ratio.num, 7);
	}
}

TEST(parse_duration_takes_each_unit)
{
	static const struct {
		const char *text;
		int64_t us;
	} cases[] = {
		{"2ms", 2000},      {"1.5s", 1500000},   {"1m", 60000000},
		{"1h", 3600000000}, {"1d", 86400000000}, {"0s", 0},
		{"0ms", 0},         {"0.001ms", 1},      {"36500d", INT64_C(3153600000000000)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t us;
		assert_true(parse_duration(exactly(cases[i].text), &us));
		assert_int_equal(us, cases[i].us);
	}
}

TEST(parse_duration_refuses_the_rest)
{
	static const char *const texts[] = {"",    "1",  "ms",  "1x",    "1us",      "-1s",
					    "1 s", "1S", "1sm", "0.1us", "0.0001ms", "1e99d"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		int64_t us = 7;
		assert_false(parse_duration(exactly(texts[i]), &us));
		assert_int_equal(us, 7);
	}
}

TEST(parse_size_counts_in_powers_of_1024)
{
	uint64_t size = 7;

	assert_true(parse_size(exactly("512"), UINT64_MAX, &size));
	assert_int_equal(size, 512);
	assert_true(parse_size(exactly("64k"), UINT64_MAX, &size));
	assert_int_equal(size, 65536);
	assert_true(parse_size(exactly("1M"), UINT64_MAX, &size));
	assert_int_equal(size, 1048576);
	assert_true(parse_size(exactly("2g"), UINT64_MAX, &size));
	assert_int_equal(size, UINT64_C(2147483648));
	assert_false(parse_size(exactly("2g"), UINT64_C(2147483647), &size));
	assert_false(parse_size(exactly("18446744073709551615k"), UINT64_MAX, &size));
	assert_false(parse_size(exactly("k"), UINT64_MAX, &size));
	assert_false(parse_size(exactly("1kb"), UINT64_MAX, &size));
	assert_false(parse_size(exactly(""), UINT64_MAX, &size));
	assert_int_equal(size, UINT64_C(2147483648));
}

TEST(parse_decimal_or_zero_takes_zero_in_any_notation)
{
	static const char *const zeros[] = {"0", "00", "0.0", "0.000", "0e5", "0.0E-3", "0e1000"};
	static const char *const refused[] = {"", ".", "0.", ".0", "-0", "0e", "0x0", "0 "};
	struct ratio ratio;

	for (size_t i = 0; i < ARRAY_SIZE(zeros); i++) {
		assert_true(parse_decimal_or_zero(bytes_from_text(zeros[i]), &ratio));
		assert_int_equal(ratio.num, 0);
		assert_int_equal(ratio.den, 1);
		assert_false(parse_decimal(bytes_from_text(zeros[i]), &ratio));
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_false(parse_decimal_or_zero(bytes_from_text(refused[i]), &ratio));
	assert_true(parse_decimal_or_zero(BYTES("2.50"), &ratio));
	assert_int_equal(ratio.num, 5);
	assert_int_equal(ratio.den, 2);
}

TEST(parse_hex_digit_takes_both_cases)
{
	static const char digits[] = "0123456789abcdefABCDEF";

	for (int byte = 0; byte < 256; byte++) {
		const char *found = byte == 0 ? NULL : strchr(digits, byte);
		int place = found == NULL ? -1 : (int)(found - digits);
		assert_int_equal(parse_hex_digit((uint8_t)byte), place > 15 ? place - 6 : place);
	}
}

static const struct {
	const char *name; /* the text */
	bool is_decimal, is_duration;
} forms[] = {
	{"1", true, false},
	{"007", true, false},
	{"0.5", true, false},
	{"00.50", true, false},
	{"5e-324", true, false},
	{"1E+400", true, false},
	{"123456789012345678901234567890.1", true, false},
	{"0", false, false},
	{"0.00e5", false, false},
	{"", false, false},
	{".5", false, false},
	{"5.", false, false},
	{"1e", false, false},
	{"1e+", false, false},
	{"-1", false, false},
	{"+1", false, false},
	{"1 ", false, false},
	{"1.2.3", false, false},
	{"0x1", false, false},
	{"1ms", false, true},
	{"0.5d", false, true},
	{"1e400h", false, true},
	{"0s", false, false},
	{"s", false, false},
	{"1us", false, false},
	{"1 s", false, false},
};

TEST_ROWS(forms)
{
	struct bytes text = bytes_from_text(row->name);

	assert_int_equal(is_written_as_decimal(text), row->is_decimal);
	assert_int_equal(is_written_as_duration(text), row->is_duration);
}
