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
	return time_zone_seconds(&zone, &date);
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

TEST(time_zone_seconds_the_remembered_hour_is_not_another_one)
{
	struct time_zone zone;
	struct tm date = {.tm_year = 126, .tm_mon = 10, .tm_mday = 24};

	assert_true(time_zone_set(&zone, "Europe/Berlin"));
	for (int hour = 0; hour < 72; hour++)
		for (int i = 0; i < 2; i++) {
			date.tm_hour = hour % 24;
			date.tm_mday = 24 + hour / 24;
			date.tm_min = 30 * i;
			assert_int_equal(time_zone_seconds(&zone, &date),
					 1795474800 + 3600 * hour + 1800 * i);
		}
}

/* Central European time begins on 25 October 2026 at 3:00, which becomes 2:00. */
TEST(time_zone_seconds_an_hour_that_comes_twice_is_one_of_both)
{
	int64_t found = seconds("Europe/Berlin", 2026, 10, 25, 2);

	assert_true(found == seconds("UTC", 2026, 10, 25, 0) ||
		    found == seconds("UTC", 2026, 10, 25, 1));
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
