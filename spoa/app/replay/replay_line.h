/*
 * replay_line.h - a line of the input of replay: the body of a POST /check with one more field,
 * `at_ms`. It is the time of the request in milliseconds, since 1970 or any other moment, as a
 * whole number or a decimal with up to three decimals.
 */
#ifndef APP_REPLAY_LINE_H
#define APP_REPLAY_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "net/http/http_map.h"

/* In the year 2112. What the limiters add to such a time stays below 2^53. */
#define REPLAY_AT_MAX_US (INT64_C(1) << 52)

struct replay_line {
	int64_t at_us;
	struct http_body body; /* a view of the line */
};

MUST_CHECK bool replay_line_read(struct bytes text, struct replay_line *ret_line, struct err *err);
/* Clears the question and fills it from a line that is no batch. */
MUST_CHECK bool replay_line_read_check(const struct replay_line *line,
				       struct http_question *question, struct err *err);

#endif
