#include "app/replay/line_date.h"

#include <string.h>

#include "base/parse.h"

#define SECONDS_LEN 20 /* 24/Nov/2026:11:44:28 */
#define LOCAL_LEN   24 /* .123 */
#define OFFSET_LEN  26 /* _+0100 */

/* The number of `len` digits at `at`; -1 when there is none, or when it is above `max`. */
static int number_at(struct bytes text, size_t at, size_t len, unsigned max)
{
	uint64_t number;

	return parse_whole(bytes_from(text.data + at, len), max, &number) ? (int)number : -1;
}

static int month_at(struct bytes text, size_t at)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int month = 0; month < 12; month++)
		if (memcmp(text.data + at, months + 3 * month, 3) == 0)
			return month;
	return -1;
}

static bool has_form_of_a_date(struct bytes text)
{
	static const char form[SECONDS_LEN + 1] = "  /   /    :  :  :  ";

	for (size_t i = 0; i < SECONDS_LEN; i++)
		if (form[i] != ' ' && form[i] != '\0' && text.data[i] != form[i])
			return false;
	return true;
}

static bool read_seconds(struct bytes text, struct tm *ret_date)
{
	struct tm date = {0};

	if (text.len < SECONDS_LEN || !has_form_of_a_date(text))
		return false;
	date.tm_mday = number_at(text, 0, 2, 31);
	date.tm_mon = month_at(text, 3);
	date.tm_year = number_at(text, 7, 4, 2100) - 1900;
	date.tm_hour = number_at(text, 12, 2, 23);
	date.tm_min = number_at(text, 15, 2, 59);
	date.tm_sec = number_at(text, 18, 2, 60);
	*ret_date = date;
	return date.tm_mday > 0 && date.tm_mon >= 0 && date.tm_year >= 70 && date.tm_hour >= 0 &&
	       date.tm_min >= 0 && date.tm_sec >= 0;
}

/* " +0100" */
static bool read_offset(struct bytes text, int64_t *ret_offset_s)
{
	int sign = text.data[1] == '-' ? -1 : 1;
	int hours = number_at(text, 2, 2, 23), minutes = number_at(text, 4, 2, 59);

	*ret_offset_s = sign * (hours * 3600 + minutes * 60);
	return text.data[0] == ' ' && (text.data[1] == '+' || text.data[1] == '-') && hours >= 0 &&
	       minutes >= 0;
}

size_t line_date_read(struct bytes text, struct line_date *ret_date)
{
	struct line_date date = {.ms = 0};

	if (!read_seconds(text, &date.date))
		return 0;
	struct bytes rest = bytes_skip(text, SECONDS_LEN);
	if (rest.len >= LOCAL_LEN - SECONDS_LEN && rest.data[0] == '.') {
		date.ms = number_at(rest, 1, 3, 999);
		if (date.ms < 0)
			return 0;
		*ret_date = date;
		return LOCAL_LEN;
	}
	date.has_offset = true;
	if (rest.len < OFFSET_LEN - SECONDS_LEN || !read_offset(rest, &date.offset_s))
		return 0;
	*ret_date = date;
	return OFFSET_LEN;
}
