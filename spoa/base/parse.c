#include "base/parse.h"

#include <stddef.h>

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

/* Takes digits off the front of `text` onto `value` and counts them; false when it overflows. */
static bool take_digits(struct bytes *text, int64_t *value, int *ret_count)
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

static bool take_exponent(struct bytes *text, int *ret_exponent)
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
	if (!parse_whole(*text, 99, &exponent))
		return false;
	*ret_exponent = negative ? -(int)exponent : (int)exponent;
	return true;
}

bool parse_decimal(struct bytes text, struct ratio *ret_ratio)
{
	int64_t digits = 0;
	int whole_count, fraction_count = 0, exponent;

	if (!take_digits(&text, &digits, &whole_count) || whole_count == 0)
		return false;
	if (text.len > 0 && text.data[0] == '.') {
		text = bytes_skip(text, 1);
		if (!take_digits(&text, &digits, &fraction_count) || fraction_count == 0)
			return false;
	}
	if (!take_exponent(&text, &exponent) || digits == 0)
		return false;

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

static bool has_suffix(struct bytes text, struct bytes suffix)
{
	return text.len > suffix.len &&
	       bytes_equal(bytes_skip(text, text.len - suffix.len), suffix);
}

bool parse_duration(struct bytes text, int64_t *ret_us)
{
	static const struct {
		struct bytes suffix;
		int64_t us;
	} units[] = {
		/* "ms" stands before "m" and "s", which it also ends with. */
		{{(const uint8_t *)"ms", 2}, INT64_C(1000)},
		{{(const uint8_t *)"s", 1}, INT64_C(1000000)},
		{{(const uint8_t *)"m", 1}, INT64_C(60000000)},
		{{(const uint8_t *)"h", 1}, INT64_C(3600000000)},
		{{(const uint8_t *)"d", 1}, INT64_C(86400000000)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (!has_suffix(text, units[i].suffix))
			continue;
		struct bytes number = bytes_from(text.data, text.len - units[i].suffix.len);
		struct ratio ratio;
		uint64_t zero;
		if (parse_whole(number, 0, &zero)) {
			*ret_us = 0;
			return true;
		}
		if (!parse_decimal(number, &ratio) ||
		    !ratio_multiply(ratio, (struct ratio){units[i].us, 1}, &ratio) ||
		    ratio.den != 1)
			return false;
		*ret_us = ratio.num;
		return true;
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
