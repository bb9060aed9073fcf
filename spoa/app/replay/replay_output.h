/*
 * replay_output.h - standard output, written in large pieces.
 *
 * When the reader is slow the loop runs until it has caught up, so that a signal ends the wait. So
 * no callback of the loop may call these functions.
 */
#ifndef APP_REPLAY_OUTPUT_H
#define APP_REPLAY_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/writer.h"

#define REPLAY_OUTPUT_MAX 65536

struct replay_output {
	struct ev_loop *loop;
	int fd;
	bool is_file;           /* a write to a file never waits */
	const bool *is_stopped; /* true: every wait ends */
	struct writer pending;
	uint8_t memory[REPLAY_OUTPUT_MAX];
};

/* `output` is large and lives on the heap. */
void replay_output_init(struct replay_output *output, struct ev_loop *loop, int fd,
			const bool *is_stopped);
/* Writes when the buffer is full. False when writing fails. */
MUST_CHECK bool replay_output_put(struct replay_output *output, struct bytes text, struct err *err);
/* Writes all. Once stopped, drops what the reader does not take at once. */
MUST_CHECK bool replay_output_flush(struct replay_output *output, struct err *err);

#endif
