/*
 * replay_source.h - the bytes of an open file, pipe or standard input. What is compressed by gzip
 * is decompressed; the first bytes say whether it is, not the name. Other compressions are refused
 * by name.
 *
 * Waiting is done by the loop, so that a signal ends it.
 */
#ifndef APP_REPLAY_SOURCE_H
#define APP_REPLAY_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "app/replay/replay_gunzip.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/writer.h"

#define REPLAY_SOURCE_MAX 16384

enum replay_source_kind {
	SOURCE_UNKNOWN = 0, /* too few bytes have come to tell */
	SOURCE_PLAIN,
	SOURCE_GZIP,
};

struct replay_source {
	struct ev_loop *loop;
	int fd;
	const char *name;       /* for errors */
	const bool *is_stopped; /* true: every wait ends */
	enum replay_source_kind kind;
	bool is_at_end; /* no more bytes come from the file */
	struct replay_gunzip gunzip;
	struct bytes rest; /* of what was read, in `memory` */
	uint8_t memory[REPLAY_SOURCE_MAX];
};

/* `source` is large and lives on the heap. The descriptor and the name stay the caller's. */
void replay_source_init(struct replay_source *source, struct ev_loop *loop, int fd,
			const char *name, const bool *is_stopped);
void replay_source_release(struct replay_source *source);
/*
 * Waits for bytes or until stopped, and puts some into `to`, which has room. *ret_is_over is true
 * when no more bytes will come. False when reading fails; `err` begins with the name.
 */
MUST_CHECK bool replay_source_read(struct replay_source *source, struct writer *to,
				   bool *ret_is_over, struct err *err);

#endif
