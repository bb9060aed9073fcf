/*
 * settling.h - while the store is away, the local store grants units in its place (on_error
 * `local`). When the store is back, the agent has it charge these units, once.
 *
 *     the store is away           The local store grants 3 units of a balance. The agent notes a
 *                                 debt of 3 units.
 *     the store is back           The next request about that balance comes. In the call that asks
 *                                 for the request, the agent first asks the store to charge the 3
 *                                 units, or as many as are left of them. This is a settlement.
 *     nobody asks about it        The agent makes the settlement without a request, newest debts
 *                                 first.
 *     10 s later                  The agent drops the debts that are left.
 *
 * In a cluster this goes for each node by itself: while one node is away its debts wait, and those
 * of the other nodes are charged. A node that is full, or refuses, holds up no debts of the others.
 *
 * No unit is charged twice. So a debt has only units that the store certainly did not charge:
 * either the request was never sent, or the store replied that it charged nothing. When the reply
 * to a request or to a settlement never came, nobody knows whether the store charged the units. The
 * agent counts these units as unsure, and never charges them; the local store goes on subtracting
 * them from what it grants.
 *
 * Units that would no longer count in the store are not charged: units of a window that is over,
 * and units that the bucket has refilled since. There are at most DEBTS_MAX debts. For one more,
 * the oldest debt is dropped.
 */
#ifndef ENGINE_SETTLING_H
#define ENGINE_SETTLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/pool.h"
#include "limit/request.h"
#include "store/store.h"

#define DEBTS_MAX         65536
#define SETTLING_UNTIL_US INT64_C(10000000) /* after the store is back, debts are dropped */

struct debt;

/* What became of units that were granted in place of the store. */
struct settling_stats {
	uint64_t charged;
	uint64_t late; /* the store charged the request itself, and said so after the deadline */
	uint64_t nothing_left; /* not charged, since the balance was used up */
	uint64_t over;         /* the window is over, or the bucket has refilled them */
	uint64_t dropped;      /* not charged in time, or too many debts */
	uint64_t unsure;       /* the store may have charged them, and its reply was lost */
};

struct settling_config {
	struct store *store, *local;
	size_t *in_flight; /* the engine's; each settlement counts in it as one check */
	size_t in_flight_max;
	int64_t timeout_us;
	int64_t (*mono_us)(void);
};

struct settling {
	struct settling_config config;
	bool is_possible; /* the store has a server, and the local store stands in for it */
	struct pool debts;
	struct debt **index; /* DEBTS_MAX chains of debts, by the hash of their key */
	struct list newest;  /* debts that wait, the newest first, and behind them some of `away` */
	struct list away;    /* debts whose server could not be asked, was full, or refused */
	int64_t looked_us;   /* when the debts in `away` were last moved to the end of `newest` */
	size_t full_count;   /* debts whose server was full, since the last tick */
	size_t count;        /* of all debts, also of those in a settlement under way */
	struct pool settlements;
	struct list asked; /* settlements, oldest first */
	size_t asked_count;
	bool is_back;    /* the store can be asked */
	int64_t back_us; /* since then, on the monotonic clock; no 10 s of a debt begin earlier */
	int64_t tick_us; /* when settling_expire looks at the debts again */
	struct settling_stats stats;
};

/* False when memory is short; release it then too. */
MUST_CHECK bool settling_init(struct settling *settling, const struct settling_config *config);
/* Nothing may wait in the store any more. */
void settling_release(struct settling *settling);

/*
 * Notes a debt: the local store granted the check, and the store certainly did not charge it. The
 * grant was at `local_us` by the local store's clock, and at `mono_us` by the monotonic clock.
 */
void settling_owe(struct settling *settling, const struct check *check, int64_t local_us,
		  int64_t mono_us);
/* The local store granted the check, and nobody knows whether the store charged it: no debt. */
void settling_give_up(struct settling *settling, const struct check *check);

static inline bool settling_has_debts(const struct settling *settling)
{
	return settling->count > 0;
}

/*
 * Asks the store to charge what is owed of the balances that the request is about. The caller asks
 * the store about the request right after this, so that both go in one call.
 */
void settling_ask(struct settling *settling, const struct request *request, int64_t local_us,
		  int64_t mono_us);

/* When settling_expire is to be called, on the monotonic clock; -1: there is nothing to do. */
int64_t settling_next_us(const struct settling *settling);
/* Makes settlements of debts that no request asks about, and drops debts that are overdue. */
void settling_expire(struct settling *settling, int64_t mono_us);

#endif
