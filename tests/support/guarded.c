#include "support/guarded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define FILLER 0xa5

struct guarded {
	uint8_t *map; /* a forbidden page, the memory, a forbidden page */
	size_t map_len;
	uint8_t *start;
	size_t max;
};

struct guarded *guarded_new(size_t max)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t usable = (max / page + 1) * page;
	struct guarded *g = calloc(1, sizeof *g);

	assert_non_null(g);
	g->map_len = usable + 2 * page;
	g->map = mmap(NULL, g->map_len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(g->map, MAP_FAILED);
	g->start = g->map + page;
	g->max = usable;
	assert_int_equal(mprotect(g->start, usable, PROT_READ | PROT_WRITE), 0);
	return g;
}

void guarded_free(struct guarded *g)
{
	if (g == NULL)
		return;
	munmap(g->map, g->map_len);
	free(g);
}

uint8_t *guarded_room(struct guarded *g, size_t len)
{
	assert_true(len <= g->max);
	memset(g->start, FILLER, g->max);
	return g->start + (g->max - len);
}

struct bytes guarded_copy(struct guarded *g, struct bytes bytes)
{
	uint8_t *room = guarded_room(g, bytes.len);

	if (bytes.len > 0)
		memcpy(room, bytes.data, bytes.len);
	return bytes_from(room, bytes.len);
}

void guarded_assert_front(const struct guarded *g, size_t len)
{
	for (size_t i = 0; i < g->max - len; i++)
		assert_int_equal(g->start[i], FILLER);
}
