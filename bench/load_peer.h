/*
 * load_peer.h - one connection after the handshake: it keeps its checks in flight.
 *
 * Each check in flight has a slot. Its stream-id is `turn * slots + slot`: so no stream-id is used
 * twice, an answer finds its slot without a search, and an answer to no question, or a second
 * answer, is noticed. Answers may come in any order. All frame-ids are 1, as HAProxy's.
 *
 *     readable --> load_peer_read: counts the answers, frees their slots
 *              --> load_peer_ask:  a new check for each free slot, all in one write;
 *                                  fewer when no more than `most` are wanted
 *
 * No function here blocks. A function that returns false has written the reason to `err`, and the
 * connection can't be used any more.
 */
#ifndef BENCH_LOAD_PEER_H
#define BENCH_LOAD_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/writer.h"
#include "load_message.h"
#include "load_tally.h"

struct load_slot {
	uint64_t stream_id;
	int64_t sent_us;
	bool is_waiting;
};

struct load_peer {
	int fd;
	struct load_slot *slots;
	size_t slot_count;
	size_t *free; /* their indexes, the first `free_count` of slot_count */
	size_t free_count;
	struct writer out; /* what was not written yet */
	uint8_t *in;       /* LOAD_INPUT_MAX bytes */
	size_t in_len;
};

#define LOAD_INPUT_MAX 65536

/* Takes over `fd` when it succeeds. False: there is no memory. */
MUST_CHECK bool load_peer_init(struct load_peer *peer, int fd, size_t in_flight,
			       size_t question_size);
void load_peer_release(struct load_peer *peer);

MUST_CHECK bool load_peer_read(struct load_peer *peer, struct load_tally *tally, struct err *err);
/* One check, which leaves at the next load_peer_write; none when no slot is free. */
void load_peer_put(struct load_peer *peer, struct load_question *question,
		   struct load_tally *tally);
MUST_CHECK bool load_peer_ask(struct load_peer *peer, struct load_question *question, uint64_t most,
			      struct load_tally *tally, struct err *err);
/* What is left of the last write; more than nothing means: when it is writable again. */
MUST_CHECK bool load_peer_write(struct load_peer *peer, struct err *err);

/* False when a check waits since before `since_us`. */
MUST_CHECK bool load_peer_is_in_time(const struct load_peer *peer, int64_t since_us,
				     struct err *err);

#endif
