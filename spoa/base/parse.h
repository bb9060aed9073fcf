/*
 * parse.h - strict readers of the small notations that users write: whole numbers, decimals,
 * ratios, durations, sizes. They take all of the text or nothing: no spaces, no sign, no rest.
 *
 * The out-parameter is untouched on failure. What a failure means is for the caller to say, who
 * knows the place.
 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"

/* A number, exactly: `num` / `den` in lowest terms, both above 0, or 0 / 1. */
struct ratio {
	int64_t num;
	int64_t den;
};

/* "0", "42": decimal digits, at most `max`. */
MUST_CHECK bool parse_whole(struct bytes text, uint64_t max, uint64_t *ret_value);
/* The value of a hexadecimal digit of either case; -1 when it is none. */
int parse_hex_digit(uint8_t byte);
/* "5", "0.25", "1e6", "2.5e-3": a decimal above 0. False also when it does not fit. */
MUST_CHECK bool parse_decimal(struct bytes text, struct ratio *ret_ratio);
/* The same, and 0 in any notation: "0", "0.00", "0e3". It is 0 / 1. */
MUST_CHECK bool parse_decimal_or_zero(struct bytes text, struct ratio *ret_ratio);

/* Whether it has the form of a decimal above 0, of whatever size. */
bool is_written_as_decimal(struct bytes text);
/* The same with a unit behind it: "1.5s". */
bool is_written_as_duration(struct bytes text);

/* The units of durations, the longest first: d, h, m, s, ms. */
#define DURATION_UNITS 5
extern const struct duration_unit {
	const char *name;
	int64_t us;
} duration_units[DURATION_UNITS];

/* "250us" is refused; "2ms", "1.5s", "1m", "1h", "1d" are taken, to the whole microsecond. */
MUST_CHECK bool parse_duration(struct bytes text, int64_t *ret_us);
/* "512", "64k", "1m", "2g": bytes, in powers of 1024. */
MUST_CHECK bool parse_size(struct bytes text, uint64_t max, uint64_t *ret_bytes);

/* a * b, or false when it does not fit; the result is in lowest terms. */
MUST_CHECK bool ratio_multiply(struct ratio a, struct ratio b, struct ratio *ret_product);

#endif
