/*
 * redis_sentinel.h - the connection to one Sentinel, which is asked for the master every half of a
 * second.
 *
 * What the Sentinel says is told by `named`, and what is wrong with it by `failed`; who is the
 * master is decided elsewhere (redis_master.h). A connection that was lost, or on which no answer
 * came for a second, is made again, at most once a round.
 *
 * The caller's loop has to call redis_sentinel_flush before it waits.
 */
#ifndef STORE_REDIS_SENTINEL_H
#define STORE_REDIS_SENTINEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "store/redis/redis_credentials.h"
#include "store/redis/redis_master.h"
#include "store/redis/redis_target.h"
#include "store/redis/redis_tls.h"

struct ev_loop;
struct redis_sentinel;

struct redis_sentinel_config {
	const struct redis_place *place;       /* lives as long as the result, like all of these */
	const char *master;                    /* the name */
	struct redis_credentials *credentials; /* of all Sentinels */
	struct redis_tls *tls;                 /* NULL: without TLS */
	const char *tls_name;                  /* that the certificate must have */
	/* Both are called at most once a round. `index` is what redis_sentinel_new got. */
	void (*named)(void *owner, size_t index, const struct redis_named *named);
	/* `is_unknown`: the Sentinel does not know the master, and can be asked. */
	void (*failed)(void *owner, size_t index, bool is_unknown, struct bytes why);
	void *owner;
};

/* The first round begins at once. NULL when memory is short. */
struct redis_sentinel *redis_sentinel_new(struct ev_loop *loop,
					  const struct redis_sentinel_config *config, size_t index);
void redis_sentinel_free(struct redis_sentinel *sentinel);

/* Sends what is to be sent, and closes a connection that has failed. */
void redis_sentinel_flush(struct redis_sentinel *sentinel);

#endif
