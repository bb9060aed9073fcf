/*
 *  time      begin_us          latest time seen
 *   -----------|-----------------------|------>
 *    can go on |    held: window_us
 *
 * HAProxy logs a request when it ends, so a line can come after lines of later requests. The window
 * ends at the latest time that a line has had, and begins window_us before. Held lines up to its
 * begin go on, in the order of their times (a binary heap, whose first line is at index 0; lines of
 * one time in the order in which they came).
 *
 * A line that comes for a time before `begin_us` is left out: the requests after it have been asked
 * already. To ask it at another time than its own would deny requests for no reason, since many
 * such lines would be asked at the same moment.
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
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->sequence < b->sequence;
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

/* Moves the window on. False when the time is before its begin. */
static bool fits_window(struct replay_order *order, int64_t at_us)
{
	if (at_us - order->window_us > order->begin_us)
		order->begin_us = at_us - order->window_us;
	if (at_us >= order->begin_us)
		return true;
	int64_t late_us = order->begin_us - at_us + order->window_us;
	order->late++;
	if (late_us > order->latest_by_us)
		order->latest_by_us = late_us;
	return false;
}

static void put_in_place(struct replay_order *order, struct replay_held *held)
{
	size_t at = order->count++;

	order->heap[at] = held;
	for (; at > 0 && is_before(held, order->heap[(at - 1) / 2]); at = (at - 1) / 2)
		swap_lines(&order->heap[at], &order->heap[(at - 1) / 2]);
}

bool replay_order_add(struct replay_order *order, const struct replay_order_line *line)
{
	if (!fits_window(order, line->at_us))
		return true;
	struct replay_held *held = malloc(sizeof *held + line->text.len);
	if (held == NULL || !reserve_place(order)) {
		free(held);
		return false;
	}
	held->at_us = line->at_us;
	held->sequence = order->sequence++;
	held->from = line->from;
	held->number = line->number;
	held->len = line->text.len;
	memcpy(held->text, line->text.data, line->text.len);
	order->bytes += size_of(held);
	put_in_place(order, held);
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
	bool is_full = order->bytes > REPLAY_HELD_MAX;

	if (first == NULL || (!all && !is_full && first->at_us > order->begin_us))
		return NULL;
	if (first->at_us > order->begin_us) {
		order->is_window_shortened |= !all;
		order->begin_us = first->at_us;
	}
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
