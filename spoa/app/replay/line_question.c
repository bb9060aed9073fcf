#include "app/replay/line_question.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/parse.h"
#include "net/http/http_path.h"

/* ---- texts ---- */

static struct bytes keep(struct http_question *question, const struct writer *w)
{
	http_question_keep(question, w);
	return writer_bytes(w);
}

/* HAProxy logs a quote as #22, `#` as #23, and a byte that is not printable likewise: #C3. */
static struct bytes undo_escapes(struct http_question *question, struct bytes text)
{
	struct writer w = http_question_writer(question);

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
	return keep(question, &w);
}

/* What +E puts before `"`, `\` and `]`. */
static struct bytes undo_backslashes(struct http_question *question, struct bytes text)
{
	struct writer w = http_question_writer(question);

	for (; text.len > 0; text = bytes_skip(text, 1)) {
		if (text.data[0] == '\\' && text.len > 1)
			text = bytes_skip(text, 1);
		writer_put_u8(&w, text.data[0]);
	}
	return keep(question, &w);
}

/* The text of a field as it was before HAProxy wrote it. */
static struct bytes plain_text(struct http_question *question, const struct line_piece *piece,
			       struct bytes text)
{
	if (piece->field.has_escapes)
		return undo_escapes(question, text);
	return piece->is_escaped ? undo_backslashes(question, text) : text;
}

/* ---- attributes ---- */

static bool has_attribute(const struct http_question *question, struct bytes name)
{
	const struct attributes attributes = http_question_attributes(question);

	return attributes_find(&attributes, name) != NULL;
}

/* What came first counts: the captured address of a client behind a proxy before the proxy's. */
static void add_attribute(struct http_question *question, struct bytes name, struct bytes text)
{
	if (question->count < HTTP_ATTRIBUTES_MAX && !has_attribute(question, name))
		question->items[question->count++] = (struct attribute){name, value_text(text)};
}

/* Also with a port or a zone, as in an attribute of any other request. */
static bool is_address(struct bytes text)
{
	const struct value given = value_text(text);
	const struct value value = attribute_canonical(BYTES("src"), &given);

	return value_is_address(&value);
}

/* A client on a Unix socket gives no `src`. */
static void add_src(struct http_question *question, struct bytes address)
{
	if (is_address(address))
		add_attribute(question, BYTES("src"), address);
}

/* "C0000201": +X writes the bytes of an address. */
static void add_src_of_hex(struct http_question *question, struct bytes digits)
{
	uint8_t bytes[16];
	struct writer w = http_question_writer(question);
	size_t len = digits.len / 2;

	if ((len != 4 && len != 16) || digits.len % 2 != 0)
		return;
	for (size_t i = 0; i < len; i++) {
		int high = parse_hex_digit(digits.data[2 * i]);
		int low = parse_hex_digit(digits.data[2 * i + 1]);
		if (high < 0 || low < 0)
			return;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	char text[INET6_ADDRSTRLEN];
	if (inet_ntop(len == 4 ? AF_INET : AF_INET6, bytes, text, sizeof text) == NULL)
		return;
	writer_put_text(&w, text);
	add_src(question, keep(question, &w));
}

/* What HAProxy's fetch `src` gave, as text or, with +X, as the bytes of the address. */
static void add_fetched_src(struct http_question *question, const struct line_piece *piece,
			    struct bytes text)
{
	if (piece->is_hex)
		add_src_of_hex(question, text);
	else
		add_src(question, text);
}

/* "192.0.2.1:40912" or "2001:db8::1:40912". */
static void add_client(struct http_question *question, struct bytes client)
{
	while (client.len > 0 && client.data[client.len - 1] != ':')
		client.len--;
	if (client.len > 0)
		add_src(question, bytes_from(client.data, client.len - 1));
}

/* "web~": the request came over TLS. */
static void add_frontend(struct http_question *question, struct bytes frontend)
{
	if (frontend.len > 0 && frontend.data[frontend.len - 1] == '~')
		frontend.len--;
	add_attribute(question, BYTES("frontend"), frontend);
}

/* By the rules of docs/paths.md, as the shipped haproxy.cfg does it. */
static void add_host(struct http_question *question, struct bytes host)
{
	struct writer w = http_question_writer(question);

	if (http_host_put(&w, host) == NULL)
		add_attribute(question, BYTES("host"), keep(question, &w));
}

/* ---- URLs ---- */

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

/*
 * As the shipped haproxy.cfg gives it to the agent, by the rules of docs/paths.md: "//login" is
 * "/login". HAProxy's log has the path as the client sent it. A path that the rules refuse stays as
 * it is, since the request counts.
 */
static struct bytes normalise_path(struct http_question *question, struct bytes raw_path)
{
	struct writer w = http_question_writer(question);

	return http_path_put(&w, raw_path) == NULL ? keep(question, &w) : raw_path;
}

/* "/x?y", perhaps behind scheme and host, or the "*" of OPTIONS. */
static bool add_path(struct http_question *question, struct bytes url)
{
	struct bytes rest = bytes_equal(url, BYTES("*")) ? BYTES("/") : without_authority(url);
	struct bytes path;

	if (!bytes_begin_with(rest, BYTES("/")) || !bytes_next_item(&rest, '?', &path))
		return false;
	add_attribute(question, BYTES("path"), normalise_path(question, path));
	if (rest.data != NULL)
		add_attribute(question, BYTES("query"), rest);
	return true;
}

/* "example.com/x": HAProxy's fetch `base`, which haproxytech's ingress controller logs. */
static void add_base(struct http_question *question, struct bytes base)
{
	const uint8_t *slash = base.len > 0 ? memchr(base.data, '/', base.len) : NULL;

	if (slash == NULL || slash == base.data)
		return;
	size_t len = (size_t)(slash - base.data);
	add_host(question, bytes_from(base.data, len));
	(void)add_path(question, bytes_skip(base, len));
}

/* "?y=1" of %HQ, or "y=1" of the fetch `query`. */
static void add_query(struct http_question *question, struct bytes text)
{
	size_t mark = bytes_begin_with(text, BYTES("?"));

	add_attribute(question, BYTES("query"), bytes_skip(text, mark));
}

static void add_path_or_base(struct http_question *question, struct bytes url)
{
	if (!add_path(question, url))
		add_base(question, url);
}

/* "GET /x HTTP/1.1", perhaps cut off. False for <BADREQ>. */
static bool add_request(struct http_question *question, const struct line_piece *piece,
			struct bytes request)
{
	struct bytes rest = request, method, url;

	if (!bytes_next_item(&rest, ' ', &method) || method.len == 0 || method.data[0] == '<' ||
	    !bytes_next_item(&rest, ' ', &url))
		return false;
	method = plain_text(question, piece, method);
	add_attribute(question, BYTES("method"), method);
	if (bytes_equal(method, BYTES("CONNECT")))
		url = BYTES("/"); /* as in the shipped haproxy.cfg: "example.com:443" is no path */
	add_path_or_base(question, plain_text(question, piece, url));
	return true;
}

/* ---- what --captures names ---- */

static void add_capture(struct http_question *question, const struct line_capture *capture,
			struct bytes value)
{
	struct bytes text = line_captures_pick(capture, value);

	if (text.data == NULL)
		return;
	if (bytes_equal(capture->attribute, BYTES("src")))
		add_src(question, text);
	else if (bytes_equal(capture->attribute, BYTES("host")))
		add_host(question, text);
	else
		add_attribute(question, capture->attribute, text);
}

/* "{a|b}", or "a" "b" in quotes. False when there are not as many values as there are names. */
static bool add_captured(struct http_question *question, struct bytes text,
			 const struct line_captures *captures)
{
	bool is_list = bytes_begin_with(text, BYTES("\""));
	struct bytes rest = bytes_from(text.data + 1, text.len - 2), value;
	size_t count = 0;

	while (bytes_next_item(&rest, is_list ? '"' : '|', &value)) {
		if (count < captures->count)
			add_capture(question, &captures->items[count],
				    undo_escapes(question, value));
		count++;
		if (is_list && rest.data != NULL && rest.len >= 2)
			rest = bytes_skip(rest, 2); /* ` "`, before the next one */
	}
	return count == captures->count || (is_list && count >= captures->count);
}

/* ---- the whole ---- */

/* A field that has the name of its attribute. */
static void add_named(struct http_question *question, const struct line_piece *piece,
		      struct bytes text)
{
	if (bytes_equal(piece->field.name, BYTES("src")))
		add_src(question, text);
	else
		add_attribute(question, piece->field.name, plain_text(question, piece, text));
}

/*
 * HAProxy writes "-" for a value that it does not have, in quotes nothing. A request line is there,
 * even if nothing of it is left.
 */
static bool is_absent(const struct line_piece *piece, struct bytes text)
{
	if (piece->field.meaning == LINE_REQUEST)
		return false;
	return text.data == NULL || bytes_equal(text, BYTES("-")) ||
	       (piece->is_quoted && text.len == 0);
}

static bool add_field(struct http_question *question, const struct line_parts *line, size_t at)
{
	const struct line_piece *piece = &line->format->pieces[at];
	const struct line_field *field = &piece->field;
	struct bytes text = line->fields->texts[at];

	switch (field->meaning) {
	case LINE_CLIENT:
		add_client(question, text);
		break;
	case LINE_SRC:
		add_fetched_src(question, piece, text);
		break;
	case LINE_PATH:
	case LINE_URI:
		(void)add_path(question, plain_text(question, piece, text));
		break;
	case LINE_QUERY:
		add_query(question, plain_text(question, piece, text));
		break;
	case LINE_REQUEST:
		return add_request(question, piece, text);
	case LINE_BASE:
		add_path_or_base(question, plain_text(question, piece, text));
		break;
	case LINE_FRONTEND:
		add_frontend(question, text);
		break;
	case LINE_CAPTURE:
		if (field->capture < line->captures->count)
			add_capture(question, &line->captures->items[field->capture],
				    plain_text(question, piece, text));
		break;
	case LINE_METHOD:
		if (bytes_begin_with(text, BYTES("<")))
			return false;
		add_attribute(question, field->name, plain_text(question, piece, text));
		break;
	case LINE_NAMED:
		add_named(question, piece, text);
		break;
	case LINE_CAPTURED: /* before the others */
	case LINE_NOTHING:
	case LINE_AT_NOW:
	case LINE_AT_CONNECTION:
	case LINE_AT_CONNECTION_S:
	case LINE_AT_CONNECTION_MS:
	case LINE_AT_REQUEST:
	case LINE_AT_REQUEST_MS:
	case LINE_MS:
	case LINE_TOOK:
		break;
	}
	return true;
}

/* What the request line says comes first, as in the lists of attributes of the documents. */
static bool is_of_request(enum line_meaning meaning)
{
	return meaning == LINE_REQUEST || meaning == LINE_METHOD || meaning == LINE_PATH ||
	       meaning == LINE_URI || meaning == LINE_QUERY || meaning == LINE_BASE;
}

static bool add_fields(struct http_question *question, const struct line_parts *line,
		       bool of_request)
{
	for (size_t i = 0; i < line->fields->count; i++) {
		const struct line_piece *piece = &line->format->pieces[i];
		if (is_of_request(piece->field.meaning) == of_request &&
		    !is_absent(piece, line->fields->texts[i]) && !add_field(question, line, i))
			return false;
	}
	return true;
}

enum line_asked line_question_fill(struct http_question *question, const struct line_parts *line)
{
	bool is_as_named = true;

	http_question_clear(question);
	if (!add_fields(question, line, true))
		return LINE_ASKED_NOTHING;
	for (size_t i = 0; i < line->fields->count; i++)
		if (line->format->pieces[i].field.meaning == LINE_CAPTURED &&
		    line->captures->count > 0)
			is_as_named =
				line->fields->texts[i].data != NULL &&
				add_captured(question, line->fields->texts[i], line->captures);
	(void)add_fields(question, line, false);
	return is_as_named ? LINE_ASKED : LINE_ASKED_OTHERS;
}
