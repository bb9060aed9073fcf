/*
 * engine.h - the life of a request between those who ask and the store.
 *
 *     inquiry = engine_begin(engine);
 *     engine_add(inquiry, &attributes);                 once a message; the views may die after it
 *     if (engine_submit(inquiry, &asker, now, mono) == ENGINE_DONE) {
 *             use(engine_verdict(inquiry));
 *             engine_end(inquiry);
 *     }                                                 else asker.done() is called later, once
 *
 * Every inquiry gets one verdict, also when the store answers late, wrongly or never: the inquiry
 * has a deadline, and on_error decides the checks that the store did not. done() runs exactly once,
 * never inside engine_submit, and not at all after engine_abandon.
 *
 * An inquiry that was answered at its deadline keeps its slot until the store gives it back, and
 * counts in max_in_flight. So while a store is dead, new requests are answered at once, and memory
 * does not grow.
 *
 * The engine starts no timer and takes the time as an argument: engine_next_us says when
 * engine_expire wants to be called. Only for the latency that it counts when an answer leaves, it
 * calls `mono_us` of its configuration.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "engine/counter.h"
#include "limit/verdict.h"
#include "store/store.h"

struct decision;
struct engine;
struct inquiry;

struct engine_config {
	struct store *store; /* neither is owned */
	/* The memory store, for on_error=local: answers at once, and keeps what `store` said. */
	struct store *local;
	struct exceptions *exceptions; /* bound to the engine's policies; NULL: never any */
	enum on_error on_error;
	size_t max_in_flight; /* checks that wait for the store */
	int64_t store_timeout_us;
	int64_t (*mono_us)(void); /* the monotonic clock, to count how long an answer took */
	/* Called with each verdict before the asker gets it; may be NULL. */
	void (*decided)(void *owner, const struct decision *decision);
	void *owner;
};

#define TRACE_MAX 64 /* a traceparent has 55 (W3C Trace Context) */

struct decision {
	const struct verdict *verdict;
	enum source source;
	int64_t latency_us;
	struct bytes trace; /* the value of the attribute `traceparent`; empty without one */
};

/*
 * Who asked. The engine keeps a copy until done() is called. `owner` and `tag` belong to the asker:
 * the engine never reads them. A tag says which of the owner's questions the verdict answers.
 */
#define ASKER_TAG_NUMBERS 2

struct asker {
	void (*done)(const struct asker *asker, const struct verdict *verdict);
	struct list *open; /* the asker's list of inquiries that have no verdict yet */
	void *owner;
	uint64_t tag[ASKER_TAG_NUMBERS];
	enum source source;
};

enum engine_state { ENGINE_DONE = 0, ENGINE_PENDING };

/* `policies`: a reference is taken. NULL when memory is short. */
struct engine *engine_new(const struct engine_config *config, struct policies *policies);
/* No inquiry may wait in the store any more: free the stores first. */
void engine_free(struct engine *engine);

/*
 * From now on requests are checked by these policies; a reference is taken. They have inherited the
 * tallies of the old ones before (policies_inherit_at). The engine gives up its reference to the
 * old ones: if no request has another and the caller has none, all of them are freed at once.
 *
 * To keep the call short with many exceptions, engine_prepare_policies is called before, and
 * engine_tidy_policies after it, until they return false: each call is a piece of the work, of some
 * microseconds.
 */
void engine_set_policies(struct engine *engine, const struct policies *policies);
MUST_CHECK bool engine_prepare_policies(struct engine *engine, const struct policies *policies);
MUST_CHECK bool engine_tidy_policies(struct engine *engine);

struct inquiry *engine_begin(struct engine *engine);
/*
 * Called before engine_add: the inquiry only looks. Its verdict is what a request would get now;
 * nothing is charged, counted or logged for it.
 */
void engine_look(struct inquiry *inquiry);
void engine_add(struct inquiry *inquiry, const struct attributes *attributes);
/*
 * The request as far as it was added. An asker that does not submit invalid requests looks at
 * `is_invalid` in it.
 */
const struct request *engine_request(const struct inquiry *inquiry);
MUST_CHECK enum engine_state engine_submit(struct inquiry *inquiry, const struct asker *asker,
					   int64_t now_us, int64_t mono_us);
/*
 * In place of engine_submit, for an asker for whom the agent has no room: on_error decides each
 * check that the store would decide. The inquiry is DONE then.
 */
void engine_decide_unasked(struct inquiry *inquiry, const struct asker *asker, int64_t now_us,
			   int64_t mono_us);
const struct verdict *engine_verdict(const struct inquiry *inquiry);
/* Gives back an inquiry that was not submitted, or that is DONE. */
void engine_end(struct inquiry *inquiry);

/* Called when the asker is gone: none of its inquiries will call done(). Empties its list. */
void engine_abandon(struct list *open);

const struct policies *engine_policies(const struct engine *engine);
struct engine_stats engine_stats(const struct engine *engine);
/* The keys that come most; NULL when memory was short at the start. */
struct top_panes *engine_top(const struct engine *engine);

/* When the next deadline is, on the monotonic clock; -1 when nothing waits. */
int64_t engine_next_us(const struct engine *engine);
void engine_expire(struct engine *engine, int64_t mono_us);

#endif
