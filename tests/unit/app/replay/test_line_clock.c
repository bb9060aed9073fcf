/* Which of two moments a date means, by the order of the lines. */
#include "app/replay/line_clock.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "support/test.h"

#define DAY INT64_C(1792886400) /* 25 October 2026, in UTC */

struct step {
	const char *date; /* in October 2026 */
	int64_t took_s;
	const char *utc; /* of the day that is expected */
};

static void read_steps(const char *zone, const struct step *steps, size_t count)
{
	struct line_clock clock = {.latest_end_us = 0};

	assert_true(time_zone_set(&clock.zone, zone));
	for (size_t i = 0; i < count; i++) {
		struct line_time time = {.has_date = true,
					 .took_us = steps[i].took_s * US_PER_SECOND};
		int hour, minute, second;
		assert_int_equal(line_date_read(bytes_from_text(steps[i].date), &time.date),
				 strlen(steps[i].date));
		assert_int_equal(sscanf(steps[i].utc, "%d:%d:%d", &hour, &minute, &second), 3);
		int64_t expected_us = (DAY + hour * 3600 + minute * 60 + second) * US_PER_SECOND;
		int64_t at_us = line_clock_read(&clock, &time);
		if (at_us != expected_us)
			fail_msg("%s: row %zu, %s: %lld s", zone, i, steps[i].date,
				 (long long)(at_us / US_PER_SECOND - DAY));
	}
}

TEST(line_clock_read_the_hour_that_comes_twice_goes_forward)
{
	static const struct step steps[] = {
		{"25/Oct/2026:02:00:00.000", 0, "0:0:0"},
		{"25/Oct/2026:02:59:59.000", 0, "0:59:59"},
		{"25/Oct/2026:02:59:10.000", 0, "0:59:10"}, /* a little late */
		{"25/Oct/2026:02:00:00.000", 0, "1:0:0"},
		{"25/Oct/2026:02:59:58.000", 2, "0:59:58"}, /* began before, ended now */
		{"25/Oct/2026:02:30:00.000", 0, "1:30:0"},
		{"25/Oct/2026:03:00:00.000", 0, "2:0:0"},
	};

	read_steps("Europe/Berlin", steps, ARRAY_SIZE(steps));
}

/* A connection of 40 minutes ends in the first of the two hours, and in the second. */
TEST(line_clock_read_what_took_long_is_told_by_its_end)
{
	static const struct step steps[] = {
		{"25/Oct/2026:02:50:00.000", 0, "0:50:0"},
		{"25/Oct/2026:02:10:00.000", 2400, "0:10:0"},
		{"25/Oct/2026:02:51:00.000", 0, "0:51:0"},
		{"25/Oct/2026:02:20:00.000", 0, "1:20:0"},
		{"25/Oct/2026:02:40:00.000", 2430, "0:40:0"},
		{"25/Oct/2026:02:21:00.000", 0, "1:21:0"},
		{"25/Oct/2026:02:05:00.000", 960, "1:5:0"},
	};

	read_steps("Europe/Berlin", steps, ARRAY_SIZE(steps));
}

/* A log with few lines: the clock went back by 20 minutes, so the hour came again. */
TEST(line_clock_read_few_lines_are_enough)
{
	static const struct step steps[] = {
		{"25/Oct/2026:02:40:00.000", 0, "0:40:0"},
		{"25/Oct/2026:02:20:00.000", 0, "1:20:0"},
		{"25/Oct/2026:02:25:00.000", 0, "1:25:0"},
	};

	read_steps("Europe/Berlin", steps, ARRAY_SIZE(steps));
}

TEST(line_clock_read_a_date_with_an_offset_needs_no_zone)
{
	static const struct step steps[] = {
		{"25/Oct/2026:02:40:00 +0100", 0, "1:40:0"},
		{"25/Oct/2026:02:40:00 +0200", 0, "0:40:0"},
		{"25/Oct/2026:00:10:00 -0030", 0, "0:40:0"},
	};

	read_steps("Europe/Berlin", steps, ARRAY_SIZE(steps));
}

TEST(line_clock_read_the_first_hours_of_1970_are_not_before_it)
{
	struct line_clock clock = {.latest_end_us = 0};
	struct line_time time = {.has_date = true};

	assert_true(time_zone_set(&clock.zone, "+05:00"));
	assert_true(line_date_read(BYTES("01/Jan/1970:03:00:00.000"), &time.date) > 0);

	assert_int_equal(line_clock_read(&clock, &time), 0);
}
