/*
 * replay_input.h - standard input, line by line, in a memory of its own that does not grow.
 *
 * A line is what stands before a newline, or before the end. It is a view, good until the next
 * call. Waiting is the loop's, so that a signal ends it.
 */
#ifndef APP_REPLAY_INPUT_H
#define APP_REPLAY_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

#define REPLAY_LINE_MAX 65536

enum input_line {
	INPUT_END = 0,
	INPUT_LINE,
	INPUT_TOO_LONG, /* a line above REPLAY_LINE_MAX, which is left out */
	INPUT_DRY,      /* more is to be read first */
};

struct replay_input {
	struct ev_loop *loop;
	int fd;
	const bool *is_stopped; /* waits for nothing any more */
	uint64_t number;        /* of the last line, from 1 on */
	bool is_at_end;
	bool is_skipping; /* the rest of a line that is too long */
	size_t begin, end;
	uint8_t memory[2 * REPLAY_LINE_MAX];
};

/* `input` is large: on the heap. */
void replay_input_init(struct replay_input *input, struct ev_loop *loop, int fd,
		       const bool *is_stopped);
enum input_line replay_input_next(struct replay_input *input, struct bytes *ret_line);
/* Waits until there is something, or it is stopped. False when it can't be read. */
MUST_CHECK bool replay_input_fill(struct replay_input *input, struct err *err);

#endif
