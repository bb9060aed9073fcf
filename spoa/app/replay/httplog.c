#include "app/replay/httplog.h"

#include <string.h>

#include "base/parse.h"

/* ---- the date ---- */

#define DATE_LEN 26 /* [24/Nov/2026:11:44:28.123] */

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
	static const char form[DATE_LEN + 1] = "[  /   /    :  :  :  .   ]";

	for (size_t i = 0; i < DATE_LEN; i++)
		if (form[i] != ' ' && text.data[i] != form[i])
			return false;
	return true;
}

static bool parse_date(struct bytes text, struct tm *ret_date, int *ret_ms)
{
	struct tm date = {0};

	if (text.len < DATE_LEN || !has_form_of_a_date(text))
		return false;
	date.tm_mday = number_at(text, 1, 2, 31);
	date.tm_mon = month_at(text, 4);
	date.tm_year = number_at(text, 8, 4, 2100) - 1900;
	date.tm_hour = number_at(text, 13, 2, 23);
	date.tm_min = number_at(text, 16, 2, 59);
	date.tm_sec = number_at(text, 19, 2, 60);
	*ret_ms = number_at(text, 22, 3, 999);
	*ret_date = date;
	return date.tm_mday > 0 && date.tm_mon >= 0 && date.tm_year >= 70 && date.tm_hour >= 0 &&
	       date.tm_min >= 0 && date.tm_sec >= 0 && *ret_ms >= 0;
}

/* ---- the fields ---- */

/* Cuts the next word off the front. */
static bool next_word(struct bytes *rest, struct bytes *ret_word)
{
	return bytes_next_item(rest, ' ', ret_word) && ret_word->len > 0 && rest->data != NULL;
}

/* "0/0/1/2/3". HAProxy writes -1 for a time that never came, +12 for one that still runs. */
static bool has_numbers(struct bytes text, size_t wanted)
{
	struct bytes item;
	size_t count = 0;

	while (bytes_next_item(&text, '/', &item)) {
		uint64_t number;
		if (item.len > 1 && (item.data[0] == '+' || item.data[0] == '-'))
			item = bytes_skip(item, 1);
		if (!parse_whole(item, INT64_MAX, &number))
			return false;
		count++;
	}
	return count == wanted;
}

/* "{a|b} ": captured header fields. The log has no names for them, so they are left out. */
static bool skip_captured(struct bytes *rest)
{
	if (!bytes_begin_with(*rest, BYTES("{")))
		return true;
	const uint8_t *end = memchr(rest->data, '}', rest->len);
	if (end == NULL)
		return false;
	*rest = bytes_skip(*rest, (size_t)(end - rest->data) + 1);
	if (!bytes_begin_with(*rest, BYTES(" ")))
		return false;
	*rest = bytes_skip(*rest, 1);
	return true;
}

/* The text in quotes; the closing quote is missing when syslog cut the line off. */
static bool read_request(struct bytes rest, struct bytes *ret_request)
{
	if (!skip_captured(&rest) || !skip_captured(&rest) || !bytes_begin_with(rest, BYTES("\"")))
		return false;
	rest = bytes_skip(rest, 1);
	return bytes_next_item(&rest, '"', ret_request);
}

/*
 * HAProxy's configuration manual, "HTTP log format": after the date come frontend, backend/server,
 * five times, status, bytes, two captured cookies, the termination state, connections, queues,
 * captured header fields, and the request.
 */
static bool read_fields(struct bytes rest, struct httplog *fields)
{
	struct bytes path, times, skipped, connections, queues;

	if (!next_word(&rest, &fields->frontend) || !next_word(&rest, &path) ||
	    !next_word(&rest, &times) || !next_word(&rest, &fields->status) ||
	    !next_word(&rest, &skipped) || !next_word(&rest, &skipped) ||
	    !next_word(&rest, &skipped) || !next_word(&rest, &skipped) ||
	    !next_word(&rest, &connections) || !next_word(&rest, &queues))
		return false;
	if (!has_numbers(times, 5) || !has_numbers(fields->status, 1) ||
	    !has_numbers(connections, 5) || !has_numbers(queues, 2))
		return false;
	if (!bytes_next_item(&path, '/', &fields->backend) || path.data == NULL)
		return false;
	fields->server = path;
	return read_request(rest, &fields->request);
}

/* The last word before the date is the client. The words before that are the prefix of syslog. */
static struct bytes last_word(struct bytes text)
{
	size_t begin = text.len;

	while (begin > 0 && text.data[begin - 1] != ' ')
		begin--;
	return bytes_skip(text, begin);
}

/* Where the date begins; the length of the line when there is no date before the first brace. */
static size_t find_date(struct bytes line, struct httplog *fields)
{
	for (size_t at = 0; at < line.len && line.data[at] != '{'; at++)
		if (line.data[at] == '[' &&
		    parse_date(bytes_skip(line, at), &fields->date, &fields->ms))
			return at;
	return line.len;
}

bool httplog_read(struct bytes line, struct httplog *fields)
{
	size_t date = find_date(line, fields);

	if (date == 0 || date == line.len || line.data[date - 1] != ' ')
		return false;
	fields->client = last_word(bytes_from(line.data, date - 1));
	struct bytes rest = bytes_skip(line, date + DATE_LEN);
	return bytes_begin_with(rest, BYTES(" ")) && read_fields(bytes_skip(rest, 1), fields);
}
