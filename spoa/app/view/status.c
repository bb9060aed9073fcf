#include "app/view/status.h"

#include <unistd.h>

#include "app/view/json_writer.h"
#include "app/view/ranking.h"
#include "app/view/top.h"
#include "base/clock.h"
#include "version.h"

static void put_store(struct json *json, const struct agent_stats *stats)
{
	const struct store_description *store = &stats->store;

	json_begin(json, "store", '{');
	json_put_text(json, "kind", store->kind);
	json_put_text(json, "url", store->address);
	json_put_text(json, "state", store->is_up ? "up" : "down");
	json_put_text(json, "reason", store->is_up ? "" : store->why);
	json_end(json, '}');
}

static void put_connections(struct json *json, const struct agent_stats *stats)
{
	json_begin(json, "connections", '{');
	json_put_unsigned(json, "spop", stats->spop.connections);
	json_put_unsigned(json, "http", stats->http.connections);
	json_end(json, '}');
}

static void put_totals(struct json *json, const struct agent_stats *stats)
{
	json_begin(json, "totals", '{');
	json_put_unsigned(json, "allowed", stats->engine.allowed);
	json_put_unsigned(json, "blocked", stats->engine.blocked);
	json_end(json, '}');
}

static void put_history(struct json *json, const struct agent_stats *stats)
{
	const struct history *history = stats->history;
	/* The last step ended some time ago, by a clock that does not step. */
	int64_t age_us = stats->started_mono_us + stats->uptime_us - history->end_us;

	json_begin(json, "history", '{');
	json_put_unsigned(json, "step_s", HISTORY_STEP_S);
	json_put_unsigned(json, "steps_max", HISTORY_STEPS);
	json_put_int(json, "end_ms", (stats->now_us - age_us) / US_PER_MS);
	json_begin(json, "allowed", '[');
	for (size_t i = 0; i < history->count; i++)
		json_put_unsigned(json, NULL, history_at(history, i).allowed);
	json_end(json, ']');
	json_begin(json, "blocked", '[');
	for (size_t i = 0; i < history->count; i++)
		json_put_unsigned(json, NULL, history_at(history, i).blocked);
	json_end(json, ']');
	json_end(json, '}');
}

/* ---- policies ---- */

/* Inline policies bring numbers of their own with each request. */
static void put_quota(struct json *json, const struct quota *quota)
{
	json_put_text(json, "algorithm", algorithm_name(quota->algorithm));
	json_put_int(json, "limit", quota->limit);
	if (algorithm_traits(quota->algorithm)->is_by_rate) {
		json_put_int(json, "refill_tokens", quota->refill_tokens);
		json_put_fraction(json, "refill_s", (uint64_t)quota->refill_us, 6);
	} else {
		json_put_fraction(json, "window_s", (uint64_t)quota->window_us, 6);
	}
}

static void put_latency(struct json *json, const struct histogram *latency)
{
	uint64_t mean_us = latency->count == 0 ? 0 : latency->sum_us / latency->count;

	json_begin(json, "latency_ms", '{');
	json_put_fraction(json, "mean", mean_us, 3);
	json_put_fraction(json, "p99", (uint64_t)histogram_quantile_us(latency, 0.99), 3);
	json_end(json, '}');
}

static void put_hottest(struct json *json, const struct top_keys *seen)
{
	const struct top_key *keys[TOP_KEYS_MAX];

	if (seen == NULL || top_keys_sorted(seen, keys) == 0)
		return;
	json_begin(json, "hottest", '{');
	json_put_bytes(json, "key", bytes_from(keys[0]->text, keys[0]->len));
	json_put_int(json, "remaining", keys[0]->remaining);
	json_put_unsigned(json, "count", keys[0]->count);
	json_put_unsigned(json, "error", keys[0]->error);
	json_end(json, '}');
}

static void put_policy(struct json *json, const struct ranking *ranking, size_t index,
		       bool is_inline)
{
	const struct policy *policy = ranking->policies[index];
	const struct tally *tally = policy->tally;

	json_begin(json, NULL, '{');
	json_put_text(json, "policy", policy->name);
	if (!is_inline)
		put_quota(json, &policy->terms.quota);
	json_put_unsigned(json, "checks", ranking->checks[index]);
	json_put_unsigned(json, "allowed", tally->checks[TALLY_ALLOWED]);
	json_put_unsigned(json, "denied", tally->checks[TALLY_DENIED]);
	json_put_unsigned(json, "shadow_denied", tally->checks[TALLY_SHADOW_DENIED]);
	json_put_unsigned(json, "errors", tally->checks[TALLY_ERROR]);
	put_latency(json, &tally->latency);
	put_hottest(json, tally->seen);
	json_end(json, '}');
}

static void put_policies(struct json *json, const struct agent_stats *stats)
{
	struct ranking ranking = ranking_of(stats->policies);

	json_put_unsigned(json, "policies_left_out", ranking.left_out);
	json_begin(json, "policies", '[');
	for (size_t i = 0; i < ranking.count; i++)
		put_policy(json, &ranking, i,
			   ranking.policies[i] == policies_inline(stats->policies));
	json_end(json, ']');
	top_put_summary(json, "top", &ranking);
}

static void put_load(struct json *json, const struct agent_stats *stats)
{
	json_begin(json, "load", '{');
	json_put_unsigned(json, "policies", policies_count(stats->policies));
	json_put_unsigned(json, "generation", stats->load.generation);
	json_put_unsigned(json, "errors", stats->load.errors);
	json_put_int(json, "loaded_ms", stats->load.loaded_us / US_PER_MS);
	json_end(json, '}');
}

void status_put(FILE *to, const struct agent_stats *stats)
{
	struct json json = json_on(to);

	json_begin(&json, NULL, '{');
	json_put_text(&json, "version", RATELIMIT_VERSION);
	json_put_int(&json, "pid", getpid());
	json_put_int(&json, "started_ms", stats->started_us / US_PER_MS);
	json_put_int(&json, "uptime_s", stats->uptime_us / US_PER_SECOND);
	json_put_int(&json, "now_ms", stats->now_us / US_PER_MS);
	json_put_bool(&json, "draining", stats->is_draining);
	json_put_bool(&json, "hashed", stats->options->hash_keys);
	put_store(&json, stats);
	put_connections(&json, stats);
	json_put_unsigned(&json, "in_flight", stats->engine.in_flight);
	put_totals(&json, stats);
	put_load(&json, stats);
	put_history(&json, stats);
	put_policies(&json, stats);
	json_end(&json, '}');
}

void status_write(const void *view, FILE *to)
{
	struct agent_stats stats = agent_stats_of(view);

	status_put(to, &stats);
}
