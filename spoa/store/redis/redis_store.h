/*
 * redis_store.h - balances in Redis, which any number of agents share.
 *
 * What was asked in a turn of the loop leaves at its end, as calls of up to 32 requests each, over
 * one connection (redis_link.h). Every answer is PENDING while that is up; while it is not,
 * everything is answered at once with an error. A command whose reply is lost is never sent again.
 * Only when Redis says that it does not know the script, and so has done nothing, those that still
 * wait are asked once more.
 */
#ifndef STORE_REDIS_STORE_H
#define STORE_REDIS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/histogram.h"
#include "store/redis/redis_target.h"
#include "store/store.h"

struct ev_loop;

struct redis_store_config {
	const struct redis_target *target; /* lives as long as the store */
	struct bytes prefix;               /* of every key; at most REDIS_PREFIX_MAX; a constant */
	int64_t timeout_us;                /* the engine's, of every op */
	size_t max_in_flight;              /* the engine's: ops that can be pending */
	/* For tests and replay: op.now_us is the time to count by, not Redis' own. */
	bool is_time_given;
	unsigned silent_beats_max; /* redis_link.h */
	/* The connection works; or it does not, and why. Once a change. */
	void (*changed)(void *owner, bool is_up, enum store_error error, const char *why);
	/* Redis answered a request by an error. */
	void (*refused)(void *owner, const struct store_op *op, enum store_error error,
			struct bytes why);
	void *owner;
};

#define REDIS_BATCH_BOUNDS 6 /* 1, 2, 4 .. 32 requests */

struct redis_store_stats {
	bool is_up;
	enum store_error error; /* why it is not */
	const char *why;
	uint64_t connects;                    /* times that it came up */
	uint64_t ups, downs;                  /* changes of the state that were told */
	uint64_t errors[STORE_ERROR_COUNT];   /* requests that got one, by kind */
	struct histogram latency;             /* of calls */
	uint64_t batches[REDIS_BATCH_BOUNDS]; /* calls with at most so many requests, not cumulative
					       */
	uint64_t calls, requests;
};

struct redis_store_stats redis_store_stats(const struct store *store);

/* NULL when memory is short. That Redis can't be reached is not an error. */
struct store *redis_store_new(struct ev_loop *loop, const struct redis_store_config *config);

#endif
