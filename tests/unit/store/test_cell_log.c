#include <stdint.h>
#include <stdlib.h>

#include "store/cell_log.h"
#include "support/test.h"

#define CELLS 100000

/* A plain list of what the log must hold. */
struct list_model {
	struct window_entry entries[200000];
	size_t first;
	size_t end;
};

static uint64_t random_state = 42;

static uint64_t random_below(uint64_t max)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (random_state >> 33) % max;
}

static void assert_same(const struct cells *cells, const struct cell_log *log,
			const struct list_model *model)
{
	assert_int_equal(log->count, model->end - model->first);
	for (size_t i = 0; i < log->count; i++) {
		struct window_entry entry = cell_log_entry(cells, log, i);
		assert_int_equal(entry.time_us, model->entries[model->first + i].time_us);
		assert_int_equal(entry.total, model->entries[model->first + i].total);
	}
}

static void append(struct cells *cells, struct cell_log *log, struct list_model *model)
{
	struct window_entry entry = {(int64_t)model->end, (int64_t)model->end * 3};
	uint32_t unused = cells->unused;

	model->entries[model->end++] = entry;
	cell_log_append(cells, log, entry);
	assert_true(unused - cells->unused <= CELL_LOG_APPEND_MAX);
}

static void drop(struct cells *cells, struct cell_log *log, struct list_model *model, size_t count)
{
	model->first += count;
	cell_log_drop(cells, log, count);
}

/* How many cells a log of so many entries may take: leaves, their nodes, and the ends. */
static size_t cells_allowed(size_t entries, uint32_t levels)
{
	return entries / 4 + entries / 48 + 3 * (levels + 1) + 16;
}

static void make_cells(struct cells *cells, uint32_t max)
{
	uint8_t *memory = calloc(max, CELL_BYTES);

	assert_non_null(memory);
	cells_init(cells, memory, max);
}

TEST(log_random_appends_and_drops_match_a_list)
{
	static struct list_model model;
	struct cells cells;
	struct cell_log log = {0};

	make_cells(&cells, CELLS);
	for (int round = 0; round < 2000; round++) {
		size_t appended = random_below(round % 100 == 0 ? 2000 : 60);
		for (size_t i = 0; i < appended && model.end < 200000; i++)
			append(&cells, &log, &model);
		drop(&cells, &log, &model, random_below(log.count + 1));
		assert_same(&cells, &log, &model);
		assert_true(CELLS - 1 - cells.unused <= cells_allowed(log.count, log.levels));
	}
	cell_log_clear(&cells, &log);
	assert_int_equal(cells.unused, CELLS - 1);
	free(cells.memory);
}

TEST(log_of_steady_size_stays_where_it_is)
{
	static struct list_model model;
	struct cells cells;
	struct cell_log log = {0};

	make_cells(&cells, CELLS);
	model.first = model.end = 0;
	for (int i = 0; i < 100; i++)
		append(&cells, &log, &model);
	for (int i = 0; i < 150000; i++) {
		append(&cells, &log, &model);
		drop(&cells, &log, &model, 1);
	}

	assert_true(log.levels <= 3);
	assert_true(CELLS - 1 - cells.unused <= cells_allowed(101, log.levels));
	assert_same(&cells, &log, &model);
	free(cells.memory);
}

TEST(log_of_a_million_entries_has_five_levels)
{
	struct cells cells;
	struct cell_log log = {0};

	make_cells(&cells, 300000);
	for (int64_t i = 0; i < 1000000; i++)
		cell_log_append(&cells, &log, (struct window_entry){i, i});

	assert_int_equal(log.levels, 5);
	assert_int_equal(cell_log_entry(&cells, &log, 999999).time_us, 999999);
	cell_log_clear(&cells, &log);
	assert_int_equal(cells.unused, 299999);
	free(cells.memory);
}
