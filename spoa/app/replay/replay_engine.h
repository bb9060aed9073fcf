/*
 * replay_engine.h - the engine and its store, for requests that are asked one after the other with
 * a time of their own.
 *
 * In Redis a replay has its own keys, `<key-prefix>replay:<random>:`, which are deleted when it
 * ends. The store is waited for as long as it takes; one that fails ends the replay.
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
	const bool *is_stopped;        /* waits for nothing any more */
	/*
	 * The verdict, once for each that is REPLAY_ANSWERED. It is the store that calls: nobody
	 * runs the loop in it.
	 */
	void (*answered)(void *owner, const struct verdict *verdict);
	void *owner;
};

/* NULL when memory is short; `err` says for what. */
struct replay_engine *replay_engine_new(const struct replay_engine_config *config, struct err *err);
void replay_engine_free(struct replay_engine *engine);
/* At the end, when nothing is asked any more: deletes the keys, if there are any in Redis. */
MUST_CHECK bool replay_engine_clean_up(struct replay_engine *engine, struct err *err);

enum replay_answer {
	REPLAY_ANSWERED = 0,
	REPLAY_INVALID,        /* the question is, and `err` says why */
	REPLAY_UNKNOWN_POLICY, /* the same, of a name */
	REPLAY_FAILED,         /* the store did not answer, and `err` says why */
	REPLAY_STOPPED,
};

MUST_CHECK enum replay_answer replay_engine_ask(struct replay_engine *engine,
						const struct http_question *question, int64_t at_us,
						struct err *err);
struct engine_stats replay_engine_stats(const struct replay_engine *engine);
/* Balances that the memory store forgot before their time. */
uint64_t replay_engine_evicted(const struct replay_engine *engine);

#endif
