/*
 * The input is cut into lines, and each line is judged when its LF is there. `seen` remembers how
 * far the search for the LF came, so every byte is searched once and read once.
 *
 *                    a good line                a good line: a field
 *   REQUEST LINE -----------------> FIELDS ---------------------------.
 *     |    ^  |                     |    ^                            |
 *     |    `--' one empty line      |    `----------------------------'
 *     |                             `----- an empty line -----> judge_head: DONE or BAD
 *     `---- a bad line, a line without an end, or too many bytes ----> BAD
 *
 * An error is the end: the reader is not called again after BAD.
 */
#include "net/http/http_head.h"

#include "base/least.h"
#include "base/parse.h"
#include "net/http/http_bounds.h"

/* Which bytes may stand where. */
enum { IN_TOKEN = 1, IN_VALUE = 2, IN_TARGET = 4, IN_HOST = 8 };

#define VALUE        IN_VALUE
#define VISIBLE      (IN_VALUE | IN_TARGET)
#define TOKEN        (VISIBLE | IN_TOKEN)
#define TOKEN_HOST   (TOKEN | IN_HOST)
#define VISIBLE_HOST (VISIBLE | IN_HOST)

/* RFC 9110, sections 5.5 and 5.6.2; RFC 3986, section 3.2.2, without `%`, which is read apart. */
static const uint8_t places[256] = {
	['\t'] = VALUE,
	[' '] = VALUE,
	['"'] = VISIBLE,
	['#'] = VALUE | IN_TOKEN,
	['/'] = VISIBLE,
	[':'] = VISIBLE,
	['<'] = VISIBLE,
	['>'] = VISIBLE,
	['?'] = VISIBLE,
	['@'] = VISIBLE,
	['['] = VISIBLE,
	['\\'] = VISIBLE,
	[']'] = VISIBLE,
	['{'] = VISIBLE,
	['}'] = VISIBLE,
	['%'] = TOKEN,
	['^'] = TOKEN,
	['`'] = TOKEN,
	['|'] = TOKEN,
	['!'] = TOKEN_HOST,
	['$'] = TOKEN_HOST,
	['&'] = TOKEN_HOST,
	['\''] = TOKEN_HOST,
	['('] = VISIBLE_HOST,
	[')'] = VISIBLE_HOST,
	['*'] = TOKEN_HOST,
	['+'] = TOKEN_HOST,
	[','] = VISIBLE_HOST,
	['-'] = TOKEN_HOST,
	['.'] = TOKEN_HOST,
	[';'] = VISIBLE_HOST,
	['='] = VISIBLE_HOST,
	['_'] = TOKEN_HOST,
	['~'] = TOKEN_HOST,
	['0' ... '9'] = TOKEN_HOST,
	['A' ... 'Z'] = TOKEN_HOST,
	['a' ... 'z'] = TOKEN_HOST,
	[0x80 ... 0xff] = VISIBLE,
};

static bool consists_of(struct bytes text, unsigned place)
{
	for (size_t i = 0; i < text.len; i++)
		if ((places[text.data[i]] & place) == 0)
			return false;
	return true;
}

bool http_is_token(struct bytes text)
{
	return text.len > 0 && consists_of(text, IN_TOKEN);
}

bool http_is_field_value(struct bytes text)
{
	return consists_of(text, IN_VALUE);
}

static enum http_head_found refuse(struct http_head *head, unsigned status, const char *why)
{
	head->status = status;
	head->why = why;
	return HTTP_HEAD_BAD;
}

/* ---- hosts ---- */

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* How many bytes of `text` are [address], which is not looked at more closely; 0: none. */
static size_t read_ip_literal(struct bytes text)
{
	size_t i = 1;

	while (i < text.len &&
	       (parse_hex_digit(text.data[i]) >= 0 || text.data[i] == ':' || text.data[i] == '.'))
		i++;
	return i > 1 && i < text.len && text.data[i] == ']' ? i + 1 : 0;
}

/* How many bytes of `text` are a registered name or an IPv4 address; 0: none. */
static size_t read_name(struct bytes text)
{
	size_t i = 0;

	while (i < text.len) {
		if (text.data[i] == '%' && text.len - i > 2 &&
		    parse_hex_digit(text.data[i + 1]) >= 0 &&
		    parse_hex_digit(text.data[i + 2]) >= 0)
			i += 3;
		else if ((places[text.data[i]] & IN_HOST) != 0)
			i++;
		else
			break;
	}
	return i;
}

struct bytes http_host_name(struct bytes host)
{
	bool is_literal = host.len > 0 && host.data[0] == '[';
	size_t len = is_literal ? read_ip_literal(host) : read_name(host);
	struct bytes port = bytes_skip(host, len);

	if (port.len > 0 && port.data[0] != ':')
		return (struct bytes){0};
	for (size_t i = 1; i < port.len; i++)
		if (!is_digit(port.data[i]))
			return (struct bytes){0};
	return bytes_from(host.data, len);
}

/* ---- the request line ---- */

static enum http_method method_of(struct bytes method)
{
	static const char *const names[] = {
		[METHOD_GET] = "GET", [METHOD_HEAD] = "HEAD",     [METHOD_POST] = "POST",
		[METHOD_PUT] = "PUT", [METHOD_DELETE] = "DELETE",
	};

	_Static_assert(ARRAY_SIZE(names) == METHOD_OTHER, "a method has no name");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (bytes_equal(method, bytes_from_text(names[i])))
			return (enum http_method)i;
	return METHOD_OTHER;
}

/* RFC 9112, section 2.3: "HTTP/", a digit, ".", a digit. */
static bool is_version(struct bytes text)
{
	return text.len == strlen("HTTP/1.1") && bytes_begin_with(text, BYTES("HTTP/")) &&
	       is_digit(text.data[5]) && text.data[6] == '.' && is_digit(text.data[7]);
}

static enum http_head_found read_request_line(struct http_head *head, struct bytes input,
					      struct bytes line)
{
	struct bytes rest = line, method = {0}, target = {0};

	if (line.len == 0 && head->line == 0)
		return HTTP_HEAD_MORE; /* one empty line may stand before: section 2.2 */
	if (!consists_of(line, IN_VALUE))
		return refuse(head, 400, "the request line has a character that may not be there");
	if (!bytes_next_item(&rest, ' ', &method) || !bytes_next_item(&rest, ' ', &target) ||
	    rest.data == NULL || target.len == 0 || !is_version(rest))
		return refuse(head, 400,
			      "the request line is not a method, a target and HTTP/1.1 with one "
			      "space between them");
	if (!http_is_token(method))
		return refuse(head, 400, "the method has a character that may not be there");
	if (rest.data[5] != '1' || rest.data[7] > '1')
		return refuse(head, 505, "the version is not HTTP/1.1 or HTTP/1.0");
	if (!consists_of(target, IN_TARGET))
		return refuse(head, 400, "the target has a character that may not be there");
	head->method = method_of(method);
	head->method_at = (size_t)(method.data - input.data);
	head->method_len = method.len;
	head->is_http_1_0 = rest.data[7] == '0';
	head->target = (size_t)(target.data - input.data);
	head->target_len = target.len;
	head->has_request_line = true;
	return HTTP_HEAD_MORE;
}

/* ---- fields ---- */

static enum http_head_found read_host(struct http_head *head, struct bytes input,
				      struct bytes value)
{
	if (head->has_host)
		return refuse(head, 400, "Host: the field is given twice");
	if (http_host_name(value).len == 0)
		return refuse(head, 400, "Host: the value is not a host");
	head->has_host = true;
	head->host_at = (size_t)(value.data - input.data);
	head->host_len = value.len;
	return HTTP_HEAD_MORE;
}

static bool is_number(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_digit(text.data[i]))
			return false;
	return text.len > 0;
}

static enum http_head_found read_length(struct http_head *head, struct bytes value)
{
	if (head->has_length)
		return refuse(head, 400, "Content-Length: the field is given twice");
	if (!is_number(value))
		return refuse(head, 400, "Content-Length: the value is not a number");
	if (!parse_whole(value, UINT64_MAX, &head->length))
		head->length = UINT64_MAX;
	head->has_length = true;
	return HTTP_HEAD_MORE;
}

static enum http_head_found read_encoding(struct http_head *head, struct bytes value)
{
	if (head->is_chunked)
		return refuse(head, 400, "Transfer-Encoding: the field is given twice");
	if (!bytes_equal_in_any_case(value, BYTES("chunked")))
		return refuse(head, 400, "Transfer-Encoding: the value is not chunked");
	if (head->is_http_1_0)
		return refuse(head, 400, "Transfer-Encoding: HTTP/1.0 does not have it");
	head->is_chunked = true;
	return HTTP_HEAD_MORE;
}

static enum http_head_found read_connection(struct http_head *head, struct bytes value)
{
	struct bytes option;

	while (bytes_next_item(&value, ',', &option)) {
		option = bytes_trim(option);
		head->wants_close |= bytes_equal_in_any_case(option, BYTES("close"));
		head->wants_keep_alive |= bytes_equal_in_any_case(option, BYTES("keep-alive"));
	}
	return HTTP_HEAD_MORE;
}

/* What the reader itself has to know. Told apart by length first: every field comes here. */
static enum http_head_found judge_field(struct http_head *head, struct bytes input,
					struct bytes name, struct bytes value)
{
	switch (name.len) {
	case 4:
		return bytes_equal_in_any_case(name, BYTES("Host")) ? read_host(head, input, value)
								    : HTTP_HEAD_MORE;
	case 6:
		if (bytes_equal_in_any_case(name, BYTES("Expect")))
			head->expects_continue |=
				bytes_equal_in_any_case(value, BYTES("100-continue"));
		return HTTP_HEAD_MORE;
	case 10:
		return bytes_equal_in_any_case(name, BYTES("Connection"))
			       ? read_connection(head, value)
			       : HTTP_HEAD_MORE;
	case 14:
		return bytes_equal_in_any_case(name, BYTES("Content-Length"))
			       ? read_length(head, value)
			       : HTTP_HEAD_MORE;
	case 17:
		return bytes_equal_in_any_case(name, BYTES("Transfer-Encoding"))
			       ? read_encoding(head, value)
			       : HTTP_HEAD_MORE;
	default:
		return HTTP_HEAD_MORE;
	}
}

const char *http_split_field(struct bytes line, struct bytes *ret_name, struct bytes *ret_value)
{
	size_t name_len = 0;

	while (name_len < line.len && (places[line.data[name_len]] & IN_TOKEN) != 0)
		name_len++;
	if (name_len == 0 || name_len == line.len || line.data[name_len] != ':')
		return "a line of the header is not a field: a name, a colon, a value";
	struct bytes value = bytes_skip(line, name_len + 1);
	if (!consists_of(value, IN_VALUE))
		return "a header field has a control character";
	*ret_name = bytes_from(line.data, name_len);
	*ret_value = bytes_trim(value);
	return NULL;
}

static enum http_head_found read_field(struct http_head *head, struct bytes input,
				       struct bytes line)
{
	struct bytes name, value;
	const char *why = http_split_field(line, &name, &value);

	return why != NULL ? refuse(head, 400, why) : judge_field(head, input, name, value);
}

bool http_head_next_field(struct bytes *fields, struct bytes *ret_name, struct bytes *ret_value)
{
	struct bytes line = {0};

	if (fields->len == 0)
		return false;
	(void)bytes_next_item(fields, '\n', &line);
	line.len--; /* the CR; what is in `fields` was judged by read_field */
	(void)bytes_next_item(&line, ':', ret_name);
	*ret_value = bytes_trim(line);
	return true;
}

bool http_head_find(const struct http_head *head, struct bytes name, struct bytes *ret_value)
{
	struct bytes fields = head->fields, line = {0};

	/* A name has no colon in it, so one look tells most lines apart. */
	while (fields.len > 0) {
		(void)bytes_next_item(&fields, '\n', &line);
		if (line.len > name.len && line.data[name.len] == ':' &&
		    bytes_equal_in_any_case(bytes_from(line.data, name.len), name)) {
			line.len--; /* the CR */
			*ret_value = bytes_trim(bytes_skip(line, name.len + 1));
			return true;
		}
	}
	return false;
}

/* ---- the head ---- */

static struct bytes skip_scheme(struct bytes target)
{
	static const char *const schemes[] = {"http://", "https://"};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		struct bytes scheme = bytes_from_text(schemes[i]);
		if (target.len >= scheme.len &&
		    bytes_equal_in_any_case(bytes_from(target.data, scheme.len), scheme))
			return bytes_skip(target, scheme.len);
	}
	return (struct bytes){0};
}

/*
 * "http://host/path" is as good as "/path" with "Host: host" (RFC 9112, section 3.2.2). Where the
 * two hosts differ, readers differ in which of them counts. Returns false when it is refused.
 */
static bool strip_authority(const struct http_head *head, struct bytes *target)
{
	struct bytes rest = skip_scheme(*target);
	size_t len = 0;

	if (rest.data == NULL)
		return target->data[0] == '/' || bytes_equal(*target, BYTES("*"));
	while (len < rest.len && rest.data[len] != '/' && rest.data[len] != '?')
		len++;
	struct bytes authority = bytes_from(rest.data, len);
	*target = bytes_skip(rest, len);
	return http_host_name(authority).len > 0 &&
	       (!head->has_host || bytes_equal_in_any_case(authority, head->host));
}

static void split_at_mark(struct http_head *head, struct bytes target)
{
	const uint8_t *mark = target.len == 0 ? NULL : memchr(target.data, '?', target.len);
	size_t path_len = mark == NULL ? target.len : (size_t)(mark - target.data);

	head->path = path_len == 0 ? BYTES("/") : bytes_from(target.data, path_len);
	head->query = mark == NULL ? BYTES("") : bytes_skip(target, path_len + 1);
}

static enum http_head_found split_target(struct http_head *head, struct bytes target)
{
	if (!strip_authority(head, &target))
		return refuse(head, 400,
			      "the target is neither a path nor the http:// URL of the host");
	split_at_mark(head, target);
	return HTTP_HEAD_DONE;
}

/* All lines are there, and `end` is where the empty one begins. */
static enum http_head_found judge_head(struct http_head *head, struct bytes input, size_t end)
{
	if (!head->has_host && !head->is_http_1_0)
		return refuse(head, 400, "Host: the field is missing");
	if (head->has_length && head->is_chunked)
		return refuse(head, 400, "Content-Length together with Transfer-Encoding");
	head->method_name = bytes_from(input.data + head->method_at, head->method_len);
	head->host = bytes_from(input.data + head->host_at, head->host_len);
	head->fields = bytes_from(input.data + head->first_field, end - head->first_field);
	return split_target(head, bytes_from(input.data + head->target, head->target_len));
}

/*
 * The target as far as the request line has come, good or not: what follows the method and one
 * space. Its end is not looked for.
 */
static struct bytes begun_target(const struct http_head *head, struct bytes input)
{
	struct bytes line =
		bytes_skip(input, head->has_request_line ? head->method_at : head->line);
	size_t method_len = 0;

	while (method_len < line.len && (places[line.data[method_len]] & IN_TOKEN) != 0)
		method_len++;
	if (method_len == line.len || line.data[method_len] != ' ')
		return (struct bytes){0};
	return bytes_skip(line, method_len + 1);
}

static bool is_for_auth(const struct http_head *head, struct bytes input)
{
	struct bytes target = begun_target(head, input), path = BYTES(HTTP_AUTH_PATH);

	return bytes_begin_with(target, path) && target.len > path.len &&
	       (target.data[path.len] == '?' || target.data[path.len] == ' ');
}

/* How many bytes of the input the request line, or the whole head, may have. */
static size_t bound_of(const struct http_head *head, struct bytes input)
{
	if (input.len < HTTP_HEADER_MAX || !is_for_auth(head, input))
		return HTTP_HEADER_MAX;
	return head->has_request_line ? head->first_field + HTTP_AUTH_FIELDS_MAX
				      : head->line + HTTP_AUTH_LINE_MAX;
}

static enum http_head_found refuse_length(struct http_head *head, bool is_auth)
{
	if (head->has_request_line)
		return refuse(head, 431,
			      is_auth ? "the header fields are larger than 32 KiB"
				      : "the header is larger than 12 KiB");
	return refuse(head, 414,
		      is_auth ? "the request line is longer than 32 KiB"
			      : "the request line is longer than 12 KiB");
}

/* So that whoever answers knows what was asked for. */
static void name_refused(struct http_head *head, struct bytes input)
{
	struct bytes rest = begun_target(head, input);
	size_t len = 0;

	while (len < rest.len && (places[rest.data[len]] & IN_TARGET) != 0)
		len++;
	split_at_mark(head, bytes_from(rest.data, len));
}

/* The line from `begin` to its LF at `end`. */
static enum http_head_found read_line(struct http_head *head, struct bytes input, size_t begin,
				      size_t end)
{
	if (end == begin || input.data[end - 1] != '\r')
		return refuse(head, 400, "a line ends with LF alone, not with CR LF");
	struct bytes line = bytes_from(input.data + begin, end - 1 - begin);
	if (!head->has_request_line) {
		enum http_head_found found = read_request_line(head, input, line);
		head->first_field = end + 1;
		return found;
	}
	if (line.len > 0)
		return read_field(head, input, line);
	head->len = end + 1;
	return judge_head(head, input, begin);
}

enum http_head_found http_head_read(struct http_head *head, struct bytes input)
{
	enum http_head_found found = HTTP_HEAD_MORE;

	while (found == HTTP_HEAD_MORE) {
		size_t bound = bound_of(head, input);
		size_t max = least_size(input.len, bound);
		const uint8_t *lf =
			head->seen == max ? NULL
					  : memchr(input.data + head->seen, '\n', max - head->seen);
		if (lf == NULL) {
			head->seen = max;
			if (max < bound)
				return HTTP_HEAD_MORE;
			found = refuse_length(head, bound != HTTP_HEADER_MAX);
			break;
		}
		size_t end = (size_t)(lf - input.data);
		found = read_line(head, input, head->line, end);
		if (found == HTTP_HEAD_MORE)
			head->line = head->seen = end + 1;
	}
	if (found == HTTP_HEAD_BAD)
		name_refused(head, input);
	return found;
}
