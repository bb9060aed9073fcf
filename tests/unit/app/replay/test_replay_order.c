#include "app/replay/replay_order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/chance.h"
#include "support/test.h"

#define SECOND US_PER_SECOND

static void add(struct replay_order *order, int64_t at_us, uint64_t number)
{
	assert_true(replay_order_add(
		order, &(struct replay_order_line){at_us, BYTES("a line"), order, number}));
}

static void assert_next(struct replay_order *order, bool all, int64_t at_us, uint64_t number)
{
	struct replay_held *held = replay_order_pop(order, all);

	assert_non_null(held);
	assert_int_equal(held->at_us, at_us);
	assert_int_equal(held->number, number);
	assert_ptr_equal(held->from, order);
	assert_int_equal(held->len, 6);
	assert_memory_equal(held->text, "a line", 6);
	free(held);
}

TEST(replay_order_pop_waits_for_the_window)
{
	struct replay_order order = {.window_us = 60 * SECOND};

	add(&order, 100 * SECOND, 1);
	add(&order, 70 * SECOND, 2);
	assert_null(replay_order_pop(&order, false));
	add(&order, 130 * SECOND, 3);
	assert_next(&order, false, 70 * SECOND, 2);
	assert_null(replay_order_pop(&order, false));
	assert_next(&order, true, 100 * SECOND, 1);
	assert_next(&order, true, 130 * SECOND, 3);

	assert_null(replay_order_pop(&order, true));
	assert_int_equal(order.bytes, 0);
	assert_int_equal(order.late, 0);
	replay_order_release(&order);
}

TEST(replay_order_add_what_is_later_is_left_out)
{
	struct replay_order order = {.window_us = 60 * SECOND};

	add(&order, 100 * SECOND, 1);
	add(&order, 40 * SECOND, 2);
	assert_next(&order, false, 40 * SECOND, 2);
	add(&order, 40 * SECOND - 1, 3);
	assert_null(replay_order_pop(&order, false));
	add(&order, 10 * SECOND, 4);
	add(&order, 39 * SECOND, 5);
	assert_next(&order, true, 100 * SECOND, 1);
	assert_null(replay_order_pop(&order, true));

	assert_int_equal(order.late, 3);
	assert_int_equal(order.latest_by_us, 90 * SECOND);
	replay_order_release(&order);
}

/* What is held is counted to the byte, with the pointer in the heap. */
TEST(replay_order_add_bytes_are_those_that_are_held)
{
	struct replay_order order = {.window_us = 60 * SECOND};
	size_t each = sizeof(struct replay_held) + strlen("a line") + sizeof(void *);

	add(&order, 5, 1);
	assert_int_equal(order.bytes, each);
	add(&order, 6, 2);
	assert_int_equal(order.bytes, 2 * each);
	assert_next(&order, true, 5, 1);
	assert_int_equal(order.bytes, each);
	replay_order_release(&order);
}

/* A full memory is no reason to send a line on early; one byte more is. */
TEST(replay_order_pop_at_exactly_the_most_bytes_waits)
{
	struct replay_order order = {.window_us = 60 * SECOND};

	add(&order, 100 * SECOND, 1);
	add(&order, 101 * SECOND, 2);
	size_t held = order.bytes;
	order.bytes = REPLAY_HELD_MAX;
	assert_null(replay_order_pop(&order, false));
	order.bytes = REPLAY_HELD_MAX + 1;
	assert_next(&order, false, 100 * SECOND, 1);
	assert_int_equal(order.begin_us, 100 * SECOND);
	assert_int_equal(REPLAY_HELD_MAX + 1 - order.bytes, held / 2);
	replay_order_release(&order);
}

TEST(replay_order_pop_equal_times_keep_their_order)
{
	struct replay_order order = {.window_us = 60 * SECOND};

	for (uint64_t i = 0; i < 100; i++)
		add(&order, (int64_t)(i % 3), i);
	for (int64_t time = 0; time < 3; time++)
		for (uint64_t i = 0; i < 100; i++)
			if ((int64_t)(i % 3) == time)
				assert_next(&order, true, time, i);
	replay_order_release(&order);
}

/* Whatever comes, times do not go back, and each line comes out once. */
TEST(replay_order_pop_random_lines_come_in_order)
{
	struct chance chance = {7};
	struct replay_order order = {.window_us = 60 * SECOND};
	int64_t last_us = 0, now_us = 0;
	size_t taken = 0;

	for (uint64_t i = 0; i < 20000; i++) {
		struct replay_held *held;
		now_us += chance_between(&chance, 0, SECOND);
		int64_t at_us = now_us - chance_between(&chance, 0, 70 * SECOND);
		add(&order, at_us > 0 ? at_us : 0, i);
		while ((held = replay_order_pop(&order, i == 19999)) != NULL) {
			assert_true(held->at_us >= last_us);
			last_us = held->at_us;
			taken++;
			free(held);
		}
	}

	assert_int_equal(taken + order.late, 20000);
	assert_true(order.late > 0);
	assert_true(order.latest_by_us <= 70 * SECOND);
	assert_false(order.is_window_shortened);
	replay_order_release(&order);
}

TEST(replay_order_pop_what_is_too_much_goes_on_early)
{
	static uint8_t text[1 << 20];
	struct replay_order order = {.window_us = 60 * SECOND};
	size_t early = 0;

	for (uint64_t i = 0; i < 300; i++) {
		struct replay_held *held;
		assert_true(replay_order_add(
			&order,
			&(struct replay_order_line){1000 - (int64_t)i,
						    bytes_from(text, sizeof text), NULL, i}));
		while ((held = replay_order_pop(&order, false)) != NULL) {
			early++;
			free(held);
		}
		assert_in_range(order.bytes, 0, REPLAY_HELD_MAX);
	}

	/* From then on each line comes before the one that went on, and is left out. */
	assert_int_equal(early, 1);
	assert_int_equal(order.late, 300 - order.count - early);
	assert_true(order.late > 0);
	assert_true(order.is_window_shortened);
	replay_order_release(&order);
}
