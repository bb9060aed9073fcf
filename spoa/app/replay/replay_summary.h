/*
 * replay_summary.h - what a replay came to, as a page of text for people.
 *
 * What comes from outside is in it as keys only, whose text is printable ASCII (check.h).
 */
#ifndef APP_REPLAY_SUMMARY_H
#define APP_REPLAY_SUMMARY_H

#include <stdint.h>
#include <stdio.h>

#include "app/replay/replay_counts.h"

/* What else is to be told. */
struct replay_lines {
	uint64_t bad;      /* what was wrong with them was told one by one */
	uint64_t skipped;  /* of a log: they tell of no request */
	uint64_t clamped;  /* of a log: they came too late to be sorted */
	uint64_t left_out; /* checks above sixteen a request */
	uint64_t evicted;  /* balances that the memory store forgot before their time */
};

void replay_summary_put(FILE *to, const struct replay_counts *counts,
			const struct replay_lines *lines);

#endif
