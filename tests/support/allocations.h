/*
 * allocations.h - memory that runs short at a chosen moment.
 *
 * This works in binaries whose name ends in `_allocations`: they are linked so that malloc, calloc
 * and realloc of our code and of the test come through here. A library that is linked dynamically
 * keeps its own functions; a test gives cJSON ours by cJSON_InitHooks.
 *
 *     for (size_t n = 0; !done; n++) {
 *             allocations_fail_at(n);
 *             thing = thing_new();
 *             done = !allocations_end();
 *             ...
 *     }
 */
#ifndef SUPPORT_ALLOCATIONS_H
#define SUPPORT_ALLOCATIONS_H

#include <stdbool.h>
#include <stddef.h>

/* The next `index` allocations succeed, then one fails, and later ones succeed. */
void allocations_fail_at(size_t index);
/* From here on all succeed. Returns whether the allocation that fails was reached. */
bool allocations_end(void);

#endif
