/*
 * replay_summary.h - the summary of a replay, as text for people.
 *
 * The only text from outside in it are keys, which are printable ASCII (check.h).
 */
#ifndef APP_REPLAY_SUMMARY_H
#define APP_REPLAY_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "app/replay/line_format.h"
#include "app/replay/replay_counts.h"
#include "base/err.h"

/* What the summary says of the lines. */
struct replay_lines {
	uint64_t read;           /* all of them but empty ones */
	uint64_t bad;            /* lines that are not valid; each was reported with its fault */
	uint64_t skipped;        /* lines of a log that tell of no request */
	uint64_t cut;            /* lines of a log that end too early */
	uint64_t bad_requests;   /* lines of requests that HAProxy could not read */
	uint64_t other_captures; /* lines with more or fewer headers than --captures names */
	struct quoted sample;    /* the first line that was skipped */
	const char *sample_name; /* its file; NULL: standard input */
	uint64_t sample_number;
	const struct line_format *format; /* of --log-format, or NULL */
	uint64_t late;     /* lines that came later than the window, and were not asked */
	uint64_t left_out; /* checks above sixteen a request */
	uint64_t evicted;  /* balances that the memory store dropped for want of memory */
	int64_t window_us;
	int64_t latest_by_us;     /* the window that the latest of the late lines needed */
	bool is_window_shortened; /* since its lines needed too much memory */
};

void replay_summary_put(FILE *to, const struct replay_counts *counts,
			const struct replay_lines *lines);

/* The same as JSON, in one line. False when memory is short. */
MUST_CHECK bool replay_summary_put_json(FILE *to, const struct replay_counts *counts,
					const struct replay_lines *lines);

#define REPLAY_KEYS_SHOWN 5

/* Those that stand out, for the summary: first the key that came most often. Returns how many. */
size_t replay_summary_keys(const struct top_keys *top,
			   const struct top_key *ret_keys[REPLAY_KEYS_SHOWN]);

/* False when the lines that were left out make the answers worthless; `err` says what to do. */
MUST_CHECK bool replay_summary_judge(const struct replay_lines *lines, struct err *err);

/* ---- times for people, here and in the picture ---- */

/*
 * Whether a time is one of the calendar. No log is older than the year 2000, so that smaller times
 * are those of a trace that counts from some other moment than 1970: they are shown in seconds.
 */
static inline bool replay_summary_is_date(int64_t at_us)
{
	return at_us >= INT64_C(946684800000000);
}

#endif
