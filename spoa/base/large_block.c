#include "base/large_block.h"

#include <malloc.h>
#include <stdlib.h>

bool large_block_is_large(void *block)
{
	return malloc_usable_size(block) > LARGE_BLOCK_PIECE_BYTES;
}

/* A block of this size is a mapping of its own, and realloc cuts the end of it off. */
void *large_block_shrink(void *block)
{
	void *left = realloc(block, malloc_usable_size(block) - LARGE_BLOCK_PIECE_BYTES);

	if (left == NULL)
		free(block);
	return left;
}
