/*
 * time_zone.h - what a date of a log means: in `UTC`, at an offset such as `+01:00`, or in a zone
 * of the time zone database such as `Europe/Berlin`.
 *
 * A named zone becomes the zone of the whole process. When summer time ends a clock shows an hour
 * twice (in Australia/Lord_Howe half an hour): a date then means one of two moments. line_clock.h
 * chooses.
 */
#ifndef APP_TIME_ZONE_H
#define APP_TIME_ZONE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/compiler.h"

/* Seconds since the epoch. */
struct time_zone_moments {
	int64_t earlier_s, later_s; /* equal, unless the date comes twice */
};

struct time_zone {
	bool is_named;
	int64_t offset_s; /* east of UTC; of a zone without a name */
	/* The last minute and its result: many lines of a log are of one minute. */
	struct tm minute;
	struct time_zone_moments minute_s;
};

#define TIME_ZONE_ACCEPTED "UTC, an offset such as +01:00, or a zone such as Europe/Berlin"

MUST_CHECK bool time_zone_set(struct time_zone *zone, const char *text);
/* Reads year, month, day, hour, minute and second of `date`. */
struct time_zone_moments time_zone_seconds(struct time_zone *zone, const struct tm *date);

#endif
