#include "base/decimal.h"

#include <inttypes.h>
#include <stdio.h>

#include "support/test.h"

static void assert_decimal(uint64_t value)
{
	uint8_t memory[DECIMAL_MAX + 1];
	char expected[DECIMAL_MAX + 1];

	memory[DECIMAL_MAX] = 0xa5;
	int len = snprintf(expected, sizeof expected, "%" PRIu64, value);

	uint8_t *end = decimal_put(memory, value);

	assert_int_equal(end - memory, len);
	assert_memory_equal(memory, expected, (size_t)len);
	assert_int_equal(memory[DECIMAL_MAX], 0xa5);
}

TEST(decimal_put_small_numbers)
{
	for (uint64_t value = 0; value <= 100100; value++)
		assert_decimal(value);
}

TEST(decimal_put_around_each_power_of_ten)
{
	uint64_t power = 1;

	for (int digits = 1; digits < DECIMAL_MAX; digits++) {
		power *= 10;
		assert_decimal(power - 1);
		assert_decimal(power);
		assert_decimal(power + 1);
	}
}

TEST(decimal_put_largest)
{
	assert_decimal(INT64_MAX);
	assert_decimal(UINT64_MAX);
}
