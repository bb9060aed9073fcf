#include "app/view/metrics.h"

#include <stdlib.h>

#include "app/view/exposition.h"
#include "version.h"

/* A metric of one sample. */
static void put_one(struct exposition *e, const char *name, const char *type, const char *help,
		    uint64_t value)
{
	exposition_begin(e, name, type, help);
	exposition_put(e, NO_LABELS, value);
}

/* ---- requests and checks: a few samples of each policy ---- */

static void put_by_source(struct exposition *e, const char *policy,
			  const uint64_t counts[SOURCE_COUNT])
{
	for (size_t i = 0; i < SOURCE_COUNT; i++)
		exposition_put(e,
			       LABELS({"policy", policy}, {"source", source_name((enum source)i)}),
			       counts[i]);
}

static void put_allowed(struct exposition *e, const struct policy *policy)
{
	put_by_source(e, policy->name, policy->tally->requests_allowed);
}

static void put_allowed_by_none(struct exposition *e, const struct agent_stats *stats)
{
	put_by_source(e, "none", stats->engine.none_allowed);
}

static void put_blocked(struct exposition *e, const struct policy *policy)
{
	put_by_source(e, policy->name, policy->tally->requests_blocked);
}

static void put_blocked_by_none(struct exposition *e, const struct agent_stats *stats)
{
	put_by_source(e, "none", stats->engine.none_blocked);
}

static void put_checks(struct exposition *e, const struct policy *policy)
{
	static const char *const results[TALLY_RESULT_COUNT] = {
		[TALLY_ALLOWED] = "allowed",
		[TALLY_DENIED] = "denied",
		[TALLY_SHADOW_DENIED] = "shadow_denied",
		[TALLY_ERROR] = "error",
		[TALLY_SKIPPED] = "skipped",
	};

	for (size_t i = 0; i < TALLY_RESULT_COUNT; i++)
		exposition_put(e, LABELS({"policy", policy->name}, {"result", results[i]}),
			       policy->tally->checks[i]);
}

static void put_bad_costs(struct exposition *e, const struct policy *policy)
{
	exposition_put(e, LABELS({"policy", policy->name}), policy->tally->bad_costs);
}

static void put_absent_keys(struct exposition *e, const struct policy *policy)
{
	exposition_put(e, LABELS({"policy", policy->name}), policy->tally->keys_absent);
}

/* ---- requests ---- */

static void put_reasons(struct exposition *e, const struct agent_stats *stats)
{
	const struct engine_stats *engine = &stats->engine;

	exposition_begin(e, "ratelimit_requests_total", "counter",
			 "Requests decided, by the reason of the verdict.");
	for (size_t i = 0; i < SOURCE_COUNT; i++)
		for (size_t j = 0; j < REASON_COUNT; j++)
			exposition_put(e,
				       LABELS({"source", source_name((enum source)i)},
					      {"reason", reason_text((enum reason)j)}),
				       engine->reasons[i][j]);
	exposition_begin(e, "ratelimit_request_duration_seconds", "histogram",
			 "Time from reading a request to its verdict.");
	for (size_t i = 0; i < SOURCE_COUNT; i++)
		exposition_put_histogram(e, LABELS({"source", source_name((enum source)i)}),
					 &engine->latency[i], 6);
}

static void put_settling(struct exposition *e, const struct settling_stats *settling)
{
	exposition_begin(e, "ratelimit_local_units_total", "counter",
			 "Units granted with on_error local, by what became of them in Redis.");
	exposition_put(e, LABELS({"result", "charged"}), settling->charged);
	exposition_put(e, LABELS({"result", "late"}), settling->late);
	exposition_put(e, LABELS({"result", "nothing_left"}), settling->nothing_left);
	exposition_put(e, LABELS({"result", "over"}), settling->over);
	exposition_put(e, LABELS({"result", "dropped"}), settling->dropped);
	exposition_put(e, LABELS({"result", "unsure"}), settling->unsure);
}

static void put_engine(struct exposition *e, const struct agent_stats *stats)
{
	const struct engine_stats *engine = &stats->engine;

	put_one(e, "ratelimit_requests_degraded_total", "counter",
		"Requests of which the store did not answer at least one check.", engine->degraded);
	put_one(e, "ratelimit_requests_expired_total", "counter",
		"Requests answered at --store-timeout, without the store.", engine->expired);
	put_one(e, "ratelimit_requests_overload_total", "counter",
		"Requests for which the store was not asked, since --max-in-flight checks waited.",
		engine->full);
	put_one(e, "ratelimit_checks_left_out_total", "counter",
		"Checks not made, since more than 16 policies fit a request.", engine->left_out);
	put_one(e, "ratelimit_checks_in_flight", "gauge", "Checks that wait in the store.",
		engine->in_flight);
	put_one(e, "ratelimit_checks_in_flight_limit", "gauge",
		"Checks that may wait in the store: as many as it answers in time.",
		stats->store.stats.window > 0 ? stats->store.stats.window
					      : stats->options->max_in_flight);
	put_one(e, "ratelimit_store_shed_total", "counter",
		"Requests for which the store was not asked, since too many checks waited for it.",
		engine->full + stats->store.stats.shed);
	put_one(e, "ratelimit_deny_cache_hits_total", "counter",
		"Requests denied without a question to the store, which had just denied the same.",
		stats->store.stats.deny_cache_hits);
	put_settling(e, &engine->settling);
	put_one(e, "ratelimit_lease_hits_total", "counter",
		"Requests allowed without a question to the store, out of units taken before.",
		stats->store.stats.lease_hits);
}

/* ---- stores ---- */

static void put_store_errors(struct exposition *e, const struct store_stats *store)
{
	uint64_t by_name[STORE_ERROR_COUNT] = {0};

	exposition_begin(e, "redis_errors_total", "counter",
			 "Requests that got an error in place of an answer of Redis, by its kind.");
	for (size_t i = 0; i < STORE_ERROR_COUNT; i++)
		by_name[store_error_first((enum store_error)i)] += store->errors[i];
	for (size_t i = STORE_OK + 1; i < STORE_ERROR_COUNT; i++)
		if (i != STORE_FULL &&
		    store_error_first((enum store_error)i) == (enum store_error)i)
			exposition_put(e, LABELS({"kind", store_error_text((enum store_error)i)}),
				       by_name[i]);
}

static void put_calls(struct exposition *e, const struct store_stats *store)
{
	static const char *const bounds[STORE_BATCH_BOUNDS] = {"1", "2", "4", "8", "16", "32"};
	uint64_t sum = 0;

	exposition_begin(e, "ratelimit_store_call_requests", "histogram",
			 "Requests in one call to the store.");
	for (size_t i = 0; i < STORE_BATCH_BOUNDS; i++)
		exposition_put_part(e, "_bucket", LABELS({"le", bounds[i]}),
				    sum += store->batches[i]);
	exposition_put_part(e, "_bucket", LABELS({"le", "+Inf"}), store->calls);
	exposition_put_part(e, "_sum", NO_LABELS, store->requests);
	exposition_put_part(e, "_count", NO_LABELS, store->calls);
}

static void put_asked_store(struct exposition *e, const struct store_stats *store)
{
	exposition_begin(e, "redis_latency_ms", "histogram",
			 "Time from a call to Redis to its reply, in milliseconds.");
	exposition_put_histogram(e, NO_LABELS, &store->latency, 3);
	put_store_errors(e, store);
	exposition_begin(e, "ratelimit_store_latency_seconds", "histogram",
			 "Time from a call to the store to its reply.");
	exposition_put_histogram(e, NO_LABELS, &store->latency, 6);
	put_calls(e, store);
	put_one(e, "ratelimit_store_connects_total", "counter",
		"Times that the connection to the store came up.", store->connects);
	exposition_begin(e, "ratelimit_store_heartbeat_seconds", "gauge",
			 "Time that the last PING to the store took.");
	exposition_put_fraction(e, NO_LABELS, (uint64_t)store->heartbeat_us, 6);
}

static void put_store(struct exposition *e, const struct agent_stats *stats)
{
	const struct store_description *store = &stats->store;

	exposition_begin(e, "ratelimit_store_info", "gauge", "Where balances live.");
	exposition_put(e, LABELS({"kind", store->kind}), 1);
	put_one(e, "ratelimit_store_up", "gauge", "1 while the store can be asked.", store->is_up);
	exposition_begin(e, "ratelimit_store_timeout_seconds", "gauge",
			 "The value of --store-timeout.");
	exposition_put_fraction(e, NO_LABELS, (uint64_t)stats->options->store_timeout_us, 6);
	exposition_begin(e, "ratelimit_store_transitions_total", "counter",
			 "Changes of the state of the store.");
	exposition_put(e, LABELS({"to", "up"}), store->stats.ups);
	exposition_put(e, LABELS({"to", "down"}), store->stats.downs);
	put_one(e, "ratelimit_store_late_answers_total", "counter",
		"Answers of the store to requests that had been answered at --store-timeout.",
		stats->engine.late);
	put_asked_store(e, &store->stats);
	put_one(e, "ratelimit_agents", "gauge",
		"Agents that share the store, as this one has counted; 0 if it has not.",
		store->stats.agents);
}

static void put_memory(struct exposition *e, const struct agent_stats *stats)
{
	put_one(e, "ratelimit_memory_keys", "gauge", "Balances in the memory store.",
		stats->memory.balances);
	put_one(e, "ratelimit_memory_evictions_total", "counter",
		"Balances that were forgotten before they were full again.", stats->memory.evicted);
	put_one(e, "ratelimit_memory_used_bytes", "gauge", "Memory that balances take.",
		stats->memory.bytes);
	put_one(e, "ratelimit_memory_limit_bytes", "gauge", "The value of --memory-limit.",
		stats->options->memory_limit);
}

/* ---- connections ---- */

static void put_connections(struct exposition *e, const struct agent_stats *stats)
{
	exposition_begin(e, "ratelimit_connections", "gauge", "Open connections.");
	exposition_put(e, LABELS({"kind", "spop"}), stats->spop.connections);
	exposition_put(e, LABELS({"kind", "http"}), stats->http.connections);
	exposition_begin(e, "ratelimit_connections_accepted_total", "counter",
			 "Connections accepted.");
	exposition_put(e, LABELS({"kind", "spop"}), stats->spop.accepted);
	exposition_put(e, LABELS({"kind", "http"}), stats->http.accepted);
	put_one(e, "ratelimit_spop_connections_limit", "gauge", "The value of --max-connections.",
		stats->options->max_connections);
}

static void put_frames(struct exposition *e, const struct spop_server_stats *spop)
{
	exposition_begin(e, "ratelimit_spop_frames_received_total", "counter",
			 "SPOP frames received, by type.");
	exposition_put(e, LABELS({"type", "haproxy-hello"}), spop->hellos);
	exposition_put(e, LABELS({"type", "notify"}), spop->notifies);
	exposition_put(e, LABELS({"type", "haproxy-disconnect"}), spop->disconnects);
	exposition_put(e, LABELS({"type", "other"}), spop->others);
	exposition_begin(e, "ratelimit_spop_frames_sent_total", "counter",
			 "SPOP frames sent, by type.");
	exposition_put(e, LABELS({"type", "agent-hello"}), spop->agent_hellos);
	exposition_put(e, LABELS({"type", "ack"}), spop->acks);
	exposition_put(e, LABELS({"type", "agent-disconnect"}), spop->agent_disconnects);
	put_one(e, "ratelimit_spop_healthchecks_total", "counter",
		"Handshakes that were health checks of HAProxy's.", spop->healthchecks);
	exposition_begin(e, "ratelimit_spop_last_notify_timestamp_seconds", "gauge",
			 "When HAProxy asked last; 0 if it never did.");
	exposition_put_fraction(e, NO_LABELS, (uint64_t)spop->last_notify_us, 6);
}

static void put_statuses(struct exposition *e, const char *found_by,
			 const uint64_t counts[SPOP_STATUS_COUNT])
{
	for (size_t i = 1; i < SPOP_STATUS_COUNT; i++) {
		char status[12];
		snprintf(status, sizeof status, "%u", spop_status_at(i));
		exposition_put(e, LABELS({"found_by", found_by}, {"status", status}), counts[i]);
	}
}

static void put_spop(struct exposition *e, const struct agent_stats *stats)
{
	const struct spop_server_stats *spop = &stats->spop;

	put_frames(e, spop);
	exposition_begin(e, "ratelimit_spop_errors_total", "counter",
			 "SPOP connections ended by an error, by its status in SPOE.txt.");
	put_statuses(e, "agent", spop->errors);
	put_statuses(e, "haproxy", spop->errors_of_haproxy);
	put_one(e, "ratelimit_spop_hello_timeouts_total", "counter",
		"SPOP connections closed because their HELLO was not complete in time.",
		spop->hello_timeouts);
	put_one(e, "ratelimit_spop_connections_ended_owing_total", "counter",
		"SPOP connections that ended before all their answers were sent.",
		spop->ended_owing);
}

static void put_http(struct exposition *e, const struct agent_stats *stats)
{
	static const char *const classes[] = {"4xx", "5xx"};
	const struct http_server_stats *http = &stats->http;

	put_one(e, "ratelimit_http_requests_total", "counter", "HTTP requests, of any path.",
		http->requests);
	exposition_begin(e, "ratelimit_http_problems_total", "counter",
			 "HTTP requests refused, by the class of the status.");
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		exposition_put(e, LABELS({"status", classes[i]}), http->problems[4 + i]);
	put_one(e, "ratelimit_http_timeouts_total", "counter",
		"HTTP requests that were not complete in time.", http->timeouts);
	exposition_begin(e, "ratelimit_http_connections_dropped_total", "counter",
			 "HTTP connections closed to make room, and those for which none was.");
	exposition_put(e, LABELS({"reason", "evicted"}), http->evicted);
	exposition_put(e, LABELS({"reason", "refused"}), http->refused);
}

/* ---- the agent ---- */

static void put_policies(struct exposition *e, const struct agent_stats *stats)
{
	put_one(e, "ratelimit_policies", "gauge", "Policies in use.",
		policies_count(stats->policies));
	put_one(e, "ratelimit_policy_generation", "gauge",
		"How often the policies were loaded since the start.", stats->load.generation);
	put_one(e, "ratelimit_policy_reload_errors_total", "counter",
		"Reloads that failed and changed nothing.", stats->load.errors);
	put_one(e, "ratelimit_policy_last_reload_successful", "gauge",
		"0 while the last reload is one that failed.", !stats->load.last_failed);
	exposition_begin(e, "ratelimit_policy_last_load_timestamp_seconds", "gauge",
			 "When the policies in use were loaded.");
	exposition_put_fraction(e, NO_LABELS, (uint64_t)stats->load.loaded_us, 6);
}

static void put_process(struct exposition *e, const struct agent_stats *stats)
{
	const struct process_stats *process = &stats->process;

	exposition_begin(e, "process_cpu_seconds_total", "counter",
			 "User and system time of the process.");
	exposition_put_fraction(e, NO_LABELS, process->cpu_us, 6);
	put_one(e, "process_resident_memory_bytes", "gauge", "Memory of the process.",
		process->resident_bytes);
	put_one(e, "process_open_fds", "gauge", "Open file descriptors.", process->open_fds);
	put_one(e, "process_max_fds", "gauge", "The most file descriptors that may be open.",
		process->max_fds);
	exposition_begin(e, "process_start_time_seconds", "gauge", "When the process started.");
	exposition_put_fraction(e, NO_LABELS, (uint64_t)stats->started_us, 6);
}

static void put_agent(struct exposition *e, const struct agent_stats *stats)
{
	exposition_begin(e, "ratelimit_build_info", "gauge", "The version that runs.");
	exposition_put(e, LABELS({"version", RATELIMIT_VERSION}), 1);
	put_one(e, "ratelimit_draining", "gauge", "1 while the agent drains.", stats->is_draining);
	put_policies(e, stats);
	put_one(e, "ratelimit_balance_resets_total", "counter",
		"Resets of a key's balances by operators.", stats->operated.balance_resets);
	put_one(e, "ratelimit_policies_puts_total", "counter",
		"Versions of the policies that operators put into the store through this agent.",
		stats->operated.policies_puts);
	put_one(e, "ratelimit_policies_version", "gauge",
		"The version of the policies of --policies store: that is in use.",
		stats->operated.policies_version);
	put_one(e, "ratelimit_policies_stored_version", "gauge",
		"The latest version of the policies that the store has.",
		stats->operated.policies_stored_version);
	put_one(e, "ratelimit_exceptions", "gauge", "Exceptions to policies, set by operators.",
		stats->operated.exceptions);
	exposition_begin(e, "ratelimit_exception_changes_total", "counter",
			 "Changes of exceptions by operators who asked this agent.");
	exposition_put(e, LABELS({"change", "set"}), stats->operated.exceptions_set);
	exposition_put(e, LABELS({"change", "removed"}), stats->operated.exceptions_removed);
	put_process(e, stats);
}

/* ---- the page ---- */

/*
 * In the page's order. A part with a name is a counter of each policy: `put_policy` writes the
 * samples of one. `put` comes before the policies.
 */
static const struct part {
	const char *name, *help;
	void (*put_policy)(struct exposition *e, const struct policy *policy);
	bool has_others; /* then that of all inline policies, and `blocked` */
	void (*put)(struct exposition *e, const struct agent_stats *stats);
} parts[] = {
	{"requests_allowed_total", "Requests allowed, by the policy that the verdict names.",
	 put_allowed, true, put_allowed_by_none},
	{"requests_blocked_total", "Requests blocked, by the policy that the verdict names.",
	 put_blocked, true, put_blocked_by_none},
	{.put = put_reasons},
	{"ratelimit_checks_total",
	 "Checks of one policy each, by what the check came to by itself.", put_checks, true, NULL},
	{"ratelimit_bad_costs_total",
	 "Checks that cost 1, since the attribute of cost was not there or no number.",
	 put_bad_costs, false, NULL},
	{"ratelimit_policy_key_absent_total",
	 "Requests that the policy did not check, since an attribute of its key was not there.",
	 put_absent_keys, false, NULL},
	{.put = put_engine},
	{.put = put_store},
	{.put = put_memory},
	{.put = put_connections},
	{.put = put_spop},
	{.put = put_http},
	{.put = put_agent},
};

#define POLICIES_AT_ONCE 64

struct metrics_writing {
	struct agent_stats stats;
	const struct policies *policies; /* a reference: a reload may come in between */
	struct exposition exposition;
	size_t part;
	size_t policy; /* the next of the part */
};

/* Returns whether that was all of the part. */
static bool put_some_policies(struct metrics_writing *writing, const struct part *part)
{
	size_t count = policies_count(writing->policies), end = writing->policy + POLICIES_AT_ONCE;

	for (; writing->policy < count && writing->policy < end; writing->policy++)
		part->put_policy(&writing->exposition,
				 policies_at(writing->policies, writing->policy));
	if (writing->policy < count)
		return false;
	for (size_t i = count; part->has_others && i < policies_row_count(writing->policies); i++)
		part->put_policy(&writing->exposition, policies_at_row(writing->policies, i));
	return true;
}

void *metrics_begin(const void *view)
{
	struct metrics_writing *writing = calloc(1, sizeof *writing);

	if (writing == NULL)
		return NULL;
	writing->stats = agent_stats_of(view);
	writing->policies = policies_ref(writing->stats.policies);
	return writing;
}

bool metrics_write_some(void *state, FILE *to)
{
	struct metrics_writing *writing = state;
	const struct part *part = &parts[writing->part];

	writing->exposition.to = to;
	if (writing->policy == 0 && part->name != NULL)
		exposition_begin(&writing->exposition, part->name, "counter", part->help);
	if (writing->policy == 0 && part->put != NULL)
		part->put(&writing->exposition, &writing->stats);
	if (part->put_policy != NULL && !put_some_policies(writing, part))
		return true;
	writing->policy = 0;
	return ++writing->part < ARRAY_SIZE(parts);
}

void metrics_put(FILE *to, const struct agent_stats *stats)
{
	struct metrics_writing writing = {.stats = *stats, .policies = stats->policies};

	while (metrics_write_some(&writing, to))
		;
}

void metrics_end(void *state)
{
	struct metrics_writing *writing = state;

	policies_unref(writing->policies);
	free(writing);
}
