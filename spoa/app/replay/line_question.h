/*
 * line_question.h - makes a question of the fields of a line: its attributes are src, method, path,
 * query, host, frontend, backend, server and status, what --captures names, and variables that
 * HAProxy logs, as far as the line has them.
 */
#ifndef APP_LINE_QUESTION_H
#define APP_LINE_QUESTION_H

#include "app/replay/line_captures.h"
#include "app/replay/line_match.h"
#include "net/http/http_map.h"

/* What a question is made of. */
struct line_parts {
	const struct line_format *format;
	const struct line_fields *fields;
	const struct line_captures *captures;
};

enum line_asked {
	LINE_ASKED = 0,
	LINE_ASKED_NOTHING, /* <BADREQ>: HAProxy asked no agent about it */
	LINE_ASKED_OTHERS, /* not as many captured headers as --captures names: they are left out */
};

/* Clears the question and fills it with views of the line, and of its own memory. */
enum line_asked line_question_fill(struct http_question *question, const struct line_parts *line);

#endif
