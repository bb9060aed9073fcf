#include "store/cell_log.h"

#include <string.h>

#define LEAF_ENTRIES  4
#define NODE_CHILDREN 16

struct leaf {
	struct window_entry entries[LEAF_ENTRIES];
};

struct node {
	uint32_t children[NODE_CHILDREN];
};

_Static_assert(sizeof(struct leaf) == CELL_BYTES && sizeof(struct node) == CELL_BYTES,
	       "a leaf and a node are a cell each");

/* How many positions a tree of so many levels has. */
static uint32_t span_of(uint32_t levels)
{
	return (uint32_t)LEAF_ENTRIES << (4 * levels);
}

static struct window_entry *entry_at(const struct cells *cells, const struct cell_log *log,
				     uint32_t position)
{
	uint32_t cell = log->root;

	for (uint32_t level = log->levels; level > 0; level--) {
		const struct node *node = cells_at(cells, cell);
		cell = node->children[position / span_of(level - 1)];
		position %= span_of(level - 1);
	}
	struct leaf *leaf = cells_at(cells, cell);
	return &leaf->entries[position];
}

struct window_entry cell_log_entry(const struct cells *cells, const struct cell_log *log,
				   size_t index)
{
	return *entry_at(cells, log, log->head + (uint32_t)index);
}

void cell_log_replace_last(struct cells *cells, struct cell_log *log, struct window_entry entry)
{
	*entry_at(cells, log, log->head + log->count - 1) = entry;
}

static void free_tree(struct cells *cells, uint32_t cell, uint32_t levels)
{
	if (cell == 0)
		return;
	if (levels > 0) {
		const struct node *node = cells_at(cells, cell);
		for (size_t i = 0; i < NODE_CHILDREN; i++)
			free_tree(cells, node->children[i], levels - 1);
	}
	cells_put(cells, cell);
}

void cell_log_clear(struct cells *cells, struct cell_log *log)
{
	free_tree(cells, log->root, log->levels);
	*log = (struct cell_log){0};
}

/* Puts back the cells that lie whole before `position`: at each level those left of its path. */
static void free_before(struct cells *cells, const struct cell_log *log, uint32_t position)
{
	uint32_t cell = log->root;

	for (uint32_t level = log->levels; level > 0; level--) {
		struct node *node = cells_at(cells, cell);
		uint32_t kept = position / span_of(level - 1);
		for (uint32_t i = 0; i < kept; i++) {
			free_tree(cells, node->children[i], level - 1);
			node->children[i] = 0;
		}
		cell = node->children[kept];
		position %= span_of(level - 1);
	}
}

void cell_log_drop(struct cells *cells, struct cell_log *log, size_t count)
{
	if (count == 0)
		return;
	if (count == log->count) {
		cell_log_clear(cells, log);
		return;
	}
	log->head += (uint32_t)count;
	log->count -= (uint32_t)count;
	free_before(cells, log, log->head);
}

/* How many positions a child of the root has; one when the root is a leaf. */
static uint32_t step_of(const struct cell_log *log)
{
	return log->levels == 0 ? 1 : span_of(log->levels - 1);
}

/* Moves the children of the root, or the entries of a leaf, to the left over the empty ones. */
static void shift_left(struct cells *cells, struct cell_log *log)
{
	uint32_t empty = log->head / step_of(log);
	size_t size = log->levels == 0 ? sizeof(struct window_entry) : sizeof(uint32_t);
	uint8_t *root = cells_at(cells, log->root);

	memmove(root, root + empty * size, CELL_BYTES - empty * size);
	memset(root + CELL_BYTES - empty * size, 0, empty * size);
	log->head -= empty * step_of(log);
}

static void add_level(struct cells *cells, struct cell_log *log)
{
	uint32_t cell = cells_get(cells);
	struct node *node = cells_at(cells, cell);

	node->children[0] = log->root;
	log->root = cell;
	log->levels++;
}

static void extend(struct cells *cells, struct cell_log *log)
{
	if (log->root == 0)
		log->root = cells_get(cells);
	if (log->head + log->count < span_of(log->levels))
		return;
	if (log->head >= step_of(log))
		shift_left(cells, log);
	else
		add_level(cells, log);
}

static void make_path(struct cells *cells, const struct cell_log *log, uint32_t position)
{
	uint32_t cell = log->root;

	for (uint32_t level = log->levels; level > 0; level--) {
		struct node *node = cells_at(cells, cell);
		uint32_t child = position / span_of(level - 1);
		if (node->children[child] == 0)
			node->children[child] = cells_get(cells);
		cell = node->children[child];
		position %= span_of(level - 1);
	}
}

void cell_log_append(struct cells *cells, struct cell_log *log, struct window_entry entry)
{
	extend(cells, log);
	make_path(cells, log, log->head + log->count);
	log->count++;
	cell_log_replace_last(cells, log, entry);
}
