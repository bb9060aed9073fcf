/*
 * redis_store.h - balances in Redis, which any number of agents share.
 *
 * Requests leave in calls of up to 32 checks (or of one request), over one connection
 * (redis_link.h), at the end of a turn of the loop or when an earlier call is answered. store_ask
 * returns STORE_DONE with an error while the link is down, and with STORE_FULL when the answer
 * would be late (redis_health.h); else STORE_PENDING.
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
