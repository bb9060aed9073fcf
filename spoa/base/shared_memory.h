/*
 * shared_memory.h - memory that outlives the process which made it, for as long as anybody keeps
 * its descriptor: memfd_create(2).
 *
 * Its size is sealed, so that nobody can cut off what another process has mapped.
 */
#ifndef BASE_SHARED_MEMORY_H
#define BASE_SHARED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct shared_memory {
	int fd;        /* -1: it is somebody else's */
	uint8_t *data; /* mapped */
	size_t size;
};

/*
 * Zeros, which take memory a page at a time from the first use of each page. `name` is for those
 * who look into /proc. False, with errno, when there are none.
 */
MUST_CHECK bool shared_memory_make(struct shared_memory *memory, const char *name, size_t size);
/*
 * Maps what another process has made, to be read only, and takes the descriptor over. False when it
 * is no such memory; then the descriptor stays the caller's.
 */
MUST_CHECK bool shared_memory_map(struct shared_memory *memory, int fd);
/* Writes to the memory itself, also where it is mapped to be read only. */
MUST_CHECK bool shared_memory_put(const struct shared_memory *memory, size_t at, const void *bytes,
				  size_t len);
/* Unmaps the end, at most `most` bytes; `size` is what is left. */
void shared_memory_shrink(struct shared_memory *memory, size_t most);
/* Unmaps all, and closes the descriptor. `memory` may be all zeros. */
void shared_memory_release(struct shared_memory *memory);

#endif
