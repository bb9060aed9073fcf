/*
 * reload.h - other policies while the agent runs: on SIGHUP, and with --policies-watch when the
 * policy file changes. The file is taken whole or not at all. With --policies store: it is a text
 * that somebody gives (reload_take_text).
 *
 * The loop answers requests all the time: a thread reads the file, and what the loop itself has to
 * do for a reload is done in slices of 1 ms.
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
#include "base/list.h"
#include "engine/engine.h"

struct file_watch;
struct list_files;
struct reload_job;
struct systemd_notify;

/* Called once for each text of reload_take_text that was not replaced before its job began. */
typedef void reload_taken_fn(void *owner, uint64_t version, bool is_taken, const char *why_not);

struct reload_config { /* nothing of it is owned */
	struct ev_loop *loop;
	const struct options *options;
	struct engine *engine;
	struct load_stats *stats;       /* what the last reload came to is written here */
	const struct list_files *files; /* of the policies in use; only reload_init reads them */
	struct systemd_notify *systemd; /* is told of what SIGHUP asks for; or NULL */
};

/* A policy file that is in the store. */
struct reload_text {
	char *text; /* from malloc; NULL: there is none */
	size_t len;
	uint64_t version;
};

struct reload {
	struct reload_config config;
	struct ev_signal on_signal;
	struct ev_async on_loaded;  /* sent by the thread of `job` */
	struct ev_timer next_slice; /* active while the loop has something to do */
	struct ev_timer retry;      /* active while the last reload lacked a descriptor */
	bool retry_is_asked_for;    /* by SIGHUP: that reload was */
	struct reload_job *job;     /* the reload that is under way, or NULL */
	struct list leaving;        /* jobs that have sets of policies to free */
	bool has_sighup;            /* there was a SIGHUP that no job has begun for */
	struct file_watch *watch;   /* NULL: the file is not watched */
	struct reload_text text;    /* that no job has begun for */
	reload_taken_fn *taken;
	void *taken_owner;
};

void reload_init(struct reload *reload, const struct reload_config *config);
/* Who is told of the texts. */
void reload_on_taken(struct reload *reload, reload_taken_fn *taken, void *owner);
/*
 * Uses the policies of this text, which is taken over. It takes the place of a text that waits for
 * its turn.
 */
void reload_take_text(struct reload *reload, const struct reload_text *text);
/*
 * A thread that still reads the file is waited for; what it has read is dropped. `reload` may be
 * all zeros, as when the start failed before reload_init.
 */
void reload_release(struct reload *reload);

#endif
