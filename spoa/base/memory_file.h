/*
 * memory_file.h - a text of any length that is written by stdio, into memory that grows.
 *
 *     struct memory_file file;
 *     if (memory_file_begin(&file))
 *             fprintf(file.to, ...);
 *     char *text = memory_file_end(&file);     file.len is its length
 *
 * Between begin and end the struct must not move.
 */
#ifndef BASE_MEMORY_FILE_H
#define BASE_MEMORY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/compiler.h"

struct memory_file {
	FILE *to; /* NULL: memory is short, or it has ended */
	char *text;
	size_t len;
};

/* False when memory is short. memory_file_end is called all the same. */
MUST_CHECK bool memory_file_begin(struct memory_file *file);
/*
 * Returns the text, which is the caller's to free and has a NUL behind it. NULL when memory was
 * short at any time since the begin.
 */
MUST_CHECK char *memory_file_end(struct memory_file *file);

#endif
