/*
 * secret_file.h - a secret that stands in a file: its first line. A command line is seen by
 * everybody on the machine.
 */
#ifndef APP_SECRET_FILE_H
#define APP_SECRET_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/err.h"

/* At most `max` - 1 bytes, and at least one. `err` names the file, and nothing that is in it. */
MUST_CHECK bool secret_file_read(const char *path, char *ret_secret, size_t max, struct err *err);

#endif
