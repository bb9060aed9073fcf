/*
 * reload.h - other policies while the agent runs: on SIGHUP, and with --policies-watch when the
 * file changes. The file is taken whole or not at all.
 *
 * Requests that are on their way finish with the policies that they began with: they hold a
 * reference. Balances are kept by policy and generation, so those of unchanged policies stay.
 *
 * A reload is one line in the log, `reloaded` with what changed, or `reload_failed` with the
 * reason, after which all is as it was. When the file was touched and says what is in use, nothing
 * happens, unless a reload had failed: then it is said that all is well again. SIGHUP is always
 * answered.
 */
#ifndef APP_RELOAD_H
#define APP_RELOAD_H

#include <ev.h>

#include "app/options.h"
#include "app/view/agent_view.h"
#include "engine/engine.h"

struct file_watch;

struct reload {
	struct ev_loop *loop;
	const struct options *options;
	struct engine *engine;
	struct load_stats *stats;
	struct ev_signal on_signal;
	struct file_watch *watch; /* NULL: none */
};

/* The first four are set. */
void reload_init(struct reload *reload);
void reload_release(struct reload *reload);

#endif
