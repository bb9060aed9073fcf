/*
 * null_agent.c - what SPOE costs without a rate limiter: connections on net/stream.c, on which each
 * NOTIFY is answered by the same ACK. The ACK has the variables that the agent's ACK has, so that
 * HAProxy does the same work for both.
 *
 *     null-agent ADDRESS allowed    listens there, says so on standard error, ends by a signal
 *     null-agent ADDRESS denied     the same, and every request is denied
 *
 * A NOTIFY's arguments are not read. A frame that is wrong ends its connection without a word:
 * nobody but our own HAProxy asks.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "base/log.h"
#include "net/listener.h"
#include "net/stream.h"
#include "wire/spop_hello.h"
#include "wire/spop_notify.h"

#define FRAME_MAX  16380
#define ACTION_MAX 700 /* bytes of the ACK's payload */
#define ANSWER_MAX 768

struct null_agent {
	struct streams *streams;
	uint8_t actions[ACTION_MAX];
	size_t actions_len;
};

struct null_peer {
	const struct null_agent *agent;
	struct stream stream;
};

/* ---- the answer ---- */

static void put_var(struct writer *w, const char *name, struct spop_data data)
{
	spop_put_set_var(w, SPOP_SCOPE_TRANSACTION, bytes_from_text(name), data);
}

static struct spop_data text(const char *characters)
{
	return spop_str(bytes_from_text(characters));
}

/* As long as a verdict of a policy with a limit of a million, or of 50. */
static void make_actions(struct null_agent *agent, bool is_allowed)
{
	struct writer w = writer_on(agent->actions, sizeof agent->actions);

	put_var(&w, "allowed", spop_bool(is_allowed));
	put_var(&w, "reason", text(is_allowed ? "ok" : "limited"));
	put_var(&w, "degraded", spop_bool(false));
	put_var(&w, "retry_after", spop_int64(is_allowed ? 0 : 1));
	put_var(&w, "retry_after_ms", spop_int64(is_allowed ? 0 : 17));
	put_var(&w, "policy", text("per-ip"));
	put_var(&w, "limit", spop_int64(is_allowed ? 1000000 : 50));
	put_var(&w, "remaining", spop_int64(is_allowed ? 999998 : 0));
	put_var(&w, "reset", spop_int64(1));
	put_var(&w, "ratelimit",
		text(is_allowed ? "\"per-ip\";r=999998;t=1" : "\"per-ip\";r=0;t=1"));
	put_var(&w, "ratelimit_policy",
		text(is_allowed ? "\"per-ip\";q=1000000;w=1" : "\"per-ip\";q=50;w=1"));
	ASSERT(!w.full);
	agent->actions_len = w.len;
}

/* ---- a connection ---- */

static struct null_peer *peer_of(struct stream *stream)
{
	return CONTAINER_OF(stream, struct null_peer, stream);
}

static void answer_hello(struct null_peer *peer, const struct spop_frame *frame, struct writer *w)
{
	struct spop_hello hello;

	if (spop_hello_read(frame, &hello) != SPOP_NORMAL) {
		stream_close(&peer->stream);
		return;
	}
	spop_put_agent_hello(w, hello.max_frame_size, hello.pipelining);
	if (hello.healthcheck)
		stream_finish(&peer->stream);
}

static void answer_notify(struct null_peer *peer, const struct spop_frame *frame, struct writer *w)
{
	size_t begin = spop_frame_begin(w, SPOP_ACK, frame->stream_id, frame->frame_id);

	writer_put(w, bytes_from(peer->agent->actions, peer->agent->actions_len));
	spop_frame_end(w, begin);
}

static void handle_frame(struct null_peer *peer, const struct spop_frame *frame, struct writer *w)
{
	if (frame->type == SPOP_NOTIFY) {
		answer_notify(peer, frame, w);
	} else if (frame->type == SPOP_HAPROXY_HELLO) {
		answer_hello(peer, frame, w);
	} else if (frame->type == SPOP_HAPROXY_DISCONNECT) {
		spop_put_agent_disconnect(w, SPOP_NORMAL, "");
		stream_finish(&peer->stream);
	}
}

static void on_input(struct stream *stream, struct bytes *input)
{
	struct null_peer *peer = peer_of(stream);
	struct spop_frame frame;
	enum spop_status status;
	enum spop_found found;

	while (stream->state == STREAM_OPEN) {
		struct writer *w = stream_writer(stream, ANSWER_MAX);
		if (w == NULL) {
			stream_wait_for_room(stream);
			return;
		}
		found = spop_frame_next(input, FRAME_MAX, &frame, &status);
		if (found == SPOP_FOUND_NONE)
			return;
		if (found == SPOP_FOUND_FRAME)
			handle_frame(peer, &frame, w);
		else
			stream_close(stream);
	}
}

static void on_input_over(struct stream *stream)
{
	stream_finish(stream);
}

static void on_closed(struct stream *stream)
{
	free(peer_of(stream));
}

static const struct stream_owner stream_owner = {
	.input = on_input,
	.input_over = on_input_over,
	.timeout = stream_close,
	.closed = on_closed,
};

static void on_accept(void *owner, int fd)
{
	struct null_agent *agent = owner;
	struct null_peer *peer = calloc(1, sizeof *peer);
	int yes = 1;

	ASSERT(peer != NULL);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	peer->agent = agent;
	stream_init(&peer->stream, agent->streams, &stream_owner, fd);
}

static bool is_full(void *owner)
{
	(void)owner;
	return false;
}

/* ---- the program ---- */

static struct listener *start(struct null_agent *agent, struct ev_loop *loop, const char *where,
			      struct err *err)
{
	const struct listener_owner owner = {on_accept, is_full, agent};
	struct address address;

	agent->streams = streams_new(loop, FRAME_MAX + SPOP_LENGTH_BYTES);
	if (agent->streams == NULL) {
		(void)err_set(err, "out of memory");
		return NULL;
	}
	if (address_parse(bytes_from_text(where), &address, 1, err) == 0)
		return NULL;
	return listener_new(loop, &address, &owner, err);
}

static bool read_usage(struct null_agent *agent, int argc, char **argv)
{
	bool is_allowed = argc == 3 && strcmp(argv[2], "allowed") == 0;

	if (argc != 3 || (!is_allowed && strcmp(argv[2], "denied") != 0))
		return false;
	make_actions(agent, is_allowed);
	return true;
}

int main(int argc, char **argv)
{
	static struct null_agent agent;
	struct err err = {"usage: null-agent ADDRESS allowed|denied"};
	struct ev_loop *loop = ev_default_loop(0);
	struct listener *listener =
		read_usage(&agent, argc, argv) ? start(&agent, loop, argv[1], &err) : NULL;

	if (listener == NULL) {
		log_event(LOG_ERROR, "failed", LOG_TEXT("error", err.text));
		return EXIT_FAILURE;
	}
	log_event(LOG_INFO, "listening", LOG_TEXT("address", listener_address(listener)),
		  LOG_TEXT("protocol", "spop"));
	ev_run(loop, 0);
	return EXIT_SUCCESS;
}
