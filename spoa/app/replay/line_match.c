/*
 * A format is a list of pieces: a text that must stand there, then a field. Most fields end by
 * themselves (digits, a date, a word). A text that may have any characters ends where the text of
 * the next piece stands, and there may be several such places, since clients choose what stands in
 * captured headers and cookies. The first place by which all pieces to the end fit is taken:
 *
 *     format   {%[capture.req.hdr(0)]} %ST          pieces  "{" TEXT, "} " NUMBER, end
 *     line     {a} b} 200                           "a" does not fit: "b} 200" is no number
 *                                                   "a} b" fits
 *
 * Trying all places could take very long for a line that somebody made for that purpose. So each
 * line has a budget of steps: what fits has been found long before, and a line that uses it up is
 * none of the format.
 *
 * A line that HAProxy or syslog cut off ends within some piece, while all pieces before fit. The
 * furthest such piece is remembered.
 */
#include "app/replay/line_match.h"

#include <string.h>

#include "base/parse.h"

/* Of a line: each byte is looked at a few times, when the line is of the format. */
#define STEPS_PER_BYTE 16
#define STEPS_MIN      4096

struct match {
	const struct line_format *format;
	struct line_fields *fields; /* of a cut line the furthest that was found */
	struct bytes texts[LINE_PIECES_MAX];
	struct line_date date;
	size_t steps; /* that are left */
	bool is_cut;
};

static bool match_piece(struct match *match, size_t at, struct bytes rest, bool drops_space);

/* False when none is left. */
static bool count_step(struct match *match)
{
	if (match->steps == 0)
		return false;
	match->steps--;
	return true;
}

/* ---- the end of a line within a piece ---- */

/* All pieces before `at` fit, and `text` is all that is left. */
static void note_cut(struct match *match, size_t at, struct bytes text)
{
	if (match->is_cut && at < match->fields->count)
		return;
	match->is_cut = true;
	memcpy(match->fields->texts, match->texts, at * sizeof match->texts[0]);
	match->fields->texts[at] = text;
	match->fields->count = at + 1;
	match->fields->date = match->date;
}

/* ---- how far a field goes that ends by itself; 0 when it is none ---- */

static size_t span_digits(struct bytes text, bool is_hex)
{
	size_t sign = !is_hex && text.len > 0 && (text.data[0] == '-' || text.data[0] == '+');
	size_t len = sign;

	while (len < text.len && (is_hex ? parse_hex_digit(text.data[len]) >= 0
					 : text.data[len] >= '0' && text.data[len] <= '9'))
		len++;
	return len > sign ? len : 0;
}

static size_t span_state(struct bytes text, size_t len)
{
	if (text.len < len)
		return 0;
	for (size_t i = 0; i < len; i++)
		if (text.data[i] != '-' &&
		    (byte_lower(text.data[i]) < 'a' || byte_lower(text.data[i]) > 'z'))
			return 0;
	return len;
}

/* "{a|b}": a brace of a client is written as #7D. */
static size_t span_braces(struct bytes text)
{
	const uint8_t *end = text.len > 0 ? memchr(text.data, '}', text.len) : NULL;

	return end == NULL ? 0 : (size_t)(end - text.data) + 1;
}

/* `"a" "b"`: a quote of a client is written as #22. */
static size_t span_quoted_list(struct bytes text)
{
	size_t len = 0;

	while (len < text.len && text.data[len] == '"') {
		const uint8_t *end = memchr(text.data + len + 1, '"', text.len - len - 1);
		if (end == NULL)
			return len;
		len = (size_t)(end - text.data) + 1;
		if (len + 1 >= text.len || text.data[len] != ' ' || text.data[len + 1] != '"')
			return len;
		len++;
	}
	return len;
}

/*
 * In quotes, and the quote is followed by a space or by the end: the text has spaces only where
 * HAProxy put them, but a quote may stand in a path. Without the end, when it was cut off.
 */
static size_t span_request_line(struct bytes text)
{
	for (size_t i = 1; i < text.len; i++)
		if (text.data[i] == '"' && (i + 1 == text.len || text.data[i + 1] == ' '))
			return i + 1;
	return 0;
}

/* ---- pieces ---- */

static bool match_next(struct match *match, size_t at, struct bytes text, struct bytes rest)
{
	match->texts[at] = text;
	return match_piece(match, at + 1, rest, false);
}

/* A field of `len` bytes. When it is none, the line may have been cut off within it. */
static bool match_span(struct match *match, size_t at, struct bytes rest, size_t len)
{
	return len > 0 && match_next(match, at, bytes_from(rest.data, len), bytes_skip(rest, len));
}

static bool match_date(struct match *match, size_t at, struct bytes rest)
{
	struct line_date date;
	size_t len = line_date_read(rest, &date);

	if (at == match->format->time)
		match->date = date;
	return match_span(match, at, rest, len);
}

/* HAProxy leaves the field out, and one of the two spaces around it, when nothing is captured. */
static bool match_captured(struct match *match, size_t at, struct bytes rest, bool is_there,
			   size_t len)
{
	if (is_there && len == 0)
		note_cut(match, at, rest);
	if (is_there)
		return match_span(match, at, rest, len);
	match->texts[at] = bytes_from(NULL, 0);
	return match_piece(match, at + 1, rest, true);
}

static bool match_request_line(struct match *match, size_t at, struct bytes rest)
{
	size_t len = span_request_line(rest);

	if (!bytes_begin_with(rest, BYTES("\"")))
		return false;
	if (len > 0)
		return match_next(match, at, bytes_from(rest.data + 1, len - 2),
				  bytes_skip(rest, len));
	note_cut(match, at, bytes_skip(rest, 1));
	return false;
}

/* Whether the text of the piece stands at `from`. */
static bool stands_at(const struct line_piece *piece, struct bytes rest, size_t from)
{
	return bytes_begin_with(bytes_skip(rest, from), piece->text);
}

/* The last piece has no field behind: its text stands at the end of the line only. */
static bool match_last_text(struct match *match, size_t at, struct bytes rest, size_t min)
{
	struct bytes end = match->format->pieces[at + 1].text;

	if (match->format->has_tail || rest.len < end.len || rest.len - end.len < min)
		return false;
	size_t len = rest.len - end.len;
	return stands_at(&match->format->pieces[at + 1], rest, len) &&
	       match_next(match, at, bytes_from(rest.data, len), bytes_skip(rest, len));
}

/* A text that ends at the first place by which all later pieces fit. */
static bool match_text(struct match *match, size_t at, struct bytes rest)
{
	const struct line_format *format = match->format;
	const struct line_piece *piece = &format->pieces[at], *next = piece + 1;
	bool is_word = piece->field.shape == LINE_WORD;

	if (next->field.shape == LINE_END && !format->has_tail && !is_word)
		return match_last_text(match, at, rest, 0);
	for (size_t len = is_word; len <= rest.len && count_step(match); len++) {
		if (is_word && rest.data[len - 1] == ' ')
			return false;
		if (piece->is_escaped && len < rest.len && rest.data[len] == '\\')
			len++;
		else if (stands_at(next, rest, len) &&
			 match_next(match, at, bytes_from(rest.data, len), bytes_skip(rest, len)))
			return true;
	}
	note_cut(match, at, rest);
	return false;
}

/*
 * Cookies of clients have spaces and may imitate what stands behind them. The last place fits: what
 * stands behind has no such text of a client, as HAProxy writes quotes and braces there as #XX.
 */
static bool match_cookie(struct match *match, size_t at, struct bytes rest)
{
	const struct line_piece *piece = &match->format->pieces[at], *next = piece + 1;
	struct bytes none = piece->is_pair ? BYTES("- - ") : BYTES("- ");

	if (bytes_begin_with(rest, none))
		return match_span(match, at, rest, none.len - 1);
	for (size_t len = rest.len; len > 0 && count_step(match); len--)
		if (stands_at(next, rest, len) &&
		    match_next(match, at, bytes_from(rest.data, len), bytes_skip(rest, len)))
			return true;
	return false;
}

/* What stands between quotes, behind which the next piece stands. */
static bool match_quoted(struct match *match, size_t at, struct bytes rest)
{
	bool is_escaped = match->format->pieces[at].is_escaped;

	for (size_t i = 1; i < rest.len && count_step(match); i++)
		if (is_escaped && rest.data[i] == '\\')
			i++;
		else if (rest.data[i] == '"' &&
			 match_next(match, at, bytes_from(rest.data + 1, i - 1),
				    bytes_skip(rest, i + 1)))
			return true;
	note_cut(match, at, bytes_skip(rest, 1));
	return false;
}

static bool match_braces(struct match *match, size_t at, struct bytes rest)
{
	bool is_quoted =
		match->format->pieces[at].is_quoted && bytes_begin_with(rest, BYTES("\"{"));
	struct bytes braces = is_quoted ? bytes_skip(rest, 1) : rest;
	size_t len = span_braces(braces);
	bool is_there = bytes_begin_with(braces, BYTES("{"));

	if (!is_quoted || len == 0 || len == braces.len)
		return match_captured(match, at, rest, is_there && !is_quoted, len);
	return match_next(match, at, bytes_from(braces.data, len), bytes_skip(braces, len + 1));
}

static bool match_field(struct match *match, size_t at, struct bytes rest)
{
	const struct line_piece *piece = &match->format->pieces[at];
	bool has_quote = piece->is_quoted && bytes_begin_with(rest, BYTES("\""));

	switch (piece->field.shape) {
	case LINE_END:
		match->texts[at] = bytes_from(NULL, 0);
		return match->format->has_tail || bytes_trim(rest).len == 0;
	case LINE_NUMBER:
		return match_span(match, at, rest, span_digits(rest, piece->is_hex));
	case LINE_STATE_2:
		return match_span(match, at, rest, span_state(rest, 2));
	case LINE_STATE_4:
		return match_span(match, at, rest, span_state(rest, 4));
	case LINE_DATE:
		return match_date(match, at, rest);
	case LINE_BRACES:
		return match_braces(match, at, rest);
	case LINE_QUOTED_LIST:
		return match_captured(match, at, rest, bytes_begin_with(rest, BYTES("\"")),
				      span_quoted_list(rest));
	case LINE_REQUEST_LINE:
		return match_request_line(match, at, rest);
	case LINE_WORD:
	case LINE_TEXT:
		return has_quote ? match_quoted(match, at, rest) : match_text(match, at, rest);
	case LINE_COOKIE:
		return has_quote ? match_quoted(match, at, rest) : match_cookie(match, at, rest);
	}
	return false;
}

static bool match_piece(struct match *match, size_t at, struct bytes rest, bool drops_space)
{
	struct bytes text = match->format->pieces[at].text;

	if (!count_step(match))
		return false;
	if (drops_space && bytes_begin_with(text, BYTES(" ")))
		text = bytes_skip(text, 1);
	if (bytes_begin_with(rest, text))
		return match_field(match, at, bytes_skip(rest, text.len));
	if (bytes_begin_with(text, rest))
		note_cut(match, at, bytes_from(rest.data, 0));
	return false;
}

enum line_matched line_match(const struct line_format *format, struct bytes line,
			     struct line_fields *ret_fields)
{
	struct match match; /* its texts stay unset: that is a lot of memory for each line */

	match.format = format;
	match.fields = ret_fields;
	match.steps = STEPS_MIN + STEPS_PER_BYTE * line.len;
	match.is_cut = false;
	match.date = (struct line_date){.ms = 0};
	if (match_piece(&match, 0, line, false)) {
		memcpy(ret_fields->texts, match.texts, format->count * sizeof match.texts[0]);
		ret_fields->count = format->count;
		ret_fields->date = match.date;
		return LINE_WHOLE;
	}
	return match.is_cut ? LINE_CUT : LINE_OTHER;
}
