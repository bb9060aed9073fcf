/*
 *     OPEN         input goes to the owner, output is sent at the end of the turn
 *       |
 *       |  stream_finish
 *       v
 *     FINISHING    output that is left is sent, input is thrown away
 *       |
 *       |  all output is sent (CLOSED at once if the other side will send no more)
 *       v
 *     LINGERING    our direction is shut down, input is thrown away
 *       |
 *       |  the other side will send no more, or 1 s has passed since stream_finish
 *       v
 *     CLOSED       the descriptor is closed; the owner is told before the loop waits
 *
 * An error of the socket, stream_close and, in FINISHING, the same second lead to CLOSED at once.
 *
 * Why LINGERING: when a socket is closed with unread input, the kernel sends a reset (RST), and a
 * reset makes the other side discard what it received but did not read yet: our last output, which
 * says why the connection ends.
 *
 * Why output waits for the end of the turn: the answers to all requests of a turn leave in one
 * send. What the kernel does not take stays in the block until the socket is writable again. While
 * the block is full the owner waits for room and the stream reads nothing, so a client that does
 * not read its answers costs the agent two blocks at most.
 *
 * Why the owner is told of the end before the loop waits: then nothing on the stack uses the
 * stream, and the owner may free it. An idle watcher keeps the loop from waiting while there is
 * something to do at once.
 */
#include "net/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/least.h"

#define READ_MAX       65536 /* in one turn: others wait meanwhile */
#define LINGER_SECONDS 1.0
#define BODY_WRITE_MAX 262144 /* in one turn: others wait meanwhile */

/*
 * Blocks of one size. Free blocks of up to BLOCKS_KEPT_BYTES altogether are kept for reuse; each
 * begins with a pointer to the next one. The bound is in bytes because --max-frame-size decides how
 * large a block for input is: blocks of 16 MiB are never kept, and of 16 KiB there are 64.
 */
struct blocks {
	size_t size;
	void *free;
	size_t free_count;
};

#define BLOCKS_KEPT_BYTES 1048576

struct streams {
	struct ev_loop *loop;
	struct ev_prepare before_wait;
	struct ev_idle again;  /* active while `unread` or `closed` has streams: do not wait */
	struct list unwritten; /* streams with output of this turn */
	struct list unread;    /* streams that waited for room and have room again */
	struct list closed;    /* streams whose owners are to be told of the end */
	struct blocks in_blocks;
	struct blocks out_blocks;
	size_t output;   /* bytes of blocks and bodies in use */
	uint8_t *input;  /* `read_max` bytes, shared by the reads of streams that carry nothing */
	size_t read_max; /* in one turn from one stream */
};

static void *block_take(struct blocks *blocks)
{
	void *block = blocks->free;

	if (block == NULL)
		return malloc(blocks->size);
	memcpy(&blocks->free, block, sizeof block);
	blocks->free_count--;
	return block;
}

static void block_give_back(struct blocks *blocks, void *block)
{
	if (block == NULL)
		return;
	if ((blocks->free_count + 1) * blocks->size > BLOCKS_KEPT_BYTES) {
		free(block);
		return;
	}
	memcpy(block, &blocks->free, sizeof block);
	blocks->free = block;
	blocks->free_count++;
}

static void blocks_release(struct blocks *blocks)
{
	while (blocks->free != NULL)
		free(block_take(blocks));
}

/* ---- ending ---- */

static void release_output(struct stream *stream)
{
	struct streams *streams = stream->streams;

	if (stream->out.data != NULL)
		streams->output -= streams->out_blocks.size;
	block_give_back(&streams->out_blocks, stream->out.data);
	stream->out = (struct writer){0};
	stream_body_unref(stream->body);
	stream->body = NULL;
	stream->body_written = 0;
}

/* Not while the owner reads in it: then hand_over does this when the owner has returned. */
static void release_carried(struct stream *stream)
{
	if (stream->is_handing_over)
		return;
	block_give_back(&stream->streams->in_blocks, stream->carried);
	stream->carried = NULL;
	stream->carried_at = 0;
	stream->carried_len = 0;
}

void stream_close(struct stream *stream)
{
	struct streams *streams = stream->streams;

	if (stream->state == STREAM_CLOSED)
		return;
	stream->state = STREAM_CLOSED;
	ev_io_stop(streams->loop, &stream->readable);
	ev_io_stop(streams->loop, &stream->writable);
	ev_timer_stop(streams->loop, &stream->timer);
	close(stream->readable.fd);
	release_output(stream);
	release_carried(stream);
	list_remove(&stream->read_link);
	list_remove(&stream->write_link);
	list_append(&streams->closed, &stream->write_link);
	ev_idle_start(streams->loop, &streams->again);
}

/* All output is sent: tells the other side that no more will come, and waits for its end. */
static void linger(struct stream *stream)
{
	if (stream->is_input_over) {
		stream_close(stream);
		return;
	}
	stream->state = STREAM_LINGERING;
	(void)shutdown(stream->readable.fd, SHUT_WR);
	ev_io_start(stream->streams->loop, &stream->readable);
}

void stream_finish(struct stream *stream)
{
	if (stream->state != STREAM_OPEN)
		return;
	stream->state = STREAM_FINISHING;
	stream_set_timeout(stream, LINGER_SECONDS);
	list_remove(&stream->read_link);
	release_carried(stream);
	if (!stream_has_output(stream))
		linger(stream);
}

/* ---- output ---- */

bool stream_has_output(const struct stream *stream)
{
	return stream->out.len > 0 || stream->body != NULL;
}

static void write_in_this_turn(struct stream *stream)
{
	if (!stream_has_output(stream) && list_is_empty(&stream->write_link))
		list_append(&stream->streams->unwritten, &stream->write_link);
}

struct writer *stream_writer(struct stream *stream, size_t len)
{
	struct streams *streams = stream->streams;

	if (stream->state != STREAM_OPEN || stream->body != NULL ||
	    len > STREAM_OUT_MAX - stream->out.len)
		return NULL;
	if (stream->out.data == NULL) {
		void *block = block_take(&streams->out_blocks);
		if (block == NULL)
			return NULL;
		stream->out = writer_on(block, STREAM_OUT_MAX);
		streams->output += streams->out_blocks.size;
	}
	write_in_this_turn(stream);
	return &stream->out;
}

struct stream_body *stream_body_new(struct streams *streams, void *data, size_t len)
{
	struct stream_body *body = malloc(sizeof *body);

	if (body == NULL) {
		free(data);
		return NULL;
	}
	*body = (struct stream_body){.streams = streams, .references = 1, .data = data, .len = len};
	streams->output += len;
	return body;
}

struct stream_body *stream_body_ref(struct stream_body *body)
{
	body->references++;
	return body;
}

void stream_body_unref(struct stream_body *body)
{
	if (body == NULL || --body->references > 0)
		return;
	if (body->weak != NULL)
		*body->weak = NULL;
	body->streams->output -= body->len;
	free(body->data);
	free(body);
}

void stream_put_body(struct stream *stream, struct stream_body *body)
{
	ASSERT(stream->state == STREAM_OPEN && stream->body == NULL && body->len > 0);
	write_in_this_turn(stream);
	stream->body = body;
}

size_t streams_output(const struct streams *streams)
{
	return streams->output;
}

void stream_wait_for_room(struct stream *stream)
{
	stream->wants_room = true;
	ev_io_stop(stream->streams->loop, &stream->readable);
}

static void after_all_is_written(struct stream *stream)
{
	struct streams *streams = stream->streams;

	release_output(stream);
	ev_io_stop(streams->loop, &stream->writable);
	if (stream->state == STREAM_FINISHING) {
		linger(stream);
		return;
	}
	if (stream->wants_room && list_is_empty(&stream->read_link)) {
		list_append(&streams->unread, &stream->read_link);
		ev_idle_start(streams->loop, &streams->again);
	}
	if (stream->owner->written != NULL)
		stream->owner->written(stream);
}

/* The block and what is left of the body in one system call. */
static ssize_t send_with_body(struct stream *stream)
{
	const struct stream_body *body = stream->body;
	size_t rest = body->len - stream->body_written;
	struct iovec parts[2] = {
		{stream->out.data, stream->out.len},
		{(uint8_t *)body->data + stream->body_written,
		 rest < BODY_WRITE_MAX ? rest : BODY_WRITE_MAX},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = ARRAY_SIZE(parts)};

	return sendmsg(stream->readable.fd, &message, MSG_NOSIGNAL);
}

/* Takes what was sent off the output. */
static void skip_output(struct stream *stream, size_t sent)
{
	struct writer *out = &stream->out;
	size_t of_block = least_size(sent, out->len);

	if (of_block > 0) {
		memmove(out->data, out->data + of_block, out->len - of_block);
		out->len -= of_block;
	}
	stream->body_written += sent - of_block;
}

static bool is_all_written(const struct stream *stream)
{
	return stream->out.len == 0 &&
	       (stream->body == NULL || stream->body_written == stream->body->len);
}

static void write_output(struct stream *stream)
{
	struct writer *out = &stream->out;

	list_remove(&stream->write_link);
	if (!stream_has_output(stream))
		return;
	/* MSG_NOSIGNAL: when the other side is gone, send returns an error and raises no SIGPIPE.
	 */
	ssize_t sent = stream->body != NULL
			       ? send_with_body(stream)
			       : send(stream->readable.fd, out->data, out->len, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		stream_close(stream);
		return;
	}
	if (sent > 0)
		skip_output(stream, (size_t)sent);
	if (is_all_written(stream))
		after_all_is_written(stream);
	else
		ev_io_start(stream->streams->loop, &stream->writable);
}

static void on_writable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	(void)loop, (void)events;
	write_output(CONTAINER_OF(watcher, struct stream, writable));
}

/* ---- input ---- */

/* Keeps what the owner left. What is in the stream's own block already stays where it is. */
static void carry(struct stream *stream, struct bytes rest)
{
	if (rest.len == 0) {
		release_carried(stream);
		return;
	}
	if (stream->carried != NULL) {
		stream->carried_at = (size_t)(rest.data - stream->carried);
		stream->carried_len = rest.len;
		return;
	}
	stream->carried = block_take(&stream->streams->in_blocks);
	if (stream->carried == NULL) {
		stream_close(stream);
		return;
	}
	memcpy(stream->carried, rest.data, rest.len);
	stream->carried_len = rest.len;
}

/*
 * Where the next read goes: behind the carried input, in its block. A frame of 16 MiB that comes
 * byte by byte is so never copied. Only when the end of the block is near, the carried input moves
 * to the front, once: from there the block has room for the longest piece that an owner may leave.
 */
static uint8_t *find_room(struct stream *stream, size_t *ret_room)
{
	const struct streams *streams = stream->streams;
	size_t read_max = streams->read_max;

	if (stream->carried == NULL) {
		*ret_room = read_max;
		return streams->input;
	}
	size_t end = stream->carried_at + stream->carried_len;
	if (stream->carried_at > 0 && streams->in_blocks.size - end < read_max) {
		memmove(stream->carried, stream->carried + stream->carried_at, stream->carried_len);
		stream->carried_at = 0;
		end = stream->carried_len;
	}
	size_t room = streams->in_blocks.size - end;
	*ret_room = least_size(room, read_max);
	return stream->carried + end;
}

static void hand_over(struct stream *stream, struct bytes input)
{
	stream->is_handing_over = true;
	stream->owner->input(stream, &input);
	stream->is_handing_over = false;
	if (stream->state != STREAM_OPEN) {
		release_carried(stream);
		return;
	}
	carry(stream, input);
	if (stream->state == STREAM_OPEN && stream->is_input_over && !stream->wants_room)
		stream->owner->input_over(stream);
}

static void on_input_over(struct stream *stream)
{
	ev_io_stop(stream->streams->loop, &stream->readable);
	stream->is_input_over = true;
	if (stream->state == STREAM_LINGERING)
		stream_close(stream);
	else if (stream->state == STREAM_OPEN)
		stream->owner->input_over(stream);
}

static void on_readable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct stream *stream = CONTAINER_OF(watcher, struct stream, readable);
	size_t before = stream->carried_len, room;
	uint8_t *to = find_room(stream, &room);

	(void)loop, (void)events;
	ssize_t len = read(watcher->fd, to, room);
	if (len < 0) {
		if (errno != EAGAIN && errno != EINTR)
			stream_close(stream);
		return;
	}
	if (len == 0) {
		on_input_over(stream);
		return;
	}
	if (stream->state != STREAM_OPEN)
		return; /* the input is thrown away */
	hand_over(stream, bytes_from(to - before, before + (size_t)len));
}

bool stream_read_now(struct stream *stream)
{
	int unread = 0;

	ASSERT(!stream->is_handing_over);
	if (stream->state != STREAM_OPEN || !ev_is_active(&stream->readable) ||
	    ioctl(stream->readable.fd, FIONREAD, &unread) != 0 || unread <= 0)
		return false;
	on_readable(stream->streams->loop, &stream->readable, EV_READ);
	return true;
}

/* There is room for output again: the owner goes on with the input that it left. */
static void read_on(struct stream *stream)
{
	list_remove(&stream->read_link);
	stream->wants_room = false;
	if (!stream->is_input_over)
		ev_io_start(stream->streams->loop, &stream->readable);
	if (stream->carried == NULL)
		hand_over(stream, bytes_from(NULL, 0));
	else
		hand_over(stream,
			  bytes_from(stream->carried + stream->carried_at, stream->carried_len));
}

static void on_timeout(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct stream *stream = CONTAINER_OF(timer, struct stream, timer);

	(void)loop, (void)events;
	if (stream->state == STREAM_OPEN)
		stream->owner->timeout(stream);
	else
		stream_close(stream);
}

/* ---- the turn ---- */

void streams_flush(struct streams *streams)
{
	while (!list_is_empty(&streams->unwritten))
		write_output(CONTAINER_OF(streams->unwritten.next, struct stream, write_link));
}

static void before_wait(struct ev_loop *loop, struct ev_prepare *watcher, int events)
{
	struct streams *streams = CONTAINER_OF(watcher, struct streams, before_wait);

	(void)loop, (void)events;
	streams_flush(streams);
	while (!list_is_empty(&streams->closed)) {
		struct stream *stream =
			CONTAINER_OF(streams->closed.next, struct stream, write_link);
		list_remove(&stream->write_link);
		stream->owner->closed(stream);
	}
}

static void on_again(struct ev_loop *loop, struct ev_idle *watcher, int events)
{
	struct streams *streams = CONTAINER_OF(watcher, struct streams, again);

	(void)events;
	ev_idle_stop(loop, watcher);
	while (!list_is_empty(&streams->unread))
		read_on(CONTAINER_OF(streams->unread.next, struct stream, read_link));
}

struct streams *streams_new(struct ev_loop *loop, size_t input_max)
{
	return streams_new_small(loop, input_max > READ_MAX ? input_max : READ_MAX);
}

struct streams *streams_new_small(struct ev_loop *loop, size_t input_max)
{
	struct streams *streams = calloc(1, sizeof *streams);

	if (streams == NULL)
		return NULL;
	streams->loop = loop;
	streams->in_blocks.size = input_max;
	streams->out_blocks.size = STREAM_OUT_MAX + 1;
	streams->read_max = input_max < READ_MAX ? input_max : READ_MAX;
	streams->input = malloc(streams->read_max);
	if (streams->input == NULL) {
		free(streams);
		return NULL;
	}
	list_init(&streams->unwritten);
	list_init(&streams->unread);
	list_init(&streams->closed);
	ev_prepare_init(&streams->before_wait, before_wait);
	ev_prepare_start(loop, &streams->before_wait);
	/* libev runs an idle watcher only when nothing of its priority or above is pending: at a
	 * lower priority a busy stream would keep the others waiting. */
	ev_idle_init(&streams->again, on_again);
	ev_set_priority(&streams->again, EV_MAXPRI);
	return streams;
}

void streams_free(struct streams *streams)
{
	if (streams == NULL)
		return;
	before_wait(streams->loop, &streams->before_wait, 0);
	ev_prepare_stop(streams->loop, &streams->before_wait);
	ev_idle_stop(streams->loop, &streams->again);
	blocks_release(&streams->in_blocks);
	blocks_release(&streams->out_blocks);
	free(streams->input);
	free(streams);
}

void stream_init(struct stream *stream, struct streams *streams, const struct stream_owner *owner,
		 int fd)
{
	*stream = (struct stream){.streams = streams, .owner = owner};
	list_init(&stream->write_link);
	list_init(&stream->read_link);
	ev_io_init(&stream->readable, on_readable, fd, EV_READ);
	ev_io_init(&stream->writable, on_writable, fd, EV_WRITE);
	ev_init(&stream->timer, on_timeout);
	ev_io_start(streams->loop, &stream->readable);
}

void stream_set_timeout(struct stream *stream, double seconds)
{
	stream->timer.repeat = seconds;
	ev_timer_again(stream->streams->loop, &stream->timer);
}

void stream_stop_timeout(struct stream *stream)
{
	ev_timer_stop(stream->streams->loop, &stream->timer);
}
