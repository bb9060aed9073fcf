/*
 * password_watch.h - reads RATELIMIT_REDIS_PASSWORD_FILE, or that of the Sentinels, again when the
 * file changes, and tells the store the new password. A file that can't be read, or has no
 * password, leaves the one in force that was read last, with a line in the log. When a descriptor
 * is missing, the file is read again after a second.
 */
#ifndef APP_PASSWORD_WATCH_H
#define APP_PASSWORD_WATCH_H

#include <stdbool.h>

struct ev_loop;
struct file_watch;
struct store;

/* Whose password it is: store_set_password or store_set_sentinel_password. */
typedef void password_set_fn(struct store *store, const char *password);

struct password_watch {
	const char *path;
	struct store *store;
	password_set_fn *set;
	struct file_watch *watch; /* NULL: there is no file, or it can't be watched */
	bool is_tried_again;      /* the last read lacked a descriptor, and that was logged */
};

/* `path` may be NULL: then there is no file. Path and store outlive the watch. */
void password_watch_init(struct password_watch *watch, struct ev_loop *loop, const char *path,
			 struct store *store, password_set_fn *set);
/* `watch` may be all zeros. */
void password_watch_release(struct password_watch *watch);

#endif
