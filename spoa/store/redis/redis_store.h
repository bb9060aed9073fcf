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

#include "store/redis/redis_target.h"
#include "store/store.h"

struct ev_loop;

/*
 * `target` must outlive the store; the prefix has at most REDIS_PREFIX_MAX bytes. NULL when memory
 * is short. A Redis that can't be reached is no error: the store is down and tries again.
 */
struct store *redis_store_new(struct ev_loop *loop, const struct redis_target *target,
			      const struct store_config *config);

#endif
