/*
 * redis_cluster_nodes.h - the nodes that the agent knows of a Redis Cluster, each with its link,
 * and which of them owns which slot.
 *
 *     the hosts of --store, at the start and while no owner is up ---.
 *     the owners of slots in the newest map ------------------------+--> a node
 *     the place that ASK or MOVED names ----------------------------'
 *
 * A node that owns nothing and was not needed for 10 s is given up, as long as an owner is up.
 *
 * This module makes and frees the nodes. It asks them nothing: that does the cluster
 * (redis_cluster.c), which hears from their links and keeps no pointer to a node beyond a turn of
 * the loop. Times are microseconds of clock_mono_us.
 */
#ifndef STORE_REDIS_CLUSTER_NODES_H
#define STORE_REDIS_CLUSTER_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"
#include "store/redis/redis_node.h"
#include "store/redis/redis_slots.h"
#include "store/redis/redis_target.h"

struct ev_loop;
struct redis_cluster_nodes;

struct redis_cluster_node {
	struct redis_node node;
	struct redis_cluster_nodes *nodes;
	struct list link;
	struct redis_target target;
	char name[REDIS_HOST_MAX]; /* that it announces, or else its host */
	bool is_owner;             /* of slots, as far as the newest map and MOVED say */
	int64_t used_us;           /* when it last was an owner or a request was sent to it */

	/* The cluster's own. */
	struct redis_asked refresh; /* CLUSTER SLOTS */
	bool is_refreshing;         /* the question is on its way */
	bool is_told_down;
};

struct redis_cluster_nodes_config {
	struct redis_node_config node;     /* of each, but for its target */
	const struct redis_target *target; /* of the cluster: the places to begin with */
	void (*refreshed)(struct redis_asked *asked, const struct redis_reply *reply);
};

struct redis_cluster_nodes {
	struct redis_cluster_nodes_config config;
	struct ev_loop *loop;
	struct list all;
	size_t count;
	struct redis_cluster_node *slot_owner[REDIS_SLOTS]; /* NULL: nobody */
	struct redis_cluster_node *moved_to; /* MOVED named it, and it was not asked for a map */
	uint64_t changes; /* of owners of slots, and those that removed nodes had counted */
};

/* No node at first. What `config` points at outlives the nodes. */
void redis_cluster_nodes_init(struct redis_cluster_nodes *nodes, struct ev_loop *loop,
			      const struct redis_cluster_nodes_config *config);
/* Frees all nodes. Ops that still wait are answered. */
void redis_cluster_nodes_release(struct redis_cluster_nodes *nodes);

/* The node at that place. NULL when there are too many, or memory is short. */
struct redis_cluster_node *redis_cluster_nodes_get(struct redis_cluster_nodes *nodes,
						   const struct redis_place *place);
/* Those of --store, unless they are there already. */
void redis_cluster_nodes_add_places(struct redis_cluster_nodes *nodes);
/* Never from a callback of a node. */
void redis_cluster_nodes_remove_unused(struct redis_cluster_nodes *nodes, int64_t now_us);

/* All slots have the owners that the map says. */
void redis_cluster_nodes_use_map(struct redis_cluster_nodes *nodes,
				 const struct redis_slot_map *map);
/* MOVED says that the slot has this owner. */
void redis_cluster_nodes_move_slot(struct redis_cluster_nodes *nodes, uint16_t slot,
				   struct redis_cluster_node *to);
/* Which node to ask for a map: another one each time. NULL: none can be asked. */
struct redis_cluster_node *redis_cluster_nodes_next_teller(struct redis_cluster_nodes *nodes);

bool redis_cluster_node_is_up(const struct redis_cluster_node *cn);
bool redis_cluster_nodes_have_owner_up(const struct redis_cluster_nodes *nodes);
bool redis_cluster_nodes_have_owner_down(const struct redis_cluster_nodes *nodes);
/* Changes whenever a connection is made or ends, and whenever a slot gets another owner. */
uint64_t redis_cluster_nodes_number(const struct redis_cluster_nodes *nodes);

/* The node that has this `link`, for who walks through the list `all`. */
struct redis_cluster_node *redis_cluster_node_at(const struct list *link);

#endif
