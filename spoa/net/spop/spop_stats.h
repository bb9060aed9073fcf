/*
 * spop_stats.h - what a server counts of all its connections with HAProxy together.
 *
 * An agent whose `healthchecks` grow while its `notifies` do not is checked by HAProxy, but not
 * asked for decisions.
 */
#ifndef NET_SPOP_STATS_H
#define NET_SPOP_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "net/spop/spop_names.h"
#include "wire/spop_frame.h"

#define SPOP_STATUS_COUNT 15 /* 0 to 13, and 99 as the last */

struct spop_server_stats {
	size_t connections;
	uint64_t accepted;
	uint64_t hello_timeouts;
	/* Connections that ended while HAProxy was still owed answers. */
	uint64_t ended_owing;

	/* Frames received. */
	uint64_t hellos;
	uint64_t healthchecks; /* the HELLOs of health checks; `hellos` has them too */
	uint64_t notifies;
	int64_t last_notify_us; /* when the last of them came, since the epoch; 0: none came */
	uint64_t disconnects;
	uint64_t others; /* fragments, types that only an agent sends, unknown types */
	/* Frames sent. */
	uint64_t agent_hellos;
	uint64_t acks;
	uint64_t agent_disconnects;

	/*
	 * Connections that ended for an error, by spop_status_place of its status: errors that this
	 * agent found, and those that HAProxy reported.
	 */
	uint64_t errors[SPOP_STATUS_COUNT];
	uint64_t errors_of_haproxy[SPOP_STATUS_COUNT];

	struct spop_names names; /* of the arguments in NOTIFYs */
};

/* The place of a status in `errors`. A number that SPOE.txt does not have counts as 99, unknown. */
static inline size_t spop_status_place(uint64_t status)
{
	return status < SPOP_STATUS_COUNT - 1 ? (size_t)status : SPOP_STATUS_COUNT - 1;
}

/* The status that is counted at a place. */
static inline unsigned spop_status_at(size_t place)
{
	return place < SPOP_STATUS_COUNT - 1 ? (unsigned)place : SPOP_UNKNOWN;
}

#endif
