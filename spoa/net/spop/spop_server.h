/*
 * spop_server.h - serves HAProxy: listeners and connections, from the start of the agent to its
 * end.
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

/*
 * How many connections above `max_connections` are accepted at a time, so that health checks are
 * answered: a HELLO is answered, NOTIFYs get their on_error, and then the connection ends.
 */
#define SPOP_SERVER_EXTRAS_MAX 64

struct spop_server_config {
	struct engine *engine;   /* not owned */
	uint32_t max_frame_size; /* of frames that HAProxy may send */
	size_t max_connections;  /* beside these there are up to SPOP_SERVER_EXTRAS_MAX extras */
	size_t max_open;         /* connections altogether, extras too; 0: no such bound */
	unsigned vars;           /* optional variables of an ACK, bits by enum spop_var */
};

/* NULL when memory is short. */
struct spop_server *spop_server_new(struct ev_loop *loop, const struct spop_server_config *config);
/* False when the address can't be listened on: `err` says why. */
MUST_CHECK bool spop_server_listen(struct spop_server *server, const struct address *address,
				   struct err *err);
/* From now on health checks fail, so that HAProxy takes other agents; NOTIFYs are answered. */
void spop_server_begin_drain(struct spop_server *server);
/*
 * Accepts no more connections and ends those that are there. A connection on which nothing came
 * within the last tenth of `spread_us` ends when nothing is in flight on it, as a rule at once. The
 * others end one after the other within `spread_us`, each together with an answer that leaves
 * nothing in flight. A connection that always has something in flight gets no such chance: a tenth
 * of `spread_us` later nothing more is read from it, and it ends when all is answered.
 */
void spop_server_end_connections(struct spop_server *server, int64_t spread_us);
/*
 * Ends for another agent, which gets the same sockets and starts when this one has ended. A
 * connection ends with its next answer that leaves nothing in flight, or when nothing has come on
 * it for 10 ms. Newcomers are served in the same way, until the connections that there are now have
 * ended: then they wait in the backlog for the other agent. After `patience_us` nothing more is
 * read from those that are left.
 */
void spop_server_hand_over(struct spop_server *server, int64_t patience_us);
/* How many connections there are, extras too. */
size_t spop_server_connections(const struct spop_server *server);
struct spop_server_stats spop_server_stats(const struct spop_server *server);
/* Connections that are still there get a DISCONNECT, and are not waited for. */
void spop_server_free(struct spop_server *server);

#endif
