/*
 * replay_line.h - a line of what is replayed: the body of a POST /check and beside it `at_ms`, when
 * it was asked: milliseconds since whenever, whole or as a decimal to 1 us.
 */
#ifndef APP_REPLAY_LINE_H
#define APP_REPLAY_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "net/http/http_map.h"

/* In 2112; all that the limiters add to a time stays below 2^53. */
#define REPLAY_AT_MAX_US (INT64_C(1) << 52)

struct replay_line {
	int64_t at_us;
	struct http_body body; /* a view of the line */
};

MUST_CHECK bool replay_line_read(struct bytes text, struct replay_line *ret_line, struct err *err);
/* Makes the question anew, of a line that is no batch. */
MUST_CHECK bool replay_line_read_check(const struct replay_line *line,
				       struct http_question *question, struct err *err);

#endif
