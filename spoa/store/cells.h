/*
 * cells.h - memory in cells of one size, with a fixed upper limit.
 *
 * All that the memory store keeps is made of cells of 64 bytes (a cache line). A cell is named by
 * its number; 0 means none. The caller reserves the address space at start; a page
 * of it takes memory from its first use on. There is no fragmentation: a cell that is put back
 * serves for any purpose.
 */
#ifndef STORE_CELLS_H
#define STORE_CELLS_H

#include <stddef.h>
#include <stdint.h>

#define CELL_BYTES 64

struct cells {
	uint8_t *memory;
	uint32_t max;     /* cells have the numbers below this one; number 0 is never used */
	uint32_t touched; /* cells from this number on were never used */
	uint32_t free;    /* a cell that was put back; it begins with the number of the next one */
	uint32_t unused;  /* how many times cells_get can be called now */
};

/* `memory` is max * CELL_BYTES zeros, of which the cells own nothing. */
void cells_init(struct cells *cells, uint8_t *memory, uint32_t max);
/* A cell of zeros. There must be one: `unused` is above 0. */
uint32_t cells_get(struct cells *cells);
void cells_put(struct cells *cells, uint32_t cell);

static inline void *cells_at(const struct cells *cells, uint32_t cell)
{
	return cells->memory + (size_t)cell * CELL_BYTES;
}

#endif
