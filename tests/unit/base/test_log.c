#include "base/log.h"

#include <stdlib.h>

#include "support/test.h"

TEST(log_is_due_no_number_is_one_line_a_period)
{
	struct log_limit limit = {.period_us = 60000000};
	int64_t suppressed = -1;

	assert_true(log_is_due(&limit, LOG_INFO, &suppressed));
	assert_int_equal(suppressed, 0);
	assert_false(log_is_due(&limit, LOG_INFO, &suppressed));
	assert_int_equal(limit.suppressed, 1);
}

TEST(log_is_due_so_many_lines_a_period)
{
	struct log_limit limit = {.period_us = 60000000, .lines = 3};
	int64_t suppressed = -1;

	for (int i = 0; i < 3; i++) {
		assert_true(log_is_due(&limit, LOG_INFO, &suppressed));
		assert_int_equal(suppressed, 0);
	}
	assert_false(log_is_due(&limit, LOG_INFO, &suppressed));
	assert_false(log_is_due(&limit, LOG_INFO, &suppressed));
	assert_int_equal(limit.suppressed, 2);
}

TEST(log_is_due_the_next_period_tells_what_was_suppressed)
{
	struct log_limit limit = {.period_us = 60000000, .lines = 2};
	int64_t suppressed = -1;

	for (int i = 0; i < 7; i++)
		(void)log_is_due(&limit, LOG_INFO, &suppressed);
	limit.next_us = 0; /* it is over */

	assert_true(log_is_due(&limit, LOG_INFO, &suppressed));
	assert_int_equal(suppressed, 5);
	assert_true(log_is_due(&limit, LOG_INFO, &suppressed));
	assert_int_equal(suppressed, 0);
	assert_false(log_is_due(&limit, LOG_INFO, &suppressed));
}

TEST(log_is_due_below_the_level_is_neither_written_nor_counted)
{
	struct log_limit limit = {.period_us = 60000000};
	int64_t suppressed = -1;

	assert_false(log_is_due(&limit, LOG_DEBUG, &suppressed));
	assert_int_equal(limit.suppressed, 0);
}
