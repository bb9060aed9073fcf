/*
 * server_clock.h - what time it is at a server, as far as its replies tell.
 *
 * A reply that says `store_us`, to a question that was asked at `asked_us` and read at `read_us` by
 * our monotonic clock, tells that the server's clock showed store_us at some moment between the
 * two. So at a later moment m that clock shows
 *
 *     at most   store_us + (m - asked_us)
 *     at least  store_us + (m - read_us)
 *
 * Of all replies that one counts which says the least for "at most", and that one which says the
 * most for "at least". A question that was at the server after 30 us leaves the two 30 us closer
 * than one that waited for its turn.
 *
 * For example, a question is asked at 1000, the server's clock shows 500,040 when it answers, and
 * the reply is read at 1100. At 2000 the server's clock then shows from 500,940 to 501,040.
 *
 * The two clocks do not run equally fast. The server's is taken to gain or lose at most 1 in 1000,
 * by which the two bounds part from each other until a new reply comes. When a reply contradicts
 * the bounds, one of the clocks was set: what earlier replies said is forgotten.
 */
#ifndef STORE_SERVER_CLOCK_H
#define STORE_SERVER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct server_clock {
	bool is_known; /* false: nothing else is set */
	int64_t most_us, most_asked_us;
	int64_t least_us, least_read_us;
};

static inline void server_clock_forget(struct server_clock *clock)
{
	clock->is_known = false;
}

/* `read_us` is the time by our clock now, and at least `asked_us`. */
void server_clock_learn(struct server_clock *clock, int64_t store_us, int64_t asked_us,
			int64_t read_us);

/* For a known clock, and a time that is not before any that was learnt. */
int64_t server_clock_most_us(const struct server_clock *clock, int64_t mono_us);
int64_t server_clock_least_us(const struct server_clock *clock, int64_t mono_us);

#endif
