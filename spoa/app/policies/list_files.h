/*
 * list_files.h - the list files of a policy file: "@FILE" as a value in a match stands for the
 * lines of that file (docs/reference.md, section Policy file).
 *
 * A line is an address, a network, a text, or a text with stars. `#` begins a comment at the start
 * of a line or after a space. A file that is named several times is read once. What is wrong with a
 * line is told with the number of the line and never with its text, which may be a secret.
 *
 * The names outlive the lines: whoever watches the files wants to know them, also when a file was
 * refused.
 */
#ifndef APP_LIST_FILES_H
#define APP_LIST_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "app/policies/problems.h"
#include "base/bytes.h"
#include "limit/pattern_set.h"

#define LIST_FILES_MAX      64
#define LIST_FILE_MAX_BYTES (256 << 20)
#define LIST_LINES_MAX      1000000 /* without empty ones and comments */
#define LIST_SLOW_MAX       1000    /* lines with another star than one at their end */

struct list_file {
	char *path;                /* of which the end is the name */
	struct pattern_set *lines; /* a reference; NULL when the file was refused, or forgotten */
	uint64_t fingerprint;      /* of its bytes */
};

struct list_files {
	const char *policy_file; /* a path that outlives this; NULL: no file can be named */
	struct list_file *items;
	size_t count;
};

void list_files_init(struct list_files *files, const char *policy_file);
void list_files_release(struct list_files *files);
/* Gives up the lines, which from now on only conditions have. */
void list_files_forget_lines(struct list_files *files);

/*
 * A number that changes when the file of that name is written or replaced, and is 0 while it can't
 * be looked at. The lines have the number that their file had before it was read
 * (pattern_set_source). It costs one system call.
 */
uint64_t list_files_state(const char *policy_file, struct bytes name);
/*
 * The file of a value "@FILE", with its lines, which are good until list_files_forget_lines. NULL
 * when it is refused; the problem was added at `place`, or before, when the file was named first.
 */
const struct list_file *list_files_find(struct list_files *files, const struct place *place,
					struct bytes value);

#endif
