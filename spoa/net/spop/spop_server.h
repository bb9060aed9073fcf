/*
 * spop_server.h - serves HAProxy: the listeners and the connections, from start to drain.
 */
#ifndef NET_SPOP_SERVER_H
#define NET_SPOP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/engine.h"
#include "net/address.h"
#include "net/spop/spop_stats.h"

struct ev_loop;
struct spop_server;

struct spop_server_config {
	struct engine *engine; /* not owned */
	uint32_t max_frame_size;
	size_t max_connections;
	unsigned vars; /* enum spop_vars */
};

/* NULL when memory is short. */
struct spop_server *spop_server_new(struct ev_loop *loop, const struct spop_server_config *config);
MUST_CHECK bool spop_server_listen(struct spop_server *server, const struct address *address,
				   struct err *err);
/* From now on health checks are told to look elsewhere; traffic is served on. */
void spop_server_begin_drain(struct spop_server *server);
/*
 * No more connections. Those that are there end when nothing of them is in flight: at once,
 * or, if used within the last tenth of `spread_us`, one by one and each with an answer, so that the
 * last one's turn comes after `spread_us`. Of those that always have something in flight nothing is
 * taken any more soon after that.
 */
void spop_server_end_connections(struct spop_server *server, int64_t spread_us);
size_t spop_server_connections(const struct spop_server *server);
struct spop_server_stats spop_server_stats(const struct spop_server *server);
/* Those that are still there get their DISCONNECT, and are not waited for. */
void spop_server_free(struct spop_server *server);

#endif
