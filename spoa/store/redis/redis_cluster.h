/*
 * redis_cluster.h - the nodes of a Redis Cluster, and which of them owns which slot.
 *
 * The cluster tells its slots by the reply to CLUSTER SLOTS of any node that answers, replicas too.
 * The agent asks for them when it connects, when a node says that a slot has moved or is lost (at
 * most once in 100 ms), and every 5 s, since nodes come and go without a word to clients. A request
 * that a node sends elsewhere is sent on from here, within its deadline.
 */
#ifndef STORE_REDIS_CLUSTER_H
#define STORE_REDIS_CLUSTER_H

#include "store/redis/redis_node.h"

struct redis_cluster;

struct redis_cluster_config {
	struct redis_common *common;       /* outlives the cluster */
	const struct redis_target *target; /* too; its places are where the agent begins */
	/* Some slots can be asked, or none can: as store_config.changed says. */
	void (*changed)(void *owner, bool is_up, enum store_error error, const char *why);
	void *owner;
};

/* NULL when memory is short. */
struct redis_cluster *redis_cluster_new(struct ev_loop *loop,
					const struct redis_cluster_config *config);
/* Ops that still wait are answered. */
void redis_cluster_free(struct redis_cluster *cluster);

/* As store_ask says. */
enum store_state redis_cluster_ask(struct redis_cluster *cluster, struct store_op *op);
/*
 * store.gives_back: true from the first request over several slots on. All agents have the same
 * policies, so while this agent has seen no such request, the others give back nothing either.
 */
bool redis_cluster_gives_back(const struct redis_cluster *cluster);
/* store.divides: the keys of the op are in several slots. */
bool redis_cluster_divides(const struct redis_cluster *cluster, const struct store_op *op);
/* Takes the replies that have come, without waiting for the loop. */
void redis_cluster_read_all(struct redis_cluster *cluster);
/*
 * Which connections and owners of slots there are: another number when a connection has ended or
 * was made, or a slot has another owner. 0 while no slot can be asked.
 */
uint64_t redis_cluster_connection(const struct redis_cluster *cluster);
/* Fills in all but the kind and the address, and adds to what stands in the stats. */
void redis_cluster_describe(const struct redis_cluster *cluster,
			    struct store_description *description);

/* The link to the owner of the slot, as far as the map says; NULL: nobody, or it is not known. */
struct redis_link *redis_cluster_find_link(struct redis_cluster *cluster, uint16_t slot);
/* A node has said that the map is old. */
void redis_cluster_ask_for_map(struct redis_cluster *cluster);

#endif
