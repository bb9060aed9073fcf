#include "store/memory.h"

#include <stdlib.h>

#include "base/clock.h"
#include "limit/request.h"
#include "store/balances.h"

#define FORGET_FULL_MORE 32 /* when memory is short */

struct memory_store {
	struct store store;
	struct balances balances;
	int64_t keep_full_us;
	int64_t since_us;
};

/* What the store found for one check, before it charges. */
struct finding {
	struct balance_id id;
	uint32_t cell; /* of the balance; 0: there is none yet */
	struct balance balance;
	const struct balances *balances; /* for read_log */
};

static struct memory_store *memory_of(const struct store *store)
{
	return CONTAINER_OF(store, struct memory_store, store);
}

/* ---- a check ---- */

static struct window_entry read_log(const void *state, size_t index)
{
	const struct finding *finding = state;

	return cell_log_entry(&finding->balances->cells,
			      &balances_at(finding->balances, finding->cell)->log, index);
}

static void read_balance(struct finding *finding, enum algorithm algorithm)
{
	const struct balance_cell *cell = balances_at(finding->balances, finding->cell);
	struct balance *b = &finding->balance;

	if (algorithm_traits(algorithm)->is_log)
		b->log = (struct window_log){
			.count = cell->log.count,
			.entry = read_log,
			.state = finding,
			.total_before = cell->total_before,
		};
	else
		b->plain = cell->plain;
}

/* By the terms of its last write, which may have been others than those of the check. */
static bool was_full(const struct balance_cell *cell, int64_t now_us)
{
	return !cell->is_log && now_us >= cell->full_us;
}

static void look_at(struct finding *finding, const struct check *check, int64_t now_us)
{
	finding->balance.is_new = finding->cell == 0 ||
				  was_full(balances_at(finding->balances, finding->cell), now_us);
	if (!finding->balance.is_new)
		read_balance(finding, check->quota->algorithm);
	balance_look(&finding->balance, check->quota, now_us);
}

static struct window_entry last_entry(const struct cells *cells, const struct cell_log *log)
{
	return cell_log_entry(cells, log, log->count - 1);
}

static void drop_expired(struct cells *cells, struct balance_cell *cell, size_t expired)
{
	if (expired == 0)
		return;
	cell->total_before = cell_log_entry(cells, &cell->log, expired - 1).total;
	cell_log_drop(cells, &cell->log, expired);
}

static void add_units(struct cells *cells, struct balance_cell *cell, int64_t time_us,
		      int64_t units)
{
	struct window_entry last = {.total = cell->total_before};

	if (cell->log.count > 0)
		last = last_entry(cells, &cell->log);
	bool is_merged = cell->log.count > 0 && last.time_us == time_us;
	last = (struct window_entry){time_us, last.total + units};
	if (is_merged)
		cell_log_replace_last(cells, &cell->log, last);
	else
		cell_log_append(cells, &cell->log, last);
}

static void write_log(struct cells *cells, struct balance_cell *cell, const struct window_log *log,
		      int64_t cost)
{
	cell->is_log = true;
	if (log->mended) {
		cell_log_clear(cells, &cell->log);
		add_units(cells, cell, log->last_us, log->used);
	} else {
		drop_expired(cells, cell, log->expired);
		add_units(cells, cell, log->last_us, cost);
	}
}

static void write_back(struct balances *balances, struct finding *finding,
		       const struct check *check, int64_t now_us, int64_t cost)
{
	struct balance *b = &finding->balance;

	if (finding->cell == 0)
		finding->cell = balances_remember(balances, finding->id);
	struct balance_cell *cell = balances_at(balances, finding->cell);
	balances_set_full(balances, finding->cell,
			  now_us + balance_wait_us(b, check->quota, now_us, check->quota->limit));
	if (algorithm_traits(check->quota->algorithm)->is_log)
		write_log(&balances->cells, cell, &b->log, cost);
	else
		cell->plain = b->plain;
}

static bool would_pass(const struct finding *finding, const struct check *check)
{
	return check->cost <= balance_remaining(&finding->balance, check->quota);
}

/* `passes`: the check passes by itself, and the request is allowed. */
static void answer_check(struct balances *balances, struct finding *finding, struct check *check,
			 int64_t now_us, bool passes)
{
	bool charged = passes && check->cost > 0;
	struct balance *b = &finding->balance;

	if (charged)
		balance_take(b, check->quota, check->cost);
	check->outcome = balance_outcome(b, check->quota, now_us, check->cost, passes);
	check->is_decided = true;
	check->error = STORE_OK;
	if (charged || (b->mended && finding->cell != 0))
		write_back(balances, finding, check, now_us, charged ? check->cost : 0);
}

/* ---- a request ---- */

/* The checks first .. end - 1 of an op, which are decided together. */
struct part {
	size_t first, end;
};

static void locate(struct balances *balances, const struct store_op *op, struct part part,
		   struct finding *findings)
{
	for (size_t i = part.first; i < part.end; i++) {
		findings[i].balances = balances;
		findings[i].id = balances_id(balances, check_key(op->checks[i]));
		findings[i].cell = balances_find(balances, findings[i].id);
		if (findings[i].cell != 0)
			balances_hold(balances, findings[i].cell);
	}
}

static uint32_t cells_needed(const struct store_op *op, struct part part,
			     const struct finding *findings)
{
	uint32_t cells = 0;

	for (size_t i = part.first; i < part.end; i++) {
		const struct check *check = op->checks[i];
		if (check->cost == 0)
			continue;
		cells += findings[i].cell == 0;
		if (algorithm_traits(check->quota->algorithm)->is_log)
			cells += CELL_LOG_APPEND_MAX;
	}
	return cells;
}

/*
 * Makes sure of enough cells before a part is decided. What is held is not pushed out, but it may
 * be full, and forgotten as such.
 */
static bool free_cells_for(struct balances *balances, const struct store_op *op, struct part part,
			   struct finding *findings)
{
	struct part all = {0, op->count};

	if (balances->cells.unused >= cells_needed(op, part, findings))
		return true;
	balances_forget_full(balances, op->now_us, FORGET_FULL_MORE);
	locate(balances, op, all, findings);
	uint32_t needed = cells_needed(op, part, findings);
	while (balances->cells.unused < needed && balances_forget_one(balances, op->now_us))
		;
	return balances->cells.unused >= needed;
}

/* A check in shadow is decided alone; STORE_OOM is then its own error. */
static void ask_shadow(struct balances *balances, const struct store_op *op, size_t index,
		       struct finding *findings, bool allowed)
{
	struct finding *finding = &findings[index];
	struct part alone = {index, index + 1};
	struct check *check = op->checks[index];

	locate(balances, op, alone, findings); /* again: balances may have been forgotten */
	if (!free_cells_for(balances, op, alone, findings)) {
		check->error = STORE_OOM;
		check->is_decided = false;
		return;
	}
	look_at(finding, check, op->now_us);
	answer_check(balances, finding, check, op->now_us, allowed && would_pass(finding, check));
}

static void decide(struct balances *balances, struct store_op *op, struct finding *findings)
{
	struct part together = {0, op->count - op->shadow};
	bool allowed = !op->is_denied;

	if (!free_cells_for(balances, op, together, findings)) {
		store_op_fail(op, STORE_OOM);
		return;
	}
	for (size_t i = 0; i < together.end; i++) {
		look_at(&findings[i], op->checks[i], op->now_us);
		allowed = allowed && would_pass(&findings[i], op->checks[i]);
	}
	for (size_t i = 0; i < together.end; i++)
		answer_check(balances, &findings[i], op->checks[i], op->now_us, allowed);
	for (size_t i = together.end; i < op->count; i++)
		ask_shadow(balances, op, i, findings, allowed);
}

/* A balance of which nothing was decided stays in the class that it was in. */
static void let_all_go(struct balances *balances, const struct store_op *op,
		       const struct finding *findings)
{
	for (size_t i = 0; i < op->count; i++) {
		const struct check *check = op->checks[i];
		uint32_t cell = findings[i].cell;
		if (cell == 0 || !balances_at(balances, cell)->is_held)
			continue;
		if (check->is_decided)
			balances_set_share(balances, cell, check->outcome.remaining,
					   check->quota->limit);
		balances_let_go(balances, cell);
	}
}

static enum store_state ask(struct store *store, struct store_op *op)
{
	struct memory_store *m = memory_of(store);
	struct balances *balances = &m->balances;
	struct finding findings[REQUEST_CHECKS_MAX];
	struct part all = {0, op->count};

	ASSERT(op->count <= REQUEST_CHECKS_MAX);
	balances_forget_due(balances, op->now_us - m->keep_full_us);
	locate(balances, op, all, findings);
	decide(balances, op, findings);
	let_all_go(balances, op, findings);
	return STORE_DONE;
}

static struct store_description describe(const struct store *store)
{
	return (struct store_description){
		.kind = "memory",
		.address = "memory:",
		.is_up = true,
		.why = "",
		.since_us = memory_of(store)->since_us,
	};
}

static void release(struct store *store)
{
	struct memory_store *m = memory_of(store);

	balances_release(&m->balances);
	free(m);
}

struct store *memory_store_new(uint64_t memory_limit)
{
	struct memory_store *m = malloc(sizeof *m);

	if (m == NULL)
		return NULL;
	m->store = (struct store){.ask = ask, .describe = describe, .free = release};
	m->since_us = clock_mono_us();
	m->keep_full_us = 0;
	if (!balances_init(&m->balances, memory_limit)) {
		free(m);
		return NULL;
	}
	return &m->store;
}

void memory_store_keep_full(struct store *store, int64_t us)
{
	memory_of(store)->keep_full_us = us;
}

struct memory_store_stats memory_store_stats(const struct store *store)
{
	const struct balances *balances = &memory_of(store)->balances;

	return (struct memory_store_stats){
		.balances = balances->count,
		.evicted = balances->evicted,
		.bytes = balances_bytes(balances),
	};
}
