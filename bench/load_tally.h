/*
 * load_tally.h - counts the answers, by what they say, and how long each took.
 *
 * There is one counter for each microsecond of latency: this is exact, and nothing has to be
 * sorted. An answer that takes longer than LOAD_WAIT_MAX_US is an error, so the counters end a
 * little above that. Memory is touched only for latencies that occur.
 */
#ifndef BENCH_LOAD_TALLY_H
#define BENCH_LOAD_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "load_message.h"

#define LOAD_WAIT_MAX_US (5 * US_PER_SECOND)

struct load_tally {
	uint64_t in_flight; /* asked and not answered; counted even while `is_on` is false */
	bool is_on;         /* while false, nothing below is counted */
	uint64_t checks;
	uint64_t allowed, denied, undecided; /* undecided: no variable `allowed` */
	uint64_t degraded;
	uint64_t errors; /* reason=error */
	uint32_t *latencies;
};

MUST_CHECK bool load_tally_init(struct load_tally *tally);
void load_tally_release(struct load_tally *tally);
void load_tally_ask(struct load_tally *tally);
void load_tally_add(struct load_tally *tally, const struct load_answer *answer, int64_t took_us);
/* The latency that `per_mille` of 1000 answers do not exceed; for 1000, the longest latency. */
int64_t load_tally_latency_us(const struct load_tally *tally, unsigned per_mille);

#endif
