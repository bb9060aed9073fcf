/*
 * token_watch.h - reads a file of tokens again when it changes.
 *
 * A file that can't be read, or has a line that is wrong, leaves the tokens that were read last in
 * force, with a line in the log. An --admin-token-file that can be read and has no token opens
 * nothing from then on, so that an operator can take all rights away. When a descriptor is missing,
 * the file is read again after a second.
 */
#ifndef APP_OPERATE_TOKEN_WATCH_H
#define APP_OPERATE_TOKEN_WATCH_H

#include <stdbool.h>

#include "net/http/http_access.h"

struct ev_loop;
struct file_watch;

struct token_watch {
	const char *path;
	bool is_admins;
	struct http_tokens *tokens; /* what is in force */
	struct file_watch *watch;   /* NULL: there is no file, or it can't be watched */
	bool is_tried_again;        /* the last read lacked a descriptor, and that was logged */
};

/* `path` may be NULL: then there is no file. Path and tokens outlive the watch. */
void token_watch_init(struct token_watch *watch, struct ev_loop *loop, const char *path,
		      bool is_admins, struct http_tokens *tokens);
/* `watch` may be all zeros. */
void token_watch_release(struct token_watch *watch);

#endif
