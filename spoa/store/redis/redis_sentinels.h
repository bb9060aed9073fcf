/*
 * redis_sentinels.h - all Sentinels of a target together: they are asked (redis_sentinel.h), and
 * from their answers follows which server is the master (redis_master.h).
 */
#ifndef STORE_REDIS_SENTINELS_H
#define STORE_REDIS_SENTINELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/writer.h"
#include "store/redis/redis_target.h"
#include "store/redis/redis_tls.h"

struct ev_loop;
struct redis_sentinels;

struct redis_sentinels_config {
	const struct redis_target *target; /* lives as long as the result */
	struct redis_tls *tls;             /* if the target has TLS */
	/* The followed server can't be reached, or is no master. */
	bool (*is_lost)(const void *owner);
	/*
	 * Another server is followed, or the first one, or a lower epoch (`is_reset`), maybe by the
	 * same server. Called from the loop.
	 */
	void (*moved)(void *owner, const struct redis_place *place, uint64_t epoch, bool is_reset);
	/*
	 * A Sentinel can't be asked or is of no use, and why; or it is of use again, and was told
	 * not to be. Told when it failed twice in a row; of one Sentinel at most once a minute. May
	 * be NULL.
	 */
	void (*changed)(void *owner, const char *sentinel, bool is_up, const char *why);
	void *owner;
};

/* NULL when memory is short. */
struct redis_sentinels *redis_sentinels_new(struct ev_loop *loop,
					    const struct redis_sentinels_config *config);
/* NULL is allowed. */
void redis_sentinels_free(struct redis_sentinels *sentinels);
/* For connections that are made from now on; shorter than REDIS_PASSWORD_MAX. */
void redis_sentinels_set_password(struct redis_sentinels *sentinels, const char *password);

/* The followed server as "host:port", or "" while there is none, and its epoch. */
const char *redis_sentinels_master(const struct redis_sentinels *sentinels, uint64_t *ret_epoch);
/* Puts why no server is followed yet, and what to do. */
void redis_sentinels_put_why(const struct redis_sentinels *sentinels, struct writer *w);

size_t redis_sentinels_count(const struct redis_sentinels *sentinels);
/* "host:port" of a Sentinel, and why it is of no use: "" when it is. */
const char *redis_sentinels_get(const struct redis_sentinels *sentinels, size_t index,
				const char **ret_why);

#endif
