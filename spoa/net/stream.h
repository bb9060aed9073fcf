/*
 * stream.h - the bytes of one connection, in and out of its socket, in the loop.
 *
 * Input is read into memory that all streams share, and the owner gets a view of it. The bytes that
 * the owner leaves are kept in a block of the stream's own (they are carried), and the owner sees
 * them again in front of the next input. Output is put into a block too; a stream sends once, when
 * the loop is about to wait, all that was put in that turn. An idle stream has no block.
 *
 * Output that does not fit into the block is a body: memory that several streams may send at once,
 * held by counted references. A stream sends its block first and its body behind it, by one system
 * call a turn. Nothing can be put behind a body before all of it is sent.
 *
 * The owner ends a stream by stream_finish, which sends the output first, or by stream_close, which
 * does not. An error of the socket closes it too. However it ends, `closed` is called once, from
 * the loop and never inside a call of the owner's; from then on the stream may be freed.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/list.h"
#include "base/writer.h"

/* HAProxy from 3.1 on wedges a connection on which it reads 16 KB or more at once. */
#define STREAM_OUT_MAX 16383

struct streams;
struct stream;

/* Of these, `input`, `input_over` and `timeout` are called in state OPEN only. */
struct stream_owner {
	/*
	 * The owner takes what it can off the front of `input`. It is called again, with what it
	 * left in front, when more input has come, or when there is room for output again after
	 * stream_wait_for_room.
	 */
	void (*input)(struct stream *stream, struct bytes *input);
	/* The other side will send no more: the owner gives its last answers and finishes. */
	void (*input_over)(struct stream *stream);
	/* The time of stream_set_timeout is up. If the owner does nothing, it is called again. */
	void (*timeout)(struct stream *stream);
	/* The descriptor is closed and no other callback will come. */
	void (*closed)(struct stream *stream);
	/* All output is sent, and the stream is OPEN. NULL: the owner does not want to know. */
	void (*written)(struct stream *stream);
};

/* A large output. It is freed with its last reference. */
struct stream_body {
	struct streams *streams;
	unsigned references;
	void *data; /* from malloc */
	size_t len;
	struct stream_body **weak; /* NULL, or a pointer that becomes NULL when the body is freed */
};

/* stream.c has the picture. */
enum stream_state { STREAM_OPEN = 0, STREAM_FINISHING, STREAM_LINGERING, STREAM_CLOSED };

struct stream {
	struct streams *streams;
	const struct stream_owner *owner;
	enum stream_state state;
	struct ev_io readable;
	struct ev_io writable;
	struct ev_timer timer;
	uint8_t *carried;  /* the block of the input that the owner left; NULL when it left none */
	size_t carried_at; /* where in the block that input begins */
	size_t carried_len;
	struct writer out;        /* on the block of the output; its data is NULL without a block */
	struct stream_body *body; /* behind `out`, or NULL */
	size_t body_written;
	struct list write_link; /* in `unwritten` or `closed` of `streams` */
	struct list read_link;  /* in `unread` of `streams` */
	bool is_input_over;     /* the other side has said that it will send no more */
	bool is_handing_over;   /* the owner's `input` runs, and may read in `carried` */
	bool wants_room;        /* the owner called stream_wait_for_room, and waits */
};

/*
 * What the streams of a loop share. NULL when memory is short. An owner that leaves `input_max`
 * bytes or more must wait for room: a stream keeps no longer piece of input.
 */
struct streams *streams_new(struct ev_loop *loop, size_t input_max);
/*
 * The same for owners that never leave more than `input_max` bytes and have many streams: no block
 * is larger than that, while those of streams_new have 64 KiB at least. A read takes 64 KiB at
 * most, or as much as a block has.
 */
struct streams *streams_new_small(struct ev_loop *loop, size_t input_max);
/* How much memory the output has that is not written yet: blocks, and bodies once each. */
size_t streams_output(const struct streams *streams);
/* Sends now what was put in this turn, instead of at its end. */
void streams_flush(struct streams *streams);
/* All streams must be closed: the owners that were not told yet are told now. */
void streams_free(struct streams *streams);

/* Takes the descriptor, which is a connected socket and does not block. */
void stream_init(struct stream *stream, struct streams *streams, const struct stream_owner *owner,
		 int fd);
/* Calls `timeout` so many seconds from now; the time that was set before no longer counts. */
void stream_set_timeout(struct stream *stream, double seconds);
void stream_stop_timeout(struct stream *stream);
/*
 * Where to put output, with room for `len` bytes. NULL when the stream is not OPEN, when there is
 * not so much room now, when a body is on its way, and when memory is short.
 */
struct writer *stream_writer(struct stream *stream, size_t len);
/*
 * Takes `data`, which is from malloc, and returns the only reference. NULL when memory is short;
 * then `data` is freed.
 */
struct stream_body *stream_body_new(struct streams *streams, void *data, size_t len);
struct stream_body *stream_body_ref(struct stream_body *body);
void stream_body_unref(struct stream_body *body);
/* Takes the caller's reference. Only while the stream is open and has no body. */
void stream_put_body(struct stream *stream, struct stream_body *body);
bool stream_has_output(const struct stream *stream);
/*
 * Reads now what has come, instead of in its turn: for an owner that is about to close the stream.
 * Never called from `input`. Returns false when nothing has come, or the owner waits for room.
 */
MUST_CHECK bool stream_read_now(struct stream *stream);
/* Called from `input` only: reads nothing more until all output is sent, then calls `input`. */
void stream_wait_for_room(struct stream *stream);
/* Sends the output, then ends the connection so that the other side gets all of it. */
void stream_finish(struct stream *stream);
/* Closes the connection now; output that was not sent is lost. */
void stream_close(struct stream *stream);

#endif
