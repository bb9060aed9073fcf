/*
 * time_zone.h - what a date on a clock means: `UTC`, an offset such as `+01:00`, or a name of the
 * time zone database such as `Europe/Berlin`.
 *
 * A named zone becomes that of the whole process. Of an hour that a clock shows twice, when summer
 * time ends, either is meant.
 */
#ifndef APP_TIME_ZONE_H
#define APP_TIME_ZONE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/compiler.h"

struct time_zone {
	bool is_named;
	int64_t offset_s; /* east of Greenwich, of one that has no name */
	/* The hour that was asked for last: lines of a log come by the thousand from one. */
	struct tm hour;
	int64_t hour_s;
};

#define TIME_ZONE_ACCEPTED "UTC, an offset such as +01:00, or a zone such as Europe/Berlin"

MUST_CHECK bool time_zone_set(struct time_zone *zone, const char *text);
/* Seconds since the epoch, of year, month, day, hour, minute and second. */
int64_t time_zone_seconds(struct time_zone *zone, const struct tm *date);

#endif
