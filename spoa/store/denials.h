/*
 * denials.h - a store in front of another store, which is Redis. It remembers for a moment which
 * clients Redis denied, and denies their next requests by itself.
 *
 * Without this store, each request of a client far above its limit would cost Redis a question.
 * With it, such requests are denied here until the client's wait is over by Redis' clock
 * (docs/reference.md, section "Denials that the agent remembers").
 *
 * This store remembers the state of a balance, and computes from the state what a request of any
 * cost would get. That is right although Redis is not asked: without requests a balance changes
 * by its algorithm alone, and requests of other agents only make the wait longer. A sliding window
 * is an exception, since Redis keeps its log: there only a request of the same cost is denied here.
 *
 * A look (store.h, is_look) gets the answer that the request would get. What Redis answers to a
 * look is not remembered. A reset (store.h, is_reset) always goes to Redis.
 *
 * At most DENIALS_MAX balances are remembered; the oldest one makes room for a new one. Nothing is
 * allocated after denials_new. Everything is forgotten at once when the connection to Redis ends,
 * when a balance is reset, and by store_forget_known.
 */
#ifndef STORE_DENIALS_H
#define STORE_DENIALS_H

#include "store/store.h"

#define DENIALS_MAX 65536
/*
 * Where agents give units back (store.h, gives_back), a client's wait may become shorter. So a
 * denial is remembered for no longer than this there; of a policy with a lease, for no longer than
 * the lease's time, since an agent holds units for so long.
 */
#define DENIALS_GIVEN_BACK_US INT64_C(10000)

/*
 * Takes `asked` over: it is freed with this store, and if this fails. Each denial is remembered for
 * at most `longest_us` by the monotonic clock `mono_us`. NULL when memory is short.
 */
struct store *denials_new(struct store *asked, int64_t longest_us, int64_t (*mono_us)(void));

#endif
