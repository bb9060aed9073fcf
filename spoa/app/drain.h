/*
 * drain.h - how the agent ends: SIGTERM and SIGINT drain it (INTERFACE.md section 7).
 *
 * SERVING -- a signal --> DRAINING -- --drain-delay --> ENDING -- no SPOP connection is left -->
 * CLOSING -- no HTTP request is on the way, or at any time from ENDING on --drain-timeout --> over
 *
 * It breaks out of the loop, once. A second signal exits at once. It owns its watchers only.
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

/* The first five are set. */
void drain_init(struct drain *drain);
/* Once a turn of the loop: goes on when those who were waited for have gone. */
void drain_advance(struct drain *drain);

#endif
