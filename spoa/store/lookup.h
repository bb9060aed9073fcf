/*
 * lookup.h - asks for the addresses of a host without holding up the loop: in a thread of its own,
 * since getaddrinfo may wait for seconds.
 */
#ifndef STORE_LOOKUP_H
#define STORE_LOOKUP_H

#include <netinet/in.h>
#include <stddef.h>

#define LOOKUP_ADDRESSES_MAX 16
#define LOOKUP_TEXT_MAX      64 /* INET6_ADDRSTRLEN and a scope */

struct ev_loop;
struct lookup;

struct lookup_result {
	char addresses[LOOKUP_ADDRESSES_MAX]
		      [LOOKUP_TEXT_MAX]; /* numeric, in the resolver's order */
	size_t count;
	const char *why; /* a constant, when count is 0 */
};

/* Called from the loop, once; the look-up is over then. */
typedef void lookup_done_fn(void *owner, const struct lookup_result *result);

/* NULL when it can't be begun. `host` is copied. */
struct lookup *lookup_begin(struct ev_loop *loop, const char *host, lookup_done_fn *done,
			    void *owner);
/* `done` will not be called. The thread ends by itself, whenever that is. */
void lookup_cancel(struct lookup *lookup);
/* At once, for what is an address already; count is 0 when it is not one. */
struct lookup_result lookup_numeric(const char *host);

#endif
