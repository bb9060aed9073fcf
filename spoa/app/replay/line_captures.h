/*
 * line_captures.h - names for the headers that HAProxy captures (`capture request header`): its log
 * has their values only, {curl/8.1|192.0.2.1, 198.51.100.7}.
 *
 *     user-agent,src=x-forwarded-for:1
 *
 * names the first header and makes an attribute `user-agent` of it. The second one is made the
 * attribute `src`: the first entry from the right of the list that the header is.
 */
#ifndef APP_LINE_CAPTURES_H
#define APP_LINE_CAPTURES_H

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

#define LINE_CAPTURES_MAX 32

#define LINE_CAPTURES_ACCEPTED                                                   \
	"NAME or ATTRIBUTE=NAME, with commas between; NAME:N is the N-th entry " \
	"from the right"

struct line_capture {
	struct bytes attribute;
	size_t entry; /* from the right, from 1 on; 0: the whole value */
};

struct line_captures {
	struct line_capture items[LINE_CAPTURES_MAX];
	size_t count;
	char memory[1024];
};

/* The names are views of the text, or of the memory of `captures`, which must stay where it is. */
MUST_CHECK bool line_captures_read(struct bytes text, struct line_captures *captures);
/* What the attribute is, of the value that was captured; without data when it has no such entry. */
struct bytes line_captures_pick(const struct line_capture *capture, struct bytes value);

#endif
