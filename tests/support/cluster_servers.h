/*
 * cluster_servers.h - starts an empty Redis Cluster of three primaries for one test, on loopback.
 *
 * Each node owns a third of the slots, and is a redis_server.h: it ends with the test.
 */
#ifndef SUPPORT_CLUSTER_SERVERS_H
#define SUPPORT_CLUSTER_SERVERS_H

#include "support/redis_server.h"

#define CLUSTER_SLOTS   16384
#define CLUSTER_SERVERS 3

struct cluster_servers {
	struct redis_server *nodes[CLUSTER_SERVERS];
};

/* All nodes answer for their slots when this returns. */
void cluster_servers_start(struct cluster_servers *cluster);
void cluster_servers_stop(struct cluster_servers *cluster);

/* The owner of the slot. */
struct redis_server *cluster_servers_owner(const struct cluster_servers *cluster, unsigned slot);

#endif
