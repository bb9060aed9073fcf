/*
 * lookup.h - asks for the addresses of a host without holding up the loop. getaddrinfo may wait for
 * seconds, so each look-up has a thread of its own.
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
	const char *why; /* why count is 0; a constant */
};

/* Called from the loop, once, and the look-up has ended. Not called after lookup_cancel. */
typedef void lookup_done_fn(void *owner, const struct lookup_result *result);

/* `host` is copied. NULL when there is no memory or no thread. */
struct lookup *lookup_begin(struct ev_loop *loop, const char *host, lookup_done_fn *done,
			    void *owner);
/* The thread goes on until getaddrinfo returns, and then ends by itself. */
void lookup_cancel(struct lookup *lookup);
/* For an address in numbers, at once. count is 0 when `host` is not one. */
struct lookup_result lookup_numeric(const char *host);

#endif
