/*
 * spop_peer.h - one connection with HAProxy: the handshake, then an ACK for each NOTIFY.
 *
 * A frame that breaks the protocol is answered by AGENT-DISCONNECT with the status of its error
 * (SPOE.txt 3.3), and the connection ends. What was in flight on it gets no answer; other
 * connections do not notice. A connection on which no good HELLO came within 10 s is closed without
 * an answer.
 *
 * A peer may be an extra: one that the server took above its limit, so that health checks are
 * answered. An extra's NOTIFYs get their on_error without the store being asked, and then the
 * extra ends.
 */
#ifndef NET_SPOP_PEER_H
#define NET_SPOP_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "engine/engine.h"
#include "net/spop/spop_stats.h"
#include "net/stream.h"

struct spop_peer;

/* What the peers of a server share. */
struct spop_peer_config {
	struct engine *engine;
	struct streams *streams;
	struct spop_server_stats *stats; /* the peers count here */
	uint32_t max_frame_size;         /* of frames that HAProxy may send */
	unsigned vars;                   /* optional variables of an ACK, bits by enum spop_var */
	bool is_draining;                /* health checks are told to look elsewhere */
	bool ends_with_answer; /* each peer ends with the next answer that leaves nothing in flight
				*/
	/* Takes the peer off the list; the peer is freed right after. */
	void (*ended)(void *owner, struct list *link);
	void *owner;
};

/*
 * Takes the descriptor and puts the peer at the end of `peers`. The peer frees itself when its
 * connection is over. False, with the descriptor closed, when memory is short.
 */
MUST_CHECK bool spop_peer_open(const struct spop_peer_config *config, int fd, struct list *peers);
/* An extra that the server has room for after all goes on as any other peer. */
void spop_peer_set_extra(struct list *link, bool is_extra);
bool spop_peer_is_extra(const struct list *link);
/*
 * Which of `peers` would be missed least: one that has ended already and is not closed, else the
 * oldest that said no HELLO, else the one whose last frame is longest ago. Those that came, or sent
 * a frame, after `since_us` are spared. NULL when none is left.
 */
struct list *spop_peer_find_least_missed(struct list *peers, int64_t since_us);
/*
 * Makes room for another: sends what is put, with a DISCONNECT if the handshake is done, and closes
 * the connection at once.
 */
void spop_peer_displace(struct list *link);
/*
 * False when a frame came after `since_us`. Else ends the peer: now, or when all that is in flight
 * is answered.
 */
bool spop_peer_end_if_quiet(struct list *link, int64_t since_us);
/*
 * When the peer's connection was accepted or its last frame came, whichever is later, on the
 * monotonic clock.
 */
int64_t spop_peer_last_sign_us(const struct list *link);
int64_t spop_peer_opened_us(const struct list *link);
/* Whether the handshake is not done yet. */
bool spop_peer_awaits_hello(const struct list *link);
/*
 * The peer ends with the next answer that leaves nothing in flight. False when that was so already,
 * or the peer has ended.
 */
bool spop_peer_end_with_answer(struct list *link);
/*
 * For a peer that always has something in flight: it takes no more frames, and ends when all that
 * is in flight is answered.
 */
void spop_peer_take_no_more(struct list *link);
/* Ends the peer with a DISCONNECT; what is in flight gets no answer. */
void spop_peer_end(struct list *link);
/* Closes the connection without a word. */
void spop_peer_close(struct list *link);

#endif
