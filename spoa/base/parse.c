#include "base/parse.h"

#include <limits.h>
#include <stddef.h>

#include "base/clock.h"

bool parse_whole(struct bytes text, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		uint64_t digit = (uint64_t)(text.data[i] - '0');
		if (digit > max || value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*ret_value = value;
	return true;
}

int parse_hex_digit(uint8_t byte)
{
	uint8_t letter = byte | 0x20;

	if (byte >= '0' && byte <= '9')
		return byte - '0';
	return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

static int64_t greatest_common_divisor(int64_t a, int64_t b)
{
	while (b != 0) {
		int64_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

static struct ratio in_lowest_terms(int64_t num, int64_t den)
{
	int64_t divisor = greatest_common_divisor(num, den);

	return (struct ratio){num / divisor, den / divisor};
}

bool ratio_multiply(struct ratio a, struct ratio b, struct ratio *ret_product)
{
	/* Crosswise first, so that only what really does not fit fails. */
	struct ratio left = in_lowest_terms(a.num, b.den);
	struct ratio right = in_lowest_terms(b.num, a.den);
	int64_t num, den;

	if (__builtin_mul_overflow(left.num, right.num, &num) ||
	    __builtin_mul_overflow(left.den, right.den, &den))
		return false;
	*ret_product = in_lowest_terms(num, den);
	return true;
}

/* Cuts the digits off the front of `text`, appends them to `value` and counts them; false when the
 * value overflows. */
static bool cut_digits(struct bytes *text, int64_t *value, int *ret_count)
{
	int count = 0;

	for (; text->len > 0 && text->data[0] >= '0' && text->data[0] <= '9'; count++) {
		if (__builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, text->data[0] - '0', value))
			return false;
		*text = bytes_skip(*text, 1);
	}
	*ret_count = count;
	return true;
}

static bool cut_exponent(struct bytes *text, uint64_t max, int *ret_exponent)
{
	uint64_t exponent;
	bool negative;

	if (text->len == 0) {
		*ret_exponent = 0;
		return true;
	}
	if (text->data[0] != 'e' && text->data[0] != 'E')
		return false;
	*text = bytes_skip(*text, 1);
	negative = text->len > 0 && text->data[0] == '-';
	if (text->len > 0 && (text->data[0] == '-' || text->data[0] == '+'))
		*text = bytes_skip(*text, 1);
	if (!parse_whole(*text, max, &exponent))
		return false;
	*ret_exponent = negative ? -(int)exponent : (int)exponent;
	return true;
}

bool parse_decimal_or_zero(struct bytes text, struct ratio *ret_ratio)
{
	int64_t digits = 0;
	int whole_count, fraction_count = 0, exponent;

	if (!cut_digits(&text, &digits, &whole_count) || whole_count == 0)
		return false;
	if (text.len > 0 && text.data[0] == '.') {
		text = bytes_skip(text, 1);
		if (!cut_digits(&text, &digits, &fraction_count) || fraction_count == 0)
			return false;
	}
	if (!cut_exponent(&text, digits == 0 ? INT_MAX : 99, &exponent))
		return false;
	if (digits == 0)
		exponent = fraction_count = 0;

	struct ratio ratio = {digits, 1};
	for (exponent -= fraction_count; exponent > 0; exponent--)
		if (!ratio_multiply(ratio, (struct ratio){10, 1}, &ratio))
			return false;
	for (; exponent < 0; exponent++)
		if (!ratio_multiply(ratio, (struct ratio){1, 10}, &ratio))
			return false;
	*ret_ratio = ratio;
	return true;
}

static bool skip_digits(struct bytes *text, bool *has_other_than_0)
{
	size_t count = 0;

	for (; count < text->len && text->data[count] >= '0' && text->data[count] <= '9'; count++)
		*has_other_than_0 |= text->data[count] != '0';
	*text = bytes_skip(*text, count);
	return count > 0;
}

static bool skip_one_of(struct bytes *text, char a, char b)
{
	if (text->len == 0 || (text->data[0] != (uint8_t)a && text->data[0] != (uint8_t)b))
		return false;
	*text = bytes_skip(*text, 1);
	return true;
}

bool is_written_as_decimal(struct bytes text)
{
	bool is_positive = false, unused = false;

	if (!skip_digits(&text, &is_positive))
		return false;
	if (skip_one_of(&text, '.', '.') && !skip_digits(&text, &is_positive))
		return false;
	if (skip_one_of(&text, 'e', 'E')) {
		(void)skip_one_of(&text, '+', '-');
		if (!skip_digits(&text, &unused))
			return false;
	}
	return text.len == 0 && is_positive;
}

bool parse_decimal(struct bytes text, struct ratio *ret_ratio)
{
	struct ratio ratio;

	if (!parse_decimal_or_zero(text, &ratio) || ratio.num == 0)
		return false;
	*ret_ratio = ratio;
	return true;
}

const struct duration_unit duration_units[DURATION_UNITS] = {
	{"d", INT64_C(86400) * US_PER_SECOND},
	{"h", INT64_C(3600) * US_PER_SECOND},
	{"m", INT64_C(60) * US_PER_SECOND},
	{"s", US_PER_SECOND},
	{"ms", US_PER_MS},
};

static bool has_suffix(struct bytes text, struct bytes suffix)
{
	return text.len > suffix.len &&
	       bytes_equal(bytes_skip(text, text.len - suffix.len), suffix);
}

bool is_written_as_duration(struct bytes text)
{
	for (size_t i = 0; i < DURATION_UNITS; i++) {
		struct bytes unit = bytes_from_text(duration_units[i].name);
		if (has_suffix(text, unit) &&
		    is_written_as_decimal(bytes_from(text.data, text.len - unit.len)))
			return true;
	}
	return false;
}

static bool parse_duration_in(const struct duration_unit *unit, struct bytes number,
			      int64_t *ret_us)
{
	struct ratio ratio;
	uint64_t zero;

	if (parse_whole(number, 0, &zero)) {
		*ret_us = 0;
		return true;
	}
	if (!parse_decimal(number, &ratio) ||
	    !ratio_multiply(ratio, (struct ratio){unit->us, 1}, &ratio) || ratio.den != 1)
		return false;
	*ret_us = ratio.num;
	return true;
}

bool parse_duration(struct bytes text, int64_t *ret_us)
{
	/* From the shortest on: "ms" comes before "s", with which it ends too. */
	for (size_t i = DURATION_UNITS; i-- > 0;) {
		struct bytes suffix = bytes_from_text(duration_units[i].name);
		if (has_suffix(text, suffix))
			return parse_duration_in(&duration_units[i],
						 bytes_from(text.data, text.len - suffix.len),
						 ret_us);
	}
	return false;
}

bool parse_size(struct bytes text, uint64_t max, uint64_t *ret_bytes)
{
	static const char suffixes[] = "kmg";
	unsigned shift = 0;
	uint64_t value;

	for (unsigned i = 0; text.len > 0 && suffixes[i] != '\0'; i++)
		if ((text.data[text.len - 1] | 0x20) == suffixes[i])
			shift = 10 * (i + 1);
	if (shift > 0)
		text.len--;
	if (!parse_whole(text, max >> shift, &value))
		return false;
	*ret_bytes = value << shift;
	return true;
}
