/*
 * drain.h - how the agent ends: SIGTERM and SIGINT drain it (docs/reference.md, section Signals).
 *
 *      .------- SIGTERM, and systemd keeps the sockets: a hand-over ----.
 *      |                                                                v
 *      |     a signal                --drain-delay is over
 *   SERVING ---------> DRAINING ------------------------------> ENDING
 *                                                                  | no SPOP connection is left
 *                                                                  v
 *   the loop ends <---------- no HTTP request is open --------- CLOSING
 *         ^
 *         `--- --drain-timeout has passed since ENDING began (from ENDING or CLOSING)
 *
 * A second signal ends the process at once, in any state but SERVING. The drain ends the loop once,
 * and frees nothing: that is the caller's, after the loop. It owns its watchers only.
 */
#ifndef APP_DRAIN_H
#define APP_DRAIN_H

#include <stdbool.h>

#include <ev.h>

#include "app/options.h"

struct http_server;
struct spop_server;
struct systemd_notify;

enum drain_state {
	DRAIN_SERVING = 0,
	DRAIN_DRAINING, /* all is served as before, and health checks fail */
	DRAIN_ENDING,   /* the connections of SPOP end; its listeners are closed, but in a hand-over
			 */
	DRAIN_CLOSING,  /* the HTTP listeners are closed as well */
};

struct drain_config { /* nothing of it is owned */
	struct ev_loop *loop;
	const struct options *options;
	struct spop_server *spop;
	struct http_server *http;
	bool *is_draining;              /* set to true when a drain begins, not by a hand-over */
	struct systemd_notify *systemd; /* is told of the end; or NULL */
};

struct drain {
	struct drain_config config;
	enum drain_state state;
	bool is_handing_over;  /* to the next agent, which gets the same sockets */
	struct ev_timer timer; /* the delay in DRAINING, the timeout in ENDING and CLOSING */
	struct ev_signal on_term, on_int;
};

void drain_init(struct drain *drain, const struct drain_config *config);
/* Called once a turn of the loop, to see whether those that the drain waits for have gone. */
void drain_advance(struct drain *drain);

#endif
