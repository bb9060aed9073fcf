/*
 * decimal.h - whole numbers in decimal, straight into memory that is large enough for any of them:
 * for text that every answer has. writer.h looks at what remains, and is for all else.
 */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include <stdint.h>

#define DECIMAL_MAX \
	20 /* digits of UINT64_MAX; what a caller must have room for, whatever it puts */

uint8_t *decimal_put_large(uint8_t *at, uint64_t value);

/* Returns the end of what was put. */
static inline uint8_t *decimal_put(uint8_t *at, uint64_t value)
{
	if (value >= 10)
		return decimal_put_large(at, value);
	*at = (uint8_t)('0' + value);
	return at + 1;
}

#endif
