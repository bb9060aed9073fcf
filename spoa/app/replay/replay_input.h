/*
 * replay_input.h - a file, pipe or standard input, line by line, in a buffer of fixed size.
 *
 * A line ends at a newline or at the end of the input. It is a view into the buffer, good until the
 * next call. Waiting is done by the loop, so that a signal ends it.
 */
#ifndef APP_REPLAY_INPUT_H
#define APP_REPLAY_INPUT_H

#include "app/replay/replay_source.h"

#define REPLAY_LINE_MAX 65536

enum input_line {
	INPUT_END = 0,
	INPUT_LINE,
	INPUT_TOO_LONG, /* a line of more than REPLAY_LINE_MAX bytes, which was dropped */
	INPUT_DRY,      /* no whole line is there: call replay_input_fill */
};

struct replay_input {
	uint64_t number; /* of the last line, from 1 on */
	bool is_at_end;
	bool is_skipping; /* dropping the rest of a line that is too long */
	size_t begin, end;
	struct replay_source source;
	uint8_t memory[2 * REPLAY_LINE_MAX];
};

/* `input` is large and lives on the heap. The arguments are those of replay_source_init. */
void replay_input_init(struct replay_input *input, struct ev_loop *loop, int fd, const char *name,
		       const bool *is_stopped);
void replay_input_release(struct replay_input *input);
enum input_line replay_input_next(struct replay_input *input, struct bytes *ret_line);
/* Waits for input or until stopped, and reads what is there. False when reading fails. */
MUST_CHECK bool replay_input_fill(struct replay_input *input, struct err *err);

#endif
