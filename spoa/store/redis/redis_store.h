/*
 * redis_store.h - balances in Redis, which any number of agents share.
 *
 * Requests that are asked in one turn of the loop leave at its end, in calls of up to 32 requests
 * each, over one connection (redis_link.h). While the link is up, store_ask returns STORE_PENDING;
 * while it is down, STORE_DONE with an error.
 *
 * A call whose reply is lost is never sent again, since Redis may have charged it. There is one
 * exception: when Redis replies that it does not know the script it has done nothing, so those
 * requests of the call that still wait are sent once more.
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
