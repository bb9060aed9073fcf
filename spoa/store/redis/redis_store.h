/*
 * redis_store.h - balances in Redis, which any number of agents share.
 *
 * How a request is asked stands in redis_node.h. store_ask returns STORE_DONE with an error while
 * the server is away, and with STORE_FULL when the answer would be late (redis_health.h); else
 * STORE_PENDING.
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
