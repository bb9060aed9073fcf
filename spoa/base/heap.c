#include "base/heap.h"

#include <malloc.h>

#define LARGE_BYTES 32768

void heap_set_up(void)
{
	/* Large buffers go back to the system when many connections have ended. */
	(void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
	/*
	 * glibc keeps small blocks that were freed in lists, and joins them with their neighbours
	 * all at once, inside the next malloc or free of a large block. After a set of 10,000
	 * policies was freed in slices of 1 ms, one such call took another 3 to 4 ms, in the middle
	 * of the answers. Without these lists every free joins its own block. (Each thread keeps 7
	 * blocks of a size besides, so what requests allocate and free costs the same as before.)
	 */
	(void)mallopt(M_MXFAST, 0);
}
