/*
 * lease_store.h - a store that asks another store, and decides by itself what it holds leases for.
 *
 * A request is decided here when all its checks are of policies with a lease, none of them is in
 * shadow, and this agent holds the units for each (leases.h). Then it costs the other store
 * nothing. Every other request is asked, and what it takes and gives back beside its costs goes
 * with it (store.h, struct lease_part); but a request that the other store divides brings no units,
 * and gives none back. Units of leases that have ended are given back by ops of their own, a few at
 * a time.
 *
 * A request without such a policy goes to the other store as it is. A look is answered as the
 * request would be, and leases nothing. All units are dropped when the connection to the other
 * store ends, when a balance is reset (is_reset), and by store_forget_known; what questions bring
 * that were asked before is dropped too.
 */
#ifndef STORE_LEASE_STORE_H
#define STORE_LEASE_STORE_H

#include "store/store.h"

struct ev_loop;

/*
 * Takes `asked` over: it is freed with this store, and if this fails. `max_in_flight` is the most
 * ops of the engine that can be pending. `mono_us` is the monotonic clock. NULL when memory is
 * short.
 */
struct store *lease_store_new(struct ev_loop *loop, struct store *asked, size_t max_in_flight,
			      int64_t (*mono_us)(void));

#endif
