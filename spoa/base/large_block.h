/*
 * large_block.h - frees a block of any size in pieces.
 *
 * The kernel takes about 0.1 ms to take back 1 MiB, so free() of a table of 100 MiB takes 10 ms. A
 * caller that must not wait for so long cuts such a block down first, one piece at a time:
 *
 *     if (large_block_is_large(block))
 *             block = large_block_shrink(block); // and comes back later
 *     else
 *             free(block);
 */
#ifndef BASE_LARGE_BLOCK_H
#define BASE_LARGE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

#define LARGE_BLOCK_PIECE_BYTES ((size_t)1 << 20)

/* Whether malloc's block has more than LARGE_BLOCK_PIECE_BYTES. NULL has not. */
bool large_block_is_large(void *block);
/*
 * Gives that many bytes at the end of a large block back. Returns the block, which may have moved,
 * or NULL when all of it is free.
 */
MUST_CHECK void *large_block_shrink(void *block);

#endif
