#include "app/replay/time_zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/parse.h"

#define ZONES         "/usr/share/zoneinfo" /* tzset(3) */
#define ZONE_NAME_MAX 64

static bool parse_offset(const char *text, int64_t *ret_offset_s)
{
	struct bytes rest = bytes_from_text(text);
	uint64_t hours, minutes;

	if (rest.len != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':' ||
	    !parse_whole(bytes_from(text + 1, 2), 23, &hours) ||
	    !parse_whole(bytes_from(text + 4, 2), 59, &minutes))
		return false;
	*ret_offset_s = (int64_t)(hours * 3600 + minutes * 60) * (text[0] == '-' ? -1 : 1);
	return true;
}

/* Has to be looked up here: the C library silently treats a name that it does not know as UTC. */
static bool is_in_database(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_+-/";
	size_t len = strlen(name);
	char path[sizeof ZONES + ZONE_NAME_MAX + 1];
	char magic[4] = "";

	if (len == 0 || len > ZONE_NAME_MAX || strspn(name, letters) != len || name[0] == '/')
		return false;
	snprintf(path, sizeof path, "%s/%s", ZONES, name);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return false;
	size_t read = fread(magic, 1, sizeof magic, file);
	fclose(file);
	return read == sizeof magic && memcmp(magic, "TZif", sizeof magic) == 0;
}

bool time_zone_set(struct time_zone *zone, const char *text)
{
	*zone = (struct time_zone){.is_named = false};
	if (strcmp(text, "UTC") == 0 || parse_offset(text, &zone->offset_s))
		return true;
	if (!is_in_database(text) || setenv("TZ", text, 1) != 0)
		return false;
	tzset();
	zone->is_named = true;
	return true;
}

/* ---- dates ---- */

/* How far the zone is east of UTC at this moment. */
static int64_t offset_at(time_t at_s)
{
	struct tm local;

	return localtime_r(&at_s, &local) != NULL ? local.tm_gmtoff : 0;
}

/*
 * `as_utc_s` is what the clock shows, read as if it were UTC. The zone may change its offset near
 * that time, so the offset is looked up a day before and a day after. Each of the two offsets is
 * taken off `as_utc_s`; the result is a moment at which the clock shows that time if the zone has
 * this offset at that moment.
 *
 *     Europe/Berlin, 25 October 2026, 2:30:  offsets +2 h, +1 h   both hold: 0:30 and 1:30 UTC
 *     Europe/Berlin, 29 March 2026, 2:30:    offsets +1 h, +2 h   none holds: a time that is
 *                                                                 never shown
 */
static struct time_zone_moments moments_of(time_t as_utc_s)
{
	int64_t before_s = offset_at(as_utc_s - 86400), after_s = offset_at(as_utc_s + 86400);
	bool before_holds = offset_at(as_utc_s - before_s) == before_s;
	bool after_holds = offset_at(as_utc_s - after_s) == after_s;

	if (!before_holds && after_holds)
		return (struct time_zone_moments){as_utc_s - after_s, as_utc_s - after_s};
	if (!before_holds || !after_holds)
		return (struct time_zone_moments){as_utc_s - before_s, as_utc_s - before_s};
	return (struct time_zone_moments){as_utc_s - before_s, as_utc_s - after_s};
}

static struct time_zone_moments minute_seconds(const struct time_zone *zone,
					       const struct tm *minute)
{
	struct tm copy = *minute;
	time_t as_utc_s = timegm(&copy);

	if (zone->is_named)
		return moments_of(as_utc_s);
	return (struct time_zone_moments){as_utc_s - zone->offset_s, as_utc_s - zone->offset_s};
}

/* Within a minute a zone keeps its offset, so that only the minute needs the C library. */
struct time_zone_moments time_zone_seconds(struct time_zone *zone, const struct tm *date)
{
	const struct tm minute = {.tm_year = date->tm_year,
				  .tm_mon = date->tm_mon,
				  .tm_mday = date->tm_mday,
				  .tm_hour = date->tm_hour,
				  .tm_min = date->tm_min};

	if (memcmp(&minute, &zone->minute, sizeof minute) != 0) {
		zone->minute = minute;
		zone->minute_s = minute_seconds(zone, &minute);
	}
	return (struct time_zone_moments){zone->minute_s.earlier_s + date->tm_sec,
					  zone->minute_s.later_s + date->tm_sec};
}
