#include "app/view/history.h"

#include <stdlib.h>

#include "support/test.h"

#define START  INT64_C(7000000)
#define SECOND INT64_C(1000000)
#define STEP   (HISTORY_STEP_S * SECOND)

static void assert_step(const struct history *history, size_t index, uint64_t allowed,
			uint64_t blocked)
{
	struct history_step step = history_at(history, index);

	assert_int_equal(step.allowed, allowed);
	assert_int_equal(step.blocked, blocked);
}

TEST(history_advance_a_step_is_the_difference)
{
	struct history history;

	history_init(&history, START);
	history_advance(&history, 10, 1, START + STEP);
	history_advance(&history, 25, 1, START + 2 * STEP);

	assert_int_equal(history.count, 2);
	assert_step(&history, 0, 10, 1);
	assert_step(&history, 1, 15, 0);
	assert_int_equal(history.end_us, START + 2 * STEP);
}

TEST(history_advance_before_its_time_is_nothing)
{
	struct history history;

	history_init(&history, START);
	history_advance(&history, 10, 1, START + STEP / 3);

	assert_int_equal(history.count, 0);
}

/* The timer's little lateness does not add up, and none is skipped. */
TEST(history_advance_a_little_late_or_early_is_one_step)
{
	struct history history;

	history_init(&history, START);
	for (int64_t i = 1; i <= 20; i++)
		history_advance(&history, (uint64_t)i, 0,
				START + i * STEP + (i % 2 == 0 ? 300000 : -300000));

	assert_int_equal(history.count, 20);
	for (size_t i = 0; i < 20; i++)
		assert_step(&history, i, 1, 0);
	assert_int_equal(history.end_us, START + 20 * STEP);
}

TEST(history_advance_after_a_stall_has_empty_steps)
{
	struct history history;

	history_init(&history, START);
	history_advance(&history, 5, 0, START + STEP);
	history_advance(&history, 11, 2, START + 4 * STEP);

	assert_int_equal(history.count, 4);
	assert_step(&history, 0, 5, 0);
	assert_step(&history, 1, 0, 0);
	assert_step(&history, 2, 0, 0);
	assert_step(&history, 3, 6, 2);
}

TEST(history_advance_a_long_stall_leaves_only_itself)
{
	struct history history;

	history_init(&history, START);
	history_advance(&history, 5, 5, START + STEP);
	history_advance(&history, 8, 5, START + INT64_C(1000000) * STEP);

	assert_int_equal(history.count, HISTORY_STEPS);
	assert_step(&history, 0, 0, 0);
	assert_step(&history, HISTORY_STEPS - 1, 3, 0);
}

TEST(history_at_full_ring_keeps_the_last_in_order)
{
	struct history history;

	history_init(&history, START);
	uint64_t total = 0;
	for (uint64_t i = 1; i <= HISTORY_STEPS + 7; i++) {
		total += i;
		history_advance(&history, total, 2 * total, START + (int64_t)i * STEP);
	}

	assert_int_equal(history.count, HISTORY_STEPS);
	for (size_t i = 0; i < HISTORY_STEPS; i++)
		assert_step(&history, i, i + 8, 2 * (i + 8));
}
