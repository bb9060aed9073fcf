/*
 *  time      begin_us          latest time seen
 *   -----------|-----------------------|------>
 *    can go on |    held: REPLAY_WINDOW_US
 *
 * HAProxy logs a request when it ends, so a line can come after lines of later requests. The window
 * ends at the latest time that a line has had, and begins REPLAY_WINDOW_US before. No line can come
 * any more for a time before `begin_us`, so held lines up to there go on, in the order of their
 * times (a binary heap, whose first line is at index 0; lines of one time in the order of the log).
 * A line that does come for an earlier time is clamped: it is asked as if it were at `begin_us`, so
 * that time never goes back for the limiters.
 *
 * The lines of one window may need more than REPLAY_HELD_MAX bytes. Then the earliest line goes on
 * although the window does not want it to, and the window begins at its time from then on.
 */
#include "app/replay/replay_order.h"

#include <stdlib.h>
#include <string.h>

static size_t size_of(const struct replay_held *held)
{
	return sizeof *held + held->len + sizeof held; /* with its pointer in the heap */
}

static bool is_before(const struct replay_held *a, const struct replay_held *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

static void swap_lines(struct replay_held **a, struct replay_held **b)
{
	struct replay_held *kept = *a;

	*a = *b;
	*b = kept;
}

static bool reserve_place(struct replay_order *order)
{
	size_t max = order->max > 0 ? 2 * order->max : 64;

	if (order->count < order->max)
		return true;
	struct replay_held **heap = realloc(order->heap, max * sizeof *heap);
	if (heap == NULL)
		return false;
	order->heap = heap;
	order->max = max;
	return true;
}

/* Moves the window on, and returns the time that the line is asked at. */
static int64_t clamp_to_window(struct replay_order *order, int64_t at_us)
{
	if (at_us - REPLAY_WINDOW_US > order->begin_us)
		order->begin_us = at_us - REPLAY_WINDOW_US;
	if (at_us >= order->begin_us)
		return at_us;
	order->clamped++;
	return order->begin_us;
}

bool replay_order_add(struct replay_order *order, int64_t at_us, uint64_t number, struct bytes line)
{
	struct replay_held *held = malloc(sizeof *held + line.len);

	if (held == NULL || !reserve_place(order)) {
		free(held);
		return false;
	}
	held->at_us = clamp_to_window(order, at_us);
	held->number = number;
	held->len = line.len;
	memcpy(held->text, line.data, line.len);
	order->bytes += size_of(held);
	size_t at = order->count++;
	order->heap[at] = held;
	for (; at > 0 && is_before(held, order->heap[(at - 1) / 2]); at = (at - 1) / 2)
		swap_lines(&order->heap[at], &order->heap[(at - 1) / 2]);
	return true;
}

/* The line at index 0 may be out of order: it goes down until it is not. */
static void sink_first(struct replay_order *order)
{
	for (size_t at = 0, child; (child = 2 * at + 1) < order->count; at = child) {
		if (child + 1 < order->count &&
		    is_before(order->heap[child + 1], order->heap[child]))
			child++;
		if (!is_before(order->heap[child], order->heap[at]))
			return;
		swap_lines(&order->heap[child], &order->heap[at]);
	}
}

struct replay_held *replay_order_pop(struct replay_order *order, bool all)
{
	struct replay_held *first = order->count > 0 ? order->heap[0] : NULL;
	bool is_due = all || order->bytes > REPLAY_HELD_MAX;

	if (first == NULL || (!is_due && first->at_us > order->begin_us))
		return NULL;
	if (first->at_us > order->begin_us)
		order->begin_us = first->at_us;
	order->bytes -= size_of(first);
	order->heap[0] = order->heap[--order->count];
	sink_first(order);
	return first;
}

void replay_order_release(struct replay_order *order)
{
	while (order->count > 0)
		free(order->heap[--order->count]);
	free(order->heap);
}
