/*
 * drain.h - how the agent ends: SIGTERM and SIGINT drain it (docs/reference.md, section Signals).
 *
 *     SERVING
 *       |  a signal: /ready and SPOP's health checks fail
 *       v
 *     DRAINING   everything is served on
 *       |  --drain-delay is over: no SPOP connection is accepted any more
 *       v
 *     ENDING     SPOP connections end when they owe no answer
 *       |  no SPOP connection is left: no HTTP connection is accepted any more
 *       v
 *     CLOSING    HTTP requests that have come are answered
 *       |  no HTTP request is on its way
 *       v
 *     the loop is left
 *
 * The loop is left from ENDING and CLOSING too when --drain-timeout is over, counted from ENDING. A
 * second signal ends the process at once. The caller owns everything here but the watchers.
 */
#ifndef APP_DRAIN_H
#define APP_DRAIN_H

#include <stdbool.h>

#include <ev.h>

#include "app/options.h"

struct http_server;
struct spop_server;

enum drain_state { DRAIN_SERVING = 0, DRAIN_DRAINING, DRAIN_ENDING, DRAIN_CLOSING };

struct drain {
	struct ev_loop *loop;
	const struct options *options;
	struct spop_server *spop;
	struct http_server *http;
	bool *is_draining; /* true from the signal on */
	enum drain_state state;
	struct ev_timer timer;
	struct ev_signal on_term, on_int;
};

/* The caller has set the members before `state`. */
void drain_init(struct drain *drain);
/* Is called once a turn of the loop: enters the next state when nothing is left to wait for. */
void drain_advance(struct drain *drain);

#endif
