#include "load_peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "wire/spop_hello.h"

/* Four bytes more than HAProxy's offer would be a frame that is too big. */
#define FRAME_MAX 16380

bool load_peer_init(struct load_peer *peer, int fd, size_t in_flight, size_t question_size)
{
	*peer = (struct load_peer){
		.fd = fd,
		.slots = calloc(in_flight, sizeof *peer->slots),
		.slot_count = in_flight,
		.free = calloc(in_flight, sizeof *peer->free),
		.free_count = in_flight,
		.out = writer_on(malloc(in_flight * question_size), in_flight * question_size),
		.in = malloc(LOAD_INPUT_MAX),
	};
	if (peer->slots == NULL || peer->free == NULL || peer->out.data == NULL ||
	    peer->in == NULL) {
		peer->fd = -1;
		load_peer_release(peer);
		return false;
	}
	for (size_t i = 0; i < in_flight; i++) {
		peer->free[i] = i;
		peer->slots[i].stream_id = i;
	}
	return true;
}

void load_peer_release(struct load_peer *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	free(peer->slots);
	free(peer->free);
	free(peer->out.data);
	free(peer->in);
	*peer = (struct load_peer){.fd = -1};
}

/* ---- answers ---- */

static bool take_ack(struct load_peer *peer, const struct spop_frame *frame,
		     struct load_tally *tally, int64_t now_us, struct err *err)
{
	size_t index = frame->stream_id % peer->slot_count;
	struct load_slot *slot = &peer->slots[index];
	struct load_answer answer;

	if (!slot->is_waiting || slot->stream_id != frame->stream_id || frame->frame_id != 1)
		return err_set(err, "an ACK that nobody waits for: stream-id %llu, frame-id %llu",
			       (unsigned long long)frame->stream_id,
			       (unsigned long long)frame->frame_id);
	if (!load_answer_read(frame->payload, &answer))
		return err_set(err, "the ACK with stream-id %llu has no actions, or wrong ones",
			       (unsigned long long)frame->stream_id);
	load_tally_add(tally, &answer, now_us - slot->sent_us);
	slot->is_waiting = false;
	slot->stream_id += peer->slot_count;
	peer->free[peer->free_count++] = index;
	return true;
}

static bool refuse_frame(const struct spop_frame *frame, struct err *err)
{
	struct bytes message;
	uint64_t status;

	if (frame->type == SPOP_AGENT_DISCONNECT &&
	    spop_disconnect_read(frame->payload, &status, &message))
		return err_set(err, "AGENT-DISCONNECT %llu %s", (unsigned long long)status,
			       quoted(message).text);
	return err_set(err, "a frame of type %u, flags %#x instead of an ACK", frame->type,
		       frame->flags);
}

static bool take_frames(struct load_peer *peer, struct load_tally *tally, int64_t now_us,
			struct err *err)
{
	struct bytes input = bytes_from(peer->in, peer->in_len);
	struct spop_frame frame;
	enum spop_status status;
	enum spop_found found;

	while ((found = spop_frame_next(&input, FRAME_MAX, &frame, &status)) == SPOP_FOUND_FRAME) {
		if (frame.type != SPOP_ACK || (frame.flags & SPOP_FIN) == 0)
			return refuse_frame(&frame, err);
		if (!take_ack(peer, &frame, tally, now_us, err))
			return false;
	}
	if (found == SPOP_FOUND_BAD)
		return err_set(err, "not a frame: %s", spop_status_text(status));
	memmove(peer->in, input.data, input.len);
	peer->in_len = input.len;
	return true;
}

bool load_peer_read(struct load_peer *peer, struct load_tally *tally, struct err *err)
{
	ssize_t got = recv(peer->fd, peer->in + peer->in_len, LOAD_INPUT_MAX - peer->in_len, 0);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (got < 0)
		return err_set(err, "%s, %zu checks unanswered", strerror(errno),
			       peer->slot_count - peer->free_count);
	if (got == 0)
		return err_set(err, "the agent closed the connection, %zu checks unanswered",
			       peer->slot_count - peer->free_count);
	peer->in_len += (size_t)got;
	return take_frames(peer, tally, clock_mono_us(), err);
}

/* ---- questions ---- */

bool load_peer_write(struct load_peer *peer, struct err *err)
{
	struct writer *out = &peer->out;

	if (out->len == 0)
		return true;
	ssize_t written = send(peer->fd, out->data, out->len, MSG_NOSIGNAL);
	if (written < 0 && errno != EAGAIN && errno != EINTR)
		return err_set(err, "%s, %zu checks unanswered", strerror(errno),
			       peer->slot_count - peer->free_count);
	size_t done = written > 0 ? (size_t)written : 0;
	memmove(out->data, out->data + done, out->len - done);
	out->len -= done;
	return true;
}

static void put_check(struct load_peer *peer, struct load_question *question,
		      struct load_tally *tally, int64_t now_us)
{
	struct load_slot *slot = &peer->slots[peer->free[--peer->free_count]];

	load_question_put(question, &peer->out, slot->stream_id);
	slot->sent_us = now_us;
	slot->is_waiting = true;
	load_tally_ask(tally);
}

void load_peer_put(struct load_peer *peer, struct load_question *question, struct load_tally *tally)
{
	if (peer->free_count > 0)
		put_check(peer, question, tally, clock_mono_us());
}

bool load_peer_ask(struct load_peer *peer, struct load_question *question, uint64_t most,
		   struct load_tally *tally, struct err *err)
{
	int64_t now_us;

	if (peer->free_count == 0 || most == 0)
		return true;
	now_us = clock_mono_us();
	for (; peer->free_count > 0 && most > 0; most--)
		put_check(peer, question, tally, now_us);
	/* There is room for a question of each slot. */
	ASSERT(!peer->out.full);
	return load_peer_write(peer, err);
}

/* ---- waiting ---- */

bool load_peer_is_in_time(const struct load_peer *peer, int64_t since_us, struct err *err)
{
	for (size_t i = 0; i < peer->slot_count; i++) {
		const struct load_slot *slot = &peer->slots[i];
		if (slot->is_waiting && slot->sent_us < since_us)
			return err_set(err, "no answer to stream-id %llu for %lld s",
				       (unsigned long long)slot->stream_id,
				       (long long)(LOAD_WAIT_MAX_US / US_PER_SECOND));
	}
	return true;
}
