/*
 * line_field.h - the fields of HAProxy's log: each variable (`%ci`) and expression (`%[src]`) of a
 * log-format, what its text looks like, and what it means to a replay. HAProxy's configuration
 * manual, section "Custom log format".
 */
#ifndef APP_LINE_FIELD_H
#define APP_LINE_FIELD_H

#include <stdbool.h>

#include "base/bytes.h"

/* What the text looks like. */
enum line_shape {
	LINE_END = 0,      /* no field: the end of the format */
	LINE_NUMBER,       /* digits, perhaps behind a sign */
	LINE_WORD,         /* at least one character, and no space */
	LINE_TEXT,         /* any characters, or none */
	LINE_COOKIE,       /* "-" or any characters: those of clients may have spaces */
	LINE_STATE_2,      /* how a session ended: "--" */
	LINE_STATE_4,      /* "----" */
	LINE_DATE,         /* line_date.h */
	LINE_REQUEST_LINE, /* "GET /x HTTP/1.1" in quotes; perhaps cut off */
	LINE_BRACES,       /* "{a|b}"; left out by HAProxy when nothing is captured */
	LINE_QUOTED_LIST,  /* "a" "b" */
};

/* What it means. */
enum line_meaning {
	LINE_NOTHING = 0,
	LINE_CLIENT, /* address and port, "192.0.2.1:4711" */
	LINE_SRC,    /* the address */
	LINE_METHOD,
	LINE_PATH,     /* perhaps behind scheme and host */
	LINE_QUERY,    /* with its question mark */
	LINE_URI,      /* path and query */
	LINE_REQUEST,  /* method and URI */
	LINE_BASE,     /* host and path */
	LINE_FRONTEND, /* perhaps with a "~" behind, for TLS */
	LINE_NAMED,    /* an attribute with the field's own name */
	LINE_CAPTURED, /* all captured headers of the request */
	LINE_CAPTURE,  /* one of them */
	/* Times. When a line has several of them, the one that stands last in this list counts. */
	LINE_AT_NOW,        /* when the line was written, in milliseconds */
	LINE_AT_CONNECTION, /* when the connection came: a date */
	LINE_AT_CONNECTION_S,
	LINE_AT_CONNECTION_MS,
	LINE_AT_REQUEST, /* when the request came: a date */
	LINE_AT_REQUEST_MS,
	LINE_MS,   /* the milliseconds of a date that has none */
	LINE_TOOK, /* milliseconds from the time to the end of the request */
};

static inline bool line_meaning_is_time(enum line_meaning meaning)
{
	return meaning >= LINE_AT_NOW && meaning <= LINE_AT_REQUEST_MS;
}

struct line_field {
	enum line_shape shape;
	enum line_meaning meaning;
	struct bytes name; /* of an attribute, or which header was captured */
	bool has_escapes;  /* HAProxy writes some bytes as #XX */
	size_t capture;    /* of LINE_CAPTURE: which, from 0 on */
	bool is_unknown;   /* an expression that no replay knows: its text is read over */
};

/* Finds the field of a variable; `name` is "ci" for %ci. False when HAProxy has no such variable. */
bool line_field_find(struct bytes name, struct line_field *ret_field);
/*
 * An expression, without its brackets: "var(txn.path),json(utf8s)". Any expression is a field; one
 * that says nothing to a replay is LINE_NOTHING. The name is a view of the text.
 */
struct line_field line_field_of_expression(struct bytes text);

#endif
