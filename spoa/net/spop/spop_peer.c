/*
 *     HELLO        waits for HAPROXY-HELLO, 10 s at most
 *       |
 *       |  a good HELLO: AGENT-HELLO is sent
 *       v
 *     SERVING      a NOTIFY is answered by an ACK, now or when its verdict comes
 *       |
 *       |  nothing is in flight, and HAProxy sent DISCONNECT, or the server drains: a DISCONNECT
 *       |  is sent; or nothing is in flight, and HAProxy sends no more
 *       v
 *     ENDED        the stream sends its output and ends; then the peer is freed
 *
 * What comes behind a DISCONNECT of HAProxy's is thrown away, whatever it is: HAProxy has given up
 * the answer, so a NOTIFY there must not be charged either.
 *
 * HELLO leads to ENDED too: by the HELLO of a health check once it is answered, by a DISCONNECT,
 * and when HAProxy sends no more. After 10 s the stream is closed without an answer. Any state
 * leads to ENDED by a frame that breaks the protocol: its status is sent by DISCONNECT.
 *
 * An extra (spop_peer.h) is told to end when its first NOTIFY comes, and so leads to ENDED when all
 * frames that came with it are answered.
 *
 * Why the end waits until nothing is in flight: HAProxy gives up a request whose connection ends
 * before its ACK came. For the same reason the answers to all that was read have room in the output
 * before it is read: an ACK that has to wait for room would need a queue of its own.
 */
#include "net/spop/spop_peer.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/request_log.h"
#include "net/spop/spop_map.h"
#include "wire/spop_hello.h"
#include "wire/spop_notify.h"

#define HELLO_SECONDS  10.0
#define ARGUMENTS_MAX  255 /* their number is one byte */
#define MESSAGES_MAX   64  /* in a frame: for each of them the policies are searched */
#define DISCONNECT_MAX 128
/* A frame is read only when the output has room for its answer and for those in flight. */
#define ANSWER_MAX SPOP_ACK_MAX

enum peer_state { PEER_HELLO = 0, PEER_SERVING, PEER_ENDED };

struct spop_peer {
	const struct spop_peer_config *config;
	struct stream stream;
	enum peer_state state;
	bool end_when_idle; /* end as soon as nothing is in flight */
	bool takes_no_more; /* frames that still come are thrown away: not answered, not charged */
	bool is_extra;      /* above the server's limit: it gets on_error, and then ends */
	int64_t opened_us;  /* on the monotonic clock, as is used_us */
	int64_t used_us;    /* when its last frame was read */
	uint32_t max_frame_size; /* of frames that we send, as the HELLOs agreed on */
	size_t in_flight;        /* NOTIFYs that wait for their verdict */
	struct list open;        /* their inquiries */
	struct list link;        /* in the server's list */
};

static struct spop_peer *peer_of(struct stream *stream)
{
	return CONTAINER_OF(stream, struct spop_peer, stream);
}

/* ---- ending ---- */

static void end(struct spop_peer *peer)
{
	if (peer->state == PEER_ENDED)
		return;
	peer->state = PEER_ENDED;
	peer->config->stats->ended_owing += peer->in_flight > 0;
	engine_abandon(&peer->open);
	peer->in_flight = 0;
	stream_finish(&peer->stream);
}

static void disconnect(struct spop_peer *peer, enum spop_status status, const char *message)
{
	struct writer *w = stream_writer(&peer->stream, DISCONNECT_MAX);

	if (w != NULL) {
		spop_put_agent_disconnect(w, status, message);
		peer->config->stats->agent_disconnects++;
	}
	end(peer);
}

/* Answers a frame that breaks the protocol. */
static void refuse_frame(struct spop_peer *peer, enum spop_status status)
{
	static struct log_limit limit;

	peer->config->stats->errors[spop_status_place(status)]++;
	log_limited(&limit, LOG_WARN, "spop_refused", LOG_INT("status", status),
		    LOG_TEXT("reason", spop_status_text(status)));
	disconnect(peer, status, spop_status_text(status));
}

/* Ends a peer that owes no answer, if HAProxy or the server wants it to end. */
static void end_if_idle(struct spop_peer *peer)
{
	if (peer->in_flight > 0 || peer->stream.wants_room || peer->state == PEER_ENDED)
		return;
	if (peer->stream.is_input_over)
		end(peer);
	else if (peer->end_when_idle)
		disconnect(peer, SPOP_NORMAL, spop_status_text(SPOP_NORMAL));
}

/* ---- the handshake ---- */

static void answer_hello(struct spop_peer *peer, const struct spop_hello *hello)
{
	uint32_t ours = peer->config->max_frame_size;
	struct writer *w = stream_writer(&peer->stream, DISCONNECT_MAX);

	peer->max_frame_size = hello->max_frame_size < ours ? hello->max_frame_size : ours;
	if (w == NULL) {
		stream_close(&peer->stream); /* there is no memory for a block */
		return;
	}
	spop_put_agent_hello(w, peer->max_frame_size, hello->pipelining);
	peer->config->stats->agent_hellos++;
	log_event(LOG_DEBUG, "spop_hello", LOG_BYTES("engine_id", hello->engine_id),
		  LOG_INT("max_frame_size", peer->max_frame_size),
		  LOG_INT("healthcheck", hello->healthcheck));
	stream_stop_timeout(&peer->stream);
	peer->state = PEER_SERVING;
	if (hello->healthcheck)
		end(peer);
}

static void answer_any_hello(struct spop_peer *peer, const struct spop_frame *frame)
{
	struct spop_hello hello;
	enum spop_status status = spop_hello_read(frame, &hello);

	peer->config->stats->healthchecks += status == SPOP_NORMAL && hello.healthcheck;
	if (status != SPOP_NORMAL)
		refuse_frame(peer, status);
	else if (hello.healthcheck && peer->config->is_draining)
		disconnect(peer, SPOP_NORMAL, "draining");
	else
		answer_hello(peer, &hello);
}

/* ---- NOTIFY and ACK ---- */

static void put_ack(struct spop_peer *peer, uint64_t stream_id, uint64_t frame_id,
		    const struct verdict *verdict)
{
	struct writer *out = stream_writer(&peer->stream, ANSWER_MAX);
	size_t max = peer->max_frame_size + SPOP_LENGTH_BYTES;

	if (out == NULL) { /* there was room: so memory is short */
		stream_close(&peer->stream);
		return;
	}
	struct writer w = writer_on(out->data + out->len, max < ANSWER_MAX ? max : ANSWER_MAX);
	size_t begin = spop_frame_begin(&w, SPOP_ACK, stream_id, frame_id);
	spop_map_put_verdict(&w, verdict, peer->config->vars);
	ASSERT(!w.full);
	spop_frame_end(&w, begin);
	(void)writer_take(out, w.len);
	peer->config->stats->acks++;
}

/* Both show a mistake in a configuration: the agent's or HAProxy's. */
static void log_mistakes(const struct request *request)
{
	static struct log_limit invalid;

	if (request->is_invalid)
		log_limited(&invalid, LOG_WARN, "spop_message_invalid",
			    LOG_TEXT("reason", request->invalid_why));
	request_log_policies(request);
}

static void answer(struct spop_peer *peer, uint64_t stream_id, uint64_t frame_id,
		   const struct verdict *verdict)
{
	log_mistakes(verdict->request);
	put_ack(peer, stream_id, frame_id, verdict);
	peer->end_when_idle |= peer->config->ends_with_answer;
}

/* What an asker's tag holds: the ids that the ACK must repeat. */
enum tag { TAG_STREAM_ID = 0, TAG_FRAME_ID };

static void on_verdict(const struct asker *asker, const struct verdict *verdict)
{
	struct spop_peer *peer = asker->owner;

	peer->in_flight--;
	answer(peer, asker->tag[TAG_STREAM_ID], asker->tag[TAG_FRAME_ID], verdict);
	end_if_idle(peer);
}

/* Makes attributes of a message's arguments; -1 when they can't be decoded. */
static int read_attributes(struct spop_names *names, struct bytes *payload,
			   struct spop_message *message, struct attribute *items,
			   struct attributes *ret_attributes)
{
	struct spop_argument argument;
	size_t count = 0;
	int found;

	while ((found = spop_argument_next(payload, message, &argument)) > 0) {
		spop_names_add(names, argument.name, argument.data.type == SPOP_NULL);
		items[count++] = spop_map_attribute(&argument);
	}
	*ret_attributes = (struct attributes){items, count};
	return found;
}

/* False when the payload can't be decoded, or has so many messages that others would wait long. */
static bool add_messages(struct spop_names *names, struct inquiry *inquiry, struct bytes payload)
{
	struct attribute items[ARGUMENTS_MAX];
	struct attributes attributes;
	struct spop_message message;
	size_t count = 0;
	int found;

	while ((found = spop_message_next(&payload, &message)) > 0) {
		if (++count > MESSAGES_MAX ||
		    read_attributes(names, &payload, &message, items, &attributes) < 0)
			return false;
		engine_add(inquiry, &attributes);
	}
	return found == 0;
}

static void handle_notify(struct spop_peer *peer, const struct spop_frame *frame, int64_t now_us,
			  int64_t mono_us)
{
	struct inquiry *inquiry = engine_begin(peer->config->engine);
	struct asker asker = {
		.done = on_verdict,
		.open = &peer->open,
		.owner = peer,
		.tag = {[TAG_STREAM_ID] = frame->stream_id, [TAG_FRAME_ID] = frame->frame_id},
	};

	peer->config->stats->last_notify_us = now_us;
	if (!add_messages(&peer->config->stats->names, inquiry, frame->payload)) {
		engine_end(inquiry);
		refuse_frame(peer, SPOP_INVALID);
		return;
	}
	if (peer->is_extra) {
		engine_decide_unasked(inquiry, &asker, now_us, mono_us);
		peer->end_when_idle = true;
	} else if (engine_submit(inquiry, &asker, now_us, mono_us) == ENGINE_PENDING) {
		peer->in_flight++;
		return;
	}
	answer(peer, frame->stream_id, frame->frame_id, engine_verdict(inquiry));
	engine_end(inquiry);
}

/* ---- frames ---- */

/* HAProxy sends status 0 when it reloads and 2 when the connection was idle: both are usual. */
static void note_disconnect(struct spop_peer *peer, const struct spop_frame *frame)
{
	static struct log_limit limit;
	struct bytes message;
	uint64_t status;

	if (!spop_disconnect_read(frame->payload, &status, &message)) {
		refuse_frame(peer, SPOP_INVALID);
		return;
	}
	if (status != SPOP_NORMAL && status != SPOP_TIMEOUT) {
		peer->config->stats->errors_of_haproxy[spop_status_place(status)]++;
		log_limited(&limit, LOG_WARN, "spop_disconnected", LOG_INT("status", status),
			    LOG_BYTES("message", message));
	}
	/* Behind its DISCONNECT HAProxy waits for ours alone, and ignores every other frame. */
	peer->takes_no_more = true;
	peer->end_when_idle = true;
}

static void count_frame(struct spop_server_stats *stats, uint8_t type)
{
	if (type == SPOP_NOTIFY) {
		stats->notifies++;
		return;
	}
	stats->hellos += type == SPOP_HAPROXY_HELLO;
	stats->disconnects += type == SPOP_HAPROXY_DISCONNECT;
	stats->others += type < SPOP_HAPROXY_HELLO || type > SPOP_NOTIFY;
}

static void handle_frame(struct spop_peer *peer, const struct spop_frame *frame, int64_t now_us,
			 int64_t mono_us)
{
	count_frame(peer->config->stats, frame->type);
	peer->used_us = mono_us;
	if (frame->type == SPOP_HAPROXY_DISCONNECT) {
		note_disconnect(peer, frame);
	} else if (peer->state == PEER_HELLO) {
		answer_any_hello(peer, frame);
	} else if (frame->type == SPOP_UNSET || (frame->flags & SPOP_FIN) == 0) {
		refuse_frame(peer, SPOP_FRAGMENTED);
	} else if (frame->type == SPOP_NOTIFY) {
		handle_notify(peer, frame, now_us, mono_us);
	} else if (frame->type == SPOP_HAPROXY_HELLO ||
		   (frame->type >= SPOP_AGENT_HELLO && frame->type <= SPOP_ACK)) {
		refuse_frame(peer, SPOP_INVALID);
	} /* else the type is of a later version, and the frame is skipped (SPOE.txt 3.2) */
}

static bool has_room_for_answer(const struct spop_peer *peer)
{
	size_t promised = peer->stream.out.len + peer->in_flight * ANSWER_MAX;

	return promised + ANSWER_MAX + DISCONNECT_MAX <= STREAM_OUT_MAX;
}

static void handle_frames(struct spop_peer *peer, struct bytes *input)
{
	int64_t now_us = clock_now_us(), mono_us = clock_mono_us();

	while (peer->stream.state == STREAM_OPEN && !peer->takes_no_more) {
		struct spop_frame frame;
		enum spop_status status;
		if (!has_room_for_answer(peer)) {
			stream_wait_for_room(&peer->stream);
			return;
		}
		enum spop_found found =
			spop_frame_next(input, peer->config->max_frame_size, &frame, &status);
		if (found == SPOP_FOUND_NONE)
			return;
		if (found == SPOP_FOUND_FRAME)
			handle_frame(peer, &frame, now_us, mono_us);
		else
			refuse_frame(peer, status);
	}
}

static void on_input(struct stream *stream, struct bytes *input)
{
	struct spop_peer *peer = peer_of(stream);

	if (!peer->takes_no_more)
		handle_frames(peer, input);
	if (peer->takes_no_more)
		*input = bytes_skip(*input, input->len);
	if (peer->end_when_idle && input->len == 0) /* else a NOTIFY has begun, and is answered */
		end_if_idle(peer);
}

static void on_input_over(struct stream *stream)
{
	end_if_idle(peer_of(stream));
}

static void on_timeout(struct stream *stream)
{
	static struct log_limit limit;

	peer_of(stream)->config->stats->hello_timeouts++;
	log_limited(&limit, LOG_WARN, "spop_hello_timeout", LOG_INT("seconds", HELLO_SECONDS));
	stream_close(stream);
}

static void on_closed(struct stream *stream)
{
	struct spop_peer *peer = peer_of(stream);

	if (peer->state == PEER_SERVING && (peer->in_flight > 0 || stream->out.len > 0))
		peer->config->stats->ended_owing++;
	engine_abandon(&peer->open);
	peer->config->ended(peer->config->owner, &peer->link);
	free(peer);
}

static const struct stream_owner stream_owner = {
	.input = on_input,
	.input_over = on_input_over,
	.timeout = on_timeout,
	.closed = on_closed,
};

bool spop_peer_open(const struct spop_peer_config *config, int fd, struct list *peers)
{
	struct spop_peer *peer = calloc(1, sizeof *peer);

	if (peer == NULL) {
		close(fd);
		return false;
	}
	peer->config = config;
	peer->opened_us = clock_mono_us();
	list_init(&peer->open);
	list_init(&peer->link);
	list_append(peers, &peer->link);
	stream_init(&peer->stream, config->streams, &stream_owner, fd);
	stream_set_timeout(&peer->stream, HELLO_SECONDS);
	return true;
}

void spop_peer_set_extra(struct list *link, bool is_extra)
{
	CONTAINER_OF(link, struct spop_peer, link)->is_extra = is_extra;
}

bool spop_peer_is_extra(const struct list *link)
{
	return CONTAINER_OF(link, struct spop_peer, link)->is_extra;
}

static int64_t last_sign_us(const struct spop_peer *peer)
{
	return peer->used_us > peer->opened_us ? peer->used_us : peer->opened_us;
}

int64_t spop_peer_last_sign_us(const struct list *link)
{
	return last_sign_us(CONTAINER_OF(link, struct spop_peer, link));
}

int64_t spop_peer_opened_us(const struct list *link)
{
	return CONTAINER_OF(link, struct spop_peer, link)->opened_us;
}

bool spop_peer_awaits_hello(const struct list *link)
{
	return CONTAINER_OF(link, struct spop_peer, link)->state == PEER_HELLO;
}

/* In which state a peer is missed least: the smaller, the less. */
static int rank(const struct spop_peer *peer)
{
	switch (peer->state) {
	case PEER_ENDED:
		return 0;
	case PEER_HELLO:
		return 1;
	case PEER_SERVING:
		break;
	}
	return 2;
}

struct list *spop_peer_find_least_missed(struct list *peers, int64_t since_us)
{
	struct spop_peer *found = NULL;

	for (struct list *link = peers->next; link != peers; link = link->next) {
		struct spop_peer *peer = CONTAINER_OF(link, struct spop_peer, link);
		if (peer->state != PEER_ENDED && last_sign_us(peer) > since_us)
			continue;
		if (found == NULL || rank(peer) < rank(found) ||
		    (rank(peer) == rank(found) && last_sign_us(peer) < last_sign_us(found)))
			found = peer;
	}
	return found == NULL ? NULL : &found->link;
}

void spop_peer_displace(struct list *link)
{
	struct spop_peer *peer = CONTAINER_OF(link, struct spop_peer, link);

	if (peer->state == PEER_SERVING)
		disconnect(peer, SPOP_NORMAL, spop_status_text(SPOP_NORMAL));
	streams_flush(peer->config->streams);
	stream_close(&peer->stream);
}

bool spop_peer_end_if_quiet(struct list *link, int64_t since_us)
{
	struct spop_peer *peer = CONTAINER_OF(link, struct spop_peer, link);

	if (peer->used_us > since_us)
		return false;
	peer->end_when_idle = true;
	end_if_idle(peer);
	return true;
}

bool spop_peer_end_with_answer(struct list *link)
{
	struct spop_peer *peer = CONTAINER_OF(link, struct spop_peer, link);

	if (peer->end_when_idle || peer->state == PEER_ENDED)
		return false;
	peer->end_when_idle = true;
	return true;
}

void spop_peer_take_no_more(struct list *link)
{
	struct spop_peer *peer = CONTAINER_OF(link, struct spop_peer, link);

	peer->end_when_idle = true;
	peer->takes_no_more = true;
	end_if_idle(peer);
}

void spop_peer_end(struct list *link)
{
	struct spop_peer *peer = CONTAINER_OF(link, struct spop_peer, link);

	if (peer->state != PEER_ENDED)
		disconnect(peer, SPOP_NORMAL, spop_status_text(SPOP_NORMAL));
}

void spop_peer_close(struct list *link)
{
	stream_close(&CONTAINER_OF(link, struct spop_peer, link)->stream);
}
