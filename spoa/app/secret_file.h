/*
 * secret_file.h - reads a secret from the first line of a file, or a file of several secrets.
 * Secrets are no flags, because everybody on the machine can read a command line.
 */
#ifndef APP_SECRET_FILE_H
#define APP_SECRET_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/err.h"

/*
 * The secret has at least one byte and at most `max` - 1. `err` names the file, and shows nothing
 * of its content. The file may be a pipe, whose writer this waits for, at most 5 s: only the start
 * calls this.
 */
MUST_CHECK bool secret_file_read(const char *path, char *ret_secret, size_t max, struct err *err);
/*
 * The same from the loop, which must not wait: takes regular files only. *ret_may_pass is set in
 * any case; it is true when the file could not be opened because too many files are open.
 */
MUST_CHECK bool secret_file_read_again(const char *path, char *ret_secret, size_t max,
				       bool *ret_may_pass, struct err *err);

/*
 * These two read the whole file, of at most `max` bytes, which may be empty. The second one is for
 * the loop.
 */
MUST_CHECK bool secret_file_read_whole(const char *path, char *ret_text, size_t max,
				       size_t *ret_len, struct err *err);
MUST_CHECK bool secret_file_read_whole_again(const char *path, char *ret_text, size_t max,
					     size_t *ret_len, bool *ret_may_pass, struct err *err);

#endif
