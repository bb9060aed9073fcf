#include "app/replay/replay_order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/chance.h"
#include "support/test.h"

#define SECOND US_PER_SECOND

static void add(struct replay_order *order, int64_t at_us, uint64_t number)
{
	assert_true(replay_order_add(order, at_us, number, BYTES("a line")));
}

static void assert_next(struct replay_order *order, bool all, int64_t at_us, uint64_t number)
{
	struct replay_held *held = replay_order_pop(order, all);

	assert_non_null(held);
	assert_int_equal(held->at_us, at_us);
	assert_int_equal(held->number, number);
	assert_int_equal(held->len, 6);
	assert_memory_equal(held->text, "a line", 6);
	free(held);
}

TEST(replay_order_pop_waits_for_the_window)
{
	struct replay_order order = {0};

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
	assert_int_equal(order.clamped, 0);
	replay_order_release(&order);
}

TEST(replay_order_add_what_is_later_is_clamped)
{
	struct replay_order order = {0};

	add(&order, 100 * SECOND, 1);
	add(&order, 40 * SECOND, 2);
	assert_next(&order, false, 40 * SECOND, 2);
	add(&order, 40 * SECOND - 1, 3);
	assert_next(&order, false, 40 * SECOND, 3);

	assert_int_equal(order.clamped, 1);
	replay_order_release(&order);
}

/* What is held is counted to the byte, with the pointer in the heap. */
TEST(replay_order_add_bytes_are_those_that_are_held)
{
	struct replay_order order = {0};
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
	struct replay_order order = {0};

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
	struct replay_order order = {0};

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
	struct replay_order order = {0};
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

	assert_int_equal(taken, 20000);
	assert_true(order.clamped > 0);
	replay_order_release(&order);
}

TEST(replay_order_pop_what_is_too_much_goes_on_early)
{
	static uint8_t text[1 << 20];
	struct replay_order order = {0};
	size_t early = 0;

	for (uint64_t i = 0; i < 300; i++) {
		struct replay_held *held;
		assert_true(replay_order_add(&order, 1000 - (int64_t)i, i,
					     bytes_from(text, sizeof text)));
		while ((held = replay_order_pop(&order, false)) != NULL) {
			early++;
			free(held);
		}
		assert_in_range(order.bytes, 0, REPLAY_HELD_MAX);
	}

	assert_true(early > 0);
	assert_int_equal(order.clamped, early - 1); /* each comes before those that went on */
	replay_order_release(&order);
}
