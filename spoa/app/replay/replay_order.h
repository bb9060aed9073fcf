/*
 * replay_order.h - puts the lines of a log, which come in the order in which requests ended, into
 * the order of their times.
 *
 * A line is held until another line is REPLAY_WINDOW_US later. A line that comes later than that is
 * clamped to the begin of the window. The lines are copies, of at most REPLAY_HELD_MAX bytes
 * together: above that the earliest goes on, and the window begins at its time.
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
	uint64_t number; /* of the line in the log; of two lines of one time the lower goes first */
	size_t len;
	uint8_t text[];
};

struct replay_order {
	struct replay_held **heap; /* owned; the line to go first is at 0 */
	size_t count, max;
	size_t bytes;
	int64_t begin_us; /* of the window */
	uint64_t clamped; /* lines that came too late */
};

/* `order` is all zero at first. False when memory is short. */
MUST_CHECK bool replay_order_add(struct replay_order *order, int64_t at_us, uint64_t number,
				 struct bytes line);
/*
 * The next line that can go on, which the caller frees; NULL when there is none. With `all`, at the
 * end of the log, every held line can go on.
 */
struct replay_held *replay_order_pop(struct replay_order *order, bool all);
void replay_order_release(struct replay_order *order);

#endif
