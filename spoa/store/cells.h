/*
 * cells.h - memory in cells of one size, with a ceiling that holds.
 *
 * All that the memory store keeps is made of 64-byte cells (a cache line), named by number; 0 is
 * none. The address space is reserved at start, and a page of it costs memory from its first use
 * on. There is no fragmentation: a cell that is given back serves for anything.
 */
#ifndef STORE_CELLS_H
#define STORE_CELLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#define CELL_BYTES 64

struct cells {
	uint8_t *memory;
	uint32_t max;     /* cells, the unused number 0 included */
	uint32_t touched; /* cells from here on were never used */
	uint32_t free;   /* the first of those given back; each begins with the next one's number */
	uint32_t unused; /* how many cells_take could give */
};

MUST_CHECK bool cells_init(struct cells *cells, uint32_t max);
void cells_release(struct cells *cells);
/* A cell of zeros; there must be one unused. */
uint32_t cells_take(struct cells *cells);
void cells_give_back(struct cells *cells, uint32_t cell);

static inline void *cells_at(const struct cells *cells, uint32_t cell)
{
	return cells->memory + (size_t)cell * CELL_BYTES;
}

#endif
