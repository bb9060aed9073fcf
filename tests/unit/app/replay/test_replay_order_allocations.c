/* Lines that are held when memory is short: each allocation on the way fails once. */
#include "app/replay/replay_order.h"

#include <stdlib.h>

#include "support/allocations.h"
#include "support/test.h"

static bool add(struct replay_order *order, uint64_t number)
{
	const struct replay_order_line line = {(int64_t)number, BYTES("a line"), NULL, number};

	return replay_order_add(order, &line);
}

TEST(replay_order_add_without_memory_holds_no_line)
{
	struct replay_order order = {0};

	for (size_t n = 0; n < 2; n++) { /* the line, and the heap */
		allocations_fail_at(n);
		assert_false(add(&order, 1));
		assert_true(allocations_end());
		assert_null(replay_order_pop(&order, true));
		assert_int_equal(order.bytes, 0);
	}
	replay_order_release(&order);
}

TEST(replay_order_add_without_memory_keeps_the_lines_before)
{
	struct replay_order order = {0};

	assert_true(add(&order, 1));
	allocations_fail_at(0);
	assert_false(add(&order, 2));
	assert_true(allocations_end());

	struct replay_held *held = replay_order_pop(&order, true);
	assert_non_null(held);
	assert_int_equal(held->number, 1);
	free(held);
	assert_null(replay_order_pop(&order, true));
	replay_order_release(&order);
}
