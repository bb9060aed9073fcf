/*
 * err.h - why something was refused, in one line that names the place and what is accepted.
 *
 * Where a failure has more than one cause, the function takes a `struct err *` last and fills it
 * before it returns false. What comes from outside is put in with quoted(), which escapes it.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/compiler.h"

#define ERR_TEXT_MAX 512

struct err {
	char text[ERR_TEXT_MAX];
};

/* Sets the text and returns false, so that `return err_set(...)` reads as what it is. */
bool err_set(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);
/* Puts the place, with what separates it, before the text that is there. */
bool err_at(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

#define QUOTED_MAX 80

struct quoted {
	char text[QUOTED_MAX];
};

/* The bytes in double quotes with everything but printable ASCII escaped, shortened with "...". */
struct quoted quoted(struct bytes bytes);
/* As it is when it consists of letters, digits, `.`, `_` and `-` and fits, else quoted: for names.
 */
struct quoted quoted_unless_plain(struct bytes name);

#endif
