/*
 * pool.h - slots of one size, all promised at start and touched only when used.
 *
 * The address space is reserved once; a page of it costs memory from its first use on. Slots come
 * back last in first out, so that a steady load stays in the same few that are in the cache. The
 * content of a slot is what its last user left there, or zero.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

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
