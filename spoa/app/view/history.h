/*
 * history.h - how many requests were allowed and blocked in each of the last HISTORY_STEPS steps of
 * time, for the chart of the status page. The engine has the counters; a step is their growth.
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
	size_t next;              /* the index of the next step */
	size_t count;             /* how many steps there are */
	struct history_step seen; /* the counters at the end of the last step */
	int64_t end_us;           /* on the monotonic clock: when the last step ended */
};

/* The counters are at 0 now. */
void history_init(struct history *history, int64_t mono_us);
/*
 * To be called every HISTORY_STEP_S with the counters as they stand. Adds the steps that have ended
 * since the last call. When that are several, since nobody called in time, the last one has all
 * that was counted and the others have 0.
 */
void history_advance(struct history *history, uint64_t allowed, uint64_t blocked, int64_t mono_us);
/* Index 0 is the oldest step. */
struct history_step history_at(const struct history *history, size_t index);

#endif
