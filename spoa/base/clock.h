/*
 * clock.h - the only place that asks what time it is.
 *
 * Everything below app/ and net/ takes the time as an argument. There are two of them: `now_us`, in
 * microseconds since the epoch, which the limiters count by and which may step; and `mono_us`,
 * which only grows, for deadlines and latencies.
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
