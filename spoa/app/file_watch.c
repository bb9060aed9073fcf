/*
 * What is watched is the way to each file: every name on it, in its directory, and the file itself.
 * For a ConfigMap of Kubernetes these are
 *
 *     /             etc
 *     /etc          rl
 *     /etc/rl       policies.json -> ..data/policies.json
 *     /etc/rl       ..data -> ..2026_1
 *     /etc/rl       ..2026_1
 *     /etc/rl/..2026_1    policies.json, and that file
 *
 * After each event on the way, the way is walked anew, because a link or a directory on it may lead
 * elsewhere now. So all of these are seen: the swap of `..data`, a directory that is made anew,
 * another release that is linked to, a file that is away for a moment, and (by the file itself) a
 * file that is mounted alone. Events of other names in the directories are ignored.
 *
 *            an event on the way               FILE_WATCH_SETTLE_S without another, or
 *                          .----------.        FILE_WATCH_LATEST_S after the first one
 *     QUIET ------------> SETTLING <--'  ----------------------------------> QUIET, and the owner
 *       |                  |     ^                                           is told, unless the
 *       | the file is      |     | it is closed                              watch is held: then
 *       v being written    v     |                                           after that
 *     WRITING <----------- WRITING
 *
 * A file that is being written does not count until it is closed, which is an event of its own: a
 * half-written policy file would only be logged as an error. This goes before FILE_WATCH_LATEST_S:
 * a file that is rewritten all the time is closed between two writings, and then the owner is told
 * at once.
 *
 * When no descriptor is left for inotify at the start, or the user has
 * fs.inotify.max_user_instances already, the watch tries again every second. Once it can watch,
 * that counts as an event, because the file may have changed meanwhile.
 */
#include "app/file_watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ev.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/least.h"
#include "base/log.h"

#define NAMES_MAX  64 /* on the way; Linux itself follows at most 40 links */
#define READS_MAX  64 /* of READ_BYTES each in one turn of the loop */
#define READ_BYTES 4096
#define IN_NAMES   (IN_CREATE | IN_MOVE | IN_DELETE | IN_CLOSE_WRITE | IN_ATTRIB)
#define IN_FILE    (IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB)

/* A name in a watched directory. The step of the file itself has an empty name. */
struct step {
	int wd;
	char name[NAME_MAX + 1];
};

struct way {
	struct step steps[NAMES_MAX + 1];
	size_t count;
	bool is_there; /* the way leads to a file */
	bool is_empty; /* that file has no byte */
};

/* A file that is watched: that of the path given first, or another one. */
struct watched {
	char *path;
	struct way way;
	bool is_written; /* just now: the file will be closed */
	bool was_there;  /* the file, when the owner was last told or caught up */
	bool is_warned;  /* the last walk failed in part, and that was logged */
};

struct file_watch {
	struct ev_loop *loop;
	const char *path;
	bool is_policies; /* which SIGHUP reads again */
	void (*changed)(void *owner);
	void *owner;
	int inotify; /* -1: there was no descriptor for it, and `retry` is active */
	struct ev_io readable;
	struct ev_timer settle;
	struct ev_timer retry;
	int64_t first_us;       /* when the first event came that the owner was not told of; or 0 */
	int64_t last_us;        /* the same of the last one */
	int64_t held_until_us;  /* the owner is not told before that */
	struct watched **files; /* the first one is that of `path` */
	size_t count;
};

/* ---- the way to the file ---- */

struct walk {
	int inotify;
	struct way *way;
	char place[PATH_MAX]; /* where the walk has come to; no links are in it */
	char rest[PATH_MAX];  /* the way from there on */
	int error;            /* why some place is not watched, the last one; or 0 */
};

/* Cuts the next name off the rest; false at the end. */
static bool cut_name(struct walk *walk, char name[NAME_MAX + 1])
{
	const char *start = walk->rest + strspn(walk->rest, "/");
	size_t len = strcspn(start, "/");

	if (len == 0 || len > NAME_MAX)
		return false;
	memcpy(name, start, len);
	name[len] = '\0';
	memmove(walk->rest, start + len, strlen(start + len) + 1);
	return true;
}

/*
 * Returns 0, or the errno that says why the place can't be watched. A place that has gone meanwhile
 * is no error: the watch of its parent has an event for that.
 */
static int watch_place(struct walk *walk, uint32_t events, const char *name)
{
	int wd = inotify_add_watch(walk->inotify, walk->place, events | IN_DONT_FOLLOW);

	if (wd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : errno;
	struct step *step = &walk->way->steps[walk->way->count++];
	step->wd = wd;
	snprintf(step->name, sizeof step->name, "%s", name);
	return 0;
}

/* Replaces the last name of the place, which is a link, by the target of the link. */
static bool follow_link(struct walk *walk)
{
	char target[PATH_MAX];
	size_t rest = strlen(walk->rest);
	ssize_t len = readlink(walk->place, target, sizeof target);

	if (len <= 0 || (size_t)len + rest >= sizeof walk->rest)
		return false;
	memmove(walk->rest + len, walk->rest, rest + 1);
	memcpy(walk->rest, target, (size_t)len);
	*strrchr(walk->place, '/') = '\0';
	if (*target == '/')
		strcpy(walk->place, "/");
	return true;
}

/* Appends the name to the place; false when the place would be too long. */
static bool append_name(struct walk *walk, const char *name)
{
	size_t len = strlen(walk->place);

	if (len + 1 + strlen(name) >= sizeof walk->place)
		return false;
	walk->place[len] = '/';
	strcpy(walk->place + len + 1, name);
	return true;
}

/* Goes one name further; false where the way ends, at the file or before it. */
static bool walk_name(struct walk *walk, const char *name)
{
	int error = watch_place(walk, IN_NAMES, name);
	struct stat found;

	bool is_there = append_name(walk, name) && lstat(walk->place, &found) == 0;
	bool is_directory = is_there && S_ISDIR(found.st_mode);
	/* A directory that may be entered but not read is passed over without an error when it
	 * leads to another directory: directories are seldom renamed. */
	if (error != 0 && !(is_directory && error == EACCES))
		walk->error = error;
	if (!is_there || is_directory)
		return is_there;
	if (S_ISLNK(found.st_mode))
		return follow_link(walk);
	walk->way->is_there = S_ISREG(found.st_mode); /* a pipe could be read only once */
	walk->way->is_empty = found.st_size == 0;
	if (walk->way->is_there)
		(void)watch_place(walk, IN_FILE, ""); /* its name is watched, if this fails */
	return false;
}

/* Watches the whole way; returns 0, or why some place on it is not watched. */
static int walk_way(int inotify, const char *path, struct way *ret_way)
{
	struct walk walk = {.inotify = inotify, .way = ret_way};
	char name[NAME_MAX + 1];

	*ret_way = (struct way){0};
	snprintf(walk.place, sizeof walk.place, "%s", *path == '/' ? "/" : ".");
	snprintf(walk.rest, sizeof walk.rest, "%s", path);
	for (size_t i = 0; cut_name(&walk, name); i++) {
		if (i == NAMES_MAX)
			return ELOOP;
		if (!walk_name(&walk, name))
			break;
	}
	return walk.error;
}

/* ---- events ---- */

/* Then the watch tries again every second. */
static bool may_pass(int error)
{
	return error == EMFILE || error == ENFILE;
}

static void log_failure(bool is_policies, const char *path, int error)
{
	const char *reason =
		error == EMFILE
			? "the limit of open files or fs.inotify.max_user_instances is reached"
		: error == ENOSPC ? "fs.inotify.max_user_watches is reached"
				  : strerror(error);

	if (is_policies)
		log_event(LOG_WARN, "policies_watch_failed", LOG_TEXT("file", path),
			  LOG_TEXT("reason", reason),
			  LOG_TEXT("hint", may_pass(error) ? "the agent tries again every second; "
							     "until then SIGHUP reloads"
							   : "SIGHUP reloads"));
	else
		log_event(LOG_WARN, "file_watch_failed", LOG_TEXT("file", path),
			  LOG_TEXT("reason", reason),
			  LOG_TEXT("hint", may_pass(error) ? "the agent tries again every second"
							   : "restart the agent when the file has "
							     "changed"));
}

static bool has_watch(const struct way *way, int wd)
{
	for (size_t i = 0; i < way->count; i++)
		if (way->steps[i].wd == wd)
			return true;
	return false;
}

static bool is_used(const struct file_watch *watch, int wd)
{
	for (size_t i = 0; i < watch->count; i++)
		if (has_watch(&watch->files[i]->way, wd))
			return true;
	return false;
}

/* Gives up the watches of a way that no file uses any more. */
static void leave_way(const struct file_watch *watch, const struct way *before)
{
	for (size_t i = 0; i < before->count; i++)
		if (!is_used(watch, before->steps[i].wd))
			(void)inotify_rm_watch(watch->inotify, before->steps[i].wd);
}

/*
 * Walks the way anew. A directory that stays on the way keeps its watch all the time, so that no
 * event of it is missed.
 */
static void renew_way(struct file_watch *watch, struct watched *file)
{
	struct way before = file->way;
	int error = walk_way(watch->inotify, file->path, &file->way);

	leave_way(watch, &before);
	if (error != 0 && !file->is_warned)
		log_failure(watch->is_policies, file->path, error);
	file->is_warned = error != 0;
}

/* An event without a name is one of the file, or of a directory itself, which was removed, say. */
static bool is_on_the_way(const struct way *way, const struct inotify_event *event)
{
	if ((event->mask & IN_Q_OVERFLOW) != 0)
		return true;
	for (size_t i = 0; i < way->count; i++)
		if (way->steps[i].wd == event->wd &&
		    (event->len == 0 || strcmp(way->steps[i].name, event->name) == 0))
			return true;
	return false;
}

/*
 * True when an event that says that the file is closed will follow. A file that was just created is
 * still empty; one that was linked or renamed into its place is not, and has no such event.
 */
static bool is_being_written(const struct way *way, uint32_t events)
{
	return (events & IN_MODIFY) != 0 ||
	       ((events & (IN_CREATE | IN_ATTRIB)) != 0 && way->is_empty);
}

/* When the owner is to be told of what has happened; INT64_MAX when of nothing, or not yet. */
static int64_t due_us(const struct file_watch *watch)
{
	if (watch->first_us == 0 || watch->held_until_us == FILE_WATCH_HELD)
		return INT64_MAX;
	for (size_t i = 0; i < watch->count; i++)
		if (watch->files[i]->is_written)
			return INT64_MAX;
	int64_t settled_us = watch->last_us + (int64_t)(FILE_WATCH_SETTLE_S * US_PER_SECOND);
	int64_t latest_us = watch->first_us + (int64_t)(FILE_WATCH_LATEST_S * US_PER_SECOND);
	return greatest_i64(least_i64(settled_us, latest_us), watch->held_until_us);
}

/* Called whenever what due_us looks at has changed. */
static void set_timer(struct file_watch *watch)
{
	int64_t due = due_us(watch);

	if (due == INT64_MAX) {
		ev_timer_stop(watch->loop, &watch->settle);
		return;
	}
	watch->settle.repeat = (double)greatest_i64(due - clock_mono_us(), 1) / 1e6;
	ev_timer_again(watch->loop, &watch->settle);
}

static void note_change(struct file_watch *watch)
{
	watch->last_us = clock_mono_us();
	if (watch->first_us == 0)
		watch->first_us = watch->last_us;
}

static void handle_event(struct file_watch *watch, struct watched *file,
			 const struct inotify_event *event)
{
	if (!is_on_the_way(&file->way, event))
		return;
	if ((event->mask & IN_MODIFY) == 0)
		renew_way(watch, file);
	file->is_written = is_being_written(&file->way, event->mask);
	if (!file->is_written)
		note_change(watch);
}

static void read_events(struct file_watch *watch)
{
	_Alignas(struct inotify_event) char events[READ_BYTES];

	for (int i = 0; i < READS_MAX; i++) {
		ssize_t len = read(watch->inotify, events, sizeof events);
		if (len <= 0)
			return;
		for (const char *at = events; at < events + len;) {
			const struct inotify_event *event = (const void *)at;
			for (size_t j = 0; j < watch->count; j++)
				handle_event(watch, watch->files[j], event);
			at += sizeof *event + event->len;
		}
	}
}

static void on_readable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct file_watch *watch = CONTAINER_OF(watcher, struct file_watch, readable);

	(void)loop, (void)events;
	read_events(watch);
	set_timer(watch);
}

static void forget_changes(struct file_watch *watch)
{
	watch->first_us = 0;
	for (size_t i = 0; i < watch->count; i++)
		watch->files[i]->was_there = watch->files[i]->way.is_there;
	set_timer(watch);
}

static void on_settled(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct file_watch *watch = CONTAINER_OF(timer, struct file_watch, settle);
	bool exists_or_did = false;

	(void)loop, (void)events;
	for (size_t i = 0; i < watch->count; i++)
		exists_or_did = exists_or_did || watch->files[i]->way.is_there ||
				watch->files[i]->was_there;
	if (clock_mono_us() < due_us(watch)) { /* libev's time is that of the turn's begin */
		set_timer(watch);
		return;
	}
	forget_changes(watch);
	if (exists_or_did)
		watch->changed(watch->owner);
}

void file_watch_catch_up(struct file_watch *watch)
{
	if (watch == NULL)
		return;
	if (watch->inotify >= 0)
		read_events(watch);
	forget_changes(watch);
}

void file_watch_hold(struct file_watch *watch, int64_t until_us)
{
	if (watch == NULL)
		return;
	watch->held_until_us = until_us;
	set_timer(watch);
}

void file_watch_tell_in(struct file_watch *watch, double seconds)
{
	if (watch == NULL)
		return;
	note_change(watch);
	file_watch_hold(watch, watch->last_us + (int64_t)(seconds * US_PER_SECOND));
}

/* Returns 0, or the errno that says why nothing can be watched. */
static int begin_watching(struct file_watch *watch)
{
	watch->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->inotify < 0)
		return errno;
	for (size_t i = 0; i < watch->count; i++) {
		renew_way(watch, watch->files[i]);
		watch->files[i]->was_there = watch->files[i]->way.is_there;
	}
	ev_io_init(&watch->readable, on_readable, watch->inotify, EV_READ);
	ev_io_start(watch->loop, &watch->readable);
	return 0;
}

static void on_retry(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct file_watch *watch = CONTAINER_OF(timer, struct file_watch, retry);

	(void)events;
	if (begin_watching(watch) != 0)
		return;
	ev_timer_stop(loop, timer);
	if (watch->is_policies)
		log_event(LOG_INFO, "policies_watched", LOG_TEXT("file", watch->path));
	else
		log_event(LOG_INFO, "file_watched", LOG_TEXT("file", watch->path));
	note_change(watch);
	set_timer(watch);
}

static void free_watched(struct watched *file)
{
	if (file != NULL)
		free(file->path);
	free(file);
}

/* NULL when memory is short. */
static struct watched *new_watched(const char *path)
{
	struct watched *file = calloc(1, sizeof *file);

	if (file == NULL)
		return NULL;
	file->path = strdup(path);
	if (file->path != NULL)
		return file;
	free(file);
	return NULL;
}

static void free_watch(struct file_watch *watch)
{
	for (size_t i = 0; i < watch->count; i++)
		free_watched(watch->files[i]);
	free(watch->files);
	free(watch);
}

/* NULL when memory is short. */
static struct file_watch *new_watch(const char *path)
{
	struct file_watch *watch = calloc(1, sizeof *watch);

	if (watch == NULL)
		return NULL;
	watch->files = malloc(sizeof(struct watched *));
	struct watched *file = watch->files == NULL ? NULL : new_watched(path);
	if (file == NULL) {
		free_watch(watch);
		return NULL;
	}
	watch->files[watch->count++] = file;
	return watch;
}

/* Takes the file of this path out of the list, or makes a new one; NULL when memory is short. */
static struct watched *take_or_make(struct watched **files, size_t count, const char *path,
				    bool *ret_is_new)
{
	for (size_t i = 1; i < count; i++) {
		struct watched *file = files[i];
		if (file == NULL || strcmp(file->path, path) != 0)
			continue;
		files[i] = NULL;
		*ret_is_new = false;
		return file;
	}
	*ret_is_new = true;
	return new_watched(path);
}

static void log_no_memory(const struct file_watch *watch, const char *path)
{
	log_failure(watch->is_policies, path, ENOMEM);
}

bool file_watch_set_others(struct file_watch *watch, const char *const *paths, size_t count)
{
	bool has_new = false, is_new;

	if (watch == NULL)
		return false;
	struct watched **before = watch->files;
	size_t count_before = watch->count;
	struct watched **files = malloc((count + 1) * sizeof(struct watched *));
	if (files == NULL) {
		log_no_memory(watch, watch->path);
		return false;
	}
	files[0] = before[0];
	watch->files = files;
	watch->count = 1;
	for (size_t i = 0; i < count; i++) {
		struct watched *file = take_or_make(before, count_before, paths[i], &is_new);
		if (file == NULL) {
			log_no_memory(watch, paths[i]);
			continue;
		}
		files[watch->count++] = file;
		if (is_new && watch->inotify >= 0)
			renew_way(watch, file);
		has_new = has_new || is_new;
	}
	for (size_t i = 1; i < count_before; i++) {
		if (before[i] != NULL && watch->inotify >= 0)
			leave_way(watch, &before[i]->way);
		free_watched(before[i]);
	}
	free(before);
	return has_new;
}

static struct file_watch *make_watch(struct ev_loop *loop, const char *path, bool is_policies,
				     void (*changed)(void *owner), void *owner)
{
	struct file_watch *watch = new_watch(path);

	if (watch == NULL) {
		log_failure(is_policies, path, ENOMEM);
		return NULL;
	}
	watch->loop = loop;
	watch->path = path;
	watch->is_policies = is_policies;
	watch->changed = changed;
	watch->owner = owner;
	ev_init(&watch->settle, on_settled);
	ev_timer_init(&watch->retry, on_retry, FILE_WATCH_RETRY_S, FILE_WATCH_RETRY_S);
	int error = begin_watching(watch);
	if (error != 0)
		log_failure(is_policies, path, error);
	if (may_pass(error)) {
		ev_timer_start(loop, &watch->retry);
	} else if (error != 0) {
		free_watch(watch);
		return NULL;
	}
	return watch;
}

struct file_watch *file_watch_new_policies(struct ev_loop *loop, const char *path,
					   void (*changed)(void *owner), void *owner)
{
	return make_watch(loop, path, true, changed, owner);
}

struct file_watch *file_watch_new_other(struct ev_loop *loop, const char *path,
					void (*changed)(void *owner), void *owner)
{
	return make_watch(loop, path, false, changed, owner);
}

void file_watch_free(struct file_watch *watch)
{
	if (watch == NULL)
		return;
	ev_timer_stop(watch->loop, &watch->settle);
	ev_timer_stop(watch->loop, &watch->retry);
	if (watch->inotify >= 0) {
		ev_io_stop(watch->loop, &watch->readable);
		close(watch->inotify);
	}
	free_watch(watch);
}
