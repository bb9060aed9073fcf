#include "base/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_histogram_add_a_bound_is_in_its_bucket(void **state)
{
	(void)state;

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

static void test_histogram_add_far_away_is_above_all_bounds(void **state)
{
	struct histogram histogram = {.count = 0};
	(void)state;

	histogram_add(&histogram, INT64_MAX / 2);

	assert_int_equal(histogram.buckets[HISTOGRAM_BOUNDS], 1);
}

static void test_histogram_add_negative_is_none(void **state)
{
	struct histogram histogram = {.count = 0};
	(void)state;

	histogram_add(&histogram, -5);

	assert_int_equal(histogram.buckets[0], 1);
	assert_int_equal(histogram.sum_us, 0);
}

static void test_histogram_bounds_grow(void **state)
{
	(void)state;

	for (size_t i = 1; i < HISTOGRAM_BOUNDS; i++)
		assert_true(histogram_bounds_us[i - 1] < histogram_bounds_us[i]);
}

static void test_histogram_quantile_us_nothing_is_0(void **state)
{
	struct histogram histogram = {.count = 0};
	(void)state;

	assert_int_equal(histogram_quantile_us(&histogram, 0.99), 0);
}

/* Against the sorted times: the bound of the bucket that holds the one which is asked for. */
static void test_histogram_quantile_us_is_the_bound_above_it(void **state)
{
	struct histogram histogram = {.count = 0};
	(void)state;

	for (int64_t i = 0; i < 98; i++)
		histogram_add(&histogram, 10);
	histogram_add(&histogram, 600);
	histogram_add(&histogram, 3000);

	assert_int_equal(histogram_quantile_us(&histogram, 0.5), 50);
	assert_int_equal(histogram_quantile_us(&histogram, 0.98), 50);
	assert_int_equal(histogram_quantile_us(&histogram, 0.99), 1000);
	assert_int_equal(histogram_quantile_us(&histogram, 1.0), 5000);
}

static void test_histogram_quantile_us_above_all_bounds_is_the_last(void **state)
{
	struct histogram histogram = {.count = 0};
	(void)state;

	histogram_add(&histogram, 10000000);

	assert_int_equal(histogram_quantile_us(&histogram, 0.99), 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histogram_add_a_bound_is_in_its_bucket),
		cmocka_unit_test(test_histogram_add_far_away_is_above_all_bounds),
		cmocka_unit_test(test_histogram_add_negative_is_none),
		cmocka_unit_test(test_histogram_bounds_grow),
		cmocka_unit_test(test_histogram_quantile_us_nothing_is_0),
		cmocka_unit_test(test_histogram_quantile_us_is_the_bound_above_it),
		cmocka_unit_test(test_histogram_quantile_us_above_all_bounds_is_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
