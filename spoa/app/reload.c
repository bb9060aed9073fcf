#include "app/reload.h"

#include <signal.h>

#include "app/file_watch.h"
#include "app/load.h"
#include "base/clock.h"
#include "limit/policy_changes.h"

static void use(struct reload *reload, struct policies *policies,
		const struct policy_changes *changes, const char *cause)
{
	struct policy_names_text added = policy_names_text(&changes->added);
	struct policy_names_text changed = policy_names_text(&changes->changed);
	struct policy_names_text removed = policy_names_text(&changes->removed);

	log_event(LOG_INFO, "reloaded", LOG_TEXT("cause", cause), LOG_TEXT("added", added.text),
		  LOG_TEXT("changed", changed.text), LOG_TEXT("removed", removed.text),
		  LOG_BOOL("reordered", changes->is_reordered),
		  LOG_INT("policies", policies_count(policies)),
		  LOG_TEXT("file", reload->options->policies));
	engine_set_policies(reload->engine, policies);
	reload->stats->generation++;
	reload->stats->loaded_us = clock_now_us();
}

static void fail(struct reload *reload, const char *reason, const char *cause)
{
	reload->stats->last_failed = true;
	reload->stats->errors++;
	log_event(LOG_ERROR, "reload_failed", LOG_TEXT("cause", cause), LOG_TEXT("reason", reason));
}

static void reload_policies(struct reload *reload, bool is_asked_for)
{
	const char *cause = is_asked_for ? "SIGHUP" : "file";
	struct err err;
	struct policies *policies = load_policies(reload->options, &err);

	if (policies == NULL) {
		fail(reload, err.text, cause);
		return;
	}
	struct policy_changes changes = policies_compare(engine_policies(reload->engine), policies);
	if (is_asked_for || reload->stats->last_failed || !policy_changes_are_none(&changes))
		use(reload, policies, &changes, cause);
	else
		log_event(LOG_DEBUG, "reload_unneeded",
			  LOG_TEXT("file", reload->options->policies));
	reload->stats->last_failed = false;
	policies_unref(policies);
}

static void on_sighup(struct ev_loop *loop, struct ev_signal *watcher, int events)
{
	struct reload *reload = CONTAINER_OF(watcher, struct reload, on_signal);

	(void)loop, (void)events;
	if (reload->options->policies == NULL) {
		log_event(LOG_WARN, "reload_ignored", LOG_TEXT("reason", "there is no --policies"));
		return;
	}
	file_watch_catch_up(reload->watch);
	reload_policies(reload, true);
}

static void on_file_changed(void *owner)
{
	reload_policies(owner, false);
}

void reload_init(struct reload *reload)
{
	const struct options *options = reload->options;

	ev_signal_init(&reload->on_signal, on_sighup, SIGHUP);
	ev_signal_start(reload->loop, &reload->on_signal);
	if (options->policies != NULL && options->policies_watch)
		reload->watch =
			file_watch_new(reload->loop, options->policies, on_file_changed, reload);
}

void reload_release(struct reload *reload)
{
	file_watch_free(reload->watch);
}
