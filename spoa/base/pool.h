/*
 * pool.h - slots of one size, all promised at start and touched only when used.
 *
 * The address space is reserved once. The slot that came back last is given out first, so that a
 * steady load uses the same few slots, which are in the cache. A slot holds what its last user left
 * in it, or zeros.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/*
 * Address space for `size` bytes, all 0, that costs memory a page at a time from the first use of
 * each page; NULL when there is not so much of it. pages_release takes NULL.
 */
void *pages_reserve(size_t size);
void pages_release(void *pages, size_t size);

struct pool {
	uint8_t *slots;
	size_t slot_size; /* at least a pointer */
	size_t max;
	size_t touched; /* slots from here on were never used */
	void *free;     /* each free slot begins with a pointer to the next */
};

MUST_CHECK bool pool_init(struct pool *pool, size_t slot_size, size_t max);
void pool_release(struct pool *pool);
/* NULL when all are in use. */
void *pool_get(struct pool *pool);
void pool_put(struct pool *pool, void *slot);

#endif
