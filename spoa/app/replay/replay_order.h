/*
 * replay_order.h - lines of a log, which come in the order of completion, in that of their times.
 *
 * A line is held until another one is REPLAY_WINDOW_US later; what comes later than that is clamped
 * to the begin of the window. It holds copies, at most REPLAY_HELD_MAX bytes of them: above that
 * the oldest goes on early, and the window begins at its time.
 */
#ifndef APP_REPLAY_ORDER_H
#define APP_REPLAY_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/compiler.h"

#define REPLAY_WINDOW_US (60 * US_PER_SECOND)
#define REPLAY_HELD_MAX  ((size_t)256 << 20)

struct replay_held {
	int64_t at_us;
	uint64_t number; /* of the line; of equal times the lower goes first */
	size_t len;
	uint8_t text[];
};

struct replay_order {
	struct replay_held **heap; /* the first to go at 0; owned */
	size_t count, max;
	size_t bytes;
	int64_t begin_us; /* of the window */
	uint64_t clamped;
};

/* All zero is an empty one. False when memory is short. */
MUST_CHECK bool replay_order_add(struct replay_order *order, int64_t at_us, uint64_t number,
				 struct bytes line);
/* The next that is to go, which is the caller's to free; NULL when none is. `all`: at the end. */
struct replay_held *replay_order_take(struct replay_order *order, bool all);
void replay_order_release(struct replay_order *order);

#endif
