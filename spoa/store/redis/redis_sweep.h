/*
 * redis_sweep.h - deletes all keys of a prefix: what a replay leaves behind.
 *
 * It has a connection of its own, since it is wanted also when that of the balances was lost. It
 * walks all keys of the database, a thousand a call, so that Redis stops for nobody meanwhile. The
 * loop runs it; what it came to is asked for.
 */
#ifndef STORE_REDIS_SWEEP_H
#define STORE_REDIS_SWEEP_H

#include "base/bytes.h"
#include "store/redis/redis_target.h"

struct ev_loop;
struct redis_sweep;

enum redis_sweep_state { SWEEP_RUNNING = 0, SWEEP_DONE, SWEEP_FAILED };

/* `target` lives as long; the prefix has at most REDIS_PREFIX_MAX bytes. NULL: out of memory. */
struct redis_sweep *redis_sweep_new(struct ev_loop *loop, const struct redis_target *target,
				    struct bytes prefix);
void redis_sweep_free(struct redis_sweep *sweep);

enum redis_sweep_state redis_sweep_state(const struct redis_sweep *sweep);
/* Why it has failed: one printable line. */
const char *redis_sweep_why(const struct redis_sweep *sweep);

#endif
