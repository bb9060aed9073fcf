/*
 * One turn of the loop:
 *
 *     what has arrived is read: HAProxy, HTTP, Redis' replies      (watchers of net/ and store/)
 *     time-outs: the engine's deadline, the drain                   (lowest priority)
 *     before_wait: the drain looks whether it is done, the next deadline is set
 *     all that was asked and answered in this turn is written       (net/ and store/)
 *     the loop waits
 *
 * Time-outs come last, because a reply that lies in its socket already is not late. The deadline is
 * set once a turn and not once a request, because that would be a system call for each.
 *
 * Start and end mirror each other: build() makes the floors from the bottom up and tear_down()
 * frees them, a part of it after a failed start too. Only the stores come before the engine: a
 * store that is freed still answers what waits in it.
 */
#include "app/serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ev.h>

#include "app/descriptors.h"
#include "app/drain.h"
#include "app/handover.h"
#include "app/operate/exceptions.h"
#include "app/operate/operate.h"
#include "app/operate/policies_store.h"
#include "app/operate/resets.h"
#include "app/operate/token_watch.h"
#include "app/password_watch.h"
#include "app/reload.h"
#include "app/state_file.h"
#include "app/store_warnings.h"
#include "app/systemd_notify.h"
#include "app/tls_watch.h"
#include "app/view/agent_view.h"
#include "app/view/decision_log.h"
#include "app/view/pages.h"
#include "base/clock.h"
#include "base/heap.h"
#include "engine/engine.h"
#include "net/http/http_server.h"
#include "net/spop/spop_server.h"
#include "store/memory.h"
#include "store/records_memory.h"
#include "store/store.h"
#include "version.h"

#define LOG_FINISH_MS 100
/* How far the wall clock may step back without a balance being forgotten as full too early. */
#define CLOCK_STEP_US US_PER_SECOND
/* So much, some 12,000 balances and 1 MiB of records, takes about a millisecond to write. */
#define FEW_BALANCES_BYTES (UINT64_C(1) << 20)
#define FEW_RECORDS        256

struct agent {
	const struct options *options;
	const struct list_files *files;
	struct descriptor_shares descriptors;
	struct ev_loop *loop;
	struct store *memory;
	struct store *store; /* the one that is asked: `memory`, or one elsewhere */
	struct exceptions *exceptions;
	struct records *records; /* what operators change; the store's, or this agent's own */
	struct state_file state_file;
	struct handover handover;
	struct policies_store *policies; /* of --policies store:, else NULL */
	struct engine *engine;
	struct spop_server *spop;
	struct http_server *http;
	struct ev_prepare before_wait;
	struct ev_timer deadline; /* when the engine has to answer without the store */
	struct ev_io log;         /* active: standard error did not take all lines yet */
	struct ev_timer history;
	struct reload reload;
	struct password_watch password, sentinel_password;
	struct tls_watch tls;
	struct http_tokens askers, admins; /* what is in force now */
	struct token_watch asker_file, admin_file;
	struct operate *operate;
	struct operate_stats operated;
	struct store_warnings warnings;
	bool is_eviction_told; /* of this connection */
	struct drain drain;
	struct systemd_notify systemd;
	unsigned agents; /* that share the store, as it has counted them; 0: it has not */
	bool is_whole_share_told;
	uint64_t evicted; /* by the memory store, when that was last logged */
	struct decision_log decisions;
	struct agent_view view;
};

/* ---- the store ---- */

/* Whether agents have to count each other: only for what on_error `local` decides. */
static bool is_share_counted(const struct agent *agent)
{
	return agent->options->local_share.is_auto && !agent->options->store.is_memory &&
	       policies_have_local(engine_policies(agent->engine));
}

static void on_store_counted(void *owner, unsigned agents)
{
	struct agent *agent = owner;

	agent->agents = agents;
	memory_store_set_share(agent->memory, (struct ratio){1, agents});
	log_event(LOG_INFO, "agents_counted", LOG_INT("agents", agents));
}

/* The first outage that comes before a number. */
static void warn_of_whole_share(struct agent *agent)
{
	if (agent->agents > 0 || agent->is_whole_share_told || agent->engine == NULL ||
	    !is_share_counted(agent))
		return;
	agent->is_whole_share_told = true;
	log_event(LOG_WARN, "local_share_unknown",
		  LOG_TEXT("hint", "the agent grants all of each limit by itself, since it has not "
				   "learnt how many agents there are; --local-share can say it"));
}

static void on_store_changed(void *owner, bool is_up, enum store_error error, const char *why)
{
	struct agent *agent = owner;

	if (is_up)
		log_event(LOG_INFO, "store_up",
			  LOG_TEXT("store", store_target_text(&agent->options->store)));
	else
		log_event(LOG_WARN, "store_down",
			  LOG_TEXT("store", store_target_text(&agent->options->store)),
			  LOG_TEXT("kind", store_error_text(error)), LOG_TEXT("reason", why));
	if (!is_up)
		warn_of_whole_share(agent);
}

/* One of several servers; `store_down` says that none can be asked. */
static void on_node_changed(void *owner, const char *node, bool is_up, enum store_error error,
			    const char *why)
{
	const struct agent *agent = owner;

	if (is_up)
		log_event(LOG_INFO, "store_node_up",
			  LOG_TEXT("store", store_target_text(&agent->options->store)),
			  LOG_TEXT("node", node));
	else
		log_event(LOG_WARN, "store_node_down",
			  LOG_TEXT("store", store_target_text(&agent->options->store)),
			  LOG_TEXT("node", node), LOG_TEXT("kind", store_error_text(error)),
			  LOG_TEXT("reason", why));
}

/* Called when it is known how Redis makes room, and when Redis has told of a record. */
static void warn_of_eviction(struct agent *agent)
{
	if (agent->is_eviction_told || !operate_stats_have_records(&agent->operated) ||
	    !store_warnings_evicts(&agent->warnings))
		return;
	agent->is_eviction_told = true;
	log_event(LOG_WARN, "store_evicts_exceptions",
		  LOG_TEXT("store", store_target_text(&agent->options->store)),
		  LOG_TEXT("maxmemory_policy", agent->warnings.eviction),
		  LOG_TEXT("hint", STORE_EVICTS));
}

static void on_store_told_eviction(void *owner, const char *policy)
{
	struct agent *agent = owner;

	store_warnings_set_eviction(&agent->warnings, policy);
	agent->is_eviction_told = false;
	warn_of_eviction(agent);
}

static void on_store_forgets(void *owner, const char *policy, const char *hint)
{
	const struct agent *agent = owner;

	log_event(LOG_WARN, "store_forgets",
		  LOG_TEXT("store", store_target_text(&agent->options->store)),
		  LOG_TEXT("maxmemory_policy", policy), LOG_TEXT("hint", hint));
}

static void on_store_lacks_right(void *owner, const char *command, const char *hint)
{
	struct agent *agent = owner;

	store_warnings_lack(&agent->warnings, command, hint);
	log_event(LOG_WARN, "store_lacks_right",
		  LOG_TEXT("store", store_target_text(&agent->options->store)),
		  LOG_TEXT("command", command), LOG_TEXT("hint", hint));
}

static void on_store_regained_right(void *owner, const char *hint)
{
	struct agent *agent = owner;

	store_warnings_regain(&agent->warnings, hint);
	log_event(LOG_INFO, "store_regained_right",
		  LOG_TEXT("store", store_target_text(&agent->options->store)),
		  LOG_TEXT("hint", hint));
}

static void on_master_named(void *owner, const char *master, uint64_t epoch, bool is_reset)
{
	const struct agent *agent = owner;

	if (is_reset)
		log_event(LOG_WARN, "sentinel_epoch_reset",
			  LOG_TEXT("store", store_target_text(&agent->options->store)),
			  LOG_TEXT("master", master), LOG_INT("config_epoch", epoch),
			  LOG_TEXT("hint", "a majority of the Sentinels has named this server by a "
					   "lower epoch for 30 s, as Sentinels do that were set up "
					   "anew; if they were not, look at their configuration"));
	else
		log_event(LOG_INFO, "redis_master_named",
			  LOG_TEXT("store", store_target_text(&agent->options->store)),
			  LOG_TEXT("master", master), LOG_INT("config_epoch", epoch));
}

static void on_sentinel_changed(void *owner, const char *sentinel, bool is_up, const char *why)
{
	const struct agent *agent = owner;

	if (is_up)
		log_event(LOG_INFO, "sentinel_up",
			  LOG_TEXT("store", store_target_text(&agent->options->store)),
			  LOG_TEXT("sentinel", sentinel));
	else
		log_event(LOG_WARN, "sentinel_down",
			  LOG_TEXT("store", store_target_text(&agent->options->store)),
			  LOG_TEXT("sentinel", sentinel), LOG_TEXT("reason", why));
}

/* After a refusal the connection serves on. */
static void on_store_authenticated(void *owner, bool is_taken, struct bytes why)
{
	const struct agent *agent = owner;

	if (is_taken)
		log_event(LOG_INFO, "redis_password_taken",
			  LOG_TEXT("store", store_target_text(&agent->options->store)));
	else
		log_event(LOG_WARN, "redis_password_refused",
			  LOG_TEXT("store", store_target_text(&agent->options->store)),
			  LOG_BYTES("reason", why),
			  LOG_TEXT("hint", "the password that worked last stays in use; the agent "
					   "tries the new one every 5 s"));
}

static void on_records_lost(void *owner, const char *why, uint64_t known, uint64_t found)
{
	const struct agent *agent = owner;

	log_event(LOG_WARN, "store_state_lost",
		  LOG_TEXT("store", store_target_text(&agent->options->store)),
		  LOG_TEXT("reason", why), LOG_INT("known_changes", known),
		  LOG_INT("found_changes", found),
		  LOG_TEXT("hint", "the agents write back what they know of exceptions and resets; "
				   "of each, the later change holds"));
}

static void on_records_failed(void *owner, struct bytes why)
{
	const struct agent *agent = owner;

	log_event(LOG_WARN, "store_records_failed",
		  LOG_TEXT("store", store_target_text(&agent->options->store)),
		  LOG_BYTES("reason", why),
		  LOG_TEXT("hint", "exceptions and resets can't be shared with other agents until "
				   "this is mended; what this agent knows stays in force"));
}

static void on_record_outdated(void *owner, const struct record *record)
{
	static struct log_limit limit = {.lines = 100};
	const struct agent *agent = owner;

	log_limited(&limit, LOG_WARN, "state_file_outdated",
		    LOG_TEXT("path", agent->options->state_file), LOG_BYTES("id", record->id),
		    LOG_TEXT("hint", "the store has another state of this, which is in force now"));
}

static void on_record(void *owner, const struct record *record)
{
	struct agent *agent = owner;

	/* What was read at the start is told too, before the state file is started: the file is not
	 * written anew for that, and keeps its balances. */
	if (agent->state_file.loop != NULL)
		state_file_note_change(&agent->state_file);
	if (policy_versions_have_record(record)) {
		if (agent->policies != NULL)
			policies_store_take_record(agent->policies, record);
	} else if (record_is_reset(record)) {
		resets_take_record(agent->operate, record);
	} else {
		exceptions_take_record(agent->operate, record);
	}
	warn_of_eviction(agent);
}

static void on_store_reread(void *owner, const char *why, bool may_pass)
{
	struct agent *agent = owner;
	bool is_news = tls_watch_take_result(&agent->tls, may_pass);

	if (!is_news)
		return;
	if (*why == '\0')
		log_event(LOG_INFO, "redis_tls_read",
			  LOG_TEXT("hint", "the new files are used from the next connection on"));
	else
		log_event(LOG_WARN, "redis_tls_unread", LOG_TEXT("reason", why),
			  LOG_TEXT("hint",
				   may_pass ? "the files that were read before stay in force; the "
					      "agent tries again every second"
					    : "the files that were read before stay in force"));
}

/* The server gives one error for all checks that are charged together: any may be the cause. */
static struct bytes failed_policies(const struct store_op *op, struct writer *w)
{
	for (size_t i = 0; i < op->count; i++) {
		if (op->checks[i]->error == STORE_OK)
			continue;
		if (w->len > 0)
			writer_put_u8(w, ',');
		writer_put(w, bytes_from_text(op->checks[i]->policy->name));
	}
	return writer_bytes(w);
}

/* At most a line a minute for each kind. */
static void on_store_refused(void *owner, const struct store_op *op, enum store_error error,
			     struct bytes why)
{
	static struct log_limit limits[STORE_ERROR_COUNT];
	uint8_t names[REQUEST_CHECKS_MAX * (POLICY_NAME_MAX + 1)];
	struct writer w = writer_on(names, sizeof names);

	(void)owner;
	struct log_limit *limit = &limits[store_error_first(error)];
	limit->period_us = 60 * US_PER_SECOND;
	log_limited(limit, LOG_WARN, "store_error", LOG_TEXT("kind", store_error_text(error)),
		    LOG_BYTES("policy", failed_policies(op, &w)), LOG_BYTES("reason", why));
}

/* ---- the loop ---- */

static void log_memory(struct agent *agent)
{
	static struct log_limit limit = {.period_us = 60 * US_PER_SECOND};
	struct memory_store_stats stats = memory_store_stats(agent->memory);

	if (stats.evicted == agent->evicted)
		return;
	agent->evicted = stats.evicted;
	log_limited(&limit, LOG_WARN, "memory_store_full", LOG_INT("balances", stats.balances),
		    LOG_INT("evicted", stats.evicted));
}

/* What `systemctl status` shows of the agent. Any difference is told at the next step of history.
 */
static void tell_status(struct agent *agent)
{
	const struct store_description store = store_describe(agent->store);
	const struct load_stats *load = &agent->view.load;
	bool has_reason = !store.is_up && *store.why != '\0';
	char text[SYSTEMD_STATUS_MAX];

	snprintf(text, sizeof text, "serving; policies: %zu; store: %s %s%s%.100s%s%.200s",
		 policies_count(engine_policies(agent->engine)),
		 store_target_text(&agent->options->store), store_state_text(&store),
		 has_reason ? ": " : "", has_reason ? store.why : "",
		 load->last_failed ? "; the last reload failed: " : "",
		 load->last_failed ? load->last_error : "");
	systemd_notify_status(&agent->systemd, text);
}

static void on_history(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct agent *agent = CONTAINER_OF(timer, struct agent, history);
	struct engine_stats stats = engine_stats(agent->engine);

	(void)loop, (void)events;
	store_count_agents(agent->store, is_share_counted(agent));
	records_advance(agent->records);
	history_advance(&agent->view.history, stats.allowed, stats.blocked, clock_mono_us());
	tell_status(agent);
}

static void on_deadline(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct agent *agent = CONTAINER_OF(timer, struct agent, deadline);

	(void)loop, (void)events;
	engine_expire(agent->engine, clock_mono_us());
}

static void on_log_writable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	(void)events;
	if (log_flush())
		ev_io_stop(loop, watcher);
}

static void watch_log(struct agent *agent)
{
	if (!ev_is_active(&agent->log) && !log_flush()) {
		ev_io_set(&agent->log, log_descriptor(), EV_WRITE);
		ev_io_start(agent->loop, &agent->log);
	}
}

static void before_wait(struct ev_loop *loop, struct ev_prepare *watcher, int events)
{
	struct agent *agent = CONTAINER_OF(watcher, struct agent, before_wait);
	int64_t next_us = engine_next_us(agent->engine);

	(void)events;
	log_memory(agent);
	watch_log(agent);
	drain_advance(&agent->drain);
	if (next_us < 0) {
		ev_timer_stop(loop, &agent->deadline);
		return;
	}
	int64_t wait_us = next_us - clock_mono_us();
	agent->deadline.repeat = wait_us > 0 ? (double)wait_us / 1e6 : 1e-6;
	ev_timer_again(loop, &agent->deadline);
}

static void start_watchers(struct agent *agent)
{
	ev_prepare_init(&agent->before_wait, before_wait);
	ev_prepare_start(agent->loop, &agent->before_wait);
	ev_init(&agent->log, on_log_writable);
	ev_init(&agent->deadline, on_deadline);
	ev_set_priority(&agent->deadline, EV_MINPRI);
	ev_timer_init(&agent->history, on_history, HISTORY_STEP_S, HISTORY_STEP_S);
	ev_timer_start(agent->loop, &agent->history);
	systemd_notify_init(&agent->systemd, agent->loop);
	reload_init(&agent->reload, &(struct reload_config){
					    .loop = agent->loop,
					    .options = agent->options,
					    .engine = agent->engine,
					    .stats = &agent->view.load,
					    .files = agent->files,
					    .systemd = &agent->systemd,
				    });
	if (agent->policies != NULL)
		policies_store_start(agent->policies, &agent->reload);
	if (!agent->options->store.is_memory) {
		password_watch_init(&agent->password, agent->loop,
				    agent->options->redis_login.password_file, agent->store,
				    store_set_password);
		password_watch_init(&agent->sentinel_password, agent->loop,
				    agent->options->sentinel_login.password_file, agent->store,
				    store_set_sentinel_password);
		tls_watch_init(&agent->tls, agent->loop, &agent->options->redis_tls, agent->store);
	}
	token_watch_init(&agent->asker_file, agent->loop, agent->options->http_token_file, false,
			 &agent->askers);
	token_watch_init(&agent->admin_file, agent->loop, agent->options->admin_token_file, true,
			 &agent->admins);
	drain_init(&agent->drain, &(struct drain_config){
					  .loop = agent->loop,
					  .options = agent->options,
					  .spop = agent->spop,
					  .http = agent->http,
					  .is_draining = &agent->view.is_draining,
					  .systemd = &agent->systemd,
				  });
}

/* ---- start and end ---- */

/* Returns how many descriptors there may be now. */
static size_t raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return SIZE_MAX;
	rlim_t before = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return limit.rlim_max;
	log_event(LOG_WARN, "descriptor_limit_kept", LOG_INT("limit", before),
		  LOG_INT("wanted", limit.rlim_max), LOG_TEXT("reason", strerror(errno)));
	return before;
}

/* Says so when the options allow more connections than there are descriptors for. */
static struct descriptor_shares share_descriptors(const struct options *options)
{
	size_t http_listeners = options->http_listen.count + options->admin_listen.count;
	/* Each has a descriptor at all times too. */
	size_t sentinels = options->store.is_memory ? 0 : options->store.redis.place_count;
	const struct descriptor_wants wants = {
		.limit = raise_descriptor_limit(),
		.listeners = options->spop_listen.count + http_listeners + sentinels,
		.max_connections = options->max_connections,
		.http_max = http_listeners > 0 ? options->http_max_connections : 0,
	};
	struct descriptor_shares shares = descriptors_share(&wants);

	if (shares.wanted > wants.limit)
		log_event(LOG_WARN, "descriptor_limit_low", LOG_INT("limit", wants.limit),
			  LOG_INT("wanted", shares.wanted),
			  LOG_INT("max_connections", options->max_connections),
			  LOG_INT("http_max_connections", wants.http_max),
			  LOG_INT("spop_used", shares.max_connections),
			  LOG_INT("http_used", wants.http_max > 0 ? shares.http_max : 0));
	return shares;
}

static bool open_store(struct agent *agent)
{
	const struct options *options = agent->options;
	const struct store_config config = {
		.prefix = bytes_from_text(options->key_prefix),
		.timeout_us = options->store_timeout_us,
		.max_in_flight = options->max_in_flight,
		.deny_cache_us = options->deny_cache_us,
		.changed = on_store_changed,
		.node_changed = on_node_changed,
		.forgets = on_store_forgets,
		.lacks_right = on_store_lacks_right,
		.regained_right = on_store_regained_right,
		.told_eviction = on_store_told_eviction,
		.counted = on_store_counted,
		.authenticated = on_store_authenticated,
		.reread = on_store_reread,
		.master_named = on_master_named,
		.sentinel_changed = on_sentinel_changed,
		.records_lost = on_records_lost,
		.record_outdated = on_record_outdated,
		.records_failed = on_records_failed,
		.refused = on_store_refused,
		.owner = agent,
	};

	agent->store = options->store.is_memory
			       ? agent->memory
			       : store_target_open(&options->store, agent->loop, &config);
	return agent->store != NULL;
}

/* ---- exceptions ---- */

static uint64_t records_clock(void *owner)
{
	return records_now_ms(owner);
}

static bool open_exceptions(struct agent *agent, struct policies *policies, struct err *err)
{
	struct state_file_config state = {
		.path = agent->options->state_file,
		.memory = agent->store == agent->memory ? agent->memory : NULL,
	};

	handover_open(&agent->handover, agent->options, state.memory, CLOCK_STEP_US);
	state.skips_balances = handover_has_balances(&agent->handover);
	agent->records = agent->store->records != NULL ? agent->store->records
						       : records_memory_new(clock_now_us);
	if (agent->records != NULL)
		agent->exceptions = exceptions_new(records_clock, agent->records);
	if (agent->exceptions == NULL)
		return err_set(err, "there is not enough memory for exceptions");
	state.records = agent->records;
	if (!state_file_open(&agent->state_file, &state, err))
		return false;
	policies_hash_starts(policies);
	return true;
}

static void set_view(struct agent *agent)
{
	agent->view = (struct agent_view){
		.options = agent->options,
		.engine = agent->engine,
		.memory = agent->memory,
		.store = agent->store,
		.operated = &agent->operated,
		.warnings = &agent->warnings,
		.spop = agent->spop,
		.http = agent->http,
		.load = {.generation = 1,
			 .loaded_us = clock_now_us(),
			 .lacks_policies = agent->policies != NULL},
		.started_us = clock_now_us(),
		.started_mono_us = clock_mono_us(),
	};
	history_init(&agent->view.history, agent->view.started_mono_us);
}

/* Balances that systemd can keep are in memory that outlives this process. */
static struct store *open_memory(const struct options *options)
{
	struct store *memory = NULL;

	if (options->store.is_memory && systemd_notify_can_keep()) {
		memory = memory_store_new_shared(options->memory_limit);
		if (memory == NULL)
			log_event(LOG_WARN, "handover_off", LOG_TEXT("reason", strerror(errno)),
				  LOG_TEXT("hint", "the next agent gets no balances from systemd"));
	}
	return memory != NULL ? memory : memory_store_new(options->memory_limit);
}

static bool build(struct agent *agent, struct policies *policies, struct err *err)
{
	const struct options *options = agent->options;

	decision_log_init(&agent->decisions, options->log_decisions);
	agent->loop = ev_default_loop(EVFLAG_AUTO);
	agent->memory = open_memory(options);
	if (agent->loop == NULL || agent->memory == NULL)
		return err_set(err,
			       "there is not enough memory for --memory-limit, or no event loop");
	memory_store_keep_full(agent->memory, CLOCK_STEP_US);
	memory_store_set_share(agent->memory, options->local_share.share);
	tls_watch_note(&agent->tls, &options->redis_tls);
	if (!open_store(agent))
		return err_set(err, "there is not enough memory for --max-in-flight");
	if (!open_exceptions(agent, policies, err))
		return false;
	agent->engine = engine_new(
		&(struct engine_config){
			.store = agent->store,
			.local = agent->memory,
			.exceptions = agent->exceptions,
			.on_error = options->on_error,
			.max_in_flight = options->max_in_flight,
			.store_timeout_us = options->store_timeout_us,
			.mono_us = clock_mono_us,
			.decided = options->log_decisions == LOG_DECISIONS_OFF ? NULL
									       : decision_log_put,
			.owner = &agent->decisions,
		},
		policies);
	if (agent->engine == NULL)
		return err_set(err, "there is not enough memory for --max-in-flight");
	if (options_policies_are_stored(options)) {
		agent->policies =
			policies_store_new(agent->loop, options, agent->records, &agent->operated);
		if (agent->policies == NULL)
			return err_set(err, "there is not enough memory for --policies");
	}
	agent->operate = operate_new(&(struct operate){
		.options = options,
		.engine = agent->engine,
		.memory = agent->memory,
		.store = agent->store,
		.stats = &agent->operated,
		.warnings = &agent->warnings,
		.exceptions = agent->exceptions,
		.records = agent->records,
		.policies = agent->policies,
		.access = {&agent->askers, &agent->admins},
	});
	if (agent->operate == NULL)
		return err_set(err, "there is not enough memory to be operated");
	records_on_change(agent->records, on_record, agent);
	state_file_start(&agent->state_file, agent->loop);
	agent->spop = spop_server_new(agent->loop,
				      &(struct spop_server_config){
					      .engine = agent->engine,
					      .max_frame_size = (uint32_t)options->max_frame_size,
					      .max_connections = agent->descriptors.max_connections,
					      .max_open = agent->descriptors.spop_max_open,
					      .vars = options->spop_vars,
				      });
	agent->http = http_server_new(agent->loop,
				      &(struct http_server_config){
					      .engine = agent->engine,
					      .pages = pages,
					      .page_count = page_count,
					      .owner = &agent->view,
					      .routes = operate_routes,
					      .route_count = operate_route_count,
					      .route_owner = agent->operate,
					      .access = {&agent->askers, &agent->admins},
					      .max_connections = agent->descriptors.http_max,
					      .max_per_address = options->http_max_per_address,
				      });
	if (agent->spop == NULL || agent->http == NULL)
		return err_set(err, "there is not enough memory for the listeners");
	store_count_agents(agent->store, is_share_counted(agent));
	set_view(agent);
	return true;
}

/* The first address that other machines can reach, or NULL. */
static const struct address *find_wide(const struct address_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (!address_is_local(&list->items[i]))
			return &list->items[i];
	return NULL;
}

static void warn_without_token(const struct options *options)
{
	const struct address *wide = find_wide(&options->http_listen);

	if (wide == NULL)
		wide = find_wide(&options->admin_listen);
	if (wide != NULL && !options->http_tokens.is_set)
		log_event(LOG_WARN, "http_open_without_token", LOG_TEXT("address", wide->text),
			  LOG_TEXT("hint", "--http-token-file"));
}

static void log_skipped(const struct address *address, int error)
{
	log_event(LOG_WARN, "listener_skipped", LOG_TEXT("address", address->text),
		  LOG_TEXT("reason", strerror(error)));
}

static bool listen_for_spop(struct agent *agent, struct address_list list, struct err *err)
{
	address_list_skip_missing(&list, log_skipped);
	for (size_t i = 0; i < list.count; i++)
		if (!spop_server_listen(agent->spop, &list.items[i], err))
			return false;
	return true;
}

static bool listen_for_http(struct agent *agent, struct address_list list, bool is_main,
			    bool is_admin, struct err *err)
{
	address_list_skip_missing(&list, log_skipped);
	for (size_t i = 0; i < list.count; i++)
		if (!http_server_listen(agent->http, &list.items[i], is_main, is_admin, err))
			return false;
	return true;
}

static bool listen_on_all(struct agent *agent, struct err *err)
{
	const struct options *options = agent->options;
	bool is_split = options->admin_listen.count > 0;

	if (!listen_for_spop(agent, options->spop_listen, err))
		return false;
	warn_without_token(options);
	return listen_for_http(agent, options->http_listen, true, !is_split, err) &&
	       listen_for_http(agent, options->admin_listen, false, true, err);
}

static void tear_down(struct agent *agent)
{
	reload_release(&agent->reload);
	password_watch_release(&agent->password);
	password_watch_release(&agent->sentinel_password);
	tls_watch_release(&agent->tls);
	token_watch_release(&agent->asker_file);
	token_watch_release(&agent->admin_file);
	systemd_notify_release(&agent->systemd);
	spop_server_free(agent->spop);
	http_server_free(agent->http);
	state_file_close(&agent->state_file);
	handover_release(&agent->handover);
	/* Before the engine: a store that is freed answers what still waits in it. */
	if (agent->store != agent->memory)
		store_free(agent->store);
	store_free(agent->memory);
	if (agent->store == agent->memory) /* else they were the store's */
		records_free(agent->records);
	policies_store_free(agent->policies);
	free(agent->operate); /* which stores and records tell their last answers */
	engine_free(agent->engine);
	exceptions_free(agent->exceptions);
	if (agent->loop != NULL)
		ev_loop_destroy(agent->loop);
}

/* ---- the end ---- */

static void end_at_once(int number)
{
	(void)number;
	_exit(EXIT_FAILURE);
}

/* The loop has ended, and so has its watch for the second signal. */
static void watch_second_signal(void)
{
	const struct sigaction action = {.sa_handler = end_at_once};

	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
}

static bool are_few_to_write(const struct agent *agent)
{
	struct record record;

	return memory_store_stats(agent->memory).bytes <= FEW_BALANCES_BYTES &&
	       !agent->records->at(agent->records, FEW_RECORDS, &record);
}

/*
 * A successor that waits with the same sockets has the balances from systemd. It must not wait
 * until a large file is written too. A small one is written all the same: when the successor does
 * not start, or there is none, systemd forgets the memory.
 */
static void keep_balances(struct agent *agent)
{
	if (agent->store != agent->memory)
		return;
	bool is_kept = handover_end(&agent->handover);
	if (!is_kept || !agent->drain.is_handing_over || are_few_to_write(agent))
		state_file_write_balances(&agent->state_file, agent->memory);
}

int serve(const struct options *options, struct policies *policies, const struct list_files *files)
{
	struct agent agent = {
		.options = options,
		.files = files,
		.askers = options->http_tokens,
		.admins = options->admin_tokens,
	};
	struct err err;

	log_set(options->log_level, options->log_format);
	(void)signal(SIGPIPE, SIG_IGN);
	heap_set_up();
	agent.descriptors = share_descriptors(options);
	bool is_up = build(&agent, policies, &err);
	if (is_up)
		start_watchers(&agent);
	is_up = is_up && listen_on_all(&agent, &err);
	if (is_up) {
		log_event(LOG_INFO, "started", LOG_TEXT("version", RATELIMIT_VERSION),
			  LOG_INT("policies", policies_count(policies)),
			  LOG_TEXT("store", store_target_text(&options->store)),
			  LOG_INT("pid", getpid()));
		if (options->shadow_all)
			log_event(LOG_WARN, "shadow_all",
				  LOG_TEXT("reason", "--shadow-all is on: every policy is in "
						     "shadow, and denies nobody"));
		policies_unref(policies);
		handover_start(&agent.handover, agent.loop, &agent.systemd);
		state_file_drop_skipped(&agent.state_file);
		tell_status(&agent);
		systemd_notify_ready(&agent.systemd);
		ev_run(agent.loop, 0);
		watch_second_signal();
		keep_balances(&agent);
		log_fields(LOG_INFO, "stopped", NULL, 0);
	} else {
		log_event(LOG_ERROR, "start_failed", LOG_TEXT("reason", err.text));
		policies_unref(policies);
	}
	tear_down(&agent);
	log_finish(LOG_FINISH_MS);
	return is_up ? EXIT_SUCCESS : EXIT_FAILURE;
}
