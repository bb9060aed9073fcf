/*
 * redis_route.h - by which addresses a target is reached: those of its name, one after the other,
 * and first the one that worked last. Or a Unix socket's path.
 *
 * A look-up never holds up the loop, and nobody has to await it: what was found before is as good
 * as any. One goes on at a time, however long it takes, and what it finds is for the next round.
 */
#ifndef STORE_REDIS_ROUTE_H
#define STORE_REDIS_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "store/lookup.h"
#include "store/redis/redis_connection.h"
#include "store/redis/redis_target.h"

struct redis_route {
	struct ev_loop *loop;
	const struct redis_target *target; /* lives as long as the route */
	/* A look-up is over. From the loop, and never in redis_route_begin. */
	void (*looked_up)(void *owner);
	void *owner;

	struct lookup *lookup; /* NULL: none is going on */
	struct lookup_result found;
	size_t next; /* of `found` */
	/* Addresses: the one that was opened last, and the last one that worked. */
	char opened[LOOKUP_TEXT_MAX], good[LOOKUP_TEXT_MAX];
};

/* What is not its own is set before. */
void redis_route_release(struct redis_route *route);

/* A round begins. False when a look-up is worth a wait, however long the caller likes. */
MUST_CHECK bool redis_route_begin(struct redis_route *route);
/* Whether there is an address that was not tried in this round. */
bool redis_route_has_next(const struct redis_route *route);
void redis_route_open_next(struct redis_route *route, struct redis_connection *connection);
/* The one that was opened last works. */
void redis_route_set_good(struct redis_route *route);
/* Why there is no address; a constant. */
const char *redis_route_why(const struct redis_route *route);

#endif
