#include "store/balances.h"

#include "base/pool.h"

#define SWEEP_STEPS      4  /* of the index, for each new balance */
#define SWEEP_STEPS_MORE 32 /* when memory is short */
#define INDEX_START      64

_Static_assert(sizeof(struct balance_cell) == CELL_BYTES, "a balance is a cell");

bool balances_init(struct balances *b, uint64_t memory_limit)
{
	uint32_t cells = (uint32_t)(memory_limit / (CELL_BYTES + sizeof *b->index));
	struct balances new = {.index_size = INDEX_START};

	if (!cells_init(&new.cells, cells))
		return false;
	void *index = pages_reserve(cells * sizeof *b->index);
	if (index == NULL) {
		cells_release(&new.cells);
		return false;
	}
	new.index = index;
	randombytes_buf(new.secret, sizeof new.secret);
	*b = new;
	return true;
}

void balances_release(struct balances *b)
{
	pages_release(b->index, b->cells.max * sizeof *b->index);
	cells_release(&b->cells);
}

struct balance_id balances_id(const struct balances *b, struct bytes key)
{
	struct balance_id id;

	crypto_shorthash_siphashx24((unsigned char *)&id, key.data, key.len, b->secret);
	return id;
}

uint64_t balances_bytes(const struct balances *b)
{
	uint64_t cells = b->cells.max - 1 - b->cells.unused;

	return cells * CELL_BYTES + (uint64_t)b->index_size * sizeof *b->index;
}

/* ---- the index ---- */

static uint32_t place_of(const struct balances *b, struct balance_id id)
{
	uint32_t rounded_up = UINT32_C(1) << (32 - __builtin_clz(b->index_size - 1));
	uint32_t place = (uint32_t)id.low & (rounded_up - 1);

	return place < b->index_size ? place : place & (rounded_up / 2 - 1);
}

uint32_t balances_find(const struct balances *b, struct balance_id id)
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

/* ---- the order of use ---- */

static void unlink_use(struct balances *b, uint32_t cell)
{
	struct balance_cell *entry = balances_at(b, cell);

	*(entry->newer != 0 ? &balances_at(b, entry->newer)->older : &b->newest) = entry->older;
	*(entry->older != 0 ? &balances_at(b, entry->older)->newer : &b->oldest) = entry->newer;
}

static void link_as_newest(struct balances *b, uint32_t cell)
{
	struct balance_cell *entry = balances_at(b, cell);

	entry->newer = 0;
	entry->older = b->newest;
	*(b->newest != 0 ? &balances_at(b, b->newest)->newer : &b->oldest) = cell;
	b->newest = cell;
}

void balances_use(struct balances *b, uint32_t cell)
{
	if (b->newest == cell)
		return;
	unlink_use(b, cell);
	link_as_newest(b, cell);
}

/* ---- remembering and forgetting ---- */

static void forget(struct balances *b, uint32_t cell)
{
	struct balance_cell *entry = balances_at(b, cell);

	take_out_of_place(b, cell);
	unlink_use(b, cell);
	if (entry->is_log)
		cell_log_clear(&b->cells, &entry->log);
	cells_put(&b->cells, cell);
	b->count--;
}

static void sweep_places(struct balances *b, uint32_t steps, int64_t now_us)
{
	for (; steps > 0; steps--) {
		b->hand = b->hand + 1 < b->index_size ? b->hand + 1 : 0;
		for (uint32_t cell = b->index[b->hand]; cell != 0;) {
			const struct balance_cell *entry = balances_at(b, cell);
			uint32_t next = entry->chain;
			if (entry->full_us <= now_us)
				forget(b, cell);
			cell = next;
		}
	}
}

uint32_t balances_remember(struct balances *b, struct balance_id id)
{
	uint32_t cell = cells_get(&b->cells);

	balances_at(b, cell)->id = id;
	b->count++;
	if (b->count > b->index_size)
		split_one_place(b);
	put_in_place(b, cell);
	link_as_newest(b, cell);
	b->steps_due += SWEEP_STEPS;
	return cell;
}

void balances_sweep(struct balances *b, int64_t now_us)
{
	sweep_places(b, b->steps_due, now_us);
	b->steps_due = 0;
}

void balances_sweep_more(struct balances *b, int64_t now_us)
{
	sweep_places(b, SWEEP_STEPS_MORE, now_us);
}

void balances_forget_oldest(struct balances *b, int64_t now_us)
{
	b->evicted += balances_at(b, b->oldest)->full_us > now_us;
	forget(b, b->oldest);
}
