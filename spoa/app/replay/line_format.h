/*
 * line_format.h - a log-format as HAProxy's configuration has it, taken apart:
 *
 *     %ci:%cp [%tr] %ft %b/%s %ST "%HM %[var(txn.path)] %HV"
 *
 * It becomes a list of pieces, each a text that stands for itself and then a field. What stands
 * behind the last field is the text of a last piece, which has no field.
 */
#ifndef APP_LINE_FORMAT_H
#define APP_LINE_FORMAT_H

#include <stdbool.h>

#include "app/replay/line_field.h"
#include "base/compiler.h"
#include "base/err.h"

#define LINE_FORMAT_MAX  4096 /* bytes */
#define LINE_PIECES_MAX  128
#define LINE_UNKNOWN_MAX 8

struct line_piece {
	struct bytes text; /* before the field */
	struct line_field field;
	/* The flags of the field: +Q (in quotes), +X (hexadecimal), +E (`"`, `\` and `]` escaped).
	 */
	bool is_quoted, is_hex, is_escaped;
	bool is_pair; /* LINE_COOKIE: two fields with a space between, "%CC %CS" */
};

struct line_format {
	struct line_piece pieces[LINE_PIECES_MAX];
	size_t count;
	bool has_tail; /* lines may go on behind the last piece */
	size_t time;   /* the piece whose time counts */
	size_t ms;     /* the piece with its milliseconds; `count` when there is none */
	size_t took;   /* the piece that says how long the request took; the same */
	/* Expressions that no replay knows, for the summary; those above the bound are only
	 * counted. */
	struct bytes unknown[LINE_UNKNOWN_MAX];
	size_t unknown_count;
	char text[LINE_FORMAT_MAX]; /* without its quotes */
	char pieces_text[LINE_FORMAT_MAX];
};

/*
 * Quotes around the text, and backslashes before spaces and quotes, are taken as HAProxy's
 * configuration takes them. `format` is large and must stay where it is: the pieces point into its
 * text. False when the text is no log-format, or has no time; `err` names the place.
 */
MUST_CHECK bool line_format_read(struct bytes text, struct line_format *format, struct err *err);

#endif
