/* Large blocks are freed in pieces. */
#include "base/large_block.h"

#include <malloc.h>
#include <stdlib.h>

#include "support/test.h"

TEST(large_block_a_small_block_and_none_are_not_large)
{
	void *block = malloc(1000);

	assert_false(large_block_is_large(NULL));
	assert_false(large_block_is_large(block));
	free(block);
}

TEST(large_block_shrink_takes_a_piece_at_a_time)
{
	void *block = malloc(5 * LARGE_BLOCK_PIECE_BYTES);
	size_t pieces = 0;

	while (large_block_is_large(block)) {
		size_t before = malloc_usable_size(block);
		block = large_block_shrink(block);
		assert_true(before - malloc_usable_size(block) < 2 * LARGE_BLOCK_PIECE_BYTES);
		pieces++;
	}

	assert_in_range(pieces, 4, 5);
	free(block);
}
