/*
 * line_clock.h - the moments of the dates of one log.
 *
 * When summer time ends a clock shows an hour twice, and a date of that hour alone does not say
 * which of the two it is. The order of the lines does: HAProxy writes a line when a request ends,
 * so from line to line the ends of the requests only go forward.
 */
#ifndef APP_LINE_CLOCK_H
#define APP_LINE_CLOCK_H

#include "app/replay/line_date.h"
#include "app/replay/time_zone.h"

/* When a request began, as a line says it. */
struct line_time {
	bool has_date;
	struct line_date date;
	int64_t at_us;   /* without a date: since the epoch */
	int64_t took_us; /* until the request ended, if the line says so, else 0 */
};

struct line_clock {
	struct time_zone zone;
	int64_t latest_end_us; /* of the lines so far */
};

/* To be called for each line once, in the order of the lines. Microseconds since the epoch. */
int64_t line_clock_read(struct line_clock *clock, const struct line_time *time);

#endif
