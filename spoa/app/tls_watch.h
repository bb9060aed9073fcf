/*
 * tls_watch.h - tells the store when a file of TLS has changed: the CAs, our certificate, or its
 * key. Whoever renews a certificate writes two files, one after the other. After the first change
 * certificate and key do not fit together, and the store keeps the old pair; after the second change
 * the store takes the new pair.
 */
#ifndef APP_TLS_WATCH_H
#define APP_TLS_WATCH_H

#include <stdbool.h>
#include <sys/stat.h>

#include "store/redis/redis_target.h"

#define TLS_WATCH_FILES 3

struct ev_loop;
struct file_watch;
struct store;

struct tls_watch {
	struct store *store;
	struct stat noted[TLS_WATCH_FILES]; /* as the files were at tls_watch_note; zeros: none */
	bool is_tried_again;                /* the last read lacked a descriptor or a thread */
	struct file_watch
		*watches[TLS_WATCH_FILES]; /* NULL: no such file, or it can't be watched */
};

/*
 * Called before the store reads the files for the first time: tls_watch_init has them read again
 * when they have changed since then. `watch` is all zeros.
 */
void tls_watch_note(struct tls_watch *watch, const struct redis_tls_files *files);
/* Files and store outlive the watch. The system's CAs are not watched. */
void tls_watch_init(struct tls_watch *watch, struct ev_loop *loop,
		    const struct redis_tls_files *files, struct store *store);
/*
 * The store has read the files, or failed to. When the failure may pass, the watch has the files
 * read again after a second. False when the same was so the last time, and needs no further line
 * in the log.
 */
bool tls_watch_take_result(struct tls_watch *watch, bool may_pass);
/* `watch` may be all zeros. */
void tls_watch_release(struct tls_watch *watch);

#endif
