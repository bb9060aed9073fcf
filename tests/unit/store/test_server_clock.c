#include "store/server_clock.h"

#include "support/test.h"

#define STORE_US INT64_C(1700000000000000)
#define SECOND   INT64_C(1000000)
#define ROUNDING 3

/* What the clock shows at `mono_us`, less STORE_US, from `least` to `most`, without the rounding.
 */
static void assert_between(const struct server_clock *clock, int64_t mono_us, int64_t least,
			   int64_t most)
{
	assert_int_equal(server_clock_least_us(clock, mono_us), STORE_US + least);
	assert_int_equal(server_clock_most_us(clock, mono_us), STORE_US + most + ROUNDING);
}

TEST(learn_one_reply_is_between_question_and_reading)
{
	struct server_clock clock = {.is_known = false};

	server_clock_learn(&clock, STORE_US, 1000, 1100);

	assert_true(clock.is_known);
	assert_between(&clock, 1100, 0, 100);
	assert_between(&clock, 1103, 0, 103);
	assert_between(&clock, 1200, 97, 200);
}

TEST(learn_the_bounds_part_by_one_in_a_thousand)
{
	struct server_clock clock = {.is_known = false};

	server_clock_learn(&clock, STORE_US, 0, 0);

	assert_between(&clock, SECOND, SECOND - SECOND / 1000 - ROUNDING, SECOND + SECOND / 1000);
}

/* The second question was under way for shorter, the third one waited before it was sent. */
TEST(learn_the_narrowest_of_all_replies_counts)
{
	struct server_clock clock = {.is_known = false};

	server_clock_learn(&clock, STORE_US + 50, 0, 100);
	server_clock_learn(&clock, STORE_US + 210, 200, 220);
	server_clock_learn(&clock, STORE_US + 390, 300, 400);

	assert_between(&clock, 400, 390, 410);
}

TEST(learn_an_old_narrow_reply_counts_less_with_every_second)
{
	struct server_clock clock = {.is_known = false};

	server_clock_learn(&clock, STORE_US, 0, 0);
	server_clock_learn(&clock, STORE_US + SECOND, SECOND - 100, SECOND + 100);

	assert_between(&clock, SECOND + 100, SECOND, SECOND + 200);
}

/* It was set forward, or back, between the replies. */
TEST(learn_a_reply_that_contradicts_stands_alone)
{
	struct server_clock clock = {.is_known = false};

	server_clock_learn(&clock, STORE_US, 0, 10);
	server_clock_learn(&clock, STORE_US + 5 * SECOND, 1000, 1050);
	assert_between(&clock, 1050, 5 * SECOND, 5 * SECOND + 50);
	server_clock_learn(&clock, STORE_US + SECOND, 2000, 2050);

	assert_between(&clock, 2050, SECOND, SECOND + 50);
}

TEST(forget_is_as_if_nothing_had_been_learnt)
{
	struct server_clock clock = {.is_known = false};

	server_clock_learn(&clock, STORE_US, 0, 0);
	server_clock_forget(&clock);
	assert_false(clock.is_known);
	server_clock_learn(&clock, STORE_US + 5, 10, 110);

	assert_between(&clock, 110, 5, 105);
}
