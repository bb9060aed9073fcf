/*
 * counter.h - what the engine counts: each request by its verdict, each check in the tally of its
 * policy, and which keys come most often.
 */
#ifndef ENGINE_COUNTER_H
#define ENGINE_COUNTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"
#include "engine/settling.h"
#include "limit/top_panes.h"
#include "limit/verdict.h"

struct engine_stats {
	uint64_t reasons[SOURCE_COUNT][REASON_COUNT];
	/* Requests to which no policy applied, and invalid ones. */
	uint64_t none_allowed[SOURCE_COUNT];
	uint64_t none_blocked[SOURCE_COUNT];
	uint64_t allowed, blocked; /* all of them */
	struct histogram latency[SOURCE_COUNT];
	uint64_t degraded;
	uint64_t left_out; /* checks above 16 a request */
	uint64_t full;     /* requests for which the store was not asked: max_in_flight waited */
	uint64_t expired;  /* requests answered at their deadline */
	uint64_t late;     /* requests that the store answered after their deadline */
	size_t in_flight;  /* checks that wait in the store now */
	struct settling_stats settling;
};

struct counter {
	struct engine_stats stats;
	struct top_panes *top; /* NULL: memory was short */
};

void counter_init(struct counter *counter, int64_t mono_us);
void counter_release(struct counter *counter);
void counter_add(struct counter *counter, const struct verdict *verdict, enum source source,
		 int64_t latency_us, int64_t mono_us);

#endif
