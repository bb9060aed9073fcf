#include "app/view/status.h"

#include <unistd.h>

#include "app/view/json_tree.h"
#include "app/view/ranking.h"
#include "app/view/top.h"
#include "base/clock.h"
#include "version.h"

static void add_sentinels(struct json_node in, const struct store_description *store)
{
	json_add_text(in, "master", store->master);
	json_add_unsigned(in, "config_epoch", store->master_epoch);
	struct json_node list = json_add_list(in, "sentinels");
	for (size_t i = 0; i < store->sentinel_count; i++) {
		struct json_node sentinel = json_add_object(list, NULL);
		json_add_text(sentinel, "address", store->sentinels[i].address);
		json_add_text(sentinel, "state", *store->sentinels[i].why == '\0' ? "up" : "down");
		json_add_text(sentinel, "reason", store->sentinels[i].why);
	}
}

static void add_warnings(struct json_node in, const struct agent_stats *stats)
{
	char texts[STORE_WARNINGS_MAX][STORE_WARNING_MAX];
	size_t count = store_warnings_texts(&stats->warnings,
					    operate_stats_have_records(&stats->operated), texts);
	struct json_node list = json_add_list(in, "warnings");

	for (size_t i = 0; i < count; i++)
		json_add_text(list, NULL, texts[i]);
}

static void add_store(struct json_node page, const struct agent_stats *stats)
{
	struct json_node in = json_add_object(page, "store");
	const struct store_description *store = &stats->store;

	json_add_text(in, "kind", store->kind);
	json_add_text(in, "url", store->address);
	json_add_text(in, "state", store_state_text(store));
	json_add_text(in, "reason", store->is_up ? "" : store->why);
	if (store->master != NULL)
		add_sentinels(in, store);
	json_add_unsigned(in, "agents", store->stats.agents);
	add_warnings(in, stats);
}

static void add_connections(struct json_node page, const struct agent_stats *stats)
{
	struct json_node connections = json_add_object(page, "connections");

	json_add_unsigned(connections, "spop", stats->spop.connections);
	json_add_unsigned(connections, "http", stats->http.connections);
}

/* The bound of the histogram that is the `timeout processing` of the shipped ratelimit-spoe.conf.
 */
#define HAPROXY_WAITS_US (50 * US_PER_MS)

static uint64_t count_slower(const struct histogram *latency, int64_t us)
{
	uint64_t count = latency->count;

	for (size_t i = 0; i < HISTOGRAM_BOUNDS && histogram_bounds_us[i] <= us; i++)
		count -= latency->buckets[i];
	return count;
}

static void add_names(struct json_node in, const struct spop_names *names)
{
	struct json_node list = json_add_list(in, "attributes");

	for (size_t i = 0; i < names->count; i++) {
		struct json_node item = json_add_object(list, NULL);
		json_add_bytes(item, "name", bytes_from(names->items[i].text, names->items[i].len));
		json_add_unsigned(item, "times", names->items[i].times);
		json_add_unsigned(item, "absent", names->items[i].absent);
	}
	json_add_bool(in, "attributes_left_out", names->left_out);
}

/* Whether HAProxy asks, and what it sends. */
static void add_spop(struct json_node page, const struct agent_stats *stats)
{
	struct json_node in = json_add_object(page, "spop");

	json_add_unsigned(in, "healthchecks", stats->spop.healthchecks);
	json_add_unsigned(in, "notifies", stats->spop.notifies);
	json_add_int(in, "last_notify_ms", stats->spop.last_notify_us / US_PER_MS);
	json_add_unsigned(in, "slower_than_50_ms",
			  count_slower(&stats->engine.latency[SOURCE_SPOP], HAPROXY_WAITS_US));
	json_add_unsigned(in, "ended_owing", stats->spop.ended_owing);
	add_names(in, &stats->spop.names);
}

static void add_totals(struct json_node page, const struct agent_stats *stats)
{
	struct json_node totals = json_add_object(page, "totals");

	json_add_unsigned(totals, "allowed", stats->engine.allowed);
	json_add_unsigned(totals, "blocked", stats->engine.blocked);
}

static void add_history(struct json_node page, const struct agent_stats *stats)
{
	const struct history *history = stats->history;
	/* How long ago the last step ended, by the monotonic clock, which is never set back. */
	int64_t age_us = stats->started_mono_us + stats->uptime_us - history->end_us;
	struct json_node in = json_add_object(page, "history");

	json_add_unsigned(in, "step_s", HISTORY_STEP_S);
	json_add_unsigned(in, "steps_max", HISTORY_STEPS);
	json_add_int(in, "end_ms", (stats->now_us - age_us) / US_PER_MS);
	struct json_node allowed = json_add_list(in, "allowed");
	for (size_t i = 0; i < history->count; i++)
		json_add_unsigned(allowed, NULL, history_at(history, i).allowed);
	struct json_node blocked = json_add_list(in, "blocked");
	for (size_t i = 0; i < history->count; i++)
		json_add_unsigned(blocked, NULL, history_at(history, i).blocked);
}

/* ---- policies ---- */

static void add_quota(struct json_node in, const struct quota *quota)
{
	json_add_text(in, "algorithm", algorithm_name(quota->algorithm));
	json_add_int(in, "limit", quota->limit);
	if (algorithm_traits(quota->algorithm)->is_by_rate) {
		json_add_int(in, "refill_tokens", quota->refill_tokens);
		json_add_fraction(in, "refill_s", (uint64_t)quota->refill_us, 6);
	} else {
		json_add_fraction(in, "window_s", (uint64_t)quota->window_us, 6);
	}
}

/* The names that an operator gives to look a key up. */
static void add_key(struct json_node in, const struct policy *policy)
{
	struct json_node list = json_add_list(in, "key");

	for (size_t i = 0; i < policy->key_count; i++)
		json_add_bytes(list, NULL, policy->key[i]);
}

static void add_latency(struct json_node policy, const struct histogram *latency)
{
	uint64_t mean_us = latency->count == 0 ? 0 : latency->sum_us / latency->count;
	struct json_node in = json_add_object(policy, "latency_ms");

	json_add_fraction(in, "mean", mean_us, 3);
	json_add_fraction(in, "p99", (uint64_t)histogram_quantile_us(latency, 0.99), 3);
}

static void add_hottest(struct json_node policy, const struct top_keys *seen)
{
	const struct top_key *keys[TOP_KEYS_MAX];

	if (seen == NULL || top_keys_sorted(seen, keys) == 0)
		return;
	struct json_node in = json_add_object(policy, "hottest");
	json_add_bytes(in, "key", bytes_from(keys[0]->text, keys[0]->len));
	json_add_int(in, "remaining", keys[0]->remaining);
	json_add_unsigned(in, "count", keys[0]->count);
	json_add_unsigned(in, "error", keys[0]->error);
}

/* Inline policies have no quota, since each request brings its own; and `blocked` has none. */
static void add_policy_stats(struct json_node list, const struct ranking *ranking, size_t index,
			     bool has_quota)
{
	const struct policy *policy = ranking->policies[index];
	const struct tally *tally = policy->tally;
	struct json_node in = json_add_object(list, NULL);

	json_add_text(in, "policy", policy->name);
	if (has_quota) {
		add_quota(in, &policy->terms.quota);
		add_key(in, policy);
	}
	json_add_unsigned(in, "checks", ranking->checks[index]);
	json_add_unsigned(in, "allowed", tally->checks[TALLY_ALLOWED]);
	json_add_unsigned(in, "denied", tally->checks[TALLY_DENIED]);
	json_add_unsigned(in, "shadow_denied", tally->checks[TALLY_SHADOW_DENIED]);
	json_add_unsigned(in, "errors", tally->checks[TALLY_ERROR]);
	add_latency(in, &tally->latency);
	add_hottest(in, tally->seen);
}

static void add_policies(struct json_node page, const struct agent_stats *stats)
{
	struct ranking ranking = ranking_of(stats->policies);

	json_add_unsigned(page, "policies_left_out", ranking.left_out);
	struct json_node list = json_add_list(page, "policies");
	for (size_t i = 0; i < ranking.count; i++)
		add_policy_stats(list, &ranking, i,
				 policies_row_of(stats->policies, ranking.policies[i]) <
					 policies_count(stats->policies));
	top_add_summary(page, "top", &ranking);
}

static void add_load(struct json_node page, const struct agent_stats *stats)
{
	struct json_node in = json_add_object(page, "load");

	json_add_unsigned(in, "policies", policies_count(stats->policies));
	json_add_unsigned(in, "allow", policies_get_list(stats->policies, LISTED_ALLOW)->count);
	json_add_unsigned(in, "block", policies_get_list(stats->policies, LISTED_BLOCK)->count);
	json_add_unsigned(in, "generation", stats->load.generation);
	json_add_unsigned(in, "errors", stats->load.errors);
	json_add_int(in, "loaded_ms", stats->load.loaded_us / US_PER_MS);
	json_add_unsigned(in, "version", stats->operated.policies_version);
	json_add_unsigned(in, "stored_version", stats->operated.policies_stored_version);
	json_add_bool(in, "last_failed", stats->load.last_failed);
	json_add_text(in, "reason", stats->load.last_failed ? stats->load.last_error : "");
}

bool status_put(FILE *to, const struct agent_stats *stats)
{
	struct json_tree tree;
	struct json_node page = json_tree_root(&tree);

	json_add_text(page, "version", RATELIMIT_VERSION);
	json_add_int(page, "pid", getpid());
	json_add_int(page, "started_ms", stats->started_us / US_PER_MS);
	json_add_int(page, "uptime_s", stats->uptime_us / US_PER_SECOND);
	json_add_int(page, "now_ms", stats->now_us / US_PER_MS);
	json_add_bool(page, "draining", stats->is_draining);
	json_add_bool(page, "hashed", stats->options->hash_keys);
	json_add_bool(page, "shadow_all", stats->options->shadow_all);
	add_store(page, stats);
	add_connections(page, stats);
	add_spop(page, stats);
	json_add_unsigned(page, "in_flight", stats->engine.in_flight);
	add_totals(page, stats);
	add_load(page, stats);
	add_history(page, stats);
	add_policies(page, stats);
	return json_tree_write(&tree, to);
}

bool status_write(const void *view, FILE *to)
{
	struct agent_stats stats = agent_stats_of(view);

	return status_put(to, &stats);
}
