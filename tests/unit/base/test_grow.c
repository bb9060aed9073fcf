/* An array that grows by one item at a time. */
#include "base/grow.h"

#include <malloc.h>
#include <stdint.h>

#include "support/test.h"

#define ITEMS 3000

TEST(grow_by_one_keeps_the_items_and_asks_for_memory_seldom)
{
	uint32_t *items = NULL;
	size_t sizes = 0, size = 0;

	for (uint32_t i = 0; i < ITEMS; i++) {
		items = grow_by_one(items, i, sizeof *items);
		assert_non_null(items);
		items[i] = i;
		sizes += malloc_usable_size(items) != size;
		size = malloc_usable_size(items);
	}

	for (uint32_t i = 0; i < ITEMS; i++)
		assert_int_equal(items[i], i);
	assert_in_range(sizes, 1, 13); /* 2^12 is above ITEMS */
	free(items);
}

TEST(grow_by_one_has_room_for_exactly_a_power_of_two)
{
	/* A write behind the room is the sanitizer's to find. */
	uint8_t *items = grow_by_one(NULL, 0, 1);

	for (size_t count = 1; count <= 64; count++) {
		items[count - 1] = 1;
		items = grow_by_one(items, count, 1);
		assert_non_null(items);
	}
	free(items);
}
