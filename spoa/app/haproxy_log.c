#include "app/haproxy_log.h"

#include "app/replay_line.h"
#include "base/clock.h"
#include "base/parse.h"

/* ---- the date ---- */

#define DATE_LEN 26 /* [24/Nov/2026:11:44:28.123] */

/* The number at `at`, of `len` digits; -1 when there is none, or it is above `max`. */
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

struct fields {
	struct bytes client, frontend, backend, server, status, request;
	struct tm date;
	int ms;
};

/* Cuts the next word off the front. */
static bool next_word(struct bytes *rest, struct bytes *ret_word)
{
	return bytes_next_item(rest, ' ', ret_word) && ret_word->len > 0 && rest->data != NULL;
}

/* "0/0/1/2/3", with -1 for what did not come to be and + for what goes on. */
static bool is_numbers(struct bytes text, size_t wanted)
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

/* "{a|b} " of captured header fields, which have no names here. */
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

/* What stands in quotes, or begins there and was cut off. */
static bool read_request(struct bytes rest, struct bytes *ret_request)
{
	if (!skip_captured(&rest) || !skip_captured(&rest) || !bytes_begin_with(rest, BYTES("\"")))
		return false;
	rest = bytes_skip(rest, 1);
	return bytes_next_item(&rest, '"', ret_request);
}

/*
 * HAProxy's configuration manual, "HTTP log format": behind the date come frontend, backend/server,
 * five times, status, bytes, two captured cookies, the state at the end, connections, queues,
 * captured header fields, and the request.
 */
static bool read_fields(struct bytes rest, struct fields *fields)
{
	struct bytes path, times, skipped, connections, queues;

	if (!next_word(&rest, &fields->frontend) || !next_word(&rest, &path) ||
	    !next_word(&rest, &times) || !next_word(&rest, &fields->status) ||
	    !next_word(&rest, &skipped) || !next_word(&rest, &skipped) ||
	    !next_word(&rest, &skipped) || !next_word(&rest, &skipped) ||
	    !next_word(&rest, &connections) || !next_word(&rest, &queues))
		return false;
	if (!is_numbers(times, 5) || !is_numbers(fields->status, 1) ||
	    !is_numbers(connections, 5) || !is_numbers(queues, 2))
		return false;
	if (!bytes_next_item(&path, '/', &fields->backend) || path.data == NULL)
		return false;
	fields->server = path;
	return read_request(rest, &fields->request);
}

/* The word before the date: whatever syslog put in front has another. */
static struct bytes last_word(struct bytes text)
{
	size_t begin = text.len;

	while (begin > 0 && text.data[begin - 1] != ' ')
		begin--;
	return bytes_skip(text, begin);
}

/* Where the date is; the length of the line when there is none before the first brace. */
static size_t find_date(struct bytes line, struct fields *fields)
{
	for (size_t at = 0; at < line.len && line.data[at] != '{'; at++)
		if (line.data[at] == '[' &&
		    parse_date(bytes_skip(line, at), &fields->date, &fields->ms))
			return at;
	return line.len;
}

static bool read_line(struct bytes line, struct fields *fields)
{
	size_t date = find_date(line, fields);

	if (date == 0 || date == line.len || line.data[date - 1] != ' ')
		return false;
	fields->client = last_word(bytes_from(line.data, date - 1));
	struct bytes rest = bytes_skip(line, date + DATE_LEN);
	return bytes_begin_with(rest, BYTES(" ")) && read_fields(bytes_skip(rest, 1), fields);
}

/* ---- the attributes ---- */

static void add(struct http_question *question, struct bytes name, struct bytes text)
{
	question->items[question->count++] = (struct attribute){name, value_text(text)};
}

/* "192.0.2.1:40912", "2001:db8::1:40912"; a client on a Unix socket has no address. */
static void add_client(struct http_question *question, struct bytes client)
{
	while (client.len > 0 && client.data[client.len - 1] != ':')
		client.len--;
	if (client.len == 0)
		return;
	client.len--;
	const struct value text = value_text(client);
	enum value_kind kind = value_canonical(&text).kind;
	if (kind == VALUE_IPV4 || kind == VALUE_IPV6)
		add(question, BYTES("src"), client);
}

/* "web~": it was over TLS. */
static void add_frontend(struct http_question *question, struct bytes frontend)
{
	if (frontend.data[frontend.len - 1] == '~')
		frontend.len--;
	add(question, BYTES("frontend"), frontend);
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undoes what HAProxy does to a quote, `#`, and what is not printable: #22, #23, #C3. */
static struct bytes decode(struct http_question *question, struct bytes text)
{
	struct writer w = writer_on(question->memory + question->text_len,
				    sizeof question->memory - question->text_len);

	for (; text.len > 0; text = bytes_skip(text, 1)) {
		int high = text.len > 2 && text.data[0] == '#' ? hex_digit(text.data[1]) : -1;
		int low = high >= 0 ? hex_digit(text.data[2]) : -1;
		if (low < 0) {
			writer_put_u8(&w, text.data[0]);
			continue;
		}
		writer_put_u8(&w, (uint8_t)(high << 4 | low));
		text = bytes_skip(text, 2);
	}
	question->text_len += w.len;
	return writer_bytes(&w);
}

/* Of "https://host/x", as HTTP/2 has it, what HAProxy's `path` is: "/x". */
static struct bytes without_authority(struct bytes url)
{
	struct bytes rest = url;

	for (size_t i = 0; i + 2 < url.len && url.data[i] != '/'; i++)
		if (memcmp(url.data + i, "://", 3) == 0) {
			rest = bytes_skip(url, i + 3);
			break;
		}
	if (rest.len == url.len)
		return url;
	const uint8_t *slash = memchr(rest.data, '/', rest.len);
	return slash == NULL ? BYTES("/") : bytes_skip(rest, (size_t)(slash - rest.data));
}

static void add_url(struct http_question *question, struct bytes url)
{
	struct bytes rest = without_authority(url), path;

	if (!bytes_begin_with(rest, BYTES("/")) || !bytes_next_item(&rest, '?', &path))
		return; /* "*", or the host of a CONNECT */
	add(question, BYTES("path"), decode(question, path));
	if (rest.data != NULL)
		add(question, BYTES("query"), decode(question, rest));
}

/* "GET /x HTTP/1.1", perhaps cut off. A <BADREQ> is none: nobody was asked about it. */
static bool add_request(struct http_question *question, struct bytes request)
{
	struct bytes rest = request, method, url;

	if (!bytes_next_item(&rest, ' ', &method) || method.len == 0 || method.data[0] == '<' ||
	    !bytes_next_item(&rest, ' ', &url))
		return false;
	add(question, BYTES("method"), decode(question, method));
	add_url(question, url);
	return true;
}

static enum haproxy_line read_httplog(struct bytes line, struct time_zone *zone,
				      struct http_question *question, int64_t *ret_at_us)
{
	struct fields fields;

	if (!read_line(line, &fields))
		return HAPROXY_OTHER;
	http_question_clear(question);
	if (!add_request(question, fields.request))
		return HAPROXY_OTHER;
	add_client(question, fields.client);
	add_frontend(question, fields.frontend);
	add(question, BYTES("backend"), fields.backend);
	add(question, BYTES("server"), fields.server);
	add(question, BYTES("status"), fields.status);
	int64_t at_us =
		time_zone_seconds(zone, &fields.date) * US_PER_SECOND + fields.ms * US_PER_MS;
	*ret_at_us = at_us < 0 ? 0 : at_us; /* the first hours of 1970, east of Greenwich */
	return HAPROXY_REQUEST;
}

/* ---- JSON ---- */

static bool has_at(struct bytes json)
{
	struct json_value root, name, value;
	struct err err;

	if (!json_read(json, &root, &err) || root.kind != JSON_OBJECT)
		return false;
	while (json_next_field(&root, &name, &value))
		if (bytes_equal(name.text, BYTES("at_ms")))
			return true;
	return false;
}

/* HAProxy writes "-" for what is not there. */
static void drop_dashes(struct http_question *question)
{
	for (size_t i = 0; i < question->count; i++) {
		struct value *value = &question->items[i].value;
		if (value->kind == VALUE_TEXT && bytes_equal(value->text, BYTES("-")))
			value->kind = VALUE_ABSENT;
	}
}

/* "<BADREQ>" */
static bool is_bad_request(const struct http_question *question)
{
	const struct attributes attributes = http_question_attributes(question);
	const struct value *method = attributes_find(&attributes, BYTES("method"));

	return method != NULL && method->kind == VALUE_TEXT &&
	       bytes_begin_with(method->text, BYTES("<"));
}

static enum haproxy_line read_json(struct bytes json, struct http_question *question,
				   int64_t *ret_at_us, struct err *err)
{
	struct replay_line line;

	if (!has_at(json))
		return HAPROXY_OTHER;
	if (!replay_line_read(json, &line, err))
		return HAPROXY_BAD;
	if (line.body.is_batch) {
		(void)err_set(err, "checks: a line of a log is one request");
		return HAPROXY_BAD;
	}
	if (!replay_line_read_check(&line, question, err))
		return HAPROXY_BAD;
	*ret_at_us = line.at_us;
	drop_dashes(question);
	return is_bad_request(question) ? HAPROXY_OTHER : HAPROXY_REQUEST;
}

enum haproxy_line haproxy_log_read(struct bytes line, struct time_zone *zone,
				   struct http_question *question, int64_t *ret_at_us,
				   struct err *err)
{
	enum haproxy_line kind = read_httplog(line, zone, question, ret_at_us);
	const uint8_t *brace = line.len > 0 ? memchr(line.data, '{', line.len) : NULL;

	if (kind != HAPROXY_OTHER || brace == NULL)
		return kind;
	return read_json(bytes_skip(line, (size_t)(brace - line.data)), question, ret_at_us, err);
}
