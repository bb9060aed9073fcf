/*
 * time_zone.h - what a date of a log means: in `UTC`, at an offset such as `+01:00`, or in a zone
 * of the time zone database such as `Europe/Berlin`.
 *
 * A named zone becomes the zone of the whole process. When summer time ends a clock shows one hour
 * twice; a date of that hour is read as one of the two, which one is not said.
 */
#ifndef APP_TIME_ZONE_H
#define APP_TIME_ZONE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/compiler.h"

struct time_zone {
	bool is_named;
	int64_t offset_s; /* east of UTC; of a zone without a name */
	/* The last hour and its result: thousands of lines of a log are of one hour. */
	struct tm hour;
	int64_t hour_s;
};

#define TIME_ZONE_ACCEPTED "UTC, an offset such as +01:00, or a zone such as Europe/Berlin"

MUST_CHECK bool time_zone_set(struct time_zone *zone, const char *text);
/* Seconds since the epoch. Reads year, month, day, hour, minute and second of `date`. */
int64_t time_zone_seconds(struct time_zone *zone, const struct tm *date);

#endif
