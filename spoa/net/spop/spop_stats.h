/*
 * spop_stats.h - what the connections of HAProxy count, all of a server together.
 *
 * `notifies` beside `healthchecks` tells an agent that HAProxy only checks from one that it asks.
 */
#ifndef NET_SPOP_STATS_H
#define NET_SPOP_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "wire/spop_frame.h"

#define SPOP_STATUS_COUNT 15 /* 0 to 13, and 99 as the last */

struct spop_server_stats {
	size_t connections;
	uint64_t accepted;
	uint64_t hello_timeouts;

	/* Frames received. */
	uint64_t hellos;
	uint64_t healthchecks; /* those of them that were a health check's */
	uint64_t notifies;
	uint64_t disconnects;
	uint64_t others; /* fragments, frames that are not HAProxy's to send, unknown types */
	/* Frames sent. */
	uint64_t agent_hellos;
	uint64_t acks;
	uint64_t agent_disconnects;

	/* Connections that ended by a status other than a normal end or an idle one, as places by
	 * spop_status_place: found by this agent, and by HAProxy. */
	uint64_t errors[SPOP_STATUS_COUNT];
	uint64_t errors_of_haproxy[SPOP_STATUS_COUNT];
};

/* What is no status of SPOE.txt's is 99, unknown. */
static inline size_t spop_status_place(uint64_t status)
{
	return status < SPOP_STATUS_COUNT - 1 ? (size_t)status : SPOP_STATUS_COUNT - 1;
}

static inline unsigned spop_status_at(size_t place)
{
	return place < SPOP_STATUS_COUNT - 1 ? (unsigned)place : SPOP_UNKNOWN;
}

#endif
