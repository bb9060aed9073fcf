/*
 * redis.h - balances in Redis, which any number of agents share.
 *
 * What was asked in a turn of the loop leaves at its end, as calls of up to 32 requests each, over
 * one connection (redis_link.h). Every answer is PENDING while that is up; while it is not,
 * everything is answered at once with an error. A command whose reply is lost is never sent again.
 * Only when Redis says that it does not know the script, and so has done nothing, those that still
 * wait are asked once more.
 */
#ifndef STORE_REDIS_H
#define STORE_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "store/redis_target.h"
#include "store/store.h"

struct ev_loop;

struct redis_store_config {
	const struct redis_target *target; /* lives as long as the store */
	struct bytes prefix;               /* of every key; at most REDIS_PREFIX_MAX; a constant */
	int64_t timeout_us;                /* the engine's, of every op */
	size_t max_in_flight;              /* the engine's: ops that can be pending */
	/* For tests and replay: op.now_us is the time to count by, not Redis' own. */
	bool is_time_given;
	/* The connection works; or it does not, and why. Once a change. */
	void (*changed)(void *owner, bool is_up, enum store_error error, const char *why);
	/* Redis answered a request by an error. */
	void (*refused)(void *owner, const struct store_op *op, enum store_error error,
			struct bytes why);
	void *owner;
};

/* NULL when memory is short. That Redis can't be reached is not an error. */
struct store *redis_store_new(struct ev_loop *loop, const struct redis_store_config *config);

#endif
