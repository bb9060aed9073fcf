#include "unit/net/loop_time.h"

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <ev.h>

#define NS_PER_SECOND INT64_C(1000000000)

static int64_t passed_ns;

/* Both clocks count from the same moment: nothing here compares one with the other. */
int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	static struct timespec start;

	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, clock, ret_time);
	if (start.tv_sec == 0)
		syscall(SYS_clock_gettime, CLOCK_REALTIME, &start);
	int64_t ns = start.tv_nsec + passed_ns;
	*ret_time = (struct timespec){
		.tv_sec = start.tv_sec + (time_t)(ns / NS_PER_SECOND),
		.tv_nsec = (long)(ns % NS_PER_SECOND),
	};
	return 0;
}

void loop_time_pass(double seconds)
{
	passed_ns += (int64_t)(seconds * (double)NS_PER_SECOND);
}

void loop_turn(struct ev_loop *loop)
{
	ev_run(loop, EVRUN_NOWAIT);
}

void loop_pass(struct ev_loop *loop, double seconds)
{
	loop_time_pass(seconds);
	loop_turn(loop);
	loop_turn(loop);
}
