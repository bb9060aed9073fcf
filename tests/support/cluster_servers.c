#include "support/cluster_servers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "base/clock.h"

#define PATIENCE_US (20 * US_PER_SECOND)

static int first_slot(int node)
{
	return CLUSTER_SLOTS * node / CLUSTER_SERVERS;
}

static bool is_whole(struct redis_server *node)
{
	const char *info = redis_server_ask(node, "CLUSTER INFO")->str;

	return strstr(info, "cluster_state:ok") != NULL &&
	       strstr(info, "cluster_known_nodes:3\r") != NULL;
}

static void await_whole(struct redis_server *node)
{
	int64_t until_us = clock_mono_us() + PATIENCE_US;

	while (!is_whole(node)) {
		if (clock_mono_us() > until_us)
			fail_msg("the cluster was not whole in time");
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
}

void cluster_servers_start(struct cluster_servers *cluster)
{
	for (int i = 0; i < CLUSTER_SERVERS; i++)
		cluster->nodes[i] = redis_server_start_node();
	for (int i = 0; i < CLUSTER_SERVERS; i++) {
		struct redis_server *node = cluster->nodes[i];
		(void)redis_server_ask_number(node, "CLUSTER ADDSLOTSRANGE %d %d", first_slot(i),
					      first_slot(i + 1) - 1);
		(void)redis_server_ask_number(node, "CLUSTER SET-CONFIG-EPOCH %d", i + 1);
	}
	for (int i = 1; i < CLUSTER_SERVERS; i++)
		(void)redis_server_ask_number(cluster->nodes[0], "CLUSTER MEET 127.0.0.1 %d %d",
					      redis_server_port(cluster->nodes[i]),
					      redis_server_bus_port(cluster->nodes[i]));
	for (int i = 0; i < CLUSTER_SERVERS; i++)
		await_whole(cluster->nodes[i]);
}

void cluster_servers_stop(struct cluster_servers *cluster)
{
	for (int i = 0; i < CLUSTER_SERVERS; i++)
		redis_server_stop(cluster->nodes[i]);
}

struct redis_server *cluster_servers_owner(const struct cluster_servers *cluster, unsigned slot)
{
	int node = 0;

	while ((int)slot >= first_slot(node + 1))
		node++;
	return cluster->nodes[node];
}
