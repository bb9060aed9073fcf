#include "store/balances.h"

#include "base/pool.h"

#define LOOKS       4  /* for each new balance */
#define DUE_SHIFT   16 /* struct balance_due */
#define PAGE_BYTES  4096
#define FULL_US_MAX ((INT64_C(1) << 53) - 1) /* what the cell has room for */

_Static_assert(sizeof(struct balance_cell) == CELL_BYTES, "a balance is a cell");
_Static_assert(ALGORITHM_COUNT <= 4, "balance_cell has 2 bits for the algorithm");

/* ---- the memory ---- */

static size_t to_next_page(size_t at)
{
	return (at + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

struct balances_places balances_places(uint32_t cells_max)
{
	struct balances_places places = {.cells = BALANCES_HEAD_BYTES};

	places.index = to_next_page(places.cells + (size_t)cells_max * CELL_BYTES);
	places.due = to_next_page(places.index + cells_max * sizeof(uint32_t));
	places.end = to_next_page(places.due + cells_max * sizeof(struct balance_due));
	return places;
}

uint32_t balances_cells_max(uint64_t memory_limit)
{
	return (uint32_t)(memory_limit / BALANCE_BYTES);
}

void balances_init_on(struct balances *b, uint8_t *memory, uint32_t cells_max)
{
	struct balances_places places = balances_places(cells_max);

	*b = (struct balances){
		.memory = memory,
		.memory_bytes = places.end,
		.index = (uint32_t *)(memory + places.index),
		.index_size = BALANCES_INDEX_START,
		.due = (struct balance_due *)(memory + places.due),
		.due_base_us = INT64_MIN,
	};
	cells_init(&b->cells, memory + places.cells, cells_max);
}

bool balances_init(struct balances *b, uint64_t memory_limit)
{
	uint32_t cells_max = balances_cells_max(memory_limit);
	uint8_t *memory = pages_reserve(balances_places(cells_max).end);

	if (memory == NULL)
		return false;
	balances_init_on(b, memory, cells_max);
	return true;
}

void balances_release(struct balances *b)
{
	pages_release(b->memory, b->memory_bytes);
}

uint64_t balances_bytes(const struct balances *b)
{
	uint64_t cells = b->cells.max - 1 - b->cells.unused;

	return cells * CELL_BYTES + (uint64_t)b->index_size * sizeof *b->index +
	       (uint64_t)b->due_count * sizeof *b->due;
}

/* ---- the index ---- */

static uint32_t place_of(const struct balances *b, struct key_hash id)
{
	return balances_place_of(b->index_size, id);
}

void balances_expect(struct balances *b, uint64_t count)
{
	ASSERT(b->count == 0);
	if (count > b->cells.max)
		count = b->cells.max;
	if (count > b->index_size)
		b->index_size = (uint32_t)count;
}

void balances_prefetch(const struct balances *b, struct key_hash id)
{
	__builtin_prefetch(&b->index[place_of(b, id)]);
}

uint32_t balances_find(const struct balances *b, struct key_hash id)
{
	uint32_t cell = b->index[place_of(b, id)];

	while (cell != 0) {
		const struct balance_cell *entry = balances_at(b, cell);
		if (entry->id.low == id.low && entry->id.high == id.high)
			break;
		cell = entry->chain;
	}
	return cell;
}

static void put_in_place(struct balances *b, uint32_t cell)
{
	struct balance_cell *entry = balances_at(b, cell);
	uint32_t *place = &b->index[place_of(b, entry->id)];

	entry->chain = *place;
	*place = cell;
}

/* Makes one more place, and divides the chain of the place that had its share until now. */
static void split_one_place(struct balances *b)
{
	uint32_t below = UINT32_C(1) << (31 - __builtin_clz(b->index_size));
	uint32_t *split = &b->index[b->index_size - below];
	uint32_t cell = *split;

	*split = 0;
	b->index_size++;
	while (cell != 0) {
		uint32_t next = balances_at(b, cell)->chain;
		put_in_place(b, cell);
		cell = next;
	}
}

static void take_out_of_place(struct balances *b, uint32_t cell)
{
	uint32_t *link = &b->index[place_of(b, balances_at(b, cell)->id)];

	while (*link != cell)
		link = &balances_at(b, *link)->chain;
	*link = balances_at(b, cell)->chain;
}

/* ---- the classes ---- */

/*
 * The balance and the leaves of its log. A log is changed only while its balance is held, so a
 * balance leaves its class with as many cells as it came with.
 */
static uint32_t cells_of(const struct balance_cell *entry)
{
	return 1 + (entry->is_log ? (entry->log.count + 3) / 4 : 0);
}

static void leave_class(struct balances *b, const struct balance_cell *entry)
{
	struct balance_class *class = &b->classes[entry->share];

	*(entry->newer != 0 ? &balances_at(b, entry->newer)->older : &class->newest) = entry->older;
	*(entry->older != 0 ? &balances_at(b, entry->older)->newer : &class->oldest) = entry->newer;
	class->cells -= cells_of(entry);
}

static void enter_class(struct balances *b, uint32_t cell)
{
	struct balance_cell *entry = balances_at(b, cell);
	struct balance_class *class = &b->classes[entry->share];

	entry->newer = 0;
	entry->older = class->newest;
	*(class->newest != 0 ? &balances_at(b, class->newest)->newer : &class->oldest) = cell;
	class->newest = cell;
	class->cells += cells_of(entry);
}

static void enter_class_as_oldest(struct balances *b, uint32_t cell)
{
	struct balance_cell *entry = balances_at(b, cell);
	struct balance_class *class = &b->classes[entry->share];

	entry->older = 0;
	entry->newer = class->oldest;
	*(class->oldest != 0 ? &balances_at(b, class->oldest)->older : &class->newest) = cell;
	class->oldest = cell;
	class->cells += cells_of(entry);
}

void balances_hold(struct balances *b, uint32_t cell)
{
	struct balance_cell *entry = balances_at(b, cell);

	if (entry->is_held)
		return;
	leave_class(b, entry);
	entry->is_held = true;
}

void balances_set_share(struct balances *b, uint32_t cell, int64_t remaining, int64_t limit)
{
	struct balance_cell *entry = balances_at(b, cell);
	int64_t sixteenths = (limit - remaining) * BALANCE_CLASSES / limit;

	ASSERT(entry->is_held && sixteenths >= 0);
	if (sixteenths >= BALANCE_CLASSES)
		sixteenths = BALANCE_CLASSES - 1; /* nothing is left */
	entry->share = (uint64_t)sixteenths & (BALANCE_CLASSES - 1);
}

void balances_let_go(struct balances *b, uint32_t cell)
{
	balances_at(b, cell)->is_held = false;
	enter_class(b, cell);
}

void balances_let_go_as_oldest(struct balances *b, uint32_t cell)
{
	balances_at(b, cell)->is_held = false;
	enter_class_as_oldest(b, cell);
}

/* ---- the heap of those that will be full ---- */

/* Rounded up, so that a balance that is due is full, unless it was used since. */
static uint32_t when_of(const struct balances *b, int64_t full_us)
{
	int64_t when = ((full_us - b->due_base_us) >> DUE_SHIFT) + 1;

	if (when < 0)
		return 0;
	return when < UINT32_MAX ? (uint32_t)when : UINT32_MAX;
}

static void put_due(struct balances *b, uint32_t at, struct balance_due due)
{
	b->due[at] = due;
	balances_at(b, due.cell)->due_at = at;
}

static void sift_up(struct balances *b, uint32_t at, struct balance_due due)
{
	for (; at > 1 && b->due[at / 2].when > due.when; at /= 2)
		put_due(b, at, b->due[at / 2]);
	put_due(b, at, due);
}

static void sift_down(struct balances *b, uint32_t at, struct balance_due due)
{
	for (uint32_t child; (child = 2 * at) <= b->due_count; at = child) {
		if (child < b->due_count && b->due[child + 1].when < b->due[child].when)
			child++;
		if (b->due[child].when >= due.when)
			break;
		put_due(b, at, b->due[child]);
	}
	put_due(b, at, due);
}

static void remove_due(struct balances *b, uint32_t at)
{
	struct balance_due last = b->due[b->due_count--];

	if (at > b->due_count)
		return;
	if (at > 1 && b->due[at / 2].when > last.when)
		sift_up(b, at, last);
	else
		sift_down(b, at, last);
}

/*
 * Most writes make a balance full later than before. Then the heap is left as it is, and the
 * balance gets its new place when it comes to the top.
 */
void balances_set_full(struct balances *b, uint32_t cell, int64_t full_us)
{
	struct balance_cell *entry = balances_at(b, cell);
	bool is_later = full_us >= entry->full_us;

	ASSERT(entry->is_held);
	entry->full_us = full_us < FULL_US_MAX ? full_us : FULL_US_MAX;
	if (entry->due_at == 0)
		sift_up(b, ++b->due_count, (struct balance_due){cell, when_of(b, full_us)});
	else if (!is_later && when_of(b, full_us) < b->due[entry->due_at].when)
		sift_up(b, entry->due_at, (struct balance_due){cell, when_of(b, full_us)});
}

/* ---- remembering and forgetting ---- */

uint32_t balances_remember(struct balances *b, struct key_hash id)
{
	uint32_t cell = cells_get(&b->cells);

	balances_at(b, cell)->id = id;
	balances_at(b, cell)->is_held = true;
	b->count++;
	if (b->count > b->index_size)
		split_one_place(b);
	put_in_place(b, cell);
	b->looks_due += LOOKS;
	return cell;
}

/* The same place in the index, since `low` says which it is. */
struct key_hash balances_grant_id(struct key_hash id)
{
	return (struct key_hash){.low = id.low, .high = ~id.high};
}

uint32_t balances_remember_grant(struct balances *b, struct key_hash id)
{
	uint32_t cell = balances_remember(b, id);

	balances_at(b, cell)->is_grant = true;
	b->grants++;
	return cell;
}

void balances_forget(struct balances *b, uint32_t cell)
{
	struct balance_cell *entry = balances_at(b, cell);

	take_out_of_place(b, cell);
	if (!entry->is_held)
		leave_class(b, entry);
	if (entry->due_at != 0)
		remove_due(b, entry->due_at);
	if (entry->is_log)
		cell_log_clear(&b->cells, &entry->log);
	b->grants -= entry->is_grant;
	cells_put(&b->cells, cell);
	b->count--;
}

void balances_forget_full(struct balances *b, int64_t now_us, unsigned max)
{
	if (b->due_base_us == INT64_MIN)
		b->due_base_us = now_us;
	for (; max > 0 && b->due_count > 0; max--) {
		struct balance_due due = b->due[1];
		if (due.when >= when_of(b, now_us))
			return;
		int64_t full_us = balances_at(b, due.cell)->full_us;
		if (full_us <= now_us)
			balances_forget(b, due.cell);
		else /* it was used since */
			sift_down(b, 1, (struct balance_due){due.cell, when_of(b, full_us)});
	}
}

void balances_forget_due(struct balances *b, int64_t now_us)
{
	balances_forget_full(b, now_us, b->looks_due);
	b->looks_due = 0;
}

int balances_class_to_forget(const struct balances *b)
{
	int first = -1;

	for (int i = 0; i < BALANCE_CLASSES; i++) {
		if (b->classes[i].cells > b->cells.max / 32)
			return i;
		if (first < 0 && b->classes[i].cells > 0)
			first = i;
	}
	return first;
}

bool balances_forget_one(struct balances *b, int64_t now_us)
{
	int class = balances_class_to_forget(b);

	if (class < 0)
		return false;
	uint32_t oldest = b->classes[class].oldest;
	b->evicted += balances_at(b, oldest)->full_us > now_us;
	balances_forget(b, oldest);
	return true;
}
