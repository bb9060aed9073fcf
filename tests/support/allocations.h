/*
 * allocations.h - memory that runs short at a chosen moment.
 *
 * For binaries whose name ends in `_allocations`: those are linked so that malloc, calloc and
 * realloc of our code, and of the test, come through here. A library that is linked dynamically
 * keeps its own; cJSON takes ours by cJSON_InitHooks, where `malloc` is written.
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

/* From here on the allocation with so many before it fails, once. */
void allocations_fail_at(size_t index);
/* All succeed again. Whether that allocation was reached. */
bool allocations_end(void);

#endif
