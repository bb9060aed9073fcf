#include "store/memory.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "limit/request.h"
#include "store/cell_log.h"
#include "store/cells.h"

#define SWEEP_STEPS        4  /* of the index, at each new balance */
#define SWEEP_STEPS_NEEDED 32 /* when memory is full */
#define INDEX_START        64

/* The hash of a key; the secret of the process makes it unguessable. */
struct id {
	uint64_t low;
	uint64_t high;
};

/* A balance in its cell. */
struct entry {
	struct id id;
	uint32_t chain; /* the next in the same place of the index */
	uint32_t newer; /* used after this one, and before it: 0 at the ends */
	uint32_t older;
	uint32_t is_log; /* and `log` below is its cells */
	int64_t full_us; /* from then on a new one would be the same */
	union {
		struct token_bucket bucket;
		struct fixed_window fixed;
		struct window_counter counter;
		struct {
			int64_t total_before;
			struct cell_log log;
		};
	};
};

_Static_assert(sizeof(struct entry) == CELL_BYTES, "a balance is a cell");

struct memory_store {
	struct store store;
	struct cells cells;
	/*
	 * Linear hashing: one place more with each balance, made by splitting one, so that no
	 * check ever waits for the whole to be hashed anew. `index_size` places are in use.
	 */
	uint32_t *index;
	uint32_t index_size;
	uint32_t balances;
	uint32_t newest, oldest;
	uint32_t hand;      /* where the sweep for full ones goes on */
	uint32_t steps_due; /* and how far, before the next request */
	uint64_t evicted;
	uint8_t secret[crypto_shorthash_siphashx24_KEYBYTES];
};

/* What one check found, between the look and the taking. */
struct finding {
	struct id id;
	uint32_t cell; /* 0: none yet */
	struct balance balance;
	struct memory_store *memory; /* for reading the log */
};

static struct memory_store *memory_of(const struct store *store)
{
	return CONTAINER_OF(store, struct memory_store, store);
}

static struct entry *entry_at(const struct memory_store *m, uint32_t cell)
{
	return cells_at(&m->cells, cell);
}

static struct id id_of(const struct memory_store *m, struct bytes key)
{
	struct id id;

	crypto_shorthash_siphashx24((unsigned char *)&id, key.data, key.len, m->secret);
	return id;
}

/* ---- the index ---- */

static uint32_t place_of(const struct memory_store *m, struct id id)
{
	uint32_t rounded_up = UINT32_C(1) << (32 - __builtin_clz(m->index_size - 1));
	uint32_t place = (uint32_t)id.low & (rounded_up - 1);

	return place < m->index_size ? place : place & (rounded_up / 2 - 1);
}

static uint32_t find(const struct memory_store *m, struct id id)
{
	uint32_t cell = m->index[place_of(m, id)];

	while (cell != 0) {
		const struct entry *entry = entry_at(m, cell);
		if (entry->id.low == id.low && entry->id.high == id.high)
			break;
		cell = entry->chain;
	}
	return cell;
}

static void put_in_place(struct memory_store *m, uint32_t cell)
{
	struct entry *entry = entry_at(m, cell);
	uint32_t *place = &m->index[place_of(m, entry->id)];

	entry->chain = *place;
	*place = cell;
}

/* Makes one more place and divides the chain that it was a part of. */
static void split_one_place(struct memory_store *m)
{
	uint32_t below = UINT32_C(1) << (31 - __builtin_clz(m->index_size));
	uint32_t *split = &m->index[m->index_size - below];
	uint32_t cell = *split;

	*split = 0;
	m->index_size++;
	while (cell != 0) {
		uint32_t next = entry_at(m, cell)->chain;
		put_in_place(m, cell);
		cell = next;
	}
}

static void take_out_of_place(struct memory_store *m, uint32_t cell)
{
	uint32_t *link = &m->index[place_of(m, entry_at(m, cell)->id)];

	while (*link != cell)
		link = &entry_at(m, *link)->chain;
	*link = entry_at(m, cell)->chain;
}

/* ---- the order of use ---- */

static void unlink_use(struct memory_store *m, uint32_t cell)
{
	struct entry *entry = entry_at(m, cell);

	*(entry->newer != 0 ? &entry_at(m, entry->newer)->older : &m->newest) = entry->older;
	*(entry->older != 0 ? &entry_at(m, entry->older)->newer : &m->oldest) = entry->newer;
}

static void link_as_newest(struct memory_store *m, uint32_t cell)
{
	struct entry *entry = entry_at(m, cell);

	entry->newer = 0;
	entry->older = m->newest;
	*(m->newest != 0 ? &entry_at(m, m->newest)->newer : &m->oldest) = cell;
	m->newest = cell;
}

static void use(struct memory_store *m, uint32_t cell)
{
	if (m->newest == cell)
		return;
	unlink_use(m, cell);
	link_as_newest(m, cell);
}

/* ---- remembering and forgetting ---- */

static void forget(struct memory_store *m, uint32_t cell)
{
	struct entry *entry = entry_at(m, cell);

	take_out_of_place(m, cell);
	unlink_use(m, cell);
	if (entry->is_log)
		cell_log_clear(&m->cells, &entry->log);
	cells_give_back(&m->cells, cell);
	m->balances--;
}

static void forget_full_ones(struct memory_store *m, uint32_t steps, int64_t now_us)
{
	for (; steps > 0; steps--) {
		m->hand = m->hand + 1 < m->index_size ? m->hand + 1 : 0;
		for (uint32_t cell = m->index[m->hand]; cell != 0;) {
			const struct entry *entry = entry_at(m, cell);
			uint32_t next = entry->chain;
			if (entry->full_us <= now_us)
				forget(m, cell);
			cell = next;
		}
	}
}

static uint32_t remember(struct memory_store *m, struct id id)
{
	uint32_t cell = cells_take(&m->cells);

	entry_at(m, cell)->id = id;
	m->balances++;
	if (m->balances > m->index_size)
		split_one_place(m);
	put_in_place(m, cell);
	link_as_newest(m, cell);
	m->steps_due += SWEEP_STEPS;
	return cell;
}

/* ---- a check ---- */

static struct window_entry read_log(const void *state, size_t index)
{
	const struct finding *finding = state;

	return cell_log_entry(&finding->memory->cells,
			      &entry_at(finding->memory, finding->cell)->log, index);
}

static void read_balance(struct finding *finding, enum algorithm algorithm)
{
	const struct entry *entry = entry_at(finding->memory, finding->cell);
	struct balance *b = &finding->balance;

	switch (algorithm) {
	case TOKEN_BUCKET:
		b->bucket = entry->bucket;
		break;
	case SLIDING_WINDOW:
		b->log = (struct window_log){
			.count = entry->log.count,
			.entry = read_log,
			.state = finding,
			.total_before = entry->total_before,
		};
		break;
	case SLIDING_WINDOW_COUNTER:
		b->counter = entry->counter;
		break;
	case FIXED_WINDOW:
		b->fixed = entry->fixed;
		break;
	}
}

static void look(struct finding *finding, const struct check *check, int64_t now_us)
{
	finding->balance.is_new = finding->cell == 0;
	if (finding->cell != 0)
		read_balance(finding, check->quota->algorithm);
	balance_look(&finding->balance, check->quota, now_us);
}

static void write_log(struct memory_store *m, struct entry *entry, const struct window_log *log,
		      int64_t cost)
{
	struct cell_log *cells = &entry->log;

	entry->is_log = true;
	if (log->mended)
		cell_log_clear(&m->cells, cells);
	else if (log->expired > 0)
		entry->total_before = cell_log_entry(&m->cells, cells, log->expired - 1).total;
	if (!log->mended)
		cell_log_drop(&m->cells, cells, log->expired);

	int64_t added = log->mended ? log->used : cost;
	struct window_entry last = {log->last_us, entry->total_before};
	if (cells->count > 0)
		last.total = cell_log_entry(&m->cells, cells, cells->count - 1).total;
	last.total += added;
	if (cells->count > 0 &&
	    cell_log_entry(&m->cells, cells, cells->count - 1).time_us == log->last_us)
		cell_log_replace_last(&m->cells, cells, last);
	else
		cell_log_append(&m->cells, cells, last);
}

static void write_back(struct memory_store *m, struct finding *finding, const struct check *check,
		       int64_t now_us, int64_t cost)
{
	struct balance *b = &finding->balance;

	if (finding->cell == 0)
		finding->cell = remember(m, finding->id);
	struct entry *entry = entry_at(m, finding->cell);
	entry->full_us = now_us + balance_wait_us(b, check->quota, now_us, check->quota->limit);
	switch (check->quota->algorithm) {
	case TOKEN_BUCKET:
		entry->bucket = b->bucket;
		break;
	case SLIDING_WINDOW:
		write_log(m, entry, &b->log, cost);
		break;
	case SLIDING_WINDOW_COUNTER:
		entry->counter = b->counter;
		break;
	case FIXED_WINDOW:
		entry->fixed = b->fixed;
		break;
	}
}

static void answer(struct memory_store *m, struct finding *finding, struct check *check,
		   int64_t now_us, bool allowed)
{
	bool charged = allowed && check->cost > 0;
	struct balance *b = &finding->balance;

	if (charged)
		balance_take(b, check->quota, check->cost);
	check->outcome = balance_outcome(b, check->quota, now_us, check->cost, allowed);
	check->is_decided = true;
	check->error = STORE_OK;
	if (charged || (b->mended && finding->cell != 0))
		write_back(m, finding, check, now_us, charged ? check->cost : 0);
}

/* ---- a request ---- */

static void locate(struct memory_store *m, const struct store_op *op, struct finding *findings)
{
	for (size_t i = 0; i < op->count; i++) {
		findings[i].memory = m;
		findings[i].id = id_of(m, check_key(op->checks[i]));
		findings[i].cell = find(m, findings[i].id);
		if (findings[i].cell != 0)
			use(m, findings[i].cell);
	}
}

static uint32_t cells_needed(const struct store_op *op, const struct finding *findings)
{
	uint32_t cells = 0;

	for (size_t i = 0; i < op->count; i++) {
		const struct check *check = op->checks[i];
		if (check->cost == 0)
			continue;
		cells += findings[i].cell == 0;
		if (check->quota->algorithm == SLIDING_WINDOW)
			cells += CELL_LOG_APPEND_MAX;
	}
	return cells;
}

static bool is_located(uint32_t cell, const struct finding *findings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (findings[i].cell == cell)
			return true;
	return false;
}

/*
 * Makes sure of so many cells before the request is decided, so that nothing that it looks at is
 * forgotten before it is written back. What was located is the most recently used, so when one of
 * those is the oldest too, there is nothing else left to forget.
 */
static bool make_room(struct memory_store *m, const struct store_op *op, struct finding *findings,
		      uint32_t cells)
{
	if (m->cells.unused >= cells)
		return true;
	forget_full_ones(m, SWEEP_STEPS_NEEDED, op->now_us);
	locate(m, op, findings); /* one of them may have been full */
	while (m->cells.unused < cells && m->oldest != 0 &&
	       !is_located(m->oldest, findings, op->count)) {
		forget(m, m->oldest);
		m->evicted++;
	}
	return m->cells.unused >= cells;
}

static enum store_state ask(struct store *store, struct store_op *op)
{
	struct memory_store *m = memory_of(store);
	struct finding findings[REQUEST_CHECKS_MAX];
	bool allowed = true;

	ASSERT(op->count <= REQUEST_CHECKS_MAX);
	forget_full_ones(m, m->steps_due, op->now_us);
	m->steps_due = 0;
	locate(m, op, findings);
	if (!make_room(m, op, findings, cells_needed(op, findings))) {
		store_op_fail(op, STORE_OOM);
		return STORE_DONE;
	}
	for (size_t i = 0; i < op->count; i++) {
		const struct check *check = op->checks[i];
		look(&findings[i], check, op->now_us);
		allowed = allowed &&
			  check->cost <= balance_remaining(&findings[i].balance, check->quota);
	}
	for (size_t i = 0; i < op->count; i++)
		answer(m, &findings[i], op->checks[i], op->now_us, allowed);
	return STORE_DONE;
}

static void release(struct store *store)
{
	struct memory_store *m = memory_of(store);

	if (m->index != NULL)
		munmap(m->index, m->cells.max * sizeof *m->index);
	cells_release(&m->cells);
	free(m);
}

struct store *memory_store_new(uint64_t memory_limit)
{
	struct memory_store *m = calloc(1, sizeof *m);

	if (m == NULL)
		return NULL;
	m->store = (struct store){ask, release};
	m->index_size = INDEX_START;
	uint32_t cells = (uint32_t)(memory_limit / (CELL_BYTES + sizeof *m->index));
	if (!cells_init(&m->cells, cells)) {
		free(m);
		return NULL;
	}
	void *index = mmap(NULL, cells * sizeof *m->index, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (index == MAP_FAILED) {
		release(&m->store);
		return NULL;
	}
	m->index = index;
	randombytes_buf(m->secret, sizeof m->secret);
	return &m->store;
}

struct memory_store_stats memory_store_stats(const struct store *store)
{
	const struct memory_store *m = memory_of(store);

	return (struct memory_store_stats){m->balances, m->evicted};
}
