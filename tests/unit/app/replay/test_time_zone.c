#include "app/replay/time_zone.h"

#include <stdlib.h>

#include "support/test.h"

static int64_t seconds(const char *name, int year, int month, int day, int hour)
{
	const struct tm date = {.tm_year = year - 1900,
				.tm_mon = month - 1,
				.tm_mday = day,
				.tm_hour = hour,
				.tm_min = 44,
				.tm_sec = 28};
	struct time_zone zone;

	if (!time_zone_set(&zone, name))
		fail_msg("%s is not taken", name);
	return time_zone_seconds(&zone, &date).earlier_s;
}

TEST(time_zone_seconds_are_those_of_the_zone)
{
	assert_int_equal(seconds("UTC", 2026, 11, 24, 11), 1795520668);
	assert_int_equal(seconds("+01:00", 2026, 11, 24, 11), 1795520668 - 3600);
	assert_int_equal(seconds("-05:30", 2026, 11, 24, 11), 1795520668 + 19800);
	assert_int_equal(seconds("Europe/Berlin", 2026, 11, 24, 11), 1795520668 - 3600);
	assert_int_equal(seconds("Europe/Berlin", 2026, 7, 24, 11), 1784893468 - 7200);
	assert_int_equal(seconds("Asia/Kathmandu", 2026, 11, 24, 11), 1795520668 - 20700);
}

TEST(time_zone_seconds_the_remembered_minute_is_not_another_one)
{
	struct time_zone zone;
	struct tm date = {.tm_year = 126, .tm_mon = 10, .tm_mday = 24};

	assert_true(time_zone_set(&zone, "Europe/Berlin"));
	for (int hour = 0; hour < 72; hour++)
		for (int i = 0; i < 2; i++) {
			date.tm_hour = hour % 24;
			date.tm_mday = 24 + hour / 24;
			date.tm_min = 30 * i;
			assert_int_equal(time_zone_seconds(&zone, &date).earlier_s,
					 1795474800 + 3600 * hour + 1800 * i);
		}
}

/* What a clock shows twice is two moments, what it never shows is one. */
TEST(time_zone_seconds_a_date_that_comes_twice_is_two_moments)
{
	static const struct {
		const char *zone;
		struct tm date;
		int64_t earlier_s, later_s; /* as seconds of the day, in UTC */
	} cases[] = {
		/* On 25 October 2026 at 3:00 it becomes 2:00, one hour east of UTC. */
		{"Europe/Berlin",
		 {.tm_year = 126, .tm_mon = 9, .tm_mday = 25, .tm_hour = 2},
		 0,
		 3600},
		{"Europe/Berlin",
		 {.tm_year = 126,
		  .tm_mon = 9,
		  .tm_mday = 25,
		  .tm_hour = 2,
		  .tm_min = 59,
		  .tm_sec = 59},
		 3599,
		 7199},
		{"Europe/Berlin",
		 {.tm_year = 126, .tm_mon = 9, .tm_mday = 25, .tm_hour = 3},
		 7200,
		 7200},
		{"Europe/Berlin",
		 {.tm_year = 126,
		  .tm_mon = 9,
		  .tm_mday = 25,
		  .tm_hour = 1,
		  .tm_min = 59,
		  .tm_sec = 59},
		 -1,
		 -1},
		/* On 29 March 2026 at 2:00 it becomes 3:00: the clock never shows 2:30. */
		{"Europe/Berlin",
		 {.tm_year = 126, .tm_mon = 2, .tm_mday = 29, .tm_hour = 2, .tm_min = 30},
		 5400,
		 5400},
		/* On 5 April 2026 at 2:00 it becomes 1:30, ten and a half hours east of UTC. */
		{"Australia/Lord_Howe",
		 {.tm_year = 126, .tm_mon = 3, .tm_mday = 5, .tm_hour = 1, .tm_min = 30},
		 14 * 3600 + 1800 - 86400,
		 15 * 3600 - 86400},
		{"Australia/Lord_Howe",
		 {.tm_year = 126, .tm_mon = 3, .tm_mday = 5, .tm_hour = 1, .tm_min = 29},
		 14 * 3600 + 1740 - 86400,
		 14 * 3600 + 1740 - 86400},
		/* On 26 October 2014 at 2:00 it became 1:00, and there is no summer time. */
		{"Europe/Moscow",
		 {.tm_year = 114, .tm_mon = 9, .tm_mday = 26, .tm_hour = 1},
		 21 * 3600 - 86400,
		 22 * 3600 - 86400},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tm day = {.tm_year = cases[i].date.tm_year,
				 .tm_mon = cases[i].date.tm_mon,
				 .tm_mday = cases[i].date.tm_mday};
		int64_t day_s = timegm(&day);
		struct time_zone zone;
		assert_true(time_zone_set(&zone, cases[i].zone));
		struct time_zone_moments moments = time_zone_seconds(&zone, &cases[i].date);
		if (moments.earlier_s - day_s != cases[i].earlier_s ||
		    moments.later_s - day_s != cases[i].later_s)
			fail_msg("row %zu: %lld, %lld", i, (long long)(moments.earlier_s - day_s),
				 (long long)(moments.later_s - day_s));
	}
}

TEST(time_zone_set_what_is_no_zone_is_refused)
{
	static const char *const bad[] = {
		"",
		"utc",
		"+1:00",
		"+01:60",
		"+24:00",
		"01:00",
		"+0100",
		"+01:00 ",
		"Nowhere",
		"Europe/",
		"Europe",
		"../zoneinfo/UTC",
		"/etc/localtime",
		"Europe/Berlin ",
		":Europe/Berlin",
		"tzdata.zi",
		"CET-1CEST",
	};
	struct time_zone zone;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (time_zone_set(&zone, bad[i]))
			fail_msg("%s is taken", bad[i]);
}
