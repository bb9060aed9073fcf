/*
 * replay_engine.h - an engine and its store for requests that are asked one after the other, each
 * with a time of its own.
 *
 * In Redis a replay uses keys of its own, `<key-prefix>replay:<random>:`, and deletes them at the
 * end. It waits for Redis for up to a minute without a sign of life. A store that fails ends the
 * replay.
 */
#ifndef APP_REPLAY_ENGINE_H
#define APP_REPLAY_ENGINE_H

#include "app/options.h"
#include "engine/engine.h"
#include "net/http/http_map.h"

struct ev_loop;
struct replay_engine;

struct replay_engine_config {
	struct ev_loop *loop;
	const struct options *options; /* lives as long */
	struct policies *policies;     /* a reference is taken */
	const bool *is_stopped;        /* true: every wait ends */
	/*
	 * Called once for each request that is REPLAY_ANSWERED, before replay_engine_ask returns.
	 * The store may be the caller, so the callback must not run the loop.
	 */
	void (*answered)(void *owner, const struct verdict *verdict);
	void *owner;
};

/* NULL when memory is short; `err` says what it was needed for. */
struct replay_engine *replay_engine_new(const struct replay_engine_config *config, struct err *err);
void replay_engine_free(struct replay_engine *engine);
/* After the last question: deletes the keys in Redis, if there can be any. */
MUST_CHECK bool replay_engine_clean_up(struct replay_engine *engine, struct err *err);

enum replay_answer {
	REPLAY_ANSWERED = 0,
	REPLAY_INVALID,        /* `err` says what is wrong with the question */
	REPLAY_UNKNOWN_POLICY, /* `err` says which name no policy has */
	REPLAY_FAILED,         /* the store did not decide; `err` says why */
	REPLAY_STOPPED,        /* by a signal, before there was an answer */
};

MUST_CHECK enum replay_answer replay_engine_ask(struct replay_engine *engine,
						const struct http_question *question, int64_t at_us,
						struct err *err);
struct engine_stats replay_engine_stats(const struct replay_engine *engine);
/* How many balances the memory store dropped for want of memory. */
uint64_t replay_engine_evicted(const struct replay_engine *engine);

#endif
