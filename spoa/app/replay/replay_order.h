/*
 * replay_order.h - puts lines, which come roughly in order, into the order of their times.
 *
 * A line is held until another line is later by the window. A line that comes later than that is
 * left out and counted. The lines are copies, of at most REPLAY_HELD_MAX bytes together: above that
 * the earliest goes on, and the window begins at its time.
 */
#ifndef APP_REPLAY_ORDER_H
#define APP_REPLAY_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"

#define REPLAY_HELD_MAX ((size_t)256 << 20)

struct replay_held {
	int64_t at_us;
	uint64_t sequence; /* of two lines of one time the one that came first goes first */
	const void *from;  /* the input of the line, for messages */
	uint64_t number;   /* of the line in its input */
	size_t len;
	uint8_t text[];
};

struct replay_order {
	struct replay_held **heap; /* owned; the line to go first is at 0 */
	size_t count, max;
	size_t bytes;
	uint64_t sequence;
	int64_t window_us;
	int64_t begin_us; /* of the window */
	/* Lines that came too late and were left out, and the worst of them. */
	uint64_t late;
	int64_t latest_by_us;     /* how much window that line would have needed */
	bool is_window_shortened; /* since the lines of the whole window need too much memory */
};

struct replay_order_line {
	int64_t at_us;
	struct bytes text;
	const void *from;
	uint64_t number;
};

/* `order` is all zero at first but for the window. False when memory is short. */
MUST_CHECK bool replay_order_add(struct replay_order *order, const struct replay_order_line *line);
/*
 * The next line that can go on, which the caller frees; NULL when there is none. With `all`, at the
 * end of the input, every held line can go on.
 */
struct replay_held *replay_order_pop(struct replay_order *order, bool all);
void replay_order_release(struct replay_order *order);

#endif
