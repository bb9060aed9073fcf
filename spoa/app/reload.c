/*
 * A reload, whoever asks for it:
 *
 *     the file is read --- it has an error --------> `reload_failed`, nothing changes
 *              |
 *              `---------- it is good
 *                            |-- it differs from what is in use, or SIGHUP asked,
 *                            |   or the last reload failed ---------> used, `reloaded`
 *                            `-- else -----------------------------> `reload_unneeded` (debug)
 *
 * SIGHUP always has a visible answer. A file that was only touched has none: editors, configuration
 * management and Kubernetes touch files that do not change. After a failed reload there is one, so
 * that the log does not end with a failure when all is well again.
 */
#include "app/reload.h"

#include <signal.h>

#include "app/file_watch.h"
#include "app/load.h"
#include "base/clock.h"
#include "limit/policy_changes.h"

static void use_policies(struct reload *reload, struct policies *policies,
			 const struct policy_changes *changes, const char *cause)
{
	struct policy_names_text added = policy_names_text(&changes->added);
	struct policy_names_text changed = policy_names_text(&changes->changed);
	struct policy_names_text removed = policy_names_text(&changes->removed);

	log_event(LOG_INFO, "reloaded", LOG_TEXT("cause", cause), LOG_TEXT("added", added.text),
		  LOG_TEXT("changed", changed.text), LOG_TEXT("removed", removed.text),
		  LOG_BOOL("reordered", changes->is_reordered),
		  LOG_INT("policies", policies_count(policies)),
		  LOG_TEXT("file", reload->config.options->policies));
	for (size_t i = 0; i <= policies_count(policies); i++)
		policies_inherit_at(policies, engine_policies(reload->config.engine), i);
	for (size_t i = 0; i <= policies_count(policies); i++)
		policies_forget_keys_at(policies, engine_policies(reload->config.engine), i);
	engine_set_policies(reload->config.engine, policies);
	reload->config.stats->generation++;
	reload->config.stats->loaded_us = clock_now_us();
}

static void keep_policies(struct reload *reload, const char *reason, const char *cause)
{
	reload->config.stats->last_failed = true;
	reload->config.stats->errors++;
	log_event(LOG_ERROR, "reload_failed", LOG_TEXT("cause", cause), LOG_TEXT("reason", reason));
}

static void reload_policies(struct reload *reload, bool is_asked_for)
{
	const char *cause = is_asked_for ? "SIGHUP" : "file";
	struct load_stats *stats = reload->config.stats;
	struct err err;
	struct policies *policies = load_policies(reload->config.options, &err);

	if (policies == NULL) {
		keep_policies(reload, err.text, cause);
		return;
	}
	struct policy_changes changes =
		policies_compare(engine_policies(reload->config.engine), policies);
	if (is_asked_for || stats->last_failed || !policy_changes_are_none(&changes))
		use_policies(reload, policies, &changes, cause);
	else
		log_event(LOG_DEBUG, "reload_unneeded",
			  LOG_TEXT("file", reload->config.options->policies));
	stats->last_failed = false;
	policies_unref(policies);
}

static void on_sighup(struct ev_loop *loop, struct ev_signal *watcher, int events)
{
	struct reload *reload = CONTAINER_OF(watcher, struct reload, on_signal);

	(void)loop, (void)events;
	if (reload->config.options->policies == NULL) {
		log_event(LOG_WARN, "reload_ignored",
			  LOG_TEXT("reason", "there is no policy file: --policies is not set"));
		return;
	}
	file_watch_catch_up(reload->watch);
	reload_policies(reload, true);
}

static void on_file_changed(void *owner)
{
	reload_policies(owner, false);
}

/* main held it back until there was somebody to take it. */
static void let_sighup_in(void)
{
	sigset_t hup;

	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	(void)sigprocmask(SIG_UNBLOCK, &hup, NULL);
}

void reload_init(struct reload *reload, const struct reload_config *config)
{
	const struct options *options = config->options;

	*reload = (struct reload){.config = *config};
	ev_signal_init(&reload->on_signal, on_sighup, SIGHUP);
	ev_signal_start(config->loop, &reload->on_signal);
	let_sighup_in();
	if (options->policies != NULL && options->policies_watch)
		reload->watch =
			file_watch_new(config->loop, options->policies, on_file_changed, reload);
}

void reload_release(struct reload *reload)
{
	file_watch_free(reload->watch);
}
