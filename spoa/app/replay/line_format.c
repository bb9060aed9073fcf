#include "app/replay/line_format.h"

#include <string.h>

#include "base/writer.h"

struct flags {
	bool is_quoted, is_hex, is_escaped;
};

struct reader {
	struct line_format *format;
	struct bytes rest;    /* of the text */
	struct flags flags;   /* of all fields that follow, set by %{+Q}o */
	struct writer pieces; /* the texts of the pieces, behind the format itself */
};

/* ---- the quoting of the configuration ---- */

/* Whether quotes stand around the whole text, and none but escaped ones within. */
static bool is_in_quotes(struct bytes text)
{
	uint8_t quote = text.len >= 2 ? text.data[0] : 0;

	if ((quote != '"' && quote != '\'') || text.data[text.len - 1] != quote)
		return false;
	for (size_t i = 1; i + 1 < text.len; i++)
		if (text.data[i] == quote && text.data[i - 1] != '\\')
			return false;
	return true;
}

/* HAProxy's parser of words: `\ ` is a space, `\"` a quote; quotes around the whole are dropped. */
static struct bytes unquote(struct bytes text, char *memory, size_t max)
{
	struct writer w = writer_on(memory, max);

	if (is_in_quotes(text))
		text = bytes_from(text.data + 1, text.len - 2);
	for (; text.len > 0; text = bytes_skip(text, 1)) {
		bool is_escape = text.data[0] == '\\' && text.len > 1 &&
				 strchr(" \"'\\#", text.data[1]) != NULL;
		if (is_escape)
			text = bytes_skip(text, 1);
		writer_put_u8(&w, text.data[0]);
	}
	return writer_bytes(&w);
}

/* ---- a field: %name, %{flags}name, %(name)name, %{flags}[expression] ---- */

static bool refuse_at(struct bytes at, const char *why, struct err *err)
{
	return err_set(err, "%s at %s", why, quoted(at).text);
}

/* What stands between the bracket that the text begins with and its partner. */
static bool cut_bracket(struct bytes *rest, char close, struct bytes *ret_inner)
{
	const uint8_t *end = memchr(rest->data, close, rest->len);

	if (end == NULL)
		return false;
	*ret_inner = bytes_from(rest->data + 1, (size_t)(end - rest->data) - 1);
	*rest = bytes_skip(*rest, ret_inner->len + 2);
	return true;
}

/* An expression ends at the bracket that is in no round brackets, such as those of a regex. */
static bool cut_expression(struct bytes *rest, struct bytes *ret_inner)
{
	size_t depth = 0;

	for (size_t i = 1; i < rest->len; i++) {
		uint8_t byte = rest->data[i];
		depth += byte == '(';
		depth -= byte == ')' && depth > 0;
		if (byte != ']' || depth > 0)
			continue;
		*ret_inner = bytes_from(rest->data + 1, i - 1);
		*rest = bytes_skip(*rest, i + 1);
		return true;
	}
	return false;
}

static bool set_flag(struct flags *flags, struct bytes flag, bool is_on)
{
	if (bytes_equal(flag, BYTES("Q")))
		flags->is_quoted = is_on;
	else if (bytes_equal(flag, BYTES("X")))
		flags->is_hex = is_on;
	else if (bytes_equal(flag, BYTES("E")))
		flags->is_escaped = is_on;
	else
		return bytes_equal(flag, BYTES("M"));
	return true;
}

/* "+Q,-X", also written "+Q-X". */
static bool read_flags(struct bytes text, struct flags *flags, struct err *err)
{
	while (text.len > 0) {
		size_t end = 1;
		while (end < text.len && strchr("+-,", text.data[end]) == NULL)
			end++;
		struct bytes flag = bytes_from(text.data, end);
		bool has_sign = flag.data[0] == '+' || flag.data[0] == '-';
		if (flag.data[0] != ',' &&
		    (!has_sign || !set_flag(flags, bytes_skip(flag, 1), flag.data[0] == '+')))
			return err_set(err,
				       "the flag %s is not read; accepted are Q, X and E with + or "
				       "- before",
				       quoted(flag).text);
		text = bytes_skip(text, end);
	}
	return true;
}

static bool is_alphanumeric(uint8_t byte)
{
	return (byte >= '0' && byte <= '9') || (byte_lower(byte) >= 'a' && byte_lower(byte) <= 'z');
}

static struct bytes cut_name(struct bytes *rest)
{
	size_t len = 0;

	while (len < rest->len && is_alphanumeric(rest->data[len]))
		len++;
	struct bytes name = bytes_from(rest->data, len);
	*rest = bytes_skip(*rest, len);
	return name;
}

static void note_unknown(struct line_format *format, struct bytes expression)
{
	if (format->unknown_count < LINE_UNKNOWN_MAX)
		format->unknown[format->unknown_count] = expression;
	format->unknown_count++;
}

static bool read_field(struct reader *reader, struct bytes at, struct line_field *ret_field,
		       struct err *err)
{
	struct bytes name;

	if (bytes_begin_with(reader->rest, BYTES("["))) {
		if (!cut_expression(&reader->rest, &name))
			return refuse_at(at, "the bracket ] is missing", err);
		*ret_field = line_field_of_expression(name);
		if (ret_field->is_unknown)
			note_unknown(reader->format, name);
		return true;
	}
	name = cut_name(&reader->rest);
	if (line_field_find(name, ret_field))
		return true;
	at.len -= reader->rest.len;
	return err_set(err, "%s is not known as a variable of HAProxy's log-format",
		       quoted(at).text);
}

/* ---- pieces ---- */

/* Begins the next piece; its text follows what was put before. */
static bool add_piece(struct reader *reader, struct line_piece piece, size_t text_at,
		      struct err *err)
{
	struct line_format *format = reader->format;

	if (format->count == LINE_PIECES_MAX)
		return err_set(err, "it has more than %d fields", LINE_PIECES_MAX - 1);
	piece.text = bytes_skip(writer_bytes(&reader->pieces), text_at);
	format->pieces[format->count++] = piece;
	return true;
}

/*
 * Some neighbours are one field. "%ci:%cp": in 2001:db8::1:4711 nothing but the last colon tells
 * where the address ends. "%HP%HQ": the question mark between them is the query's. "%CC %CS": both
 * may have spaces, and neither means anything to a replay.
 */
static bool join_last(struct line_format *format, const struct line_piece *piece, struct bytes name,
		      struct bytes between)
{
	struct line_piece *last = format->count > 0 ? &format->pieces[format->count - 1] : NULL;

	if (last == NULL || last->is_hex || last->is_quoted || piece->is_hex || piece->is_quoted)
		return false;
	if (last->field.meaning == LINE_SRC && bytes_equal(name, BYTES("cp")) &&
	    bytes_equal(between, BYTES(":"))) {
		last->field.meaning = LINE_CLIENT;
		return true;
	}
	if (last->field.meaning == LINE_PATH && piece->field.meaning == LINE_QUERY &&
	    between.len == 0) {
		last->field.meaning = LINE_URI;
		return true;
	}
	if (last->field.shape != LINE_COOKIE || last->is_pair ||
	    piece->field.shape != LINE_COOKIE || !bytes_equal(between, BYTES(" ")))
		return false;
	last->is_pair = true;
	return true;
}

static bool read_flags_of_field(struct reader *reader, struct bytes at, struct flags *flags,
				struct err *err)
{
	struct bytes inner;

	if (bytes_begin_with(reader->rest, BYTES("("))) /* a name for JSON, with HAProxy 3.0 */
		if (!cut_bracket(&reader->rest, ')', &inner))
			return refuse_at(at, "the bracket ) is missing", err);
	if (!bytes_begin_with(reader->rest, BYTES("{")))
		return true;
	if (!cut_bracket(&reader->rest, '}', &inner))
		return refuse_at(at, "the bracket } is missing", err);
	return read_flags(inner, flags, err);
}

/* "%%", or "%{+Q}o", which sets the flags of what follows. */
static bool read_no_field(struct reader *reader, const struct flags *flags)
{
	bool is_global = bytes_begin_with(reader->rest, BYTES("o")) &&
			 (reader->rest.len == 1 || !is_alphanumeric(reader->rest.data[1]));

	if (is_global)
		reader->flags = *flags;
	else if (bytes_begin_with(reader->rest, BYTES("%")))
		writer_put_u8(&reader->pieces, '%');
	else
		return false;
	reader->rest = bytes_skip(reader->rest, 1);
	return true;
}

/* The rest begins with a percent sign. *text_at is where the text before the field begins. */
static bool read_percent(struct reader *reader, size_t *text_at, struct err *err)
{
	struct bytes at = reader->rest, name;
	struct flags flags = reader->flags;
	struct line_field field;

	reader->rest = bytes_skip(reader->rest, 1);
	if (!read_flags_of_field(reader, at, &flags, err))
		return false;
	if (read_no_field(reader, &flags))
		return true;
	name = reader->rest;
	if (!read_field(reader, at, &field, err))
		return false;
	name.len -= reader->rest.len;
	const struct line_piece piece = {
		.field = field,
		.is_quoted = flags.is_quoted,
		.is_hex = flags.is_hex,
		.is_escaped = flags.is_escaped,
	};
	struct bytes between = bytes_skip(writer_bytes(&reader->pieces), *text_at);
	if (!join_last(reader->format, &piece, name, between) &&
	    !add_piece(reader, piece, *text_at, err))
		return false;
	*text_at = reader->pieces.len;
	return true;
}

/* HAProxy writes one space where several stand, and none at the begin. */
static void read_character(struct reader *reader, size_t text_at)
{
	uint8_t byte = reader->rest.data[0];
	bool is_first = reader->format->count == 0 && reader->pieces.len == 0;
	bool is_second =
		reader->pieces.len > text_at && reader->pieces.data[reader->pieces.len - 1] == ' ';

	if (byte != ' ' || (!is_first && !is_second))
		writer_put_u8(&reader->pieces, byte);
	reader->rest = bytes_skip(reader->rest, 1);
}

static bool read_pieces(struct reader *reader, struct err *err)
{
	size_t text_at = 0;

	while (reader->rest.len > 0)
		if (reader->rest.data[0] != '%')
			read_character(reader, text_at);
		else if (!read_percent(reader, &text_at, err))
			return false;
	return add_piece(reader, (struct line_piece){.field = {.shape = LINE_END}}, text_at, err);
}

/* ---- the whole ---- */

static void note_times(struct line_format *format)
{
	enum line_meaning best = LINE_NOTHING;

	format->time = format->ms = format->took = format->count;
	for (size_t i = 0; i < format->count; i++) {
		enum line_meaning meaning = format->pieces[i].field.meaning;
		if (meaning == LINE_MS)
			format->ms = i;
		if (meaning == LINE_TOOK)
			format->took = i;
		if (!line_meaning_is_time(meaning) || meaning <= best)
			continue;
		best = meaning;
		format->time = i;
	}
}

bool line_format_read(struct bytes text, struct line_format *format, struct err *err)
{
	format->count = format->unknown_count = 0;
	format->has_tail = false;
	if (text.len > LINE_FORMAT_MAX)
		return err_set(err, "it is longer than %d bytes", LINE_FORMAT_MAX);
	struct reader reader = {
		.format = format,
		.rest = unquote(text, format->text, sizeof format->text),
		.pieces = writer_on(format->pieces_text, sizeof format->pieces_text),
	};
	if (!read_pieces(&reader, err))
		return false;
	note_times(format);
	return format->time < format->count ||
	       err_set(err, "it has no time of the request, such as %%tr, %%t or %%[date(0,ms)]");
}
