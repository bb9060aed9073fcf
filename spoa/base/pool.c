#include "base/pool.h"

#include <string.h>
#include <sys/mman.h>

void *pages_reserve(size_t size)
{
	void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return pages == MAP_FAILED ? NULL : pages;
}

void pages_release(void *pages, size_t size)
{
	if (pages != NULL)
		munmap(pages, size);
}

bool pool_init(struct pool *pool, size_t slot_size, size_t max)
{
	size_t size;

	ASSERT(slot_size >= sizeof(void *) && slot_size % sizeof(void *) == 0);
	if (__builtin_mul_overflow(slot_size, max, &size))
		return false;
	void *slots = pages_reserve(size);
	if (slots == NULL)
		return false;
	*pool = (struct pool){.slots = slots, .slot_size = slot_size, .max = max};
	return true;
}

void pool_release(struct pool *pool)
{
	pages_release(pool->slots, pool->slot_size * pool->max);
	*pool = (struct pool){0};
}

void *pool_get(struct pool *pool)
{
	void *slot = pool->free;

	if (slot != NULL) {
		memcpy(&pool->free, slot, sizeof pool->free);
		return slot;
	}
	if (pool->touched == pool->max)
		return NULL;
	return pool->slots + pool->slot_size * pool->touched++;
}

void pool_put(struct pool *pool, void *slot)
{
	memcpy(slot, &pool->free, sizeof pool->free);
	pool->free = slot;
}
