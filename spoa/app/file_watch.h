/*
 * file_watch.h - tells its owner when a file has changed: written and closed, renamed, or reached
 * by another symbolic link. It uses inotify; nothing is polled.
 *
 * The owner is told FILE_WATCH_SETTLE_S after the last event, and FILE_WATCH_LATEST_S after the
 * first one if there is always another. Once told, the owner can hold the watch, so that a file
 * that is touched all the time does not keep it busy all the time. The watch reads no file: the
 * owner does, and may find that nothing is different. The owner is not told while the file does not
 * exist and did not exist before.
 *
 * A place that can't be watched (without inotify, at its limits, in a directory that must not be
 * read) is one line in the log (`policies_watch_failed`, or `file_watch_failed`), and the other
 * places are watched. When there is no descriptor for inotify, the watch tries again until there is
 * one (`policies_watched`, or `file_watched`). Some changes are never seen: those from before the
 * watch, those that are written through mmap after the file is closed, and those that other
 * machines make on a network file system.
 */
#ifndef APP_FILE_WATCH_H
#define APP_FILE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#define FILE_WATCH_SETTLE_S 0.1
#define FILE_WATCH_LATEST_S 1.0
#define FILE_WATCH_RETRY_S  1.0 /* for file_watch_tell_in, after a read that may succeed then */
#define FILE_WATCH_HELD     INT64_MAX /* until file_watch_hold says another time */

struct ev_loop;
struct file_watch;

/*
 * Watches the policy file. `path` outlives the watch. `changed` is called from the loop. NULL, and
 * a line in the log, when nothing can be watched.
 */
MUST_CHECK struct file_watch *file_watch_new_policies(struct ev_loop *loop, const char *path,
						      void (*changed)(void *owner), void *owner);
/* The same for any other file, which SIGHUP does not read again: the log says so. */
MUST_CHECK struct file_watch *file_watch_new_other(struct ev_loop *loop, const char *path,
						   void (*changed)(void *owner), void *owner);
void file_watch_free(struct file_watch *watch);
/*
 * From now on these files are watched beside the one of `path`, and no others; the owner is told of
 * all in the same way. The paths are copied. Of a file that was not watched before the owner may
 * have missed a change: true when there is such a file, so that the owner can ask to be told
 * (file_watch_tell_in). `watch` may be NULL.
 */
bool file_watch_set_others(struct file_watch *watch, const char *const *paths, size_t count);

/* The owner knows all that happened until now, and is not told of it. `watch` may be NULL. */
void file_watch_catch_up(struct file_watch *watch);
/*
 * The owner is told nothing until that moment on the monotonic clock. What happens until then is
 * told after it. `watch` may be NULL.
 */
void file_watch_hold(struct file_watch *watch, int64_t until_us);
/*
 * The owner is told after that time as though the file had changed, once: because the file could
 * not be read, or may have changed before it was watched. Until then other changes wait. `watch`
 * may be NULL.
 */
void file_watch_tell_in(struct file_watch *watch, double seconds);

#endif
