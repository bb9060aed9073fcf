/*
 * store_target.h - where balances live, as --store says: in this process, or at a server.
 *
 *     memory:
 *     redis://[user:password@]host[:port][/db]
 *     redis+unix:///path[?db=N]
 *     redis+sentinel://[user:password@]host[:port][,host[:port]...]/NAME[/db]
 *     redis+cluster://[user:password@]host[:port][,host[:port]...]
 *
 * and all but redis+unix with TLS: rediss://, rediss+sentinel://, rediss+cluster://.
 *
 * This is the one place that knows every kind of store; who has a target needs no other.
 */
#ifndef STORE_STORE_TARGET_H
#define STORE_STORE_TARGET_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/err.h"
#include "store/redis/redis_target.h"
#include "store/store.h"

struct ev_loop;

#define STORE_PREFIX_MAX                                                         \
	88 /* of store_config.prefix: that of --key-prefix, and what replay adds \
	    */

struct store_target {
	bool is_memory;
	struct redis_target redis; /* unless is_memory */
};

/* *ret_target is untouched on failure. No error has a part of the URL that may be a password. */
MUST_CHECK bool store_target_parse(struct bytes url, struct store_target *ret_target,
				   struct err *err);
/* As it was given, without user and password; lives as long as the target. */
const char *store_target_text(const struct store_target *target);
bool store_target_has_password(const struct store_target *target);

/*
 * Whether this machine can connect to the target: with TLS, that the build has it and that its
 * files can be used. `err` begins with the option at fault.
 */
MUST_CHECK bool store_target_check(const struct store_target *target, struct err *err);

/*
 * The store at the target, which must outlive it; NULL when memory is short. A server that can't be
 * reached is no error: the store is down then. For memory: this is NULL too: there every agent has
 * the one store of memory_store_new already.
 */
struct store *store_target_open(const struct store_target *target, struct ev_loop *loop,
				const struct store_config *config);

/* Whether store_target_delete knows how: not in a Redis Cluster. */
bool store_target_can_delete(const struct store_target *target);
/*
 * Deletes every key at the target that begins with the prefix. Runs the loop meanwhile, so no other
 * store may be open that would mind. False with the reason when keys may be left.
 */
MUST_CHECK bool store_target_delete(const struct store_target *target, struct ev_loop *loop,
				    struct bytes prefix, struct err *err);

#endif
