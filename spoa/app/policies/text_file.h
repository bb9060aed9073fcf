/*
 * text_file.h - reads a regular file whole. A pipe or a device is refused, because to read it could
 * take for ever.
 */
#ifndef APP_TEXT_FILE_H
#define APP_TEXT_FILE_H

#include <stddef.h>

#include "base/compiler.h"

/*
 * The bytes of a file of less than `max_bytes`, for the caller to free. NULL, with errno set, when
 * it can't be read: EFBIG when it is larger, EINVAL when it is no regular file.
 */
MUST_CHECK char *text_file_read(const char *path, size_t max_bytes, size_t *ret_len);

#endif
