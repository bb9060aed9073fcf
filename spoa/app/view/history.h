/*
 * history.h - how many requests were allowed and blocked in each of the last steps, for the picture
 * on the status page. The counters are the engine's; here are their differences, in a ring.
 */
#ifndef APP_HISTORY_H
#define APP_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#define HISTORY_STEP_S 2
#define HISTORY_STEPS  150 /* 5 minutes */

struct history_step {
	uint64_t allowed;
	uint64_t blocked;
};

struct history {
	struct history_step steps[HISTORY_STEPS];
	size_t next;  /* where the next step goes */
	size_t count; /* of steps that are there */
	struct history_step seen;
	int64_t end_us; /* on the monotonic clock: when the last step ended */
};

/* From counters that stand at 0. */
void history_init(struct history *history, int64_t mono_us);
/*
 * Ends the steps that are over by now, which is to be called every HISTORY_STEP_S; the counters are
 * given as they stand. After a time in which nobody called, all that happened is in the last step.
 */
void history_advance(struct history *history, uint64_t allowed, uint64_t blocked, int64_t mono_us);
/* The oldest is 0. */
struct history_step history_at(const struct history *history, size_t index);

#endif
