/*
 * http_stats.h - what the connections of the HTTP port count, all of a server together.
 */
#ifndef NET_HTTP_STATS_H
#define NET_HTTP_STATS_H

#include <stddef.h>
#include <stdint.h>

struct http_server_stats {
	size_t connections; /* without those that have had their last answer */
	uint64_t accepted;
	uint64_t evicted;  /* closed to make room for a newcomer or for an answer */
	uint64_t timeouts; /* closed for a request not complete, or an answer not read, in time */
	uint64_t refused;  /* connections for which there was no memory */
	uint64_t problems[6]; /* answers that were no verdict, by status / 100 */
	uint64_t requests;    /* with a head that is good */
};

#endif
