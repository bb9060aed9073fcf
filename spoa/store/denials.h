/*
 * denials.h - a store that asks another store, and remembers for a moment whom that one denied.
 *
 * Without this store, each request of a client far above its limit would cost Redis a question.
 * This store denies such requests by itself until the client's wait is over by the clock of the
 * other store (docs/reference.md, section "Denials that the agent remembers").
 *
 * What it remembers of a balance is its state, so it knows what any cost would get: while nothing
 * is asked, a balance changes by its algorithm alone, and whoever else takes from it only makes the
 * wait longer. Of a sliding window it knows only what the one cost got that was asked for, since
 * Redis keeps the log.
 *
 * A look (store.h, is_look) is answered as the request would be, and what the other store says to
 * it is not remembered. A reset (is_reset) is neither answered nor remembered.
 *
 * It is bounded: DENIALS_MAX balances, the oldest of which make room. It allocates nothing after
 * denials_new, and forgets everything at once when the connection to the other store ends, when a
 * balance is reset (store.h, is_reset), and by store_forget_known.
 */
#ifndef STORE_DENIALS_H
#define STORE_DENIALS_H

#include "store/store.h"

#define DENIALS_MAX 65536
/* The longest that a denial is remembered if other agents give units back (store.h, gives_back). */
#define DENIALS_GIVEN_BACK_US INT64_C(10000)
/* Of a policy with a lease that is the lease's time: so long may an agent hold units of it. */

/*
 * Takes `asked` over: it is freed with this store, and if this fails. Each denial is remembered for
 * at most `longest_us` by the monotonic clock `mono_us`. NULL when memory is short.
 */
struct store *denials_new(struct store *asked, int64_t longest_us, int64_t (*mono_us)(void));

#endif
