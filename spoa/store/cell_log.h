/*
 * cell_log.h - the log of a sliding window, in cells: append at the end, drop from the front, read
 * any entry.
 *
 * The entries stand at positions head .. head + count - 1 of a tree of cells: leaves of 4 entries
 * under nodes of 16 children. Cells that lie whole before the head are put back. When an append
 * reaches the end of the tree, the children of the root are moved to the left over those that are
 * empty; if none is, the tree gets a new root above the old one. So a log takes the cells that its
 * entries need, and reading an entry takes one step for each level: 5 above the leaves for the
 * largest log, of 1,000,000 entries.
 *
 *     level 1:       [ . | a | b | . ...]        head in a, 5 entries
 *     leaves:            [_ _ x x] [x x x _]
 */
#ifndef STORE_CELL_LOG_H
#define STORE_CELL_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "limit/balance.h"
#include "store/cells.h"

struct cell_log {
	uint32_t root; /* 0: the log is empty */
	uint32_t head;
	uint32_t count;
	uint32_t levels; /* levels of nodes above the leaves */
};

/* The most cells that one append needs. */
#define CELL_LOG_APPEND_MAX 8

struct window_entry cell_log_entry(const struct cells *cells, const struct cell_log *log,
				   size_t index);
void cell_log_replace_last(struct cells *cells, struct cell_log *log, struct window_entry entry);
void cell_log_append(struct cells *cells, struct cell_log *log, struct window_entry entry);
void cell_log_drop(struct cells *cells, struct cell_log *log, size_t count);
void cell_log_clear(struct cells *cells, struct cell_log *log);

#endif
