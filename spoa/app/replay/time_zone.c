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

static int64_t hour_seconds(const struct time_zone *zone, const struct tm *hour)
{
	struct tm copy = *hour;

	copy.tm_isdst = -1;
	return zone->is_named ? mktime(&copy) : timegm(&copy) - zone->offset_s;
}

/* Within an hour a zone keeps its offset, so that only the hour needs the C library. */
int64_t time_zone_seconds(struct time_zone *zone, const struct tm *date)
{
	const struct tm hour = {.tm_year = date->tm_year,
				.tm_mon = date->tm_mon,
				.tm_mday = date->tm_mday,
				.tm_hour = date->tm_hour};

	if (memcmp(&hour, &zone->hour, sizeof hour) != 0) {
		zone->hour = hour;
		zone->hour_s = hour_seconds(zone, &hour);
	}
	return zone->hour_s + date->tm_min * 60 + date->tm_sec;
}
