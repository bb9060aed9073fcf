#include "app/replay/replay_counts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/replay/replay_plot.h"
#include "app/replay/replay_summary.h"
#include "base/clock.h"
#include "support/chance.h"
#include "support/test.h"

#define SECOND INT64_C(1000000)
#define MS     US_PER_MS

static struct policies *policies;

BEFORE_ALL
{
	struct policy policy = {.terms.quota = {FIXED_WINDOW, .limit = 5, .window_us = 1000}};

	policies = policies_new(ON_ERROR_ALLOW);
	strcpy(policy.name, "first");
	assert_true(policies_add(policies, &policy));
	strcpy(policy.name, "second");
	assert_true(policies_add(policies, &policy));
}

AFTER_ALL
{
	policies_unref(policies);
}

static struct replay_counts counts_new(void)
{
	struct replay_counts counts;

	assert_true(replay_counts_init(&counts, policies, true));
	return counts;
}

/* One check of a policy. */
static void add(struct replay_counts *counts, const struct policy *policy, int64_t at_us,
		bool allowed, bool is_shadow)
{
	static struct check check;
	struct request request = {.checks = {&check}, .count = 1};
	struct verdict verdict = {.request = &request, .allowed = allowed || is_shadow};

	check.policy = policy;
	check.terms = &policy->terms;
	check.is_shadow = is_shadow;
	check.is_decided = true;
	check.outcome.allowed = allowed;
	assert_true(replay_counts_add(counts, &verdict, at_us));
}

static struct replay_step sum(const struct replay_counts *counts, const struct replay_row *row)
{
	struct replay_step sum = {0};

	for (size_t i = 0; row->steps != NULL && i < counts->step_count; i++) {
		sum.allowed += row->steps[i].allowed;
		sum.denied += row->steps[i].denied;
		sum.shadow_denied += row->steps[i].shadow_denied;
	}
	return sum;
}

TEST(replay_counts_add_each_outcome_is_counted_apart)
{
	struct replay_counts counts = counts_new();
	const struct policy *first = policies_at(policies, 0), *own = policies_inline(policies);

	add(&counts, first, 5 * MS, true, false);
	add(&counts, first, 5 * MS, false, false);
	add(&counts, first, 7 * MS, false, true);
	add(&counts, own, 6 * MS, true, true);

	const struct replay_row *row = replay_counts_row(&counts, first);
	assert_int_equal(counts.requests, 4);
	assert_int_equal(counts.denied, 1);
	assert_int_equal(counts.first_step, 5);
	assert_int_equal(counts.step_count, 3);
	assert_int_equal(row->steps[0].allowed, 1);
	assert_int_equal(row->steps[0].denied, 1);
	assert_int_equal(row->steps[2].shadow_denied, 1);
	assert_int_equal(row->total.allowed + row->total.denied + row->total.shadow_denied, 3);
	assert_int_equal(replay_counts_row(&counts, own)->steps[1].allowed, 1);
	assert_null(replay_counts_row(&counts, policies_at(policies, 1))->steps);
	replay_counts_release(&counts);
}

TEST(replay_counts_add_the_busiest_second_is_the_first_of_the_busiest)
{
	struct replay_counts counts = counts_new();
	const struct policy *first = policies_at(policies, 0);
	static const int64_t at_ms[] = {999, 1000, 1999, 2000, 2500, 2999, 5000, 5001, 5002, 0};

	for (size_t i = 0; i < ARRAY_SIZE(at_ms); i++)
		add(&counts, first, at_ms[i] * MS, true, false);

	const struct replay_row *row = replay_counts_row(&counts, first);
	assert_int_equal(row->busiest.at_s, 2);
	assert_int_equal(row->busiest.count, 3);
	assert_int_equal(counts.first_us, 0);
	assert_int_equal(counts.last_us, 5002 * MS);
	replay_counts_release(&counts);
}

/* Steps are where they would have been if their length had been known from the begin. */
TEST(replay_counts_add_longer_steps_hold_what_shorter_ones_held)
{
	struct chance chance = {3};

	for (int64_t span_us = 2; span_us < INT64_C(1) << 51; span_us *= 5) {
		struct replay_counts counts = counts_new();
		int64_t begin_us = chance_between(&chance, 0, span_us), at_us[200];
		const struct policy *first = policies_at(policies, 0);
		for (size_t i = 0; i < ARRAY_SIZE(at_us); i++) {
			at_us[i] = begin_us + chance_between(&chance, 0, span_us);
			add(&counts, first, at_us[i], i % 3 != 0, false);
		}
		struct replay_step expected[REPLAY_STEPS_MAX] = {{0}};
		for (size_t i = 0; i < ARRAY_SIZE(at_us); i++) {
			int64_t step = at_us[i] / counts.step_us - counts.first_step;
			assert_in_range(step, 0, counts.step_count - 1);
			expected[step].allowed += i % 3 != 0;
			expected[step].denied += i % 3 == 0;
		}
		const struct replay_row *row = replay_counts_row(&counts, first);
		assert_in_range(counts.step_count, 1, REPLAY_STEPS_MAX);
		assert_memory_equal(row->steps, expected, sizeof expected);
		assert_int_equal(sum(&counts, row).denied, row->total.denied);
		replay_counts_release(&counts);
	}
}

/* ---- what is made of them ---- */

typedef void put_fn(FILE *to, const struct replay_counts *counts);

static void put_summary(FILE *to, const struct replay_counts *counts)
{
	const struct replay_lines lines = {.read = 100,
					   .bad = 1,
					   .skipped = 2,
					   .late = 3,
					   .left_out = 4,
					   .evicted = 5,
					   .window_us = 60 * SECOND};

	replay_summary_put(to, counts, &lines);
}

/* What was written, which is the caller's to free. */
static char *written(put_fn *put, const struct replay_counts *counts)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	assert_non_null(to);
	put(to, counts);
	fclose(to);
	return text;
}

static void assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("%s\ndoes not have %s", text, part);
}

TEST(replay_summary_put_has_a_line_for_each_note_and_policy)
{
	struct replay_counts counts = counts_new();

	add(&counts, policies_at(policies, 1), INT64_C(1795520668123000), false, false);
	char *text = written(put_summary, &counts);

	assert_has(text, "requests: 1, 0 allowed, 1 denied\n");
	assert_has(text, "first at 2026-11-24T11:44:28Z, last at 2026-11-24T11:44:28Z\n");
	assert_has(text, "not valid: 1\n");
	assert_has(text, "without a request: 2\n");
	assert_has(text, "more than 60s late, left out: 3\n");
	assert_has(text, "more than 16: 4\n");
	assert_has(text, "too low: 5\n");
	assert_has(text, "second                            1          1          0  "
			 "1 at 2026-11-24T11:44:28Z\n");
	free(text);
	replay_counts_release(&counts);
}

/* One line in a hundred may be late; one more is too much, and the remedy is told. */
TEST(replay_summary_judge_late_lines)
{
	struct replay_lines lines = {.read = 1000,
				     .late = 10,
				     .window_us = 60 * SECOND,
				     .latest_by_us = 3725 * SECOND - 1};
	struct err err;

	assert_true(replay_summary_judge(&lines, &err));
	lines.late++;
	assert_false(replay_summary_judge(&lines, &err));
	assert_has(err.text, "11 of 1000 lines came more than 60s later");
	assert_has(err.text, "an argument of its own");
	assert_has(err.text, "use --window 3725s");
	lines.is_window_shortened = true;
	assert_false(replay_summary_judge(&lines, &err));
	assert_has(err.text, "256 MiB");
}

/* A line of the axis each, a distance of marks that people count in. */
TEST(replay_plot_put_any_span_has_some_marks)
{
	for (int64_t span_us = 1; span_us < INT64_C(1) << 51; span_us *= 3) {
		struct replay_counts counts = counts_new();
		add(&counts, policies_at(policies, 0), INT64_C(1795520668123456), true, false);
		add(&counts, policies_at(policies, 0), INT64_C(1795520668123456) + span_us, false,
		    true);
		char *text = written(replay_plot_put, &counts);
		size_t marks = 0;
		for (const char *at = text; (at = strstr(at, "class=\"mid\"")) != NULL; at++)
			marks++;
		assert_in_range(marks, 1, 12);
		assert_has(text, "would be denied");
		assert_has(text, "</svg>\n");
		free(text);
		replay_counts_release(&counts);
	}
}
