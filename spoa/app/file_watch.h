/*
 * file_watch.h - says that a file has changed: written and closed, renamed, or led to by another
 * symbolic link. By inotify; nothing is polled.
 *
 * Every name that the way to the file leads through is watched in its directory, and after each
 * event the way is gone anew. For a ConfigMap of Kubernetes' that is
 *
 *     / etc, /etc rl, /etc/rl policies.json -> ..data/policies.json, /etc/rl ..data -> ..2026_1,
 *     /etc/rl ..2026_1, /etc/rl/..2026_1 policies.json, and that file itself
 *
 * so that the swap of `..data` is seen, a directory that is made anew or another release that is
 * linked to, a file that is away for a moment, and (by the file itself) one that is mounted alone.
 * What happens to other names does not count, nor does a file that is being written: that counts
 * when it is closed.
 *
 * It says so FILE_WATCH_SETTLE_S after the last event. It reads no file: who is told looks, and may
 * find what it knows already. It stays silent when the file is still not there.
 *
 * What can't be watched (no inotify, its limits, a directory that must not be read) is one line
 * `policies_watch_failed` in the log, and the rest is watched. Not seen is what happened before
 * there was a watch, what is written by mmap after the file is closed, and on network file systems
 * what other machines do.
 */
#ifndef APP_FILE_WATCH_H
#define APP_FILE_WATCH_H

#include "base/compiler.h"

#define FILE_WATCH_SETTLE_S 0.1

struct ev_loop;
struct file_watch;

/*
 * `path` outlives it. `changed` is called from the loop. NULL, and a line in the log, when it can't
 * watch anything.
 */
MUST_CHECK struct file_watch *file_watch_new(struct ev_loop *loop, const char *path,
					     void (*changed)(void *owner), void *owner);
void file_watch_free(struct file_watch *watch);

/* What happened until now is known: `changed` is not called for it. NULL is taken. */
void file_watch_catch_up(struct file_watch *watch);

#endif
