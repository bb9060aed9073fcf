#include "app/operate/rfc3339.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define MS_PER_SECOND 1000

void rfc3339_put(struct writer *w, uint64_t ms)
{
	time_t seconds = (time_t)(ms / MS_PER_SECOND);
	struct tm utc;
	char text[64];

	(void)gmtime_r(&seconds, &utc);
	size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
	writer_put(w, bytes_from(text, len));
	if (ms % MS_PER_SECOND != 0) {
		snprintf(text, sizeof text, ".%03u", (unsigned)(ms % MS_PER_SECOND));
		writer_put_text(w, text);
	}
	writer_put_u8(w, 'Z');
}

/* So many digits at the front, which are cut off. False when there are fewer, or out of range. */
static bool read_digits(struct bytes *text, size_t count, int min, int max, int *ret_number)
{
	int number = 0;

	if (text->len < count)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (text->data[i] < '0' || text->data[i] > '9')
			return false;
		number = 10 * number + (text->data[i] - '0');
	}
	*text = bytes_skip(*text, count);
	*ret_number = number;
	return number >= min && number <= max;
}

/* One of the bytes at the front, which is cut off. */
static bool read_one_of(struct bytes *text, const char *accepted)
{
	if (text->len == 0 || text->data[0] == '\0' || strchr(accepted, text->data[0]) == NULL)
		return false;
	*text = bytes_skip(*text, 1);
	return true;
}

static bool read_date(struct bytes *text, struct tm *date)
{
	int year, month;

	if (!read_digits(text, 4, 1970, 9999, &year) || !read_one_of(text, "-") ||
	    !read_digits(text, 2, 1, 12, &month) || !read_one_of(text, "-") ||
	    !read_digits(text, 2, 1, 31, &date->tm_mday))
		return false;
	date->tm_year = year - 1900;
	date->tm_mon = month - 1;
	return true;
}

/* 60 is a leap second, which counts as the first second of the next minute. */
static bool read_time(struct bytes *text, struct tm *date)
{
	return read_digits(text, 2, 0, 23, &date->tm_hour) && read_one_of(text, ":") &&
	       read_digits(text, 2, 0, 59, &date->tm_min) && read_one_of(text, ":") &&
	       read_digits(text, 2, 0, 60, &date->tm_sec);
}

static bool read_fraction(struct bytes *text, int *ret_ms)
{
	int unit = 100;

	*ret_ms = 0;
	if (!read_one_of(text, "."))
		return true;
	if (text->len == 0 || text->data[0] < '0' || text->data[0] > '9')
		return false;
	while (text->len > 0 && text->data[0] >= '0' && text->data[0] <= '9') {
		*ret_ms += unit * (text->data[0] - '0');
		unit /= 10;
		*text = bytes_skip(*text, 1);
	}
	return true;
}

/* "Z", "+01:00"; seconds east of UTC. */
static bool read_offset(struct bytes *text, int *ret_s)
{
	int hours, minutes;

	*ret_s = 0;
	if (read_one_of(text, "Zz"))
		return true;
	bool is_west = text->len > 0 && text->data[0] == '-';
	if (!read_one_of(text, "+-") || !read_digits(text, 2, 0, 23, &hours) ||
	    !read_one_of(text, ":") || !read_digits(text, 2, 0, 59, &minutes))
		return false;
	*ret_s = (hours * 60 + minutes) * (is_west ? -60 : 60);
	return true;
}

bool rfc3339_read(struct bytes text, uint64_t *ret_ms)
{
	struct tm date = {0}, same;
	int ms, offset_s;

	if (!read_date(&text, &date) || !read_one_of(&text, "Tt ") || !read_time(&text, &date) ||
	    !read_fraction(&text, &ms) || !read_offset(&text, &offset_s) || text.len > 0)
		return false;
	same = date;
	time_t seconds = timegm(&same);
	/* timegm makes the 2nd of March of the 30th of February. */
	if (seconds == (time_t)-1 || (same.tm_mday != date.tm_mday && date.tm_sec < 60))
		return false;
	int64_t total_ms = ((int64_t)seconds - offset_s) * MS_PER_SECOND + ms;
	if (total_ms < 0)
		return false;
	*ret_ms = (uint64_t)total_ms;
	return true;
}
