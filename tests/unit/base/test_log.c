#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_log_is_due_no_number_is_one_line_a_period(void **state)
{
	struct log_limit limit = {.period_us = 60000000};
	int64_t suppressed = -1;
	(void)state;

	assert_true(log_is_due(&limit, LOG_INFO, &suppressed));
	assert_int_equal(suppressed, 0);
	assert_false(log_is_due(&limit, LOG_INFO, &suppressed));
	assert_int_equal(limit.suppressed, 1);
}

static void test_log_is_due_so_many_lines_a_period(void **state)
{
	struct log_limit limit = {.period_us = 60000000, .lines = 3};
	int64_t suppressed = -1;
	(void)state;

	for (int i = 0; i < 3; i++) {
		assert_true(log_is_due(&limit, LOG_INFO, &suppressed));
		assert_int_equal(suppressed, 0);
	}
	assert_false(log_is_due(&limit, LOG_INFO, &suppressed));
	assert_false(log_is_due(&limit, LOG_INFO, &suppressed));
	assert_int_equal(limit.suppressed, 2);
}

static void test_log_is_due_the_next_period_tells_what_was_suppressed(void **state)
{
	struct log_limit limit = {.period_us = 60000000, .lines = 2};
	int64_t suppressed = -1;
	(void)state;

	for (int i = 0; i < 7; i++)
		(void)log_is_due(&limit, LOG_INFO, &suppressed);
	limit.next_us = 0; /* it is over */

	assert_true(log_is_due(&limit, LOG_INFO, &suppressed));
	assert_int_equal(suppressed, 5);
	assert_true(log_is_due(&limit, LOG_INFO, &suppressed));
	assert_int_equal(suppressed, 0);
	assert_false(log_is_due(&limit, LOG_INFO, &suppressed));
}

static void test_log_is_due_below_the_level_is_neither_written_nor_counted(void **state)
{
	struct log_limit limit = {.period_us = 60000000};
	int64_t suppressed = -1;
	(void)state;

	assert_false(log_is_due(&limit, LOG_DEBUG, &suppressed));
	assert_int_equal(limit.suppressed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_is_due_no_number_is_one_line_a_period),
		cmocka_unit_test(test_log_is_due_so_many_lines_a_period),
		cmocka_unit_test(test_log_is_due_the_next_period_tells_what_was_suppressed),
		cmocka_unit_test(test_log_is_due_below_the_level_is_neither_written_nor_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
