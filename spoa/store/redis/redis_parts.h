/*
 * redis_parts.h - a request whose keys are in several slots of a Redis Cluster, as one question for
 * each slot.
 *
 * The request is first looked at in each slot, and nothing is written. Only when none of its checks
 * denies, the checks of each slot are taken, those of one slot together. So denied requests take
 * nothing anywhere. When a slot denies in the second step all the same, because another request
 * came in between, the others give back what they took. Units may be lost so, and are never won.
 *
 * A slot that can't be asked, or answers by an error, decides its own checks only: they have that
 * error, and so get their on_error. If that denies the request, nothing is taken. The same goes for
 * a slot that has not answered at the deadline: the checks of the others have their outcomes by
 * then, and what they are to take is taken, if need be after the deadline. If a request that is
 * late in the second step is denied, what was taken is given back, also when the reply that says so
 * comes later.
 *
 * How a slot is asked is not known here.
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
	 * A request that was pending is about to be answered, not late, and some check of it has an
	 * error: this one, or others after it. Who asks the parts counts none of theirs.
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
 * As store_ask says. `is_by_key`: in a part for each check and not for each slot, since the slot
 * migrates and answers no call with two keys.
 */
enum store_state redis_parts_ask(struct redis_parts *parts, struct store_op *op, bool is_by_key);
/* The op has become late: those of its parts that did not leave yet are not sent any more. */
void redis_parts_note_late(struct store_op *op);
/* The request of a late op was decided without the parts that have not answered. If it is allowed,
 * the others are taken, if they were not; if it is denied, they give back. */
void redis_parts_settle(struct store_op *op, bool is_denied);

#endif
