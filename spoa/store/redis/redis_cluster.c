/*
 * From a request to the node that decides it:
 *
 *     key --> slot --> owner[slot] --> a node --> its reply
 *                           ^           |  ^
 *                           |           |  `--- TRYAGAIN: once more, in a call of its own
 *                           |           |
 *                           `-- MOVED --+--- ASK: to that node, behind ASKING; the owner stays
 *
 * A node that answers MOVED, ASK or TRYAGAIN has done nothing, so the request may be sent again. It
 * is sent on at once, while it is not late, and at most REDIRECTS_MAX times: two nodes that send a
 * request to each other, which happens for moments after a failover, must not do so for ever.
 *
 * Why TRYAGAIN comes: while a slot migrates, some of its keys are at one node and some at the
 * other. A call with two keys of which one is missing gets TRYAGAIN from both nodes, for as long as
 * the slot migrates. A call with one key never does. So the requests of such a call are sent again
 * one by one.
 *
 * A node that was never connected yet keeps the requests for it until the connection is there or
 * has failed, or the requests are late: to a node that has just joined, the first request comes by
 * ASK, and those after MOVED come before the connection is there.
 */
#include "store/redis/redis_cluster.h"

#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/writer.h"
#include "store/redis/redis_cluster_nodes.h"
#include "store/redis/redis_parts.h"
#include "store/redis/redis_slots.h"

#define TICK_SECONDS  0.1 /* the map is asked for at most so often */
#define MAP_AGAIN_US  (5 * US_PER_SECOND)
#define MAP_SOON_US   (US_PER_SECOND / 4) /* while a slot can't be asked */
#define REDIRECTS_MAX 6
#define WHY_MAX       600
#define NO_MAP        "the slots of the cluster are not known yet"
#define NO_OWNER                                                                   \
	"CLUSTERDOWN no node of the cluster owns the slot; start its node again, " \
	"or run `redis-cli --cluster fix`"

struct redis_cluster {
	struct redis_cluster_config config;
	struct ev_loop *loop;
	struct ev_timer tick;
	struct redis_cluster_nodes nodes;
	struct redis_slot_map *map; /* memory for a map that is being read */
	bool has_map;
	bool wants_map;
	int64_t asked_us;         /* for a map */
	struct redis_parts parts; /* requests over several slots */
	bool has_parted;          /* there was one that was not only a look */
	bool is_told_up, is_told;
	enum store_error error;
	char why[WHY_MAX];
	int64_t since_us;
};

static struct redis_cluster *cluster_of(const struct redis_cluster_node *cn)
{
	return CONTAINER_OF(cn->nodes, struct redis_cluster, nodes);
}

/* ---- telling the owner ---- */

static void put_place(const struct redis_cluster_node *cn, struct writer *w)
{
	struct redis_place place;

	memcpy(place.host, cn->target.host, sizeof place.host);
	memcpy(place.port, cn->target.port, sizeof place.port);
	redis_place_put(&place, w);
}

static void set_reason(struct redis_cluster *cluster, const struct redis_cluster_node *cn,
		       enum store_error error, const char *why)
{
	struct writer w = writer_on(cluster->why, sizeof cluster->why);

	cluster->error = error;
	put_place(cn, &w);
	writer_put_text(&w, ": ");
	writer_put_text(&w, why);
	(void)writer_text(&w);
}

static void tell(struct redis_cluster *cluster, bool is_up_now)
{
	const struct redis_cluster_config *config = &cluster->config;

	cluster->is_told = true;
	cluster->is_told_up = is_up_now;
	cluster->since_us = clock_mono_us();
	config->changed(config->owner, is_up_now, is_up_now ? STORE_OK : cluster->error,
			is_up_now ? "" : cluster->why);
}

static void tell_node(const struct redis_cluster *cluster, const struct redis_cluster_node *cn,
		      bool is_up_now)
{
	const struct store_config *config = &cluster->config.common->config;
	char text[REDIS_HOST_MAX + 16];
	struct writer w = writer_on(text, sizeof text);

	if (config->node_changed == NULL)
		return;
	put_place(cn, &w);
	config->node_changed(config->owner, writer_text(&w), is_up_now,
			     is_up_now ? STORE_OK : redis_link_error(cn->node.link),
			     is_up_now ? "" : redis_link_why(cn->node.link));
}

/*
 * The store is up while some slot can be asked. A node of it that goes down meanwhile has a line of
 * its own; nodes that go down together with the last one need none.
 */
static void on_changed(struct redis_node *node, bool is_up_now, enum store_error error,
		       const char *why)
{
	struct redis_cluster_node *cn = CONTAINER_OF(node, struct redis_cluster_node, node);
	struct redis_cluster *cluster = cluster_of(cn);
	bool has_up = redis_cluster_nodes_have_owner_up(&cluster->nodes);

	if (is_up_now) {
		if (cn->is_told_down && cluster->is_told_up)
			tell_node(cluster, cn, true);
		cn->is_told_down = false;
		if (has_up && !cluster->is_told_up)
			tell(cluster, true);
		return;
	}
	cluster->wants_map = true;
	if (cluster->has_map && !cn->is_owner)
		return; /* a replica, or a place of --store that has left the cluster */
	if (has_up) {
		if (cn->is_owner && !cn->is_told_down)
			tell_node(cluster, cn, false);
		cn->is_told_down = cn->is_owner;
		return;
	}
	bool is_news = !cluster->is_told || cluster->is_told_up || cluster->error != error;
	set_reason(cluster, cn, error, why);
	cn->is_told_down = true;
	if (is_news)
		tell(cluster, false);
}

/* ---- the map ---- */

/*
 * A node that knows no slots at all has just been made, or has forgotten the cluster: what others
 * said goes on to hold.
 */
static const char *read_map(struct redis_cluster_node *cn, const struct redis_reply *reply)
{
	struct redis_cluster *cluster = cluster_of(cn);
	const char *why;

	if (!redis_slot_map_read(cluster->map, reply, cn->target.host, &why))
		return why;
	if (cluster->map->covered > 0) {
		redis_cluster_nodes_use_map(&cluster->nodes, cluster->map);
		cluster->has_map = true;
	}
	return NULL;
}

static const char *on_told_slots(struct redis_node *node, const struct redis_reply *reply)
{
	return read_map(CONTAINER_OF(node, struct redis_cluster_node, node), reply);
}

static void on_refreshed(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_cluster_node *cn = CONTAINER_OF(asked, struct redis_cluster_node, refresh);

	cn->is_refreshing = false;
	if (reply == NULL)
		return;
	if (redis_reply_is_error(reply)) {
		struct bytes why = reply->items[0].text;
		redis_link_drop(cn->node.link, redis_error_kind(why), why);
		return;
	}
	const char *why = read_map(cn, reply);
	if (why != NULL)
		redis_link_drop(cn->node.link, STORE_OTHER, bytes_from_text(why));
}

static void ask_for_map(struct redis_cluster *cluster, int64_t now_us)
{
	int64_t age_us = now_us - cluster->asked_us;
	struct redis_cluster_node *cn;

	if (!cluster->wants_map && age_us < MAP_AGAIN_US &&
	    (age_us < MAP_SOON_US || !redis_cluster_nodes_have_owner_down(&cluster->nodes)))
		return;
	cn = redis_cluster_nodes_next_teller(&cluster->nodes);
	if (cn == NULL || cn->is_refreshing)
		return;
	cluster->wants_map = false;
	cluster->asked_us = now_us;
	cn->is_refreshing = true;
	redis_link_ask(cn->node.link, &cn->refresh,
		       (const struct bytes[]){BYTES("CLUSTER"), BYTES("SLOTS")}, 2);
}

/* ---- the clock ---- */

static void on_tick(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct redis_cluster *cluster = CONTAINER_OF(timer, struct redis_cluster, tick);
	int64_t now_us = clock_mono_us();

	(void)loop, (void)events;
	ask_for_map(cluster, now_us);
	if (redis_cluster_nodes_have_owner_up(&cluster->nodes))
		redis_cluster_nodes_remove_unused(&cluster->nodes, now_us);
	else
		redis_cluster_nodes_add_places(&cluster->nodes);
}

/* ---- ops ---- */

static bool send_on(struct redis_cluster_node *from, struct store_op *op,
		    const struct redis_redirect *redirect)
{
	struct redis_cluster *cluster = cluster_of(from);
	struct redis_cluster_node *to = redis_cluster_nodes_get(&cluster->nodes, &redirect->place);

	if (to == NULL || redirect->slot != op->slot)
		return false;
	to->used_us = clock_mono_us();
	if (!redirect->is_ask) {
		redis_cluster_nodes_move_slot(&cluster->nodes, redirect->slot, to);
		cluster->wants_map = true;
	}
	op->is_asking = redirect->is_ask;
	redis_node_repeat(&to->node, op);
	return true;
}

/* The other node may never have had the units that the op is to give back beside its costs. */
static void forget_leased(const struct store_op *op)
{
	for (size_t i = 0; op->leases != NULL && i < op->count; i++)
		op->leases[i].back = 0;
}

static bool on_redirected(struct redis_node *node, struct store_op *op, struct bytes why,
			  bool is_alone)
{
	struct redis_cluster_node *cn = CONTAINER_OF(node, struct redis_cluster_node, node);
	struct redis_redirect redirect;

	/* What was taken at a node is given back there, or not at all. */
	if (op->redirects == REDIRECTS_MAX || op->taken_us != NULL)
		return false;
	op->redirects++;
	forget_leased(op);
	if (redis_redirect_read(why, cn->target.host, &redirect))
		return send_on(cn, op, &redirect);
	cluster_of(cn)->wants_map = true;
	if (!bytes_begin_with(why, BYTES("TRYAGAIN")))
		return false;
	if (is_alone) /* by its own keys, since it was in a call of its own */
		return op->count > 1 &&
		       redis_parts_ask(&cluster_of(cn)->parts, op, true) == STORE_PENDING;
	op->is_alone = true;
	redis_node_repeat(node, op);
	return true;
}

static uint16_t slot_of_key(const struct redis_cluster *cluster, const struct check *check)
{
	return redis_slot_of(cluster->config.common->config.prefix, check_key(check));
}

static uint16_t slot_of(void *owner, const struct check *check)
{
	return slot_of_key(owner, check);
}

/* Of a request in parts that was not asked, STORE_FULL is no error, as of any other request. */
static void on_parts_failed(void *owner, enum store_error error)
{
	const struct redis_cluster *cluster = owner;
	struct store_stats *stats = &cluster->config.common->stats;

	if (error == STORE_FULL)
		stats->shed++;
	else
		stats->errors[error]++;
}

static enum store_state refuse_op(struct redis_cluster *cluster, struct store_op *op,
				  enum store_error error)
{
	store_op_fail(op, error);
	cluster->config.common->stats.errors[error] += !op->is_part && store_op_is_request(op);
	return STORE_DONE;
}

/* All keys of the op are in op->slot. */
static enum store_state ask_slot(void *owner, struct store_op *op)
{
	struct redis_cluster *cluster = owner;
	const struct store_config *config = &cluster->config.common->config;
	struct redis_cluster_node *cn = cluster->nodes.slot_owner[op->slot];

	op->redirects = 0;
	op->is_asking = false;
	op->is_alone = false;
	if (!cluster->has_map)
		return refuse_op(cluster, op, cluster->error);
	if (cn == NULL) {
		cluster->wants_map = true;
		(void)refuse_op(cluster, op, STORE_MOVED);
		if (store_op_is_request(op))
			config->refused(config->owner, op, STORE_MOVED, BYTES(NO_OWNER));
		return STORE_DONE;
	}
	return redis_node_ask(&cn->node, op);
}

static uint64_t place_of(void *owner, uint16_t slot)
{
	const struct redis_cluster *cluster = owner;
	const struct redis_cluster_node *cn = cluster->nodes.slot_owner[slot];
	uint64_t connection = cn == NULL ? 0 : redis_link_connection(cn->node.link);

	return connection == 0 ? 0 : connection << 16 | cn->node.number;
}

/* Whether or not there is room: room was made for the taking. */
static enum store_state give_back(void *owner, struct store_op *op)
{
	struct redis_cluster *cluster = owner;
	struct redis_cluster_node *cn = cluster->nodes.slot_owner[op->slot];

	if (cn == NULL || !redis_cluster_node_is_up(cn))
		return STORE_DONE;
	op->redirects = 0;
	op->is_asking = false;
	op->is_alone = false;
	list_init(&op->link);
	redis_node_repeat(&cn->node, op);
	return STORE_PENDING;
}

/* The first key is. */
static bool are_in_slot(const struct redis_cluster *cluster, const struct store_op *op,
			uint16_t slot)
{
	for (size_t i = 1; i < op->count; i++)
		if (slot_of_key(cluster, op->checks[i]) != slot)
			return false;
	return true;
}

bool redis_cluster_divides(const struct redis_cluster *cluster, const struct store_op *op)
{
	return !are_in_slot(cluster, op, slot_of_key(cluster, op->checks[0]));
}

enum store_state redis_cluster_ask(struct redis_cluster *cluster, struct store_op *op)
{
	if (!cluster->has_map)
		return refuse_op(cluster, op, cluster->error);
	op->slot = slot_of_key(cluster, op->checks[0]);
	if (are_in_slot(cluster, op, op->slot))
		return ask_slot(cluster, op);
	if (op->taken_us != NULL)
		return redis_parts_give_back(&cluster->parts, op);
	cluster->has_parted = cluster->has_parted || !op->is_look;
	enum store_state state = redis_parts_ask(&cluster->parts, op, false);
	if (state == STORE_DONE)
		on_parts_failed(cluster, store_op_error(op));
	return state;
}

bool redis_cluster_gives_back(const struct redis_cluster *cluster)
{
	return cluster->has_parted;
}

void redis_cluster_read_all(struct redis_cluster *cluster)
{
	for (struct list *l = cluster->nodes.all.next; l != &cluster->nodes.all; l = l->next)
		if (!redis_node_is_idle(&redis_cluster_node_at(l)->node))
			redis_link_read_all(redis_cluster_node_at(l)->node.link);
}

/* ---- questions of others than the engine ---- */

struct redis_link *redis_cluster_find_link(struct redis_cluster *cluster, uint16_t slot)
{
	struct redis_cluster_node *cn = cluster->has_map ? cluster->nodes.slot_owner[slot] : NULL;

	return cn == NULL ? NULL : cn->node.link;
}

void redis_cluster_ask_for_map(struct redis_cluster *cluster)
{
	cluster->wants_map = true;
}

/* ---- what there is to say of it ---- */

uint64_t redis_cluster_connection(const struct redis_cluster *cluster)
{
	if (!redis_cluster_nodes_have_owner_up(&cluster->nodes))
		return 0;
	return 1 + redis_cluster_nodes_number(&cluster->nodes);
}

void redis_cluster_describe(const struct redis_cluster *cluster,
			    struct store_description *description)
{
	int64_t now_us = clock_mono_us();

	description->is_up = redis_cluster_nodes_have_owner_up(&cluster->nodes);
	description->is_shedding = false;
	description->error = cluster->error;
	description->why = cluster->why;
	description->since_us = cluster->since_us;
	for (const struct list *l = cluster->nodes.all.next; l != &cluster->nodes.all;
	     l = l->next) {
		const struct redis_cluster_node *cn = redis_cluster_node_at(l);
		const struct redis_health *health = redis_link_health_seen(cn->node.link);
		int64_t heartbeat_us = redis_link_heartbeat_us(cn->node.link);
		description->stats.connects += redis_link_connects(cn->node.link);
		if (!cn->is_owner || !redis_cluster_node_is_up(cn))
			continue;
		description->stats.window += health->window;
		if (heartbeat_us > description->stats.heartbeat_us)
			description->stats.heartbeat_us = heartbeat_us;
		if (redis_health_state(health, now_us) == REDIS_HEALTH_SHEDDING)
			description->is_shedding = true;
	}
}

/* ---- start and end ---- */

/* max_in_flight counts checks, and a request in parts has two at least. */
static size_t parts_max(const struct redis_cluster_config *config)
{
	return config->common->config.max_in_flight / 2 + STORE_OPS_BESIDE + STORE_BACKS_BESIDE;
}

struct redis_cluster *redis_cluster_new(struct ev_loop *loop,
					const struct redis_cluster_config *config)
{
	struct redis_cluster *cluster = calloc(1, sizeof *cluster);

	if (cluster == NULL)
		return NULL;
	cluster->config = *config;
	cluster->loop = loop;
	redis_cluster_nodes_init(&cluster->nodes, loop,
				 &(struct redis_cluster_nodes_config){
					 .node = {.common = config->common,
						  .changed = on_changed,
						  .redirected = on_redirected,
						  .told_slots = on_told_slots},
					 .target = config->target,
					 .refreshed = on_refreshed,
				 });
	cluster->error = STORE_CONNECTION;
	cluster->since_us = clock_mono_us();
	(void)strcpy(cluster->why, NO_MAP);
	ev_timer_init(&cluster->tick, on_tick, TICK_SECONDS, TICK_SECONDS);
	ev_timer_start(loop, &cluster->tick);
	cluster->map = malloc(sizeof *cluster->map);
	bool has_parts = redis_parts_init(&cluster->parts,
					  &(struct redis_parts_config){.max = parts_max(config),
								       .ask = ask_slot,
								       .place = place_of,
								       .give_back = give_back,
								       .slot = slot_of,
								       .failed = on_parts_failed,
								       .owner = cluster});
	if (cluster->map != NULL && has_parts)
		redis_cluster_nodes_add_places(&cluster->nodes);
	if (cluster->nodes.count == 0) {
		redis_cluster_free(cluster);
		return NULL;
	}
	return cluster;
}

void redis_cluster_free(struct redis_cluster *cluster)
{
	if (cluster == NULL)
		return;
	ev_timer_stop(cluster->loop, &cluster->tick);
	cluster->has_map = false; /* who is answered now and asks again is answered at once */
	redis_cluster_nodes_release(&cluster->nodes);
	redis_parts_release(&cluster->parts);
	free(cluster->map);
	free(cluster);
}
