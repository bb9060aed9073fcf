/*
 * redis_node.h - one server of a Redis store: its link, and the requests that wait for it.
 *
 * A store has one node, or, of a Redis Cluster, one for each server that it knows. Requests leave
 * in calls of up to 32 checks (or of one request), over one connection (redis_link.h), at the end
 * of a turn of the loop or when an earlier call is answered.
 *
 * A call whose reply is lost is never sent again, since Redis may have charged it. There is one
 * exception: when Redis replies that it does not know the script it has done nothing, so those
 * requests of the call that still wait are sent once more.
 */
#ifndef STORE_REDIS_NODE_H
#define STORE_REDIS_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/pool.h"
#include "store/redis/redis_link.h"
#include "store/redis/redis_script.h"
#include "store/redis/redis_warnings.h"
#include "store/store.h"

struct ev_loop;
struct redis_node;

/* What all nodes of a store have in common. Embedded in the store. */
struct redis_common {
	struct store_config config;
	struct redis_credentials credentials;
	struct redis_tls *tls; /* NULL: the target has no TLS */
	struct pool calls;     /* of redis_node_call_size() bytes each, for max_in_flight */
	struct store_stats stats;
	int64_t turn_us;     /* the monotonic clock in this turn of the loop; 0: not read yet */
	uint64_t late_turns; /* how often ops became late */
	struct redis_terms_memory terms;
	struct redis_warnings warnings;
	uint8_t command[REDIS_CALL_MAX];
};

struct redis_node_config {
	struct redis_common *common;       /* outlives the node */
	const struct redis_target *target; /* too */
	/* The link came up or went down: what redis_link_config.changed says. */
	void (*changed)(struct redis_node *node, bool is_up, enum store_error error,
			const char *why);
	/*
	 * NULL, or the node is one of a cluster and has refused `op` in these words (MOVED, ASK,
	 * TRYAGAIN, CLUSTERDOWN), and so has done nothing. The op is in no list. It stands in a
	 * call with others if not `is_alone`. True: the op was handed to redis_node_repeat. False:
	 * it gets the error.
	 */
	bool (*redirected)(struct redis_node *node, struct store_op *op, struct bytes why,
			   bool is_alone);
	/* redis_link_config.told_slots: NULL, or the node is one of a cluster. */
	const char *(*told_slots)(struct redis_node *node, const struct redis_reply *reply);
};

struct redis_node {
	struct redis_node_config config;
	uint16_t number; /* store_op.server; the owner's, 0 at first */
	struct redis_common *common;
	struct redis_link *link;
	struct list asked;    /* ops that were asked and not sent yet */
	size_t asked_checks;  /* of those ops */
	size_t under_way;     /* calls without a reply */
	struct list repeated; /* ops that NOSCRIPT or another node brought back, sent at once */
	bool is_script_asked; /* in this turn of the loop */
	struct redis_asked asking;
	struct redis_node_warnings warnings;
	bool is_awaited; /* its ops wait for its first connection, and it has told nothing yet */
	uint64_t late_turns; /* those of which no op waits here any more */
};

size_t redis_node_call_size(void);

/* Fills in a node. False when memory is short. */
MUST_CHECK bool redis_node_init(struct redis_node *node, struct ev_loop *loop,
				const struct redis_node_config *config);
/* All its ops are answered by the link's error, or as lost. */
void redis_node_release(struct redis_node *node);

/*
 * STORE_DONE with the link's error while the node is down, and with STORE_FULL when the answer
 * would be late (redis_health.h); else STORE_PENDING. An op waits for the first connection of a
 * node that is_awaited until the op is late; there is room for one window of them, STORE_FULL else.
 */
enum store_state redis_node_ask(struct redis_node *node, struct store_op *op);
/*
 * The op was asked already and nothing was done: it is sent to this node, whether it fits into the
 * window or not. It is answered later, also when the node is down.
 */
void redis_node_repeat(struct redis_node *node, struct store_op *op);
/* Nothing waits here, and nothing is on its way. */
bool redis_node_is_idle(const struct redis_node *node);

#endif
