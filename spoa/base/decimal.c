#include "base/decimal.h"

#include <stddef.h>

#include "base/compiler.h"

/* Two digits at a time: half of the divisions, and of the steps. */
static const char pairs[] = "00010203040506070809101112131415161718192021222324"
			    "25262728293031323334353637383940414243444546474849"
			    "50515253545556575859606162636465666768697071727374"
			    "75767778798081828384858687888990919293949596979899";

/*
 * The digits are made from the last one on, so where they begin is known at the end. DECIMAL_MAX
 * bytes are copied, however few the digits are, since a constant length takes three moves.
 */
uint8_t *decimal_put_large(uint8_t *at, uint64_t value)
{
	uint8_t digits[2 * DECIMAL_MAX];
	size_t first = DECIMAL_MAX;

	for (; value >= 10; value /= 100) {
		first -= 2;
		COPY_CONSTANT(&digits[first], &pairs[2 * (value % 100)], 2);
	}
	if (value > 0)
		digits[--first] = (uint8_t)('0' + value);
	COPY_CONSTANT(at, &digits[first], DECIMAL_MAX);
	return at + (DECIMAL_MAX - first);
}
