#include "base/histogram.h"

#include <stdlib.h>

#include "support/test.h"

TEST(histogram_add_a_bound_is_in_its_bucket)
{
	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		struct histogram histogram = {.count = 0};
		histogram_add(&histogram, histogram_bounds_us[i]);
		histogram_add(&histogram, histogram_bounds_us[i] + 1);
		assert_int_equal(histogram.buckets[i], 1);
		assert_int_equal(histogram.buckets[i + 1], 1);
		assert_int_equal(histogram.count, 2);
		assert_int_equal(histogram.sum_us, 2 * histogram_bounds_us[i] + 1);
	}
}

TEST(histogram_add_far_away_is_above_all_bounds)
{
	struct histogram histogram = {.count = 0};

	histogram_add(&histogram, INT64_MAX / 2);

	assert_int_equal(histogram.buckets[HISTOGRAM_BOUNDS], 1);
}

TEST(histogram_add_negative_is_none)
{
	struct histogram histogram = {.count = 0};

	histogram_add(&histogram, -5);

	assert_int_equal(histogram.buckets[0], 1);
	assert_int_equal(histogram.sum_us, 0);
}

TEST(histogram_bounds_grow)
{
	for (size_t i = 1; i < HISTOGRAM_BOUNDS; i++)
		assert_true(histogram_bounds_us[i - 1] < histogram_bounds_us[i]);
}

TEST(histogram_quantile_us_nothing_is_0)
{
	struct histogram histogram = {.count = 0};

	assert_int_equal(histogram_quantile_us(&histogram, 0.99), 0);
}

/* Against the sorted times: the bound of the bucket that holds the one which is asked for. */
TEST(histogram_quantile_us_is_the_bound_above_it)
{
	struct histogram histogram = {.count = 0};

	for (int64_t i = 0; i < 98; i++)
		histogram_add(&histogram, 10);
	histogram_add(&histogram, 600);
	histogram_add(&histogram, 3000);

	assert_int_equal(histogram_quantile_us(&histogram, 0.5), 50);
	assert_int_equal(histogram_quantile_us(&histogram, 0.98), 50);
	assert_int_equal(histogram_quantile_us(&histogram, 0.99), 1000);
	assert_int_equal(histogram_quantile_us(&histogram, 1.0), 5000);
}

TEST(histogram_quantile_us_above_all_bounds_is_the_last)
{
	struct histogram histogram = {.count = 0};

	histogram_add(&histogram, 10000000);

	assert_int_equal(histogram_quantile_us(&histogram, 0.99), 100000);
}
