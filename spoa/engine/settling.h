/*
 * settling.h - what the local store granted in place of the store is charged in the store, once.
 *
 *     the store is away           the local store grants 3 units of a balance: a debt of 3
 *     the store is back           the next request about that balance comes: a charge of as many of
 *                                 the 3 units as are left goes before it, in the same call
 *     nobody asks about it        the same charge is made without a request, newest debts first
 *     10 s later                  what is still not charged is dropped
 *
 * Of a cluster the same goes for each node: while one node is away its debts wait, and those of the
 * other nodes are charged.
 *
 * Nothing is charged twice. So a debt has only units of which it is certain that the store did not
 * charge them: the request was never sent, or the store replied that it charged nothing. If the
 * reply of a request or of a settlement never came, nobody knows: those units are counted as
 * unsure, and are charged no more. The local store goes on taking them off what it grants.
 *
 * Units that no longer count are not charged: of a window that is over, or that the bucket has
 * refilled since then. There are at most DEBTS_MAX debts; the oldest one makes room for a new one,
 * and is dropped.
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
	uint64_t late; /* the request itself was charged, as the store said after the deadline */
	uint64_t nothing_left; /* not charged, since the balance was used up */
	uint64_t over;         /* no longer counted: the window is over, the bucket has refilled */
	uint64_t dropped;      /* not charged in time, or too many debts */
	uint64_t unsure;       /* the store may have charged them, and its reply was lost */
};

struct settling_config {
	struct store *store, *local;
	size_t *in_flight; /* the engine's: a settlement counts as a check */
	size_t in_flight_max;
	int64_t timeout_us;
	int64_t (*mono_us)(void);
};

struct settling {
	struct settling_config config;
	bool is_possible; /* the store has a server, and the local store stands in for it */
	struct pool debts;
	struct debt **index; /* DEBTS_MAX chains of debts, by the hash of their key */
	struct list newest;  /* debts that wait, the newest first */
	struct list away;    /* those whose server could not be asked */
	int64_t looked_us;   /* when those were moved to `newest` last */
	size_t count;        /* of all debts, those that are asked for too */
	struct pool settlements;
	struct list asked; /* settlements, oldest first */
	size_t asked_count;
	bool is_back;    /* the store can be asked, since back_us on the monotonic clock */
	int64_t back_us; /* or what came later */
	int64_t tick_us; /* when to look again */
	struct settling_stats stats;
};

/* False when memory is short; release it then too. */
MUST_CHECK bool settling_init(struct settling *settling, const struct settling_config *config);
/* Nothing may wait in the store any more. */
void settling_release(struct settling *settling);

/*
 * The local store has granted the check at `local_us` by its clock, `mono_us` by the monotonic one,
 * and the store did not charge it.
 */
void settling_owe(struct settling *settling, const struct check *check, int64_t local_us,
		  int64_t mono_us);
/* The same, but nobody knows whether the store charged it. */
void settling_give_up(struct settling *settling, const struct check *check);

static inline bool settling_has_debts(const struct settling *settling)
{
	return settling->count > 0;
}

/*
 * To be called just before the store is asked about the request: asks it to charge what is owed of
 * the same balances.
 */
void settling_ask(struct settling *settling, const struct request *request, int64_t local_us,
		  int64_t mono_us);

/* When settling_expire wants to be called, on the monotonic clock; -1: there is nothing to do. */
int64_t settling_next_us(const struct settling *settling);
/* Charges what nobody asks about, drops what is overdue. */
void settling_expire(struct settling *settling, int64_t mono_us);

#endif
