/*
 * operate_stats.h - what operators changed, as counters.
 */
#ifndef APP_OPERATE_OPERATE_STATS_H
#define APP_OPERATE_OPERATE_STATS_H

#include <stdbool.h>
#include <stdint.h>

struct operate_stats {
	uint64_t balance_resets;
	uint64_t exceptions_set, exceptions_removed;
	uint64_t exceptions; /* that are there */
	uint64_t policies_puts;
	/* With --policies store: the version in use, and the latest one of the store; 0: none. */
	uint64_t policies_version, policies_stored_version;
};

/* Whether the store has something whose loss would be a loss: exceptions, or policies. */
static inline bool operate_stats_have_records(const struct operate_stats *stats)
{
	return stats->exceptions > 0 || stats->policies_stored_version > 0;
}

#endif
