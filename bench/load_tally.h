/*
 * load_tally.h - what is counted: answers by what they say, and how long each took.
 *
 * Latencies are kept one counter a microsecond, which is exact to the microsecond of the clock and
 * needs no sorting. An answer that takes longer than LOAD_WAIT_MAX_US is an error, so the counters
 * end a little above it; only the pages of latencies that occur are ever touched.
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
	uint64_t in_flight; /* asked and not answered, at any time */
	bool is_on;         /* else nothing below is counted */
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
/* The latency that `per_mille` of 1000 answers do not exceed; of 1000 it is the longest. */
int64_t load_tally_latency_us(const struct load_tally *tally, unsigned per_mille);

#endif
