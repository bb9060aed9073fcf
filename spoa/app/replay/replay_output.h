/*
 * replay_output.h - standard output, in large pieces. Waiting for who reads it is the loop's, so
 * that a signal ends it: not to be called by what the loop calls.
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
	bool is_file; /* nobody is waited for */
	const bool *is_stopped;
	struct writer pending;
	uint8_t memory[REPLAY_OUTPUT_MAX];
};

/* `output` is large: on the heap. */
void replay_output_init(struct replay_output *output, struct ev_loop *loop, int fd,
			const bool *is_stopped);
/* False when it can't be written. */
MUST_CHECK bool replay_output_put(struct replay_output *output, struct bytes text, struct err *err);
/* The same; when it is stopped, what nobody takes now is dropped. */
MUST_CHECK bool replay_output_flush(struct replay_output *output, struct err *err);

#endif
