/*
 *                 .---------------------------------------------------------------.
 *                 v   a good head, the body missing              the body is here |
 *               HEAD ----------------------------> BODY ------------.             |
 *                 |                                                 v             |
 *                 |--- a good head with its body -------------> requested() ------| answered inside
 *                 |                                                 |             |
 *                 |                                                 | not yet     |
 *                 |                                                 v             |
 *                 |                                              WAITING ---------' the verdict
 *                 |
 *                 `--- refused (from BODY too), Connection: close, draining ----> LAST
 *
 *   LAST: the last answer is put. What still comes in is thrown away. When the answer is written,
 *   the stream lingers, so that the client can read the answer, and then it closes.
 *
 * Where the bytes are. A head stays in the stream until it is complete, since the stream keeps what
 * is not read. A request that is complete in one read is handled where it lies and copied nowhere.
 * Only a request whose body comes later is copied, head and all, into memory of its own (`kept`),
 * which has its final size at once when the length is known. So an idle connection has no buffer.
 *
 * Why there is always room for an answer. The peer takes a step only when the output has room for
 * ANSWER_MAX, and puts nothing else while a request waits. An answer whose body does not fit into
 * the rest of the block is sent as a body of the stream (stream.h).
 *
 * Why reading stops. While a request waits, or an answer is not written, more input is left where
 * it is (stream_wait_for_room); the stream calls again when all output is written. So a client
 * that does not read its answers is not asked for more questions.
 *
 * The phase of the crowd follows from all that, and is set in one place, `settle`.
 */
#include "net/http/http_peer.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/least.h"
#include "net/http/http_bounds.h"
#include "net/http/http_chunks.h"
#include "net/http/http_reply.h"

#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"
/* What fits into the output before a step is made: 100, the answer's head and its small body. */
#define ANSWER_MAX (sizeof CONTINUE + HTTP_ANSWER_HEAD_MAX + HTTP_VERDICT_MAX)

#define KEPT_BODY_MIN 4096 /* of a body in chunks; it doubles */

enum peer_state { PEER_HEAD = 0, PEER_BODY, PEER_WAITING, PEER_LAST };

/* A request that did not come in one piece. */
struct kept {
	size_t head_len;
	size_t body_len;
	size_t body_max;
	uint8_t data[]; /* the head, then the body */
};

struct http_peer {
	struct http_peer_config *config;
	struct stream stream;
	struct http_guest guest;
	enum peer_state state;
	bool is_told;     /* the handler knows of the request */
	bool is_answered; /* its answer is put */
	bool is_last;     /* its answer is the connection's last */
	struct http_exchange exchange;
	struct kept *kept;
	struct http_chunks chunks;
};

static struct http_peer *peer_of(struct stream *stream)
{
	return CONTAINER_OF(stream, struct http_peer, stream);
}

static struct http_peer *peer_of_guest(struct http_guest *guest)
{
	return CONTAINER_OF(guest, struct http_peer, guest);
}

static bool is_open(const struct http_peer *peer)
{
	return peer->stream.state == STREAM_OPEN;
}

/* ---- phases, and ends ---- */

static enum http_phase phase_of(const struct http_peer *peer)
{
	if (peer->stream.state != STREAM_OPEN)
		return PHASE_LEAVING;
	if (peer->state == PEER_WAITING)
		return PHASE_WAITING;
	if (stream_has_output(&peer->stream))
		return PHASE_ANSWERING;
	return peer->state == PEER_BODY || peer->exchange.head.seen > 0 ? PHASE_ASKING : PHASE_IDLE;
}

static void close_now(struct http_peer *peer)
{
	http_crowd_leave(peer->config->crowd, &peer->guest);
	stream_close(&peer->stream);
}

/* Lingering connections keep descriptors, so there is a bound for them too. */
static void bound_leaving(struct http_crowd *crowd)
{
	while (crowd->counts[PHASE_LEAVING] > HTTP_LEAVING_MAX)
		close_now(peer_of_guest(http_crowd_first(crowd, PHASE_LEAVING)));
}

static void settle(struct http_peer *peer, int64_t mono_us)
{
	enum http_phase phase = phase_of(peer);

	if (phase == peer->guest.phase)
		return;
	http_crowd_move(peer->config->crowd, &peer->guest, phase, mono_us);
	if (phase == PHASE_LEAVING)
		bound_leaving(peer->config->crowd);
}

/* ---- answers ---- */

/* Formats Date anew when the second is over (RFC 9110, section 5.6.7). */
static const char *date_of(struct http_peer_config *config)
{
	int64_t mono_us = config->mono_us();

	if (mono_us < config->date_until_us)
		return config->date;
	int64_t now_us = config->now_us();
	time_t now = (time_t)(now_us / US_PER_SECOND);
	struct tm tm;
	(void)gmtime_r(&now, &tm);
	(void)strftime(config->date, sizeof config->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	config->date_until_us = mono_us + US_PER_SECOND - now_us % US_PER_SECOND;
	return config->date;
}

static const char *connection_of(const struct http_peer *peer)
{
	if (peer->is_last)
		return "close";
	return peer->exchange.head.is_http_1_0 ? "keep-alive" : NULL; /* RFC 9112, 9.3 */
}

/*
 * Makes room for an answer: closes the connections that have not read theirs for longest. What can
 * be written is written first, so that clients that read are not taken for clients that don't.
 */
static void bound_unread(struct http_peer *peer)
{
	const struct http_peer_config *config = peer->config;
	struct http_guest *first;

	if (streams_output(config->streams) <= HTTP_UNREAD_MAX)
		return;
	streams_flush(config->streams);
	while (streams_output(config->streams) > HTTP_UNREAD_MAX &&
	       (first = http_crowd_first(config->crowd, PHASE_ANSWERING)) != NULL) {
		if (first == &peer->guest) /* it has just been asked, and reads */
			break;
		config->stats->evicted++;
		close_now(peer_of_guest(first));
	}
}

/* The copy that an answer needs whose body does not fit into the block; NULL: no memory. */
static struct stream_body *copy_of(struct http_peer *peer, struct bytes body)
{
	void *data = malloc(body.len);

	if (data == NULL)
		return NULL;
	memcpy(data, body.data, body.len);
	return stream_body_new(peer->config->streams, data, body.len);
}

/* False when memory is short. Takes the reference to `large`. */
static bool put_answer(struct http_peer *peer, const struct http_answer *answer)
{
	struct stream_body *large = answer->large;
	struct writer *w = stream_writer(&peer->stream, HTTP_ANSWER_HEAD_MAX);

	if (w == NULL) { /* there was room: so there is no memory, or the connection is over */
		stream_body_unref(large);
		return false;
	}
	http_answer_put_head(w, answer, date_of(peer->config), connection_of(peer));
	ASSERT(!w->full);
	struct bytes body = large != NULL ? bytes_from(large->data, large->len) : answer->body;
	bool has_body = peer->exchange.head.method != METHOD_HEAD && body.len > 0;
	if (!has_body || body.len <= w->max - w->len) {
		if (has_body)
			writer_put(w, body);
		stream_body_unref(large);
		return true;
	}
	if (large == NULL)
		large = copy_of(peer, body);
	if (large == NULL)
		return false;
	stream_put_body(&peer->stream, large);
	return true;
}

/* The request is over: its answer is put, or its client is gone. */
static void end_request(struct http_peer *peer)
{
	struct http_exchange *exchange = &peer->exchange;
	const struct http_handler *handler = &peer->config->handler;

	if (peer->is_told)
		handler->ended(handler->owner, exchange);
	free(peer->kept);
	peer->kept = NULL;
	peer->state = peer->is_last ? PEER_LAST : PEER_HEAD;
	peer->is_told = peer->is_answered = false;
	exchange->head = (struct http_head){0};
	exchange->data = NULL;
	exchange->route = NULL;
	exchange->operation = NULL;
	exchange->ignores_body = false;
	exchange->takes_large_body = false;
}

void http_answer_send(struct http_exchange *exchange, const struct http_answer *answer)
{
	struct http_peer *peer = CONTAINER_OF(exchange, struct http_peer, exchange);

	ASSERT(peer->is_told && !peer->is_answered);
	peer->is_answered = true;
	peer->is_last |= peer->config->is_draining;
	if (!put_answer(peer, answer)) {
		close_now(peer);
		return;
	}
	if (peer->state != PEER_WAITING)
		return; /* inside the handler's call: whoever called it goes on */
	end_request(peer);
	settle(peer, peer->config->mono_us());
	bound_unread(peer);
}

int http_exchange_descriptor(const struct http_exchange *exchange)
{
	return CONTAINER_OF(exchange, struct http_peer, exchange)->stream.readable.fd;
}

/* ---- requests ---- */

/*
 * The handler answers before this returns. No other request is read from the connection, because
 * nobody can tell where the next one begins.
 */
static void refuse(struct http_peer *peer, unsigned status, const char *why)
{
	const struct http_handler *handler = &peer->config->handler;

	peer->state = PEER_LAST; /* so that http_answer_send leaves the end to this function */
	peer->is_told = true;
	peer->is_last = true;
	handler->refused(handler->owner, &peer->exchange, status, why);
	ASSERT(peer->is_answered);
	end_request(peer);
}

/* Whether the request itself asks for the end of the connection (RFC 9112, section 9.3). */
static bool is_last_by_head(const struct http_head *head)
{
	return head->wants_close || (head->is_http_1_0 && !head->wants_keep_alive);
}

/* The request is complete: the handler answers it now or later. */
static void hand_over(struct http_peer *peer, struct bytes body)
{
	const struct http_handler *handler = &peer->config->handler;

	peer->exchange.body = body;
	handler->requested(handler->owner, &peer->exchange);
	if (peer->is_answered)
		end_request(peer);
	else
		peer->state = PEER_WAITING;
}

static size_t body_max_of(const struct http_exchange *exchange)
{
	return exchange->takes_large_body ? HTTP_LARGE_BODY_MAX : HTTP_BODY_MAX;
}

/*
 * How many bytes of `input`, behind the head, are the whole body in chunks. 0 when some of it is
 * missing, or when it has extensions or trailers, which a proxy before the agent may have read
 * otherwise.
 */
static size_t find_end_of_chunks(struct bytes input, size_t max)
{
	struct http_chunks chunks = {.max = max};
	struct bytes rest = input, piece;
	enum http_chunks_found found;

	do {
		found = http_chunks_read(&chunks, &rest, &piece);
	} while (found == HTTP_CHUNKS_PIECE);
	return found == HTTP_CHUNKS_DONE && !chunks.has_extras ? input.len - rest.len : 0;
}

/* Moves a request whose body is not all here, or is in chunks, into memory of its own. */
static bool keep_request(struct http_peer *peer, struct bytes input)
{
	struct http_exchange *exchange = &peer->exchange;
	size_t head_len = exchange->head.len;
	size_t max = exchange->head.is_chunked ? KEPT_BODY_MIN : (size_t)exchange->head.length;
	struct kept *kept = malloc(sizeof *kept + head_len + max);

	if (kept == NULL)
		return false;
	*kept = (struct kept){.head_len = head_len, .body_max = max};
	memcpy(kept->data, input.data, head_len);
	peer->kept = kept;
	peer->chunks = (struct http_chunks){.max = body_max_of(exchange)};
	peer->state = PEER_BODY;
	return true;
}

/* The input has moved on: the head is read again, so that its views point into the copy. */
static void restore_head(struct http_peer *peer)
{
	struct kept *kept = peer->kept;
	struct http_head head = {0};

	bool is_good =
		http_head_read(&head, bytes_from(kept->data, kept->head_len)) == HTTP_HEAD_DONE;
	ASSERT(is_good);
	peer->exchange.head = head;
}

/* Tells the client to send the body (RFC 9110, section 10.1.1). */
static bool put_continue(struct http_peer *peer)
{
	struct writer *w = stream_writer(&peer->stream, sizeof CONTINUE);

	if (w == NULL)
		return false;
	writer_put_text(w, CONTINUE);
	return true;
}

static void await_body(struct http_peer *peer, struct bytes *input)
{
	const struct http_head *head = &peer->exchange.head;
	size_t head_len = head->len;
	bool says_continue = head->expects_continue && !head->is_http_1_0 && input->len == head_len;

	if (!keep_request(peer, *input) || (says_continue && !put_continue(peer))) {
		close_now(peer); /* memory is short */
		return;
	}
	*input = bytes_skip(*input, head_len);
}

/* The handler wants the body. Most have none, or it came together with the head. */
static void handle_body(struct http_peer *peer, struct bytes *input, bool is_here)
{
	const struct http_head *head = &peer->exchange.head;
	struct bytes behind = bytes_skip(*input, head->len);

	peer->is_last = is_last_by_head(head);
	if (!is_here || head->is_chunked) {
		await_body(peer, input);
	} else {
		struct bytes body = bytes_from(behind.data, (size_t)head->length);
		hand_over(peer, body); /* the head may be gone after it */
		*input = bytes_skip(behind, body.len);
	}
}

static void handle_head(struct http_peer *peer, struct bytes *input)
{
	const struct http_handler *handler = &peer->config->handler;
	struct http_exchange *exchange = &peer->exchange;
	const struct http_head *head = &exchange->head;
	struct bytes behind = bytes_skip(*input, head->len);
	size_t body_len = head->is_chunked ? find_end_of_chunks(behind, body_max_of(exchange))
					   : (size_t)head->length;
	bool is_here = (!head->is_chunked || body_len > 0) && body_len <= behind.len;
	size_t len = head->len + (is_here ? body_len : 0);

	peer->is_told = true;
	peer->is_last = is_last_by_head(head) || !is_here;
	handler->begun(handler->owner, exchange);
	if (!peer->is_answered && !exchange->ignores_body) {
		handle_body(peer, input, is_here);
		return;
	}
	if (peer->is_answered)
		end_request(peer);
	else
		hand_over(peer, (struct bytes){0});
	*input = bytes_skip(*input, len);
}

/* Returns false when more input is needed. */
static bool read_head(struct http_peer *peer, struct bytes *input)
{
	const struct http_handler *handler = &peer->config->handler;
	struct http_exchange *exchange = &peer->exchange;
	struct http_head *head = &exchange->head;

	switch (http_head_read(head, *input)) {
	case HTTP_HEAD_MORE:
		return false;
	case HTTP_HEAD_BAD:
		refuse(peer, head->status, head->why);
		return true;
	case HTTP_HEAD_DONE:
		break;
	}
	exchange->ignores_body =
		handler->ignores_body != NULL && handler->ignores_body(handler->owner, exchange);
	exchange->takes_large_body = handler->takes_large_body != NULL &&
				     handler->takes_large_body(handler->owner, exchange);
	if (head->length > body_max_of(exchange) && !exchange->ignores_body)
		refuse(peer, 413,
		       exchange->takes_large_body ? HTTP_LARGE_BODY_TOO_LARGE
						  : HTTP_BODY_TOO_LARGE);
	else
		handle_head(peer, input);
	return true;
}

/* ---- bodies ---- */

static bool reserve(struct http_peer *peer, size_t len)
{
	struct kept *kept = peer->kept;
	size_t max = kept->body_max;

	while (len > max - kept->body_len)
		max *= 2;
	if (max == kept->body_max)
		return true;
	kept = realloc(kept, sizeof *kept + kept->head_len + max);
	if (kept == NULL)
		return false;
	kept->body_max = max;
	peer->kept = kept;
	return true;
}

static void append(struct kept *kept, struct bytes piece)
{
	memcpy(kept->data + kept->head_len + kept->body_len, piece.data, piece.len);
	kept->body_len += piece.len;
}

static void hand_over_kept(struct http_peer *peer)
{
	const struct kept *kept = peer->kept;

	restore_head(peer);
	hand_over(peer, bytes_from(kept->data + kept->head_len, kept->body_len));
}

/* Of a body whose length is known. Returns false when more input is needed. */
static bool read_plain_body(struct http_peer *peer, struct bytes *input)
{
	struct kept *kept = peer->kept;
	size_t missing = kept->body_max - kept->body_len;
	size_t len = least_size(input->len, missing);

	append(kept, bytes_from(input->data, len));
	*input = bytes_skip(*input, len);
	if (len < missing)
		return false;
	hand_over_kept(peer);
	return true;
}

static bool read_chunks(struct http_peer *peer, struct bytes *input)
{
	struct http_chunks *chunks = &peer->chunks;
	enum http_chunks_found found;
	struct bytes piece;

	while ((found = http_chunks_read(chunks, input, &piece)) == HTTP_CHUNKS_PIECE) {
		if (!reserve(peer, piece.len)) {
			close_now(peer);
			return true;
		}
		append(peer->kept, piece);
	}
	if (found == HTTP_CHUNKS_MORE)
		return false;
	if (found == HTTP_CHUNKS_BAD) {
		refuse(peer, chunks->status, chunks->why);
		return true;
	}
	/* A proxy before the agent may have read these otherwise, so no request behind them counts.
	 */
	peer->is_last |= chunks->has_extras;
	hand_over_kept(peer);
	return true;
}

/* ---- the stream's calls ---- */

static bool has_room_for_answer(const struct http_peer *peer)
{
	const struct stream *stream = &peer->stream;

	return stream->body == NULL && !ev_is_active(&stream->writable) &&
	       stream->out.len + ANSWER_MAX <= STREAM_OUT_MAX;
}

/* Cuts what one step needs off the input. Returns false when no step can be made now. */
static bool make_step(struct http_peer *peer, struct bytes *input)
{
	if (peer->state == PEER_LAST) {
		*input = bytes_skip(*input, input->len);
		return false;
	}
	if (peer->state == PEER_WAITING || !has_room_for_answer(peer)) {
		stream_wait_for_room(&peer->stream);
		return false;
	}
	if (peer->state == PEER_HEAD)
		return read_head(peer, input);
	return peer->exchange.head.is_chunked ? read_chunks(peer, input)
					      : read_plain_body(peer, input);
}

static void on_input(struct stream *stream, struct bytes *input)
{
	struct http_peer *peer = peer_of(stream);

	while (is_open(peer) && input->len > 0 && make_step(peer, input))
		;
	if (!is_open(peer))
		return;
	settle(peer, peer->config->mono_us());
	bound_unread(peer);
}

/* The client sends no more: the connection ends when no answer is owed and none is on its way. */
static void finish_if_over(struct http_peer *peer)
{
	if (peer->state != PEER_WAITING && !stream_has_output(&peer->stream) &&
	    !peer->stream.wants_room)
		stream_finish(&peer->stream);
}

static void on_input_over(struct stream *stream)
{
	struct http_peer *peer = peer_of(stream);

	finish_if_over(peer);
	settle(peer, peer->config->mono_us());
}

static void on_written(struct stream *stream)
{
	struct http_peer *peer = peer_of(stream);

	if (peer->state == PEER_LAST)
		stream_finish(stream);
	else if (stream->is_input_over)
		finish_if_over(peer);
	settle(peer, peer->config->mono_us());
}

/*
 * Never called: the crowd measures the time of open connections, so nobody sets the stream's timer.
 */
static void on_timeout(struct stream *stream)
{
	close_now(peer_of(stream));
}

static void on_closed(struct stream *stream)
{
	struct http_peer *peer = peer_of(stream);

	end_request(peer);
	http_crowd_leave(peer->config->crowd, &peer->guest);
	free(peer);
}

static const struct stream_owner stream_owner = {
	.input = on_input,
	.input_over = on_input_over,
	.written = on_written,
	.timeout = on_timeout,
	.closed = on_closed,
};

bool http_peer_open(struct http_peer_config *config, int fd, const struct address *client,
		    unsigned door)
{
	struct http_peer *peer = calloc(1, sizeof *peer);

	if (peer == NULL) {
		close(fd);
		return false;
	}
	peer->config = config;
	peer->exchange.door = door;
	peer->exchange.is_local = address_is_local(client);
	peer->exchange.is_unix = client->socket.ss_family == AF_UNIX;
	peer->exchange.streams = config->streams;
	peer->exchange.stats = config->stats;
	list_init(&peer->exchange.open);
	http_crowd_enter(config->crowd, &peer->guest, client, config->mono_us());
	stream_init(&peer->stream, config->streams, &stream_owner, fd);
	return true;
}

void http_peer_close(struct http_guest *guest)
{
	close_now(peer_of_guest(guest));
}

bool http_peer_read_now(struct http_guest *guest)
{
	return stream_read_now(&peer_of_guest(guest)->stream);
}

void http_peer_refuse_waiting(struct http_guest *guest)
{
	struct http_peer *peer = peer_of_guest(guest);

	ASSERT(peer->state == PEER_WAITING);
	refuse(peer, 503, "the agent ends");
	settle(peer, peer->config->mono_us());
}
