#include "base/heap.h"

#include <malloc.h>
#include <stdlib.h>

#include "support/test.h"

#define BLOCKS 10000

/* What waits to be joined is work that some later malloc or free does at once. */
TEST(heap_small_blocks_that_are_freed_leave_no_work_behind)
{
	static void *blocks[BLOCKS];

	heap_set_up();
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(16 + i % 100);
		assert_non_null(blocks[i]);
	}
	for (size_t i = 0; i < BLOCKS; i++)
		free(blocks[i]);

	assert_int_equal(mallinfo2().fsmblks, 0);
}
