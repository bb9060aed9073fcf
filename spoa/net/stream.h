/*
 * stream.h - bytes in and out of a socket, in the loop, at most one read and one write a turn.
 *
 * Input is read into memory that all streams share and handed to the owner as a view; what the
 * owner leaves is carried in a block of the stream's own until more comes. Output is put into a
 * block too and leaves in one write when the loop is about to wait. An idle stream has no block.
 *
 *            stream_finish            all is written           the other side is done, or time is
 * up OPEN -------------------> FINISHING ----------> LINGERING ---------------------------> CLOSED
 *     `--- error, or the other side went away -----------------------------------------------^
 *
 * Lingering means: our side is shut down and what still comes in is thrown away, since a close with
 * unread input would make the kernel discard what we wrote last (RST). The owner's `closed` is
 * called from the loop, never inside a call of the owner's, and then the stream may be freed.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/writer.h"

/* What HAProxy from 3.1 on can read at once without wedging the connection is less than 16 KB. */
#define STREAM_OUT_MAX 16383

struct streams;
struct stream;

struct stream_owner {
	/* Takes what it can off the front; it is called again when there is more, or more room. */
	void (*input)(struct stream *stream, struct bytes *input);
	/* The other side will send no more. Nothing is open for long after: finish soon. */
	void (*input_over)(struct stream *stream);
	/* The time of stream_set_timeout is up. */
	void (*timeout)(struct stream *stream);
	void (*closed)(struct stream *stream);
};

enum stream_state { STREAM_OPEN = 0, STREAM_FINISHING, STREAM_LINGERING, STREAM_CLOSED };

struct stream {
	struct streams *streams;
	const struct stream_owner *owner;
	enum stream_state state;
	struct ev_io readable;
	struct ev_io writable;
	struct ev_timer timer;
	uint8_t *carried; /* a block of input, or NULL */
	size_t carried_len;
	struct writer out;      /* on a block of output, or on none */
	struct list write_link; /* in `unwritten` or `closed` of `streams` */
	struct list read_link;  /* in `unread` */
	bool is_input_over;
	bool wants_room; /* the owner left input that it could not answer yet */
};

/* What the streams of a loop share; `input_max` is the longest thing that an owner waits for. */
struct streams *streams_new(struct ev_loop *loop, size_t input_max);
/* Writes what there is, before its time. */
void streams_flush(struct streams *streams);
void streams_free(struct streams *streams);

/* Takes the descriptor. */
void stream_init(struct stream *stream, struct streams *streams, const struct stream_owner *owner,
		 int fd);
void stream_set_timeout(struct stream *stream, double seconds);
void stream_stop_timeout(struct stream *stream);
/* Where to put output, with room for `len`; NULL when there is not so much now, or no memory. */
struct writer *stream_writer(struct stream *stream, size_t len);
/* From `input`: asks to be called again when there is more room for output. */
void stream_wait_for_room(struct stream *stream);
/* Writes what there is, and ends in order. */
void stream_finish(struct stream *stream);
/* At once. */
void stream_close(struct stream *stream);

#endif
