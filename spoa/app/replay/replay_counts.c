#include "app/replay/replay_counts.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/least.h"

bool replay_counts_init(struct replay_counts *counts, const struct policies *policies,
			bool has_steps)
{
	*counts = (struct replay_counts){
		.policies = policies,
		.row_count = policies_row_count(policies),
		.has_steps = has_steps,
		.step_us = US_PER_MS,
	};
	counts->rows = calloc(counts->row_count, sizeof *counts->rows);
	return counts->rows != NULL;
}

void replay_counts_release(struct replay_counts *counts)
{
	for (size_t i = 0; counts->rows != NULL && i < counts->row_count; i++)
		free(counts->rows[i].steps);
	free(counts->rows);
	counts->rows = NULL;
}

static struct replay_row *row_of(const struct replay_counts *counts, const struct policy *policy)
{
	return &counts->rows[policies_row_of(counts->policies, policy)];
}

const struct replay_row *replay_counts_row(const struct replay_counts *counts,
					   const struct policy *policy)
{
	return row_of(counts, policy);
}

/* ---- the steps ---- */

/* The next length that people count in. Each is a multiple of the one before: steps can be merged.
 */
static int64_t next_length(int64_t step_us)
{
	static const int64_t lengths_ms[] = {
		1,       5,        10,       50,       100,      500,       1000,
		5000,    10000,    30000,    60000,    300000,   600000,    1800000,
		3600000, 10800000, 21600000, 43200000, 86400000, 604800000,
	};

	for (size_t i = 0; i + 1 < ARRAY_SIZE(lengths_ms); i++)
		if (step_us == lengths_ms[i] * US_PER_MS)
			return lengths_ms[i + 1] * US_PER_MS;
	return 2 * step_us;
}

static void add_counts(struct replay_step *to, const struct replay_step *step)
{
	to->allowed += step->allowed;
	to->denied += step->denied;
	to->shadow_denied += step->shadow_denied;
}

/* Adds each step to the step of `factor` times its length that it lies in. */
static void merge_steps(struct replay_step *steps, int64_t first_step, size_t count, int64_t factor)
{
	for (size_t i = 0; i < count; i++) {
		const struct replay_step step = steps[i];
		steps[i] = (struct replay_step){0};
		add_counts(&steps[(first_step + (int64_t)i) / factor - first_step / factor], &step);
	}
}

static void lengthen_steps(struct replay_counts *counts)
{
	int64_t longer_us = next_length(counts->step_us), factor = longer_us / counts->step_us;
	int64_t last_step = counts->first_step + (int64_t)counts->step_count - 1;

	for (size_t i = 0; i < counts->row_count; i++)
		if (counts->rows[i].steps != NULL)
			merge_steps(counts->rows[i].steps, counts->first_step, counts->step_count,
				    factor);
	counts->step_us = longer_us;
	counts->first_step /= factor;
	counts->step_count = (size_t)(last_step / factor - counts->first_step) + 1;
}

/* How many steps there are when they reach to `at_us` too. */
static int64_t count_steps_with(const struct replay_counts *counts, int64_t at_us)
{
	int64_t step = at_us / counts->step_us;
	int64_t end = counts->first_step + (int64_t)counts->step_count;

	return (step >= end ? step + 1 : end) - least_i64(step, counts->first_step);
}

/* Puts `by` empty steps in front. */
static void shift_steps(struct replay_counts *counts, size_t by)
{
	for (size_t i = 0; i < counts->row_count; i++) {
		struct replay_step *steps = counts->rows[i].steps;
		if (steps == NULL)
			continue;
		memmove(steps + by, steps, counts->step_count * sizeof *steps);
		memset(steps, 0, by * sizeof *steps);
	}
	counts->first_step -= (int64_t)by;
	counts->step_count += by;
}

/* The step that `at_us` lies in; makes room for it first. */
static size_t reserve_step(struct replay_counts *counts, int64_t at_us)
{
	if (counts->step_count == 0) {
		counts->first_step = at_us / counts->step_us;
		counts->step_count = 1;
	}
	while (count_steps_with(counts, at_us) > REPLAY_STEPS_MAX)
		lengthen_steps(counts);
	int64_t step = at_us / counts->step_us;
	if (step < counts->first_step)
		shift_steps(counts, (size_t)(counts->first_step - step));
	size_t at = (size_t)(step - counts->first_step);
	if (at >= counts->step_count)
		counts->step_count = at + 1;
	return at;
}

/* ---- counting ---- */

static void count_second(struct replay_row *row, int64_t at_s)
{
	if (row->current.count == 0 || row->current.at_s != at_s)
		row->current = (struct replay_second){at_s, 0};
	row->current.count++;
	if (row->current.count > row->busiest.count)
		row->busiest = row->current;
}

static void count_step(struct replay_step *step, const struct check *check)
{
	bool is_denied = check_is_denied(check);

	step->allowed += !is_denied;
	step->denied += is_denied && !check->is_shadow;
	step->shadow_denied += is_denied && check->is_shadow;
}

static bool make_steps(struct replay_row *row)
{
	if (row->steps == NULL)
		row->steps = calloc(REPLAY_STEPS_MAX, sizeof *row->steps);
	return row->steps != NULL;
}

bool replay_counts_add(struct replay_counts *counts, const struct verdict *verdict, int64_t at_us)
{
	const struct request *request = verdict->request;
	size_t step = counts->has_steps ? reserve_step(counts, at_us) : 0;

	if (counts->requests++ == 0)
		counts->first_us = counts->last_us = at_us;
	counts->denied += !verdict->allowed;
	counts->first_us = least_i64(at_us, counts->first_us);
	counts->last_us = greatest_i64(at_us, counts->last_us);
	for (size_t i = 0; i < request->count; i++) {
		struct replay_row *row = row_of(counts, request->checks[i]->policy);
		count_second(row, at_us / US_PER_SECOND);
		count_step(&row->total, request->checks[i]);
		if (!counts->has_steps)
			continue;
		if (!make_steps(row))
			return false;
		count_step(&row->steps[step], request->checks[i]);
	}
	return true;
}
