#include "store/redis/redis_store.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "limit/request.h"
#include "store/redis/redis_agents.h"
#include "store/redis/redis_cluster.h"
#include "store/redis/redis_node.h"
#include "store/redis/redis_parts.h"
#include "store/redis/redis_records.h"
#include "store/redis/redis_sentinels.h"
#include "store/redis/redis_slots.h"

_Static_assert(STORE_PASSWORD_MAX <= REDIS_PASSWORD_MAX, "a password of any store fits");

struct redis_store {
	struct store store;
	struct redis_common common;
	const struct redis_target *target;
	struct redis_node node;        /* of one server */
	struct redis_cluster *cluster; /* NULL: the target is one server */
	struct redis_agents *agents;
	bool is_told_down;
};

static struct redis_store *redis_of(const struct store *store)
{
	return CONTAINER_OF(store, struct redis_store, store);
}

static void on_changed(void *owner, bool is_up, enum store_error error, const char *why)
{
	struct redis_store *redis = owner;
	const struct store_config *config = &redis->common.config;

	redis->common.stats.ups += is_up;
	redis->common.stats.downs += !is_up && !redis->is_told_down; /* not for another reason */
	redis->is_told_down = !is_up;
	config->changed(config->owner, is_up, error, why);
}

static void on_node_changed(struct redis_node *node, bool is_up, enum store_error error,
			    const char *why)
{
	on_changed(CONTAINER_OF(node, struct redis_store, node), is_up, error, why);
}

/* ---- the store ---- */

static enum store_state ask(struct store *store, struct store_op *op)
{
	struct redis_store *redis = redis_of(store);

	if (redis->cluster == NULL)
		return redis_node_ask(&redis->node, op);
	enum store_state state = redis_cluster_ask(redis->cluster, op);
	store->gives_back = redis_cluster_gives_back(redis->cluster);
	return state;
}

static bool divides(const struct store *store, const struct store_op *op)
{
	return redis_cluster_divides(redis_of(store)->cluster, op);
}

/* An op is in parts only if the store is a cluster. */
static void expired(struct store *store, struct store_op *op, int64_t mono_us)
{
	struct redis_store *redis = redis_of(store);

	(void)mono_us;
	redis->common.stats.errors[STORE_TIMEOUT] += !op->is_look;
	redis->common.late_turns++;
	redis_parts_note_late(op);
}

static void settled(struct store *store, struct store_op *op, bool is_denied)
{
	(void)store;
	redis_parts_settle(op, is_denied);
}

static void catch_up(struct store *store)
{
	struct redis_store *redis = redis_of(store);

	if (redis->cluster != NULL)
		redis_cluster_read_all(redis->cluster);
	else
		redis_link_read_all(redis->node.link);
}

static uint64_t connection(const struct store *store)
{
	const struct redis_store *redis = redis_of(store);

	return redis->cluster != NULL ? redis_cluster_connection(redis->cluster)
				      : redis_link_connection(redis->node.link);
}

static void set_password(struct store *store, const char *password)
{
	redis_credentials_set(&redis_of(store)->common.credentials, password);
}

static void set_sentinel_password(struct store *store, const char *password)
{
	struct redis_store *redis = redis_of(store);

	if (redis->node.link != NULL)
		redis_link_set_sentinel_password(redis->node.link, password);
}

static void reread_files(struct store *store)
{
	struct redis_store *redis = redis_of(store);

	if (redis->common.tls != NULL)
		redis_tls_reread(redis->common.tls);
}

static void count_agents(struct store *store, bool is_counting)
{
	redis_agents_set_counting(redis_of(store)->agents, is_counting);
}

/* All seats are in the slot of the first one. */
static struct redis_link *find_seats(void *owner)
{
	const struct redis_store *redis = owner;
	struct bytes prefix = redis->common.config.prefix;

	if (redis->cluster == NULL)
		return redis->node.link;
	return redis_cluster_find_link(redis->cluster,
				       redis_slot_of(prefix, BYTES(REDIS_AGENTS_SEAT)));
}

static void on_counted(void *owner, unsigned agents)
{
	const struct redis_store *redis = owner;

	if (redis->common.config.counted != NULL)
		redis->common.config.counted(redis->common.config.owner, agents);
}

static void on_lacks_right(void *owner, const char *command, const char *hint)
{
	const struct redis_store *redis = owner;

	if (redis->common.config.lacks_right != NULL)
		redis->common.config.lacks_right(redis->common.config.owner, command, hint);
}

static void on_regained_right(void *owner, const char *hint)
{
	const struct redis_store *redis = owner;

	if (redis->common.config.regained_right != NULL)
		redis->common.config.regained_right(redis->common.config.owner, hint);
}

static void on_reread(void *owner, const char *why, bool may_pass)
{
	const struct redis_store *redis = owner;

	if (redis->common.config.reread != NULL)
		redis->common.config.reread(redis->common.config.owner, why, may_pass);
}

static void release(struct store *store)
{
	struct redis_store *redis = redis_of(store);

	redis_cluster_free(redis->cluster);
	if (redis->node.link != NULL)
		redis_node_release(&redis->node);
	redis_agents_free(redis->agents);
	records_free(redis->store.records);
	redis_tls_free(redis->common.tls);
	pool_release(&redis->common.calls);
	free(redis);
}

_Static_assert(REDIS_PLACES_MAX <= STORE_SENTINELS_MAX, "a description has all Sentinels");

static void describe_sentinels(const struct redis_sentinels *sentinels,
			       struct store_description *to)
{
	if (sentinels == NULL)
		return;
	to->master = redis_sentinels_master(sentinels, &to->master_epoch);
	to->sentinel_count = redis_sentinels_count(sentinels);
	for (size_t i = 0; i < to->sentinel_count; i++)
		to->sentinels[i].address = redis_sentinels_get(sentinels, i, &to->sentinels[i].why);
}

static void describe_node(const struct redis_node *node, struct store_description *description)
{
	const struct redis_link *link = node->link;
	const struct redis_health *health = redis_link_health_seen(link);

	description->is_up = redis_link_is_up(link);
	description->is_shedding =
		redis_link_is_up(link) &&
		redis_health_state(health, clock_mono_us()) == REDIS_HEALTH_SHEDDING;
	description->error = redis_link_error(link);
	description->why = redis_link_why(link);
	description->since_us = redis_link_since_us(link);
	description->stats.connects = redis_link_connects(link);
	description->stats.window = health->window;
	description->stats.heartbeat_us = redis_link_heartbeat_us(link);
	describe_sentinels(redis_link_sentinels(link), description);
}

static struct store_description describe(const struct store *store)
{
	const struct redis_store *redis = redis_of(store);
	struct store_description description = {
		.kind = "redis", .address = redis->target->text, .stats = redis->common.stats};

	if (redis->cluster != NULL)
		redis_cluster_describe(redis->cluster, &description);
	else
		describe_node(&redis->node, &description);
	description.stats.agents = redis_agents_number(redis->agents);
	return description;
}

/* ---- records ---- */

static struct redis_link *find_link_of_records(void *owner)
{
	struct redis_store *redis = owner;
	struct redis_link *link = redis->node.link;

	if (redis->cluster != NULL)
		link = redis_cluster_find_link(redis->cluster,
					       redis_records_slot(redis->common.config.prefix));
	return link != NULL && redis_link_is_up(link) ? link : NULL;
}

static void on_records_moved(void *owner)
{
	struct redis_store *redis = owner;

	if (redis->cluster != NULL)
		redis_cluster_ask_for_map(redis->cluster);
}

static void on_records_lost(void *owner, const char *why, uint64_t known, uint64_t found)
{
	const struct store_config *config = &((const struct redis_store *)owner)->common.config;

	if (config->records_lost != NULL)
		config->records_lost(config->owner, why, known, found);
}

static void on_record_outdated(void *owner, const struct record *record)
{
	const struct store_config *config = &((const struct redis_store *)owner)->common.config;

	if (config->record_outdated != NULL)
		config->record_outdated(config->owner, record);
}

static void on_records_failed(void *owner, struct bytes why)
{
	const struct store_config *config = &((const struct redis_store *)owner)->common.config;

	if (config->records_failed != NULL)
		config->records_failed(config->owner, why);
}

static bool open_records(struct redis_store *redis, struct ev_loop *loop)
{
	redis->store.records =
		redis_records_new(loop, &(struct redis_records_config){
						.prefix = redis->common.config.prefix,
						.find_link = find_link_of_records,
						.moved = on_records_moved,
						.lost = on_records_lost,
						.outdated = on_record_outdated,
						.lacks_right = on_lacks_right,
						.regained_right = on_regained_right,
						.failed = on_records_failed,
						.owner = redis,
					});
	return redis->store.records != NULL;
}

/* ---- start and end ---- */

static bool open_agents(struct redis_store *redis, struct ev_loop *loop)
{
	redis->agents = redis_agents_new(loop, &(struct redis_agents_config){
						       .link = find_seats,
						       .prefix = redis->common.config.prefix,
						       .counted = on_counted,
						       .lacks_right = on_lacks_right,
						       .regained_right = on_regained_right,
						       .owner = redis,
					       });
	return redis->agents != NULL;
}

static bool open_servers(struct redis_store *redis, struct ev_loop *loop)
{
	struct redis_common *common = &redis->common;

	/* Of a cluster, an operator's op may be as many calls as it has checks. */
	bool is_cluster = redis->target->topology == REDIS_CLUSTER;
	size_t calls_an_op = is_cluster ? REQUEST_CHECKS_MAX : 1;
	size_t beside = (STORE_OPS_BESIDE + STORE_BACKS_BESIDE) * calls_an_op;
	if (!pool_init(&common->calls, redis_node_call_size(),
		       common->config.max_in_flight + beside))
		return false;
	if (redis->target->is_tls) {
		common->tls = redis_tls_new(loop, &redis->target->tls, on_reread, redis);
		if (common->tls == NULL)
			return false;
	}
	if (is_cluster) {
		redis->cluster = redis_cluster_new(
			loop, &(struct redis_cluster_config){.common = common,
							     .target = redis->target,
							     .changed = on_changed,
							     .owner = redis});
		return redis->cluster != NULL;
	}
	return redis_node_init(&redis->node, loop,
			       &(struct redis_node_config){.common = common,
							   .target = redis->target,
							   .changed = on_node_changed});
}

struct store *redis_store_new(struct ev_loop *loop, const struct redis_target *target,
			      const struct store_config *config)
{
	struct redis_store *redis = calloc(1, sizeof *redis);

	if (redis == NULL)
		return NULL;
	redis->store = (struct store){.ask = ask,
				      .catch_up = catch_up,
				      .expired = expired,
				      .settled = settled,
				      .connection = connection,
				      .set_password = set_password,
				      .set_sentinel_password = set_sentinel_password,
				      .reread_files = reread_files,
				      .count_agents = count_agents,
				      .describe = describe,
				      .free = release};
	redis->common.config = *config;
	redis_warnings_init(&redis->common.warnings, &redis->common.config);
	redis->target = target;
	if (target->topology == REDIS_CLUSTER)
		redis->store.divides = divides;
	redis_credentials_init(&redis->common.credentials, target->user, target->password);
	if (!open_records(redis, loop) || !open_servers(redis, loop) || !open_agents(redis, loop)) {
		release(&redis->store);
		return NULL;
	}
	return &redis->store;
}
