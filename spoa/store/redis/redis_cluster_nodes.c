#include "store/redis/redis_cluster_nodes.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define UNUSED_US (10 * US_PER_SECOND)
#define NODES_MAX (REDIS_OWNERS_MAX + REDIS_PLACES_MAX)
_Static_assert(NODES_MAX <= STORE_SERVERS_MAX, "each node has a number");

struct redis_cluster_node *redis_cluster_node_at(const struct list *link)
{
	return CONTAINER_OF(link, struct redis_cluster_node, link);
}

/* ---- what is known of them ---- */

bool redis_cluster_node_is_up(const struct redis_cluster_node *cn)
{
	return redis_link_is_up(cn->node.link);
}

static bool has_owner(const struct redis_cluster_nodes *nodes, bool is_up)
{
	for (const struct list *l = nodes->all.next; l != &nodes->all; l = l->next) {
		const struct redis_cluster_node *cn = redis_cluster_node_at(l);
		if (cn->is_owner && redis_cluster_node_is_up(cn) == is_up)
			return true;
	}
	return false;
}

bool redis_cluster_nodes_have_owner_up(const struct redis_cluster_nodes *nodes)
{
	return has_owner(nodes, true);
}

bool redis_cluster_nodes_have_owner_down(const struct redis_cluster_nodes *nodes)
{
	return has_owner(nodes, false);
}

/*
 * How often a connection was made, and how often one has ended. It only grows: a node that is down
 * for slowness keeps its connection. If it fell, the fall at one node could hide the end of a
 * connection to another one.
 */
static uint64_t connections_of(const struct redis_cluster_node *cn)
{
	uint64_t made = redis_link_connects(cn->node.link);

	return 2 * made - (redis_link_connection(cn->node.link) != 0);
}

uint64_t redis_cluster_nodes_number(const struct redis_cluster_nodes *nodes)
{
	uint64_t number = nodes->changes;

	for (const struct list *l = nodes->all.next; l != &nodes->all; l = l->next)
		number += connections_of(redis_cluster_node_at(l));
	return number;
}

/* ---- adding ---- */

static struct redis_cluster_node *find_node(const struct redis_cluster_nodes *nodes,
					    const struct redis_place *place)
{
	for (const struct list *l = nodes->all.next; l != &nodes->all; l = l->next) {
		struct redis_cluster_node *cn = redis_cluster_node_at(l);
		if (strcmp(cn->target.host, place->host) == 0 &&
		    strcmp(cn->target.port, place->port) == 0)
			return cn;
	}
	return NULL;
}

/*
 * Whom TLS expects there from the next connection on: --redis-tls-name, the announced host name, or
 * the host. A node that ASK or MOVED names has no name until a map comes that announces one.
 */
static void set_name(struct redis_cluster_node *cn, const char *name)
{
	const char *expected = *name != '\0' ? name : cn->target.host;

	memcpy(cn->name, expected, strlen(expected) + 1);
}

/* A node to which there was a connection keeps the name by which it was verified. */
static void learn_name(struct redis_cluster_node *cn, const char *name)
{
	if (*name != '\0' && redis_link_connects(cn->node.link) == 0)
		set_name(cn, name);
}

static void set_target(struct redis_cluster_node *cn, const struct redis_place *place,
		       const char *name)
{
	const struct redis_target *target = cn->nodes->config.target;

	cn->target.topology = REDIS_ONE_SERVER;
	cn->target.is_tls = target->is_tls;
	cn->target.tls = target->tls;
	memcpy(cn->target.host, place->host, sizeof cn->target.host);
	memcpy(cn->target.port, place->port, sizeof cn->target.port);
	set_name(cn, name);
	if (cn->target.tls.name == NULL)
		cn->target.tls.name = cn->name;
}

static bool has_number(const struct redis_cluster_nodes *nodes, uint16_t number)
{
	for (const struct list *l = nodes->all.next; l != &nodes->all; l = l->next)
		if (redis_cluster_node_at(l)->node.number == number)
			return true;
	return false;
}

/*
 * The number of a removed node is used again. What is known of that one's clock is forgotten by
 * then, since its connections have ended.
 */
static uint16_t find_number(const struct redis_cluster_nodes *nodes)
{
	uint16_t number = 0;

	while (has_number(nodes, number))
		number++;
	return number;
}

/* NULL when there are too many, or memory is short. */
static struct redis_cluster_node *add_node(struct redis_cluster_nodes *nodes,
					   const struct redis_place *place, const char *name)
{
	struct redis_cluster_node *cn = nodes->count < NODES_MAX ? calloc(1, sizeof *cn) : NULL;
	struct redis_node_config config = nodes->config.node;

	if (cn == NULL)
		return NULL;
	cn->nodes = nodes;
	cn->refresh.replied = nodes->config.refreshed;
	cn->used_us = clock_mono_us();
	set_target(cn, place, name);
	config.target = &cn->target;
	if (!redis_node_init(&cn->node, nodes->loop, &config)) {
		free(cn);
		return NULL;
	}
	cn->node.is_awaited = true;
	cn->node.number = find_number(nodes);
	list_init(&cn->link);
	list_append(&nodes->all, &cn->link);
	nodes->count++;
	return cn;
}

static struct redis_cluster_node *get_node(struct redis_cluster_nodes *nodes,
					   const struct redis_place *place, const char *name)
{
	struct redis_cluster_node *cn = find_node(nodes, place);

	return cn != NULL ? cn : add_node(nodes, place, name);
}

struct redis_cluster_node *redis_cluster_nodes_get(struct redis_cluster_nodes *nodes,
						   const struct redis_place *place)
{
	return get_node(nodes, place, "");
}

void redis_cluster_nodes_add_places(struct redis_cluster_nodes *nodes)
{
	const struct redis_target *target = nodes->config.target;

	for (size_t i = 0; i < target->place_count; i++) {
		struct redis_cluster_node *cn = get_node(nodes, &target->places[i], "");
		if (cn != NULL)
			cn->used_us = clock_mono_us();
	}
}

/* ---- removing ---- */

static void remove_node(struct redis_cluster_nodes *nodes, struct redis_cluster_node *cn)
{
	for (size_t slot = 0; slot < REDIS_SLOTS; slot++)
		if (nodes->slot_owner[slot] == cn)
			nodes->slot_owner[slot] = NULL;
	if (nodes->moved_to == cn)
		nodes->moved_to = NULL;
	nodes->changes += connections_of(cn);
	list_remove(&cn->link);
	nodes->count--;
	redis_node_release(&cn->node);
	free(cn);
}

void redis_cluster_nodes_remove_unused(struct redis_cluster_nodes *nodes, int64_t now_us)
{
	for (struct list *l = nodes->all.next, *next; l != &nodes->all; l = next) {
		struct redis_cluster_node *cn = redis_cluster_node_at(l);
		next = l->next;
		if (!cn->is_owner && now_us - cn->used_us >= UNUSED_US &&
		    redis_node_is_idle(&cn->node)) {
			redis_warnings_withdraw(&cn->node.warnings);
			remove_node(nodes, cn);
		}
	}
}

/* ---- owners ---- */

/* True when it was another one. */
static bool set_owner(struct redis_cluster_nodes *nodes, size_t slot, struct redis_cluster_node *cn)
{
	bool is_other = nodes->slot_owner[slot] != cn;

	nodes->slot_owner[slot] = cn;
	return is_other;
}

void redis_cluster_nodes_use_map(struct redis_cluster_nodes *nodes,
				 const struct redis_slot_map *map)
{
	struct redis_cluster_node *owners[REDIS_OWNERS_MAX];
	int64_t now_us = clock_mono_us();

	for (struct list *l = nodes->all.next; l != &nodes->all; l = l->next)
		redis_cluster_node_at(l)->is_owner = false;
	for (size_t i = 0; i < map->count; i++) {
		owners[i] = get_node(nodes, &map->owners[i].place, map->owners[i].name);
		if (owners[i] == NULL)
			continue;
		learn_name(owners[i], map->owners[i].name);
		owners[i]->is_owner = true;
		owners[i]->used_us = now_us;
	}
	bool is_changed = false;
	for (size_t slot = 0; slot < REDIS_SLOTS; slot++) {
		size_t owner = map->owner[slot];
		is_changed |= set_owner(nodes, slot, owner == 0 ? NULL : owners[owner - 1]);
	}
	nodes->changes += is_changed;
}

void redis_cluster_nodes_move_slot(struct redis_cluster_nodes *nodes, uint16_t slot,
				   struct redis_cluster_node *to)
{
	to->is_owner = true;
	nodes->changes += set_owner(nodes, slot, to);
	nodes->moved_to = to;
}

/* The node that MOVED named; else each of those that are up in turn, so that one of them which
 * knows an old map is not believed for long. */
struct redis_cluster_node *redis_cluster_nodes_next_teller(struct redis_cluster_nodes *nodes)
{
	struct redis_cluster_node *cn = nodes->moved_to;

	nodes->moved_to = NULL;
	if (cn != NULL && redis_cluster_node_is_up(cn))
		return cn;
	for (struct list *l = nodes->all.next; l != &nodes->all; l = l->next) {
		cn = redis_cluster_node_at(l);
		if (!redis_cluster_node_is_up(cn) || cn->is_refreshing)
			continue;
		list_remove(&cn->link);
		list_append(&nodes->all, &cn->link);
		return cn;
	}
	return NULL;
}

/* ---- start and end ---- */

void redis_cluster_nodes_init(struct redis_cluster_nodes *nodes, struct ev_loop *loop,
			      const struct redis_cluster_nodes_config *config)
{
	memset(nodes, 0, sizeof *nodes);
	nodes->config = *config;
	nodes->loop = loop;
	list_init(&nodes->all);
}

void redis_cluster_nodes_release(struct redis_cluster_nodes *nodes)
{
	while (!list_is_empty(&nodes->all))
		remove_node(nodes, redis_cluster_node_at(nodes->all.next));
}
