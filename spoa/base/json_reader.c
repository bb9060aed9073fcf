#include "base/json_reader.h"

#include "base/parse.h"
#include "base/utf8.h"

/* ---- is it JSON? ---- */

struct reader {
	struct bytes rest;
	const char *why; /* what is wrong at the beginning of `rest` */
};

static bool refuse(struct reader *r, const char *why)
{
	r->why = why;
	return false;
}

static bool next_is(const struct reader *r, char c)
{
	return r->rest.len > 0 && r->rest.data[0] == (uint8_t)c;
}

/* Steps over the character if it is the next one. */
static bool skip_char(struct reader *r, char c)
{
	if (!next_is(r, c))
		return false;
	r->rest = bytes_skip(r->rest, 1);
	return true;
}

static struct bytes skip_space(struct bytes text)
{
	while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t' ||
				text.data[0] == '\n' || text.data[0] == '\r'))
		text = bytes_skip(text, 1);
	return text;
}

static bool read_literal(struct reader *r, struct bytes literal)
{
	if (!bytes_begin_with(r->rest, literal))
		return refuse(r, "not JSON");
	r->rest = bytes_skip(r->rest, literal.len);
	return true;
}

static bool read_digits(struct reader *r)
{
	size_t count = 0;

	while (count < r->rest.len && r->rest.data[count] >= '0' && r->rest.data[count] <= '9')
		count++;
	r->rest = bytes_skip(r->rest, count);
	return count > 0 || refuse(r, "not JSON");
}

static bool read_number(struct reader *r)
{
	(void)skip_char(r, '-');
	if (!skip_char(r, '0') && !read_digits(r))
		return false;
	if (skip_char(r, '.') && !read_digits(r))
		return false;
	if (!skip_char(r, 'e') && !skip_char(r, 'E'))
		return true;
	if (!skip_char(r, '+'))
		(void)skip_char(r, '-');
	return read_digits(r);
}

/* The number of four hexadecimal digits; -1 when the text does not begin with four. */
static int32_t read_hex4(struct bytes text)
{
	int32_t code = 0;

	if (text.len < 4)
		return -1;
	for (size_t i = 0; i < 4; i++) {
		int digit = parse_hex_digit(text.data[i]);
		if (digit < 0)
			return -1;
		code = code * 16 + digit;
	}
	return code;
}

static bool is_surrogate(int32_t code, int32_t first)
{
	return code >= first && code < first + 0x400;
}

/*
 * The character of the \u escape at the front, and the length of the escape; -1 when there is none.
 * A character above U+FFFF is a pair of escapes (RFC 8259 section 7), which are read as one.
 */
static int32_t read_unicode_escape(struct bytes text, size_t *ret_len)
{
	if (!bytes_begin_with(text, BYTES("\\u")))
		return -1;
	int32_t code = read_hex4(bytes_skip(text, 2));
	*ret_len = 6;
	if (is_surrogate(code, 0xdc00))
		return -1;
	if (!is_surrogate(code, 0xd800))
		return code;
	struct bytes behind = bytes_skip(text, 6);
	int32_t low =
		bytes_begin_with(behind, BYTES("\\u")) ? read_hex4(bytes_skip(behind, 2)) : -1;
	*ret_len = 12;
	return is_surrogate(low, 0xdc00) ? 0x10000 + (code - 0xd800) * 0x400 + low - 0xdc00 : -1;
}

/* The character that an escape of one letter stands for; 0 when there is no such escape. */
static uint8_t unescape(uint8_t letter)
{
	static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const char *found = letter == '\0' ? NULL : strchr(letters, letter);

	return found == NULL ? 0 : (uint8_t)meant[found - letters];
}

static bool read_escape(struct reader *r)
{
	size_t len = 2;

	if (r->rest.len >= 2 && unescape(r->rest.data[1]) == 0) {
		int32_t code = read_unicode_escape(r->rest, &len);
		if (code == 0)
			return refuse(r, "a NUL character");
		if (code < 0)
			return refuse(r, "not an escape");
	}
	if (r->rest.len < len)
		return refuse(r, "not JSON");
	r->rest = bytes_skip(r->rest, len);
	return true;
}

static bool read_character(struct reader *r)
{
	size_t len = utf8_length(r->rest);

	if (len == 0)
		return refuse(r, "invalid UTF-8");
	if (r->rest.data[0] == '\0')
		return refuse(r, "a NUL character");
	if (r->rest.data[0] < 0x20)
		return refuse(r, "a control character in a string");
	r->rest = bytes_skip(r->rest, len);
	return true;
}

static bool read_string(struct reader *r)
{
	if (!skip_char(r, '"'))
		return refuse(r, "not JSON");
	while (!skip_char(r, '"')) {
		if (r->rest.len == 0)
			return refuse(r, "not JSON");
		if (next_is(r, '\\') ? !read_escape(r) : !read_character(r))
			return false;
	}
	return true;
}

static bool read_value(struct reader *r, unsigned depth);

static bool read_name(struct reader *r)
{
	r->rest = skip_space(r->rest);
	if (!read_string(r))
		return false;
	r->rest = skip_space(r->rest);
	return skip_char(r, ':') || refuse(r, "not JSON");
}

/* The rest of a list or an object, after its opening bracket. */
static bool read_members(struct reader *r, char end, unsigned depth)
{
	if (depth > JSON_DEPTH_MAX)
		return refuse(r, "nested too deeply");
	r->rest = skip_space(r->rest);
	if (skip_char(r, end))
		return true;
	do {
		if ((end == '}' && !read_name(r)) || !read_value(r, depth))
			return false;
	} while (skip_char(r, ','));
	return skip_char(r, end) || refuse(r, "not JSON");
}

/* A value with the space around it. The nesting of calls is bounded by JSON_DEPTH_MAX. */
static bool read_value(struct reader *r, unsigned depth)
{
	bool is_good;

	r->rest = skip_space(r->rest);
	if (next_is(r, '"'))
		is_good = read_string(r);
	else if (skip_char(r, '{'))
		is_good = read_members(r, '}', depth + 1);
	else if (skip_char(r, '['))
		is_good = read_members(r, ']', depth + 1);
	else if (next_is(r, 't'))
		is_good = read_literal(r, BYTES("true"));
	else if (next_is(r, 'f'))
		is_good = read_literal(r, BYTES("false"));
	else if (next_is(r, 'n'))
		is_good = read_literal(r, BYTES("null"));
	else
		is_good = read_number(r);
	r->rest = skip_space(r->rest);
	return is_good;
}

/*
 * ---- the walk ----
 *
 * The text has no fault: every string, list and object ends within it. So these functions look for
 * the end of a value without a bound.
 */

/* The length of the string whose opening quote stands before `text`. */
static size_t string_length(struct bytes text)
{
	size_t len = 0;

	while (text.data[len] != '"')
		len += text.data[len] == '\\' ? 2 : 1;
	return len;
}

/* The same of a list or an object. Brackets in strings don't count. */
static size_t container_length(struct bytes text)
{
	size_t len = 0;

	for (unsigned open = 1;; len++) {
		uint8_t c = text.data[len];
		if (c == '"')
			len += 1 + string_length(bytes_skip(text, len + 1));
		open += c == '{' || c == '[';
		open -= c == '}' || c == ']';
		if (open == 0)
			return len;
	}
}

static size_t word_length(struct bytes text)
{
	size_t len = 0;

	while (len < text.len && strchr(",]} \t\r\n", text.data[len]) == NULL)
		len++;
	return len;
}

/* Cuts the value at the front of `from` off, with the space around it. */
static struct json_value cut_value(struct bytes *from)
{
	struct bytes text = skip_space(*from);
	struct bytes inside = bytes_skip(text, 1);
	struct json_value value = {.kind = JSON_NUMBER};
	size_t quotes = 2;

	if (text.data[0] == '"') {
		value = (struct json_value){JSON_STRING,
					    bytes_from(inside.data, string_length(inside))};
	} else if (text.data[0] == '{' || text.data[0] == '[') {
		value.kind = text.data[0] == '{' ? JSON_OBJECT : JSON_ARRAY;
		value.text = bytes_from(inside.data, container_length(inside));
	} else {
		if (text.data[0] == 'n')
			value.kind = JSON_NULL;
		else if (text.data[0] == 't' || text.data[0] == 'f')
			value.kind = text.data[0] == 't' ? JSON_TRUE : JSON_FALSE;
		value.text = bytes_from(text.data, word_length(text));
		quotes = 0;
	}
	*from = skip_space(bytes_skip(text, value.text.len + quotes));
	return value;
}

/*
 * What editors put in front of a text, and nobody sees. RFC 8259, section 8.1, forbids to send one;
 * NULL when there is none.
 */
static const char *find_byte_order_mark(struct bytes text)
{
	if (bytes_begin_with(text, BYTES("\xef\xbb\xbf")))
		return "a byte order mark (BOM), which is not JSON; accepted is UTF-8 without one";
	if (bytes_begin_with(text, BYTES("\xff\xfe")) || bytes_begin_with(text, BYTES("\xfe\xff")))
		return "a byte order mark (BOM) of UTF-16, which is not JSON; accepted is UTF-8 "
		       "without one";
	return NULL;
}

const char *json_find_fault(struct bytes text, size_t *ret_at)
{
	struct reader r = {.rest = text};
	const char *mark = find_byte_order_mark(text);

	if (mark != NULL) {
		*ret_at = 0;
		return mark;
	}
	if (read_value(&r, 0) && (r.rest.len == 0 || refuse(&r, "not JSON")))
		return NULL;
	*ret_at = text.len - r.rest.len;
	return next_is(&r, '\0') ? "a NUL character" : r.why;
}

struct json_value json_root(struct bytes text)
{
	return cut_value(&text);
}

bool json_read(struct bytes text, struct json_value *ret_root, struct err *err)
{
	size_t at;
	const char *why = json_find_fault(text, &at);

	if (why != NULL)
		return err_set(err, "%s, at byte %zu", why, at);
	*ret_root = json_root(text);
	return true;
}

/* The comma after a value that was cut off. */
static void skip_comma(struct bytes *rest)
{
	if (rest->len > 0)
		*rest = bytes_skip(*rest, 1);
}

bool json_next_field(struct json_value *object, struct json_value *ret_name,
		     struct json_value *ret_value)
{
	object->text = skip_space(object->text);
	if (object->text.len == 0)
		return false;
	*ret_name = cut_value(&object->text);
	object->text = bytes_skip(object->text, 1); /* the colon */
	*ret_value = cut_value(&object->text);
	skip_comma(&object->text);
	return true;
}

bool json_next_item(struct json_value *array, struct json_value *ret_item)
{
	array->text = skip_space(array->text);
	if (array->text.len == 0)
		return false;
	*ret_item = cut_value(&array->text);
	skip_comma(&array->text);
	return true;
}

struct bytes json_string(const struct json_value *string, struct writer *memory)
{
	struct bytes rest = string->text;
	size_t begin = memory->len, len;

	if (rest.len == 0 || memchr(rest.data, '\\', rest.len) == NULL)
		return rest;
	for (; rest.len > 0; rest = bytes_skip(rest, len)) {
		len = rest.data[0] == '\\' ? 2 : 1;
		if (len == 1)
			writer_put_u8(memory, rest.data[0]);
		else if (rest.data[1] != 'u')
			writer_put_u8(memory, unescape(rest.data[1]));
		else
			utf8_put(memory, (uint32_t)read_unicode_escape(rest, &len));
	}
	ASSERT(!memory->full);
	return bytes_from(memory->data + begin, memory->len - begin);
}
