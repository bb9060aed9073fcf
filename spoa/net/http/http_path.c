/*
 * A path goes byte by byte through the rules of docs/paths.md, in their order:
 *
 *   %xx decoded -> refused, if it is a control character or # -> \ is / -> what follows a ; in a
 *   segment is dropped -> a / behind a / is dropped, and ends a segment, which may not be . or ..
 *
 * So one pass does what HAProxy's lines do by one substitution after the other, because each rule
 * looks only at bytes that the rules before it have left, never at what comes later.
 */
#include "net/http/http_path.h"

#include "base/parse.h"

/* ---- targets ---- */

/* A URL without its scheme and host: "http://example.com/login". */
static struct bytes skip_authority(struct bytes text)
{
	static const char *const schemes[] = {"http://", "https://", "ws://", "wss://"};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		struct bytes scheme = bytes_from_text(schemes[i]), rest;
		if (text.len < scheme.len ||
		    !bytes_equal_in_any_case(bytes_from(text.data, scheme.len), scheme))
			continue;
		rest = bytes_skip(text, scheme.len);
		while (rest.len > 0 && rest.data[0] != '/' && rest.data[0] != '?' &&
		       rest.data[0] != '#')
			rest = bytes_skip(rest, 1);
		return rest;
	}
	return text;
}

struct http_target http_target_split(struct bytes text)
{
	struct bytes path = {0}, query = bytes_equal(text, BYTES("*")) ? BYTES("") : text;

	if (query.len > 0 && query.data[0] != '/')
		query = skip_authority(query);
	if (query.len == 0)
		return (struct http_target){BYTES("/"), BYTES("")};
	(void)bytes_next_item(&query, '?', &path);
	return (struct http_target){path.len > 0 ? path : BYTES("/"),
				    query.data != NULL ? query : BYTES("")};
}

/* ---- paths ---- */

/* Cuts a byte off the front of `path`, decoded; -1 when an escape is broken. */
static int next_byte(struct bytes *path)
{
	int byte = path->data[0];
	size_t len = 1;

	if (byte == '%') {
		int high = path->len < 3 ? -1 : parse_hex_digit(path->data[1]);
		int low = path->len < 3 ? -1 : parse_hex_digit(path->data[2]);
		if (high < 0 || low < 0)
			return -1;
		byte = high << 4 | low;
		len = 3;
	}
	*path = bytes_skip(*path, len);
	return byte;
}

static bool is_control(int byte)
{
	return byte < 0x20 || byte == 0x7f;
}

/* Whether what was put since `segment` is a dot segment (RFC 3986, section 3.3). */
static bool is_dots(const struct writer *w, size_t segment)
{
	size_t len = w->len - segment;

	return (len == 1 || len == 2) && w->data[segment] == '.' && w->data[w->len - 1] == '.';
}

#define DOT_SEGMENT "the path has a segment . or .."

const char *http_path_put(struct writer *w, struct bytes raw_path)
{
	size_t segment = w->len + 1; /* where the segment begins, behind its slash */
	size_t begin = w->len;
	bool is_parameter = false;

	writer_put_u8(w, '/');
	while (raw_path.len > 0 && !w->full) {
		int byte = next_byte(&raw_path);
		if (byte < 0)
			return "the path has a % without two hexadecimal digits";
		if (is_control(byte) || byte == '#')
			return "the path has a # or a control character";
		if (byte == '/' || byte == '\\') {
			is_parameter = false;
			if (is_dots(w, segment))
				return DOT_SEGMENT;
			if (w->len > segment) /* else this slash follows a slash */
				writer_put_u8(w, '/');
			segment = w->len;
		} else if (byte == ';' || is_parameter) {
			is_parameter = true;
		} else {
			writer_put_u8(w, (uint8_t)byte);
		}
	}
	if (w->full)
		return "the path is too long";
	if (is_dots(w, segment))
		return DOT_SEGMENT;
	if (w->len == segment && w->len - begin > 1)
		w->len--; /* the slash at the end */
	return NULL;
}

/* ---- hosts ---- */

static struct bytes without_port(struct bytes host)
{
	size_t len = host.len;

	while (len > 0 && host.data[len - 1] >= '0' && host.data[len - 1] <= '9')
		len--;
	return len > 0 && host.data[len - 1] == ':' ? bytes_from(host.data, len - 1) : host;
}

static bool is_in_name(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
	       byte == '_';
}

/* Of letters, digits, - and _, with single dots between them. */
static bool is_name(struct bytes host)
{
	bool is_behind_dot = true;

	for (size_t i = 0; i < host.len; i++) {
		bool is_dot = host.data[i] == '.';
		if (is_dot ? is_behind_dot : !is_in_name(host.data[i]))
			return false;
		is_behind_dot = is_dot;
	}
	return !is_behind_dot;
}

/* In brackets; what is between them is not looked at more closely. */
static bool is_in_brackets(struct bytes host)
{
	if (host.len < 3 || host.data[0] != '[' || host.data[host.len - 1] != ']')
		return false;
	for (size_t i = 1; i < host.len - 1; i++)
		if (parse_hex_digit(host.data[i]) < 0 && host.data[i] != ':' && host.data[i] != '.')
			return false;
	return true;
}

const char *http_host_put(struct writer *w, struct bytes host)
{
	size_t begin = w->len;

	host = without_port(host);
	if (host.len > 0 && host.data[host.len - 1] == '.')
		host.len--;
	for (size_t i = 0; i < host.len; i++)
		writer_put_u8(w, byte_lower(host.data[i]));
	if (w->full)
		return "the host is too long";
	struct bytes lower = bytes_from(w->data + begin, w->len - begin);
	if (lower.len > 0 && !is_name(lower) && !is_in_brackets(lower))
		return "the host is neither a name nor an address";
	return NULL;
}
