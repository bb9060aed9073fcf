/*
 * redis_route.h - the addresses at which a server can be reached, in the order to try them in.
 *
 * A round (redis_route_begin) looks up the name and then offers each of its addresses once. The one
 * that worked last comes first. An address in numbers, or the path of a Unix socket, is a round of
 * one.
 *
 * A look-up runs beside the loop, at most one at a time, however long it takes. Only the first one
 * has to be awaited: while a later one takes long, or finds nothing, the addresses that were found
 * before are tried again.
 */
#ifndef STORE_REDIS_ROUTE_H
#define STORE_REDIS_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "store/lookup.h"
#include "store/redis/redis_connection.h"

struct redis_route {
	struct ev_loop *loop;
	/* They live as long as the route. After a change of them follows redis_route_restart. */
	const char *host, *port;
	const char *path; /* of a Unix socket, in place of the other two; else NULL */
	/* A look-up has ended. Called from the loop, never inside redis_route_begin. */
	void (*looked_up)(void *owner);
	void *owner;

	struct lookup *lookup; /* that is going on; NULL: none */
	struct lookup_result found;
	size_t next; /* the place in `found` to try next */
	/* The address that was opened last, and the one that worked last. */
	char opened[LOOKUP_TEXT_MAX], good[LOOKUP_TEXT_MAX];
};

/*
 * There is no init: the caller sets the fields down to `owner`, and the others to zero. The release
 * ends a look-up that is going on.
 */
void redis_route_release(struct redis_route *route);
/* It leads elsewhere now: what is known of the place before is forgotten. */
void redis_route_restart(struct redis_route *route);

/*
 * Begins a round. False when the caller should wait for `looked_up` before it opens an address; it
 * may stop waiting at any time.
 */
MUST_CHECK bool redis_route_begin(struct redis_route *route);
/* Whether this round has an address that was not opened yet. */
bool redis_route_has_next(const struct redis_route *route);
void redis_route_open_next(struct redis_route *route, struct redis_connection *connection);
/* The address that was opened last works. This ends the round. */
void redis_route_set_good(struct redis_route *route);
/* Why the round has no address; a constant. */
const char *redis_route_why(const struct redis_route *route);

#endif
