/*
 * line_match.h - finds the fields of a log-format in a line.
 */
#ifndef APP_LINE_MATCH_H
#define APP_LINE_MATCH_H

#include "app/replay/line_date.h"
#include "app/replay/line_format.h"

enum line_matched {
	LINE_OTHER = 0, /* the line is not of the format */
	LINE_CUT,       /* the line ends where the format goes on */
	LINE_WHOLE,
};

/* The text of each field, without the quotes of +Q; without data where HAProxy left it out. */
struct line_fields {
	struct bytes texts[LINE_PIECES_MAX];
	size_t count; /* of a line that was cut: the fields before, and the one that was cut */
	struct line_date date; /* of the piece `time`, when it is a date */
};

/* The line has no line end. The texts are views of the line. */
enum line_matched line_match(const struct line_format *format, struct bytes line,
			     struct line_fields *ret_fields);

#endif
