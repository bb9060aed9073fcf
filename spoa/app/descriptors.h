/*
 * descriptors.h - how many of the process' descriptors connections may take.
 *
 * A process that has no descriptor left can't open the policy file, can't connect to Redis and
 * can't accept who asks for /health. So connections leave a reserve, and HTTP has a share that SPOP
 * can't take.
 */
#ifndef APP_DESCRIPTORS_H
#define APP_DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>

struct descriptor_wants {
	size_t limit;           /* RLIMIT_NOFILE */
	size_t listeners;       /* each has a descriptor */
	size_t max_connections; /* --max-connections */
	size_t http_max;        /* --http-max-connections; 0 when nothing listens for HTTP */
};

struct descriptor_shares {
	size_t wanted; /* what all that the options allow would take */
	size_t max_connections;
	size_t spop_max_open; /* with the extras of spop_server.h */
	size_t http_max;
};

/* Every share is at least 1; none is more than what the options say. */
struct descriptor_shares descriptors_share(const struct descriptor_wants *wants);

#endif
