/*
 * loop_time.h - time that stands still until the test lets it pass, so that time-outs are tested
 * without waiting.
 *
 * It is the time of libev's loops, of clock_now_us and of clock_mono_us: loop_time.c defines
 * clock_gettime, which the dynamic linker finds before libc's.
 */
#ifndef NET_LOOP_TIME_H
#define NET_LOOP_TIME_H

struct ev_loop;

void loop_time_pass(double seconds);
/* One turn of the loop, which waits for nothing. */
void loop_turn(struct ev_loop *loop);
/* Lets the time pass, then turns twice: timers fire, and what they have ended is released. */
void loop_pass(struct ev_loop *loop, double seconds);

#endif
