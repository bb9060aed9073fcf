/*
 * spop_peer.h - one connection of HAProxy's: the handshake, then a NOTIFY in, an ACK out.
 *
 *   HELLO ------- HAPROXY-HELLO -------> SERVING ------ DISCONNECT, either side's -------> ENDED
 *     |                                                                                     ^
 *     `---- a health check, a broken frame, 10 s without a HELLO: answered, then ended -----'
 *
 * A frame that breaks the protocol gets AGENT-DISCONNECT with its status (SPOE.txt 3.3), and what
 * was in flight on that connection has no answer any more; other connections do not notice.
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
	struct spop_server_stats *stats; /* counted into */
	uint32_t max_frame_size;
	unsigned vars;
	bool is_draining;
	void (*ended)(void *owner, struct list *link); /* the peer is about to be freed */
	void *owner;
};

/*
 * Takes the descriptor. The peer frees itself when its connection is over; `peers` is the list that
 * it stands in until then. False, with the descriptor closed, when memory is short.
 */
MUST_CHECK bool spop_peer_open(const struct spop_peer_config *config, int fd, struct list *peers);
/* Ends it if nothing came since then: now, or when nothing of it is in flight. Else false. */
bool spop_peer_end_if_quiet(struct list *link, int64_t since_us);
/* Ends it with the next answer that leaves nothing in flight. False when that was said before. */
bool spop_peer_end_with_answer(struct list *link);
/* Ends it when what is in flight is answered: of one that always has something. */
void spop_peer_take_no_more(struct list *link);
/* With its DISCONNECT, whatever is in flight. */
void spop_peer_end(struct list *link);
/* At once. */
void spop_peer_close(struct list *link);

#endif
