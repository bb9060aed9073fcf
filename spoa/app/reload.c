/*
 * A reload, whoever asks for it, is a job:
 *
 *               the thread reads the file,     1 ms at a time, the new
 *     SIGHUP,   indexes the policies and       policies take over the old
 *     file      compares them with the old     ones' tallies and exceptions
 *     -------> READING ------------------------> INHERITING -----------.
 *                 |                                                    | the engine gets the
 *                 |-- the file has an error:                           | pointer: `reloaded`
 *                 |   `reload_failed`, nothing changes                 v
 *                 |                                                FORGETTING
 *                 |-- the file says what is in use, nobody asked,      | keys that the old
 *                 |   and the last reload was good:                    | policies counted by,
 *                 |   `reload_unneeded` (debug)                        | 1 ms at a time
 *                 v                                                    |
 *               LEAVING <----------------------------------------------'
 *                 | waits until no request holds the policies that are
 *                 | not needed any more, then frees them 1 ms at a time
 *                 v
 *               freed
 *
 * SIGHUP always has a visible answer. A file that was only touched has none: editors, configuration
 * management and Kubernetes touch files that do not change. After a failed reload there is one, so
 * that the log does not end with a failure when all is well again.
 *
 * When the file can't be opened because too many files are open, further jobs try to open it, one
 * every RETRY_S, since nobody would send a second SIGHUP. The log shows the first failure, and
 * `reloaded` when a job succeeds.
 *
 * With --policies store: no file is read. A job is begun for a text that came from the store, and
 * whoever gave the text is told what became of it. Of several texts that come while there is a job,
 * the last one gets the next job.
 *
 * One job at most is before LEAVING. All SIGHUPs that come while there is one make one more job
 * after it, because the thread may have read the file before it changed. Changes of the file wait
 * in the same way: in the file watch, which is held while there is such a job.
 *
 * The thread owns the new policies until it has ended. It reads names and fingerprints of the old
 * policies, which never change, and the job holds a reference to them for that time. References and
 * tallies are the loop's alone: they are counted without atomics. The thread does not log either.
 */
#include "app/reload.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/file_watch.h"
#include "app/load.h"
#include "app/systemd_notify.h"
#include "base/clock.h"
#include "limit/policy_changes.h"

#define SLICE_US     (1 * US_PER_MS) /* what the loop spends on reloads at a time */
#define PAUSE_S      0.001           /* between two slices: answers come first */
#define LEAVING_S    0.1 /* between two looks whether requests still hold old policies */
#define RETRY_S      1.0 /* after a reload for which a descriptor was missing */
#define REST_FACTOR  5   /* the watch rests that many times as long as a parse took */
#define THREAD_NICER 10  /* on one core, the loop runs first */

enum reload_state { RELOAD_READING = 0, RELOAD_INHERITING, RELOAD_FORGETTING, RELOAD_LEAVING };

struct reload_job {
	enum reload_state state;
	bool is_asked_for;       /* by SIGHUP */
	bool is_retry;           /* the last job lacked a descriptor, which is in the log */
	struct reload_text text; /* in place of the file */
	const struct policies *before;
	size_t position; /* of the next policy that inherits or forgets */
	const struct policies
		*unwanted; /* LEAVING: the set that is freed, `before` or `policies` */
	struct list link;  /* LEAVING: in reload.leaving */
	/* The thread's until it has ended: */
	pthread_t thread;
	struct reload *reload;
	struct policies *policies; /* NULL: the file has an error, `err` */
	struct list_files files;   /* that it names, in either case */
	struct err err;
	bool policies_were_read; /* so that `files` are those that they name */
	bool lacks_descriptors;  /* the file may be good: it could not be opened */
	struct policy_changes changes;
	int64_t took_us;
};

static const char *cause_text(bool is_asked_for)
{
	return is_asked_for ? "SIGHUP" : "file";
}

static bool is_stored(const struct reload_job *job)
{
	return job->text.text != NULL;
}

/* ---- the thread ---- */

static struct policies *read_policies(struct reload_job *job, struct problems *problems)
{
	const struct options *options = job->reload->config.options;

	if (!is_stored(job))
		return load_policies_with(options, &job->files, problems);
	list_files_init(&job->files, NULL);
	return load_policies_of_text(options, bytes_from(job->text.text, job->text.len), problems);
}

static void *run_thread(void *argument)
{
	struct reload_job *job = argument;
	struct reload *reload = job->reload;
	struct problems problems;
	int64_t began_us = clock_mono_us();

	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), THREAD_NICER);
	job->policies = read_policies(job, &problems);
	if (job->policies != NULL) {
		job->changes = policies_compare(job->before, job->policies);
	} else {
		problems_to_err(&problems, &job->err);
		job->lacks_descriptors = problems.lacks_descriptors;
	}
	job->policies_were_read = job->policies != NULL || job->files.count > 0;
	job->took_us = clock_mono_us() - began_us;
	ev_async_send(reload->config.loop, &reload->on_loaded);
	return NULL;
}

/* The thread gets no signals: those are the loop's. Returns 0 or the errno. */
static int start_thread(struct reload_job *job)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&job->thread, NULL, run_thread, job);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

/* ---- the life of a job ---- */

/* For whoever waits for `systemctl reload`: all that SIGHUP asked for is done, or has failed. */
static void tell_when_done(const struct reload *reload)
{
	if (reload->job == NULL && !reload->has_sighup)
		systemd_notify_ready(reload->config.systemd);
}

static void run_slice_in(struct reload *reload, double seconds)
{
	ev_timer_stop(reload->config.loop, &reload->next_slice);
	ev_timer_set(&reload->next_slice, seconds, 0.0);
	ev_timer_start(reload->config.loop, &reload->next_slice);
}

static void count_failure(struct load_stats *stats, const char *reason)
{
	stats->last_failed = true;
	snprintf(stats->last_error, sizeof stats->last_error, "%s", reason);
	stats->errors++;
}

static void note_failure(struct reload *reload, bool is_asked_for, const char *reason)
{
	count_failure(reload->config.stats, reason);
	log_event(LOG_ERROR, "reload_failed", LOG_TEXT("cause", cause_text(is_asked_for)),
		  LOG_TEXT("reason", reason));
}

/* Who gave the text says so in the log. */
static void note_bad_text(struct reload *reload, uint64_t version, const char *why)
{
	count_failure(reload->config.stats, why);
	reload->taken(reload->taken_owner, version, false, why);
}

static void note_bad_file(struct reload *reload, const struct reload_job *job)
{
	if (is_stored(job)) {
		note_bad_text(reload, job->text.version, job->err.text);
		return;
	}
	if (!job->is_retry || !job->lacks_descriptors)
		note_failure(reload, job->is_asked_for, job->err.text);
	if (!job->lacks_descriptors)
		return;
	reload->retry_is_asked_for = job->is_asked_for;
	ev_timer_set(&reload->retry, RETRY_S, 0.0);
	ev_timer_start(reload->config.loop, &reload->retry);
}

/*
 * The list files are watched that the policy file named last, also when it was refused: one of them
 * may be what is wrong. False when none is new to the watch.
 */
static bool watch_list_files(struct file_watch *watch, const struct list_files *files)
{
	const char *paths[LIST_FILES_MAX];

	for (size_t i = 0; i < files->count; i++)
		paths[i] = files->items[i].path;
	return file_watch_set_others(watch, paths, files->count);
}

/*
 * From now on another job may begin. Of its two sets, this job keeps the one that the engine does
 * not have.
 */
static void leave(struct reload *reload, struct reload_job *job)
{
	int64_t rested_us = clock_mono_us() + REST_FACTOR * job->took_us;
	bool is_used = job->state == RELOAD_FORGETTING;

	job->unwanted = is_used ? job->before : job->policies;
	policies_unref(is_used ? job->policies : job->before);
	job->state = RELOAD_LEAVING;
	list_append(&reload->leaving, &job->link);
	reload->job = NULL;
	run_slice_in(reload, PAUSE_S);
	file_watch_hold(reload->watch, rested_us);
	if (job->policies_were_read && watch_list_files(reload->watch, &job->files))
		file_watch_tell_in(reload->watch, (double)REST_FACTOR * (double)job->took_us / 1e6);
	list_files_release(&job->files);
	free(job->text.text);
	job->text.text = NULL;
	tell_when_done(reload);
}

/* Which of the two lists are others now. */
static const char *lists_text(const struct policy_changes *changes)
{
	if (changes->is_allow_changed)
		return changes->is_block_changed ? "allow,block" : "allow";
	return changes->is_block_changed ? "block" : "";
}

static void use_policies(struct reload *reload, struct reload_job *job)
{
	const struct policy_changes *changes = &job->changes;
	struct policy_names_text added = policy_names_text(&changes->added);
	struct policy_names_text changed = policy_names_text(&changes->changed);
	struct policy_names_text removed = policy_names_text(&changes->removed);

	engine_set_policies(reload->config.engine, job->policies);
	reload->config.stats->generation++;
	reload->config.stats->loaded_us = clock_now_us();
	reload->config.stats->last_failed = false;
	reload->config.stats->lacks_policies = false;
	const struct log_field fields[] = {
		LOG_TEXT("cause", is_stored(job) ? "store" : cause_text(job->is_asked_for)),
		LOG_TEXT("added", added.text),
		LOG_TEXT("changed", changed.text),
		LOG_TEXT("removed", removed.text),
		LOG_BOOL("reordered", changes->is_reordered),
		LOG_TEXT("lists", lists_text(changes)),
		LOG_INT("policies", policies_count(job->policies)),
		LOG_TEXT("file", reload->config.options->policies),
		LOG_INT("policies_version", job->text.version), /* of one in the store alone */
	};
	log_fields(LOG_INFO, "reloaded", fields, ARRAY_SIZE(fields) - !is_stored(job));
	if (is_stored(job))
		reload->taken(reload->taken_owner, job->text.version, true, "");
}

static void judge(struct reload *reload, struct reload_job *job)
{
	const struct load_stats *stats = reload->config.stats;

	if (job->policies == NULL) {
		note_bad_file(reload, job);
		leave(reload, job);
	} else if (job->is_asked_for || is_stored(job) || stats->last_failed ||
		   !policy_changes_are_none(&job->changes)) {
		job->state = RELOAD_INHERITING;
		run_slice_in(reload, 0.0);
	} else {
		log_event(LOG_DEBUG, "reload_unneeded",
			  LOG_TEXT("file", reload->config.options->policies));
		leave(reload, job);
	}
}

static void on_loaded(struct ev_loop *loop, struct ev_async *watcher, int events)
{
	struct reload *reload = CONTAINER_OF(watcher, struct reload, on_loaded);
	struct reload_job *job = reload->job;

	(void)loop, (void)events;
	(void)pthread_join(job->thread, NULL);
	judge(reload, job);
}

/* Returns 0, and the reload then owns the text; or the errno that says why no reload can begin. */
static int try_job(struct reload *reload, bool is_asked_for, bool is_retry,
		   const struct reload_text *text)
{
	struct reload_job *job = malloc(sizeof *job);

	if (job == NULL)
		return ENOMEM;
	*job = (struct reload_job){
		.is_asked_for = is_asked_for,
		.is_retry = is_retry,
		.text = *text,
		.before = policies_ref(engine_policies(reload->config.engine)),
		.reload = reload,
	};
	int error = start_thread(job);
	if (error != 0) {
		policies_unref(job->before);
		free(job);
		return error;
	}
	reload->job = job;
	return 0;
}

static void note_no_thread(struct reload *reload, bool is_asked_for, int error)
{
	struct err err;

	(void)err_set(&err, "no thread can be started to read the policy file: %s",
		      strerror(error));
	note_failure(reload, is_asked_for, err.text);
}

static void begin_job(struct reload *reload, bool is_asked_for, bool is_retry)
{
	ev_timer_stop(reload->config.loop, &reload->retry);
	if (is_asked_for) {
		reload->has_sighup = false;
		file_watch_catch_up(reload->watch);
	}
	int error = try_job(reload, is_asked_for, is_retry, &(struct reload_text){NULL, 0, 0});
	if (error != 0) {
		note_no_thread(reload, is_asked_for, error);
		tell_when_done(reload);
		return;
	}
	file_watch_hold(reload->watch, FILE_WATCH_HELD);
}

static void begin_text_job(struct reload *reload)
{
	struct reload_text text = reload->text;
	struct err err;

	reload->text = (struct reload_text){NULL, 0, 0};
	int error = try_job(reload, false, false, &text);
	if (error == 0)
		return;
	free(text.text);
	(void)err_set(&err, "no thread can be started to read the policies: %s", strerror(error));
	note_bad_text(reload, text.version, err.text);
}

/* ---- slices ---- */

/* Does the work for one policy, or for some exceptions: some microseconds at most. */
static void advance(struct reload *reload, struct reload_job *job)
{
	bool is_inheriting = job->state == RELOAD_INHERITING;
	struct engine *engine = reload->config.engine;

	if (job->position < policies_row_count(job->policies)) {
		(is_inheriting ? policies_inherit_at : policies_forget_keys_at)(
			job->policies, job->before, job->position++);
		return;
	}
	if (is_inheriting ? engine_prepare_policies(engine, job->policies)
			  : engine_tidy_policies(engine))
		return;
	if (!is_inheriting) {
		leave(reload, job);
		return;
	}
	use_policies(reload, job);
	job->state = RELOAD_FORGETTING;
	job->position = 0;
}

/* Frees a piece of a set; false when there is no set, or requests still hold all of them. */
static bool free_some(struct reload *reload)
{
	for (struct list *at = reload->leaving.next; at != &reload->leaving; at = at->next) {
		struct reload_job *job = CONTAINER_OF(at, struct reload_job, link);
		if (job->unwanted != NULL && !policies_are_last_reference(job->unwanted))
			continue;
		if (job->unwanted == NULL || !policies_unref_some(job->unwanted)) {
			list_remove(&job->link);
			free(job);
		}
		return true;
	}
	return false;
}

/*
 * False when there is nothing to do now. Nothing is freed while a thread reads: the thread may be
 * held up with the lock of the allocator in its hands, and free() would wait for it.
 */
static bool work_some(struct reload *reload)
{
	if (reload->job == NULL)
		return free_some(reload);
	if (reload->job->state == RELOAD_READING)
		return false;
	advance(reload, reload->job);
	return true;
}

static void on_next_slice(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct reload *reload = CONTAINER_OF(timer, struct reload, next_slice);
	int64_t end_us = clock_mono_us() + SLICE_US;

	(void)loop, (void)events;
	while (work_some(reload)) {
		if (clock_mono_us() < end_us)
			continue;
		run_slice_in(reload, PAUSE_S);
		return;
	}
	if (reload->has_sighup && reload->job == NULL)
		begin_job(reload, true, false);
	else if (reload->text.text != NULL && reload->job == NULL)
		begin_text_job(reload);
	if (!list_is_empty(&reload->leaving))
		run_slice_in(reload, LEAVING_S);
}

/* ---- who asks ---- */

/* What there is to free goes first, so that SIGHUPs without end don't fill the memory. */
static void ask(struct reload *reload)
{
	reload->has_sighup = true;
	if (reload->job == NULL)
		run_slice_in(reload, 0.0);
}

static void on_sighup(struct ev_loop *loop, struct ev_signal *watcher, int events)
{
	struct reload *reload = CONTAINER_OF(watcher, struct reload, on_signal);

	(void)loop, (void)events;
	bool is_in_store = options_policies_are_stored(reload->config.options);
	systemd_notify_reloading(reload->config.systemd);
	if (reload->config.options->policies != NULL && !is_in_store) {
		ask(reload);
		return;
	}
	log_event(LOG_WARN, "reload_ignored",
		  LOG_TEXT("reason", is_in_store
					     ? "the policies are in the store, and each version "
					       "of them is used as soon as it is put"
					     : "there is no policy file: --policies is not "
					       "set"));
	tell_when_done(reload);
}

static void on_file_changed(void *owner)
{
	struct reload *reload = owner;

	ASSERT(reload->job == NULL); /* the watch is held while there is one */
	begin_job(reload, false, false);
}

/* A job that is under way, or that a SIGHUP has asked for, reads the file anyway. */
static void on_retry(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct reload *reload = CONTAINER_OF(timer, struct reload, retry);

	(void)loop, (void)events;
	if (reload->job == NULL && !reload->has_sighup)
		begin_job(reload, reload->retry_is_asked_for, true);
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
	list_init(&reload->leaving);
	ev_async_init(&reload->on_loaded, on_loaded);
	ev_async_start(config->loop, &reload->on_loaded);
	ev_init(&reload->next_slice, on_next_slice);
	ev_set_priority(&reload->next_slice, EV_MINPRI); /* answers come first */
	ev_init(&reload->retry, on_retry);
	ev_signal_init(&reload->on_signal, on_sighup, SIGHUP);
	ev_signal_start(config->loop, &reload->on_signal);
	let_sighup_in();
	if (options->policies != NULL && options->policies_watch &&
	    !options_policies_are_stored(options))
		reload->watch = file_watch_new_policies(config->loop, options->policies,
							on_file_changed, reload);
	if (config->files != NULL)
		(void)watch_list_files(reload->watch, config->files);
}

void reload_on_taken(struct reload *reload, reload_taken_fn *taken, void *owner)
{
	reload->taken = taken;
	reload->taken_owner = owner;
}

void reload_take_text(struct reload *reload, const struct reload_text *text)
{
	free(reload->text.text);
	reload->text = *text;
	if (reload->job == NULL)
		run_slice_in(reload, 0.0);
}

static void stop_job(struct reload_job *job)
{
	if (job->state == RELOAD_READING) {
		/* The loop has ended: without this, nobody would see a second signal. */
		(void)signal(SIGTERM, SIG_DFL);
		(void)signal(SIGINT, SIG_DFL);
		(void)pthread_join(job->thread, NULL);
	}
	list_files_release(&job->files);
	free(job->text.text);
	policies_unref(job->policies);
	policies_unref(job->before);
	free(job);
}

void reload_release(struct reload *reload)
{
	if (reload->config.loop == NULL)
		return;
	file_watch_free(reload->watch);
	free(reload->text.text);
	if (reload->job != NULL)
		stop_job(reload->job);
	while (!list_is_empty(&reload->leaving)) {
		struct reload_job *job =
			CONTAINER_OF(reload->leaving.next, struct reload_job, link);
		policies_unref(job->unwanted);
		list_remove(&job->link);
		free(job);
	}
	ev_signal_stop(reload->config.loop, &reload->on_signal);
	ev_async_stop(reload->config.loop, &reload->on_loaded);
	ev_timer_stop(reload->config.loop, &reload->retry);
	ev_timer_stop(reload->config.loop, &reload->next_slice);
}
