/*
 * operate_stats.h - what operators changed, as counters.
 */
#ifndef APP_OPERATE_OPERATE_STATS_H
#define APP_OPERATE_OPERATE_STATS_H

#include <stdint.h>

struct operate_stats {
	uint64_t balance_resets;
	uint64_t exceptions_set, exceptions_removed;
	uint64_t exceptions; /* that are there */
	uint64_t policies_puts;
	/* With --policies store: the version in use, and the latest one of the store; 0: none. */
	uint64_t policies_version, policies_stored_version;
};

#endif
