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
	uint8_t command[REDIS_CALL_MAX];
};

/* The link came up or went down: what redis_link_config.changed says. */
typedef void redis_node_changed_fn(struct redis_node *node, bool is_up, enum store_error error,
				   const char *why);

struct redis_node {
	struct redis_common *common; /* outlives the node */
	struct redis_link *link;
	redis_node_changed_fn *changed;
	struct list asked;    /* ops that were asked and not sent yet */
	size_t asked_checks;  /* of those ops */
	size_t under_way;     /* calls without a reply */
	struct list repeated; /* ops that NOSCRIPT brought back, to be sent a second time */
	uint64_t late_turns;  /* those of which no op waits here any more */
};

size_t redis_node_call_size(void);

/* Fills in a node at `target`, which outlives it. False when memory is short. */
MUST_CHECK bool redis_node_init(struct redis_node *node, struct redis_common *common,
				struct ev_loop *loop, const struct redis_target *target,
				redis_node_changed_fn *changed);
/* All its ops are answered by the link's error, or as lost. */
void redis_node_release(struct redis_node *node);

/*
 * STORE_DONE with the link's error while the node is down, and with STORE_FULL when the answer
 * would be late (redis_health.h); else STORE_PENDING.
 */
enum store_state redis_node_ask(struct redis_node *node, struct store_op *op);

#endif
