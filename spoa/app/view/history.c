/*
 *      next - count           next - 1
 *   ----[ oldest ] ... ... [ newest ]--[ next: written over ]----      a ring of HISTORY_STEPS
 *                                    ^
 *                                  end_us
 *
 * end_us is where the newest step ends. It moves by whole steps, not to the time of the call, so
 * that a timer which is always a little late does not make the steps longer.
 */
#include "app/view/history.h"

#include <string.h>

#include "base/clock.h"
#include "base/compiler.h"

#define STEP_US (HISTORY_STEP_S * US_PER_SECOND)

void history_init(struct history *history, int64_t mono_us)
{
	memset(history, 0, sizeof *history);
	history->end_us = mono_us;
}

static void push_step(struct history *history, struct history_step step)
{
	history->steps[history->next] = step;
	history->next = (history->next + 1) % HISTORY_STEPS;
	if (history->count < HISTORY_STEPS)
		history->count++;
}

/* The timer fires a little early or late, so this is the nearest whole number. */
static int64_t count_ended_steps(const struct history *history, int64_t mono_us)
{
	return (mono_us - history->end_us + STEP_US / 2) / STEP_US;
}

void history_advance(struct history *history, uint64_t allowed, uint64_t blocked, int64_t mono_us)
{
	int64_t steps = count_ended_steps(history, mono_us);

	if (steps <= 0)
		return;
	for (int64_t i = 1; i < steps && i < HISTORY_STEPS; i++)
		push_step(history, (struct history_step){0, 0});
	push_step(history, (struct history_step){
				   .allowed = allowed - history->seen.allowed,
				   .blocked = blocked - history->seen.blocked,
			   });
	history->seen = (struct history_step){allowed, blocked};
	history->end_us += steps * STEP_US;
}

struct history_step history_at(const struct history *history, size_t index)
{
	ASSERT(index < history->count);
	return history
		->steps[(history->next + HISTORY_STEPS - history->count + index) % HISTORY_STEPS];
}
