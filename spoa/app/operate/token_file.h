/*
 * token_file.h - reads the files of --http-token-file and --admin-token-file (docs/reference.md,
 * section Options).
 *
 * --http-token-file: the first line is the token. --admin-token-file: each line is `NAME TOKEN`;
 * empty lines and lines that begin with `#` are skipped.
 *
 * At the start a file without a token is an error. token_watch.h reads the files again.
 */
#ifndef APP_OPERATE_TOKEN_FILE_H
#define APP_OPERATE_TOKEN_FILE_H

#include <stdbool.h>

#include "base/err.h"
#include "net/http/http_access.h"

/* For the start: the file may be a pipe. On failure `err` begins with the option's name. */
MUST_CHECK bool token_file_read_asker(const char *path, struct http_tokens *ret_tokens,
				      struct err *err);
MUST_CHECK bool token_file_read_admins(const char *path, struct http_tokens *ret_tokens,
				       struct err *err);

/* The lines of an --admin-token-file. On failure `err` names the line and shows nothing of it. */
MUST_CHECK bool token_file_parse_admins(struct bytes text, struct http_tokens *ret_tokens,
					struct err *err);

/*
 * These two are for the loop: they take regular files only. *ret_may_pass is set in any case; it is
 * true when the file could not be opened because too many files are open.
 */
MUST_CHECK bool token_file_read_asker_again(const char *path, struct http_tokens *ret_tokens,
					    bool *ret_may_pass, struct err *err);
/* The file may have no token. */
MUST_CHECK bool token_file_read_admins_again(const char *path, struct http_tokens *ret_tokens,
					     bool *ret_may_pass, struct err *err);

#endif
