/*
 * redis_parts.h - asks a Redis Cluster about a request whose keys are in several slots. No call can
 * have keys of two slots, so the request is asked in parts, one for each slot, in two steps:
 *
 *     1. look    Each slot says what its checks would get, and writes nothing. If one of them is
 *                denied, the request is denied: nothing was taken anywhere, and step 2 is left out.
 *     2. take    Each slot charges its checks, all together or none. Between the steps another
 *                request may have taken the units. If a slot therefore denies its part now, the
 *                request is denied, and the other slots give back what they took.
 *
 * Units that are given back may be lost in part (a bucket may be full by then), but no unit is ever
 * won.
 *
 * When a slot can't be asked or answers with an error, only the checks of that slot have the error,
 * and their on_error decides them. If on_error denies, nothing is taken from the other slots. A
 * slot that has not answered at the deadline is treated the same. The checks of the other slots
 * have their outcomes by then, and what they are to take is taken, after the deadline if need be.
 * If the deadline comes in step 2 and the request is denied, every slot gives back what it took,
 * even when its reply comes later.
 *
 * This module does not know how a slot is asked: `ask` of its configuration does that.
 */
#ifndef STORE_REDIS_PARTS_H
#define STORE_REDIS_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"
#include "store/store.h"

struct redis_parts_config {
	size_t max; /* requests that can be in parts at once */
	/* Asks the checks of one slot, as store_ask says. */
	enum store_state (*ask)(void *owner, struct store_op *op);
	uint16_t (*slot)(void *owner, const struct check *check);
	/* The connection to the slot's owner: another number for each, 0 while there is none. */
	uint64_t (*place)(void *owner, uint16_t slot);
	/* Asks an op that gives back (store_op.taken_us), as store_ask says. */
	enum store_state (*give_back)(void *owner, struct store_op *op);
	/*
	 * Called just before a request that was pending is answered in time, if one of its checks
	 * has an error; `error` is the first one. Errors of parts are not counted by whoever asks
	 * them, so each request with an error is counted once.
	 */
	void (*failed)(void *owner, enum store_error error);
	void *owner;
};

/* Embedded by who asks. */
struct redis_parts {
	struct redis_parts_config config;
	struct pool requests;
};

MUST_CHECK bool redis_parts_init(struct redis_parts *parts,
				 const struct redis_parts_config *config);
/* Nothing may be open any more. */
void redis_parts_release(struct redis_parts *parts);

/*
 * The contract is that of store_ask. With `is_by_key` each check is a part of its own: a slot that
 * is being migrated answers no call with two keys.
 */
enum store_state redis_parts_ask(struct redis_parts *parts, struct store_op *op, bool is_by_key);
/*
 * The same of an op that gives back (store_op.taken_us): each slot gets back its part, in a call of
 * its own. What can't be given back in one slot is lost, unless all is: then STORE_DONE.
 */
enum store_state redis_parts_give_back(struct redis_parts *parts, struct store_op *op);
/* The op has become late. Its parts that have not been sent yet are not sent any more. */
void redis_parts_note_late(struct store_op *op);
/*
 * The request of a late op was decided without the parts that have not answered. If the request is
 * allowed, the parts that have answered are taken, unless they were; if it is denied, they give
 * back what they took.
 */
void redis_parts_settle(struct store_op *op, bool is_denied);

#endif
