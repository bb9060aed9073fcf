#include "store/cells.h"

#include <string.h>

#include "base/compiler.h"

void cells_init(struct cells *cells, uint8_t *memory, uint32_t max)
{
	*cells = (struct cells){.memory = memory, .max = max, .touched = 1, .unused = max - 1};
}

uint32_t cells_get(struct cells *cells)
{
	uint32_t cell = cells->free;

	ASSERT(cells->unused > 0);
	cells->unused--;
	if (cell == 0)
		return cells->touched++;
	memcpy(&cells->free, cells_at(cells, cell), sizeof cells->free);
	memset(cells_at(cells, cell), 0, CELL_BYTES);
	return cell;
}

void cells_put(struct cells *cells, uint32_t cell)
{
	memcpy(cells_at(cells, cell), &cells->free, sizeof cells->free);
	cells->free = cell;
	cells->unused++;
}
