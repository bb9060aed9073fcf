#include "app/replay/haproxy_log.h"

#include <string.h>

#include "app/replay/httplog.h"
#include "app/replay/replay_line.h"
#include "base/clock.h"
#include "base/parse.h"

/* ---- the attributes ---- */

static void add_attribute(struct http_question *question, struct bytes name, struct bytes text)
{
	question->items[question->count++] = (struct attribute){name, value_text(text)};
}

/* "192.0.2.1:40912" or "2001:db8::1:40912". A client on a Unix socket gives no `src`. */
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
		add_attribute(question, BYTES("src"), client);
}

/* "web~": the request came over TLS. */
static void add_frontend(struct http_question *question, struct bytes frontend)
{
	if (frontend.data[frontend.len - 1] == '~')
		frontend.len--;
	add_attribute(question, BYTES("frontend"), frontend);
}

/* HAProxy logs a quote as #22, `#` as #23, and a byte that is not printable likewise: #C3. */
static struct bytes undo_escapes(struct http_question *question, struct bytes text)
{
	struct writer w = writer_on(question->memory + question->text_len,
				    sizeof question->memory - question->text_len);

	for (; text.len > 0; text = bytes_skip(text, 1)) {
		int high = text.len > 2 && text.data[0] == '#' ? parse_hex_digit(text.data[1]) : -1;
		int low = high >= 0 ? parse_hex_digit(text.data[2]) : -1;
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

/* HTTP/2 logs "https://host/x", of which HAProxy's fetch `path` is "/x". */
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
		return; /* "*" of OPTIONS, or the host of CONNECT: there is no path */
	add_attribute(question, BYTES("path"), undo_escapes(question, path));
	if (rest.data != NULL)
		add_attribute(question, BYTES("query"), undo_escapes(question, rest));
}

/* "GET /x HTTP/1.1", perhaps cut off. False for <BADREQ>: HAProxy asked no agent about it. */
static bool add_request(struct http_question *question, struct bytes request)
{
	struct bytes rest = request, method, url;

	if (!bytes_next_item(&rest, ' ', &method) || method.len == 0 || method.data[0] == '<' ||
	    !bytes_next_item(&rest, ' ', &url))
		return false;
	add_attribute(question, BYTES("method"), undo_escapes(question, method));
	add_url(question, url);
	return true;
}

static enum haproxy_line read_httplog_line(struct bytes line, struct time_zone *zone,
					   struct http_question *question, int64_t *ret_at_us)
{
	struct httplog fields;

	if (!httplog_read(line, &fields))
		return HAPROXY_OTHER;
	http_question_clear(question);
	if (!add_request(question, fields.request))
		return HAPROXY_OTHER;
	add_client(question, fields.client);
	add_frontend(question, fields.frontend);
	add_attribute(question, BYTES("backend"), fields.backend);
	add_attribute(question, BYTES("server"), fields.server);
	add_attribute(question, BYTES("status"), fields.status);
	int64_t at_us =
		time_zone_seconds(zone, &fields.date) * US_PER_SECOND + fields.ms * US_PER_MS;
	*ret_at_us = at_us < 0 ? 0 : at_us; /* below 0: 1 January 1970 in a zone east of UTC */
	return HAPROXY_REQUEST;
}

/* ---- JSON ---- */

static bool has_at_ms(struct bytes json)
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

/* HAProxy writes "-" for a value that it does not have. */
static void drop_dashes(struct http_question *question)
{
	for (size_t i = 0; i < question->count; i++) {
		struct value *value = &question->items[i].value;
		if (value->kind == VALUE_TEXT && bytes_equal(value->text, BYTES("-")))
			value->kind = VALUE_ABSENT;
	}
}

/* HAProxy logs "<BADREQ>" in place of the method of a request that it could not read. */
static bool is_bad_request(const struct http_question *question)
{
	const struct attributes attributes = http_question_attributes(question);
	const struct value *method = attributes_find(&attributes, BYTES("method"));

	return method != NULL && method->kind == VALUE_TEXT &&
	       bytes_begin_with(method->text, BYTES("<"));
}

static enum haproxy_line read_json_line(struct bytes json, struct http_question *question,
					int64_t *ret_at_us, struct err *err)
{
	struct replay_line line;

	if (!has_at_ms(json))
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
	enum haproxy_line kind = read_httplog_line(line, zone, question, ret_at_us);
	const uint8_t *brace = line.len > 0 ? memchr(line.data, '{', line.len) : NULL;

	if (kind != HAPROXY_OTHER || brace == NULL)
		return kind;
	return read_json_line(bytes_skip(line, (size_t)(brace - line.data)), question, ret_at_us,
			      err);
}
