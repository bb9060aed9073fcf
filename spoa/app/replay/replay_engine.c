/*
 * One request at a time goes through an engine and a store like those of a running agent:
 *
 *  replay_engine_ask
 *     |  is the message valid?  no --> REPLAY_INVALID or REPLAY_UNKNOWN_POLICY
 *     |
 *     |  Redis: await_store runs the loop until the link is up, is surely down, or a minute is over
 *     |
 *  engine_submit
 *     |-- DONE     the memory store has answered, or the engine for a Redis that is down
 *     `-- PENDING  await_answer runs the loop until on_done was called
 *     |
 *  keep_verdict:   not degraded --> REPLAY_ANSWERED
 *                  degraded     --> REPLAY_FAILED: a verdict by --on-error would not be what the
 *                                   policies decide, so it ends the replay
 *
 * A signal ends both waits; the request is then abandoned and answered by REPLAY_STOPPED.
 *
 * A running agent answers a request at --store-timeout at the latest, since somebody waits for the
 * page. A replay has time: it gives Redis up only after a minute without any sign of life.
 *
 * `has_keys` is set before the first request that can write a key, and never reset: the keys are
 * deleted at the end even when the replay does not know whether a request had reached Redis.
 */
#include "app/replay/replay_engine.h"

#include <stdlib.h>

#include <ev.h>
#include <sodium.h>

#include "base/clock.h"
#include "store/memory.h"
#include "store/store.h"

#define PATIENCE_US  (60 * US_PER_SECOND) /* how long a silent store is waited for */
#define KEEP_FULL_US (INT64_MAX / 2)      /* full balances too: time may go back by any time */
#define RANDOM_BYTES 8

struct replay_engine {
	struct replay_engine_config config;
	struct store *memory;
	struct store *remote; /* NULL when balances are in memory */
	struct engine *engine;
	struct list open;
	char prefix[STORE_PREFIX_MAX + 1];
	bool has_keys; /* the store may have keys of this replay */
	bool is_away;  /* the store refuses the connection: waiting does not help */
	enum replay_answer answer;
	enum store_error error; /* why the store failed */
	struct quoted refusal;  /* the error that the server replied; empty when it replied none */
};

/* ---- the store ---- */

static void on_changed(void *owner, bool is_up, enum store_error error, const char *why)
{
	struct replay_engine *engine = owner;

	(void)why;
	engine->is_away = !is_up && error != STORE_TIMEOUT && error != STORE_LOADING;
}

static void on_refused(void *owner, const struct store_op *op, enum store_error error,
		       struct bytes why)
{
	struct replay_engine *engine = owner;

	(void)op, (void)error;
	engine->refusal = quoted(why);
}

static void set_prefix(struct replay_engine *engine)
{
	struct writer w = writer_on(engine->prefix, sizeof engine->prefix);
	uint8_t random[RANDOM_BYTES];

	randombytes_buf(random, sizeof random);
	writer_put_text(&w, engine->config.options->key_prefix);
	writer_put_text(&w, "replay:");
	writer_put_hex(&w, bytes_from(random, sizeof random));
	writer_put_u8(&w, ':');
	ASSERT(!w.full);
	(void)writer_text(&w);
}

static struct store *open_remote(struct replay_engine *engine)
{
	set_prefix(engine);
	return store_target_open(&engine->config.options->store, engine->config.loop,
				 &(struct store_config){
					 .prefix = bytes_from_text(engine->prefix),
					 .timeout_us = PATIENCE_US,
					 .silence_us = PATIENCE_US,
					 .max_in_flight = REQUEST_CHECKS_MAX,
					 .is_time_given = true,
					 .changed = on_changed,
					 .refused = on_refused,
					 .owner = engine,
				 });
}

/* Returns when the store is up, or away, or the replay is stopped, or patience is over. */
static void await_store(struct replay_engine *engine)
{
	int64_t began_us = clock_mono_us();

	while (!store_describe(engine->remote).is_up && !engine->is_away &&
	       !*engine->config.is_stopped && clock_mono_us() - began_us < PATIENCE_US)
		ev_run(engine->config.loop, EVRUN_ONCE);
	engine->has_keys |= store_describe(engine->remote).is_up;
}

static bool delete_keys(struct replay_engine *engine, struct err *err)
{
	const struct store_target *target = &engine->config.options->store;

	return store_target_delete(target, engine->config.loop, bytes_from_text(engine->prefix),
				   err) ||
	       err_at(err, "%s: the keys %s* are left: ", store_target_text(target),
		      engine->prefix);
}

/* ---- asking ---- */

static void keep_verdict(struct replay_engine *engine, const struct verdict *verdict)
{
	const struct request *request = verdict->request;

	engine->answer = verdict->degraded ? REPLAY_FAILED : REPLAY_ANSWERED;
	engine->error = STORE_OK;
	for (size_t i = 0; i < request->count && engine->error == STORE_OK; i++)
		engine->error = request->checks[i]->error;
	if (engine->answer == REPLAY_ANSWERED)
		engine->config.answered(engine->config.owner, verdict);
}

static void on_done(const struct asker *asker, const struct verdict *verdict)
{
	keep_verdict(asker->owner, verdict);
}

static enum replay_answer refuse_question(struct inquiry *inquiry,
					  const struct http_question *question, struct err *err)
{
	unsigned status = http_map_refuse(question, engine_request(inquiry), err);

	engine_end(inquiry);
	return status == 404 ? REPLAY_UNKNOWN_POLICY : REPLAY_INVALID;
}

static void await_answer(struct replay_engine *engine)
{
	while (!list_is_empty(&engine->open) && !*engine->config.is_stopped)
		ev_run(engine->config.loop, EVRUN_ONCE);
	if (list_is_empty(&engine->open))
		return;
	engine_abandon(&engine->open);
	engine->answer = REPLAY_STOPPED;
}

static void submit(struct replay_engine *engine, struct inquiry *inquiry, int64_t at_us)
{
	const struct asker asker = {
		.done = on_done,
		.open = &engine->open,
		.owner = engine,
		.source = SOURCE_HTTP,
	};

	if (engine_submit(inquiry, &asker, at_us, 0) == ENGINE_PENDING) {
		await_answer(engine);
		return;
	}
	keep_verdict(engine, engine_verdict(inquiry));
	engine_end(inquiry);
}

static void describe_failure(const struct replay_engine *engine, struct err *err)
{
	const char *kind = store_error_text(engine->error);

	if (engine->remote == NULL) {
		(void)err_set(err, "memory: %s (--memory-limit)", kind);
		return;
	}
	const struct store_description store = store_describe(engine->remote);
	const struct quoted why = quoted(bytes_from_text(store.why));
	(void)err_set(err, "%s: %s: %s", store.address, kind,
		      *engine->refusal.text != '\0' ? engine->refusal.text : why.text);
}

enum replay_answer replay_engine_ask(struct replay_engine *engine,
				     const struct http_question *question, int64_t at_us,
				     struct err *err)
{
	const struct attributes attributes = http_question_attributes(question);
	struct inquiry *inquiry = engine_begin(engine->engine);

	engine_add(inquiry, &attributes);
	if (engine_request(inquiry)->is_invalid)
		return refuse_question(inquiry, question, err);
	if (engine->remote != NULL)
		await_store(engine);
	if (*engine->config.is_stopped) {
		engine_end(inquiry);
		return REPLAY_STOPPED;
	}
	submit(engine, inquiry, at_us);
	if (engine->answer == REPLAY_FAILED)
		describe_failure(engine, err);
	return engine->answer;
}

struct engine_stats replay_engine_stats(const struct replay_engine *engine)
{
	return engine_stats(engine->engine);
}

uint64_t replay_engine_evicted(const struct replay_engine *engine)
{
	return memory_store_stats(engine->memory).evicted;
}

/* ---- begin and end ---- */

/* A replay shows no latencies. */
static int64_t no_clock(void)
{
	return 0;
}

static bool build_engine(struct replay_engine *engine, struct err *err)
{
	const struct options *options = engine->config.options;

	engine->memory = memory_store_new(options->memory_limit);
	if (engine->memory == NULL)
		return err_set(err, "no memory for --memory-limit");
	memory_store_keep_full(engine->memory, KEEP_FULL_US);
	if (!options->store.is_memory)
		engine->remote = open_remote(engine);
	if (!options->store.is_memory && engine->remote == NULL)
		return err_set(err, "out of memory");
	engine->engine = engine_new(
		&(struct engine_config){
			.store = engine->remote != NULL ? engine->remote : engine->memory,
			.local = engine->memory,
			.on_error = options->on_error,
			.max_in_flight = REQUEST_CHECKS_MAX,
			.store_timeout_us = PATIENCE_US, /* unused: a replay has no expiry timer */
			.mono_us = no_clock,
		},
		engine->config.policies);
	return engine->engine != NULL || err_set(err, "out of memory");
}

struct replay_engine *replay_engine_new(const struct replay_engine_config *config, struct err *err)
{
	if (!store_target_can_delete(&config->options->store)) {
		(void)err_set(err, "%s: a replay could not delete its keys in a Redis Cluster",
			      store_target_text(&config->options->store));
		return NULL;
	}
	struct replay_engine *engine = calloc(1, sizeof *engine);
	if (engine == NULL) {
		(void)err_set(err, "out of memory");
		return NULL;
	}
	engine->config = *config;
	list_init(&engine->open);
	if (build_engine(engine, err))
		return engine;
	replay_engine_free(engine);
	return NULL;
}

void replay_engine_free(struct replay_engine *engine)
{
	if (engine == NULL)
		return;
	store_free(engine->remote); /* before the engine, which gets the answers of what waits */
	store_free(engine->memory);
	engine_free(engine->engine);
	free(engine);
}

/*
 * The store is freed first, so that its connection is closed: the server has then run what was
 * sent, or never will, and no key appears after the keys were deleted.
 */
bool replay_engine_clean_up(struct replay_engine *engine, struct err *err)
{
	store_free(engine->remote);
	engine->remote = NULL;
	return !engine->has_keys || delete_keys(engine, err);
}
