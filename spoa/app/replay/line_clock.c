/*
 * Europe/Berlin, 25 October 2026: after 2:59:59 the clock shows 2:00:00 again.
 *
 *     UTC          0:00                1:00                2:00
 *     the clock    2:00 ........ 2:59  2:00 ........ 2:59  3:00
 *
 * A line with 2:10 that took 0 s ended at 0:10 or at 1:10. When the lines before ended up to 0:55,
 * an end at 0:10 would be 45 minutes earlier than the line before: the line is of 1:10. A line with
 * 2:10 that took 45 minutes ended at 0:55, and is of 0:10.
 *
 * Lines may be a little out of order, since HAProxy has several threads and syslog several senders;
 * and a log-format need not have the time that a request took. So the earlier moment is taken when
 * its end is at most ORDER_SLACK_US before the latest one so far.
 */
#include "app/replay/line_clock.h"

#include "base/clock.h"

#define ORDER_SLACK_US (60 * US_PER_SECOND)

static int64_t choose_moment(struct line_clock *clock, struct time_zone_moments moments,
			     int64_t fraction_us, int64_t took_us)
{
	int64_t earlier_us = moments.earlier_s * US_PER_SECOND + fraction_us;
	bool is_later = moments.later_s != moments.earlier_s &&
			earlier_us + took_us < clock->latest_end_us - ORDER_SLACK_US;

	return is_later ? moments.later_s * US_PER_SECOND + fraction_us : earlier_us;
}

int64_t line_clock_read(struct line_clock *clock, const struct line_time *time)
{
	const struct line_date *date = &time->date;
	int64_t at_us = time->at_us;

	if (time->has_date && date->has_offset) {
		struct tm copy = date->date;
		at_us = (timegm(&copy) - date->offset_s) * US_PER_SECOND + date->ms * US_PER_MS;
	} else if (time->has_date) {
		at_us = choose_moment(clock, time_zone_seconds(&clock->zone, &date->date),
				      date->ms * US_PER_MS, time->took_us);
	}
	if (at_us < 0)
		at_us = 0; /* 1 January 1970 in a zone east of UTC */
	if (at_us + time->took_us > clock->latest_end_us)
		clock->latest_end_us = at_us + time->took_us;
	return at_us;
}
