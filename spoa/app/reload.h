/*
 * reload.h - other policies while the agent runs: on SIGHUP, and with --policies-watch when the
 * policy file changes. The file is taken whole or not at all.
 *
 * Requests that are on their way finish with the policies that they began with, because they hold a
 * reference. A balance belongs to a policy and its generation (limit/generation.h), so balances of
 * unchanged policies stay.
 */
#ifndef APP_RELOAD_H
#define APP_RELOAD_H

#include <ev.h>

#include "app/options.h"
#include "app/view/agent_view.h"
#include "engine/engine.h"

struct file_watch;

struct reload_config { /* nothing of it is owned */
	struct ev_loop *loop;
	const struct options *options;
	struct engine *engine;
	struct load_stats *stats; /* what the last reload came to is written here */
};

struct reload {
	struct reload_config config;
	struct ev_signal on_signal;
	struct file_watch *watch; /* NULL: the file is not watched */
};

void reload_init(struct reload *reload, const struct reload_config *config);
void reload_release(struct reload *reload);

#endif
