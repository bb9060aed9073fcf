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

#include "base/compiler.h"
#include "base/log.h"

#define NAMES_MAX  64 /* on the way; Linux itself follows 40 links */
#define READS_MAX  64 /* at once, of a buffer each; more comes in the next turn */
#define READ_BYTES 4096
#define IN_NAMES   (IN_CREATE | IN_MOVE | IN_DELETE | IN_CLOSE_WRITE | IN_ATTRIB)
#define IN_FILE    (IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB)

/* A name in a watched directory, or the file itself, without a name. */
struct step {
	int wd;
	char name[NAME_MAX + 1];
};

struct way {
	struct step steps[NAMES_MAX + 1];
	size_t count;
	bool is_there; /* what it leads to */
	bool is_empty; /* it has no byte */
};

struct file_watch {
	struct ev_loop *loop;
	const char *path;
	void (*changed)(void *owner);
	void *owner;
	int inotify;
	struct ev_io readable;
	struct ev_timer settle;
	struct way way;
	bool was_there; /* when it was last told, or known */
	bool is_warned;
};

/* ---- the way to the file ---- */

struct walk {
	int inotify;
	struct way *way;
	char place[PATH_MAX]; /* where it has come to, without links */
	char rest[PATH_MAX];  /* how it goes on from there */
	int error;            /* the last reason for which something is not watched, or 0 */
};

/* The next name of the rest, which is taken off it; false at the end. */
static bool take_name(struct walk *walk, char name[NAME_MAX + 1])
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

/* 0 or why not: what is gone by now is none, of that there is an event. */
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

/* The link, which is the last name of the place, is replaced by what it says. */
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

/* False when the place would be too long. */
static bool enter(struct walk *walk, const char *name)
{
	size_t len = strlen(walk->place);

	if (len + 1 + strlen(name) >= sizeof walk->place)
		return false;
	walk->place[len] = '/';
	strcpy(walk->place + len + 1, name);
	return true;
}

/* One name further; false where the way ends, be it early. */
static bool step_to(struct walk *walk, const char *name)
{
	int error = watch_place(walk, IN_NAMES, name);
	struct stat found;

	bool is_there = enter(walk, name) && lstat(walk->place, &found) == 0;
	bool is_directory = is_there && S_ISDIR(found.st_mode);
	/* A directory that may be gone through and not read is passed over while it leads to
	 * another one: those are seldom renamed. */
	if (error != 0 && !(is_directory && error == EACCES))
		walk->error = error;
	if (!is_there || is_directory)
		return is_there;
	if (S_ISLNK(found.st_mode))
		return follow_link(walk);
	walk->way->is_there = S_ISREG(found.st_mode); /* a pipe can be read but once */
	walk->way->is_empty = found.st_size == 0;
	if (walk->way->is_there)
		(void)watch_place(walk, IN_FILE, ""); /* more than its name, which is watched */
	return false;
}

/* The reason for which not all of it is watched, or 0. */
static int find_way(int inotify, const char *path, struct way *ret_way)
{
	struct walk walk = {.inotify = inotify, .way = ret_way};
	char name[NAME_MAX + 1];

	*ret_way = (struct way){0};
	snprintf(walk.place, sizeof walk.place, "%s", *path == '/' ? "/" : ".");
	snprintf(walk.rest, sizeof walk.rest, "%s", path);
	for (size_t i = 0; take_name(&walk, name); i++) {
		if (i == NAMES_MAX)
			return ELOOP;
		if (!step_to(&walk, name))
			break;
	}
	return walk.error;
}

/* ---- watching it ---- */

static void warn(const char *path, int error)
{
	const char *reason =
		error == EMFILE
			? "the limit of open files or fs.inotify.max_user_instances is reached"
		: error == ENOSPC ? "fs.inotify.max_user_watches is reached"
				  : strerror(error);

	log_event(LOG_WARN, "policies_watch_failed", LOG_TEXT("file", path),
		  LOG_TEXT("reason", reason), LOG_TEXT("hint", "SIGHUP reloads"));
}

static bool has_watch(const struct way *way, int wd)
{
	for (size_t i = 0; i < way->count; i++)
		if (way->steps[i].wd == wd)
			return true;
	return false;
}

/* A directory that is on the way as before keeps its watch, so that nothing is missed. */
static void follow(struct file_watch *watch)
{
	struct way before = watch->way;
	int error = find_way(watch->inotify, watch->path, &watch->way);

	for (size_t i = 0; i < before.count; i++)
		if (!has_watch(&watch->way, before.steps[i].wd))
			(void)inotify_rm_watch(watch->inotify, before.steps[i].wd);
	if (error != 0 && !watch->is_warned)
		warn(watch->path, error);
	watch->is_warned = error != 0;
}

/* Without a name it is of the file, or of a whole directory, such as that it is gone. */
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

/* What is being written will be closed; a file begins empty, and a link to one does not. */
static bool is_being_written(const struct way *way, uint32_t events)
{
	return (events & IN_MODIFY) != 0 ||
	       ((events & (IN_CREATE | IN_ATTRIB)) != 0 && way->is_empty);
}

static void take_event(struct file_watch *watch, const struct inotify_event *event)
{
	if (!is_on_the_way(&watch->way, event))
		return;
	if ((event->mask & IN_MODIFY) == 0)
		follow(watch);
	if (is_being_written(&watch->way, event->mask))
		ev_timer_stop(watch->loop, &watch->settle);
	else
		ev_timer_again(watch->loop, &watch->settle);
}

static void take_events(struct file_watch *watch)
{
	_Alignas(struct inotify_event) char events[READ_BYTES];

	for (int i = 0; i < READS_MAX; i++) {
		ssize_t len = read(watch->inotify, events, sizeof events);
		if (len <= 0)
			return;
		for (const char *at = events; at < events + len;) {
			const struct inotify_event *event = (const void *)at;
			take_event(watch, event);
			at += sizeof *event + event->len;
		}
	}
}

static void on_readable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	(void)loop, (void)events;
	take_events(CONTAINER_OF(watcher, struct file_watch, readable));
}

static void on_settled(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct file_watch *watch = CONTAINER_OF(timer, struct file_watch, settle);
	bool is_news = watch->way.is_there || watch->was_there;

	(void)events;
	ev_timer_stop(loop, timer);
	watch->was_there = watch->way.is_there;
	if (is_news)
		watch->changed(watch->owner);
}

void file_watch_catch_up(struct file_watch *watch)
{
	if (watch == NULL)
		return;
	take_events(watch);
	ev_timer_stop(watch->loop, &watch->settle);
	watch->was_there = watch->way.is_there;
}

struct file_watch *file_watch_new(struct ev_loop *loop, const char *path,
				  void (*changed)(void *owner), void *owner)
{
	struct file_watch *watch = malloc(sizeof *watch);

	if (watch == NULL) {
		warn(path, ENOMEM);
		return NULL;
	}
	*watch =
		(struct file_watch){.loop = loop, .path = path, .changed = changed, .owner = owner};
	watch->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->inotify < 0) {
		warn(path, errno);
		free(watch);
		return NULL;
	}
	follow(watch);
	watch->was_there = watch->way.is_there;
	ev_io_init(&watch->readable, on_readable, watch->inotify, EV_READ);
	ev_io_start(loop, &watch->readable);
	ev_init(&watch->settle, on_settled);
	watch->settle.repeat = FILE_WATCH_SETTLE_S;
	return watch;
}

void file_watch_free(struct file_watch *watch)
{
	if (watch == NULL)
		return;
	ev_timer_stop(watch->loop, &watch->settle);
	ev_io_stop(watch->loop, &watch->readable);
	close(watch->inotify);
	free(watch);
}
