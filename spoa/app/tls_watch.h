/*
 * tls_watch.h - tells the store when a file of TLS has changed: the CAs, our certificate, or its
 * key. Certificate and key are two files that change one after the other. While they do not fit
 * together the store keeps those from before, and the second change brings both.
 */
#ifndef APP_TLS_WATCH_H
#define APP_TLS_WATCH_H

#include "store/redis/redis_target.h"

#define TLS_WATCH_FILES 3

struct ev_loop;
struct file_watch;
struct store;

struct tls_watch {
	struct store *store;
	struct file_watch
		*watches[TLS_WATCH_FILES]; /* NULL: no such file, or it can't be watched */
};

/* Files and store outlive the watch. The system's CAs are not watched. */
void tls_watch_init(struct tls_watch *watch, struct ev_loop *loop,
		    const struct redis_tls_files *files, struct store *store);
/* `watch` may be all zeros. */
void tls_watch_release(struct tls_watch *watch);

#endif
