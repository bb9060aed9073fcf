/*
 * redis_sweep.h - deletes every key that begins with a prefix. A replay cleans up with it.
 *
 * It makes a connection of its own, because it is needed also when the store has lost its
 * connection. It walks over all keys of the database, about a thousand in a call, so that no call
 * keeps Redis from its other clients for long. The caller runs the loop and asks for the state.
 */
#ifndef STORE_REDIS_SWEEP_H
#define STORE_REDIS_SWEEP_H

#include "base/bytes.h"
#include "store/redis/redis_target.h"

struct ev_loop;
struct redis_sweep;

enum redis_sweep_state { SWEEP_RUNNING = 0, SWEEP_DONE, SWEEP_FAILED };

/* `target` must outlive it. The prefix has at most REDIS_PREFIX_MAX bytes. NULL: out of memory. */
struct redis_sweep *redis_sweep_new(struct ev_loop *loop, const struct redis_target *target,
				    struct bytes prefix);
void redis_sweep_free(struct redis_sweep *sweep);

enum redis_sweep_state redis_sweep_state(const struct redis_sweep *sweep);
/* Why it has failed, in one printable line. */
const char *redis_sweep_why(const struct redis_sweep *sweep);

#endif
