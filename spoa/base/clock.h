/*
 * clock.h - the only place that asks what time it is.
 *
 * There are two times, both in microseconds: `now_us` since the epoch, which the limiters count by
 * and which may step; and `mono_us`, which only grows, for deadlines and latencies.
 *
 * limit/, engine/ and the balances in memory take the time as an argument, so that a test or a
 * replay has it in hand. The log, the connections to Redis, net/ and app/ ask for it here.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define US_PER_MS     INT64_C(1000)
#define US_PER_SECOND INT64_C(1000000)

int64_t clock_now_us(void);
int64_t clock_mono_us(void);

/* `value` / `divisor`, rounded up; neither is negative, divisor is not 0. */
static inline int64_t divide_up(int64_t value, int64_t divisor)
{
	return value / divisor + (value % divisor != 0);
}

#endif
