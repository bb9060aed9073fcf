/*
 * redis_warnings.h - what an operator has to mend at the servers of a store, told as of one server.
 *
 * Each node of a Redis Cluster has users and settings of its own, and each connection tells those
 * of its node. The keys that a warning is about may be moved to any node. So a right is lacking
 * until no node lacks it any more; and when one node has a maxmemory-policy that deletes keys
 * without a TTL, the store counts as one that deletes such keys.
 *
 * A store of one server is the same with one node.
 */
#ifndef STORE_REDIS_WARNINGS_H
#define STORE_REDIS_WARNINGS_H

#include "base/list.h"
#include "store/redis/redis_greeting.h"
#include "store/store.h"

/* Embedded in what the nodes have in common. */
struct redis_warnings {
	struct list nodes;
	const struct store_config *config; /* who is told */
	char told[REDIS_EVICTION_MAX];     /* the maxmemory-policy that was told last */
};

/* Embedded in a node. */
struct redis_node_warnings {
	struct list link;
	struct redis_warnings *all;
	const char *pttl_hint; /* what the node lacks PTTL for; NULL: it has that right */
	char eviction[REDIS_EVICTION_MAX]; /* the node's maxmemory-policy, as far as it says */
};

/* The config outlives the warnings. */
void redis_warnings_init(struct redis_warnings *all, const struct store_config *config);
void redis_warnings_add(struct redis_warnings *all, struct redis_node_warnings *node);
/* Nobody is told. A node that was removed may be removed again. */
void redis_warnings_remove(struct redis_node_warnings *node);
/* The node is none of the store any more: what it was the last one to warn of is mended. */
void redis_warnings_withdraw(struct redis_node_warnings *node);

/* What the node's link says (redis_link_config): the one right that it tells of is that to PTTL. */
void redis_warnings_lack(struct redis_node_warnings *node, const char *command, const char *hint);
void redis_warnings_regain(struct redis_node_warnings *node);
void redis_warnings_set_eviction(struct redis_node_warnings *node, const char *policy);

#endif
