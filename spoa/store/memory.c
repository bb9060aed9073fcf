#include "store/memory.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/least.h"
#include "limit/request.h"
#include "limit/share.h"
#include "store/balances.h"

#define FORGET_FULL_MORE 32 /* when memory is short */

struct memory_store {
	struct store store;
	struct balances balances;
	struct ratio share; /* of what another store has, when this one stands in for it */
	int64_t keep_full_us;
	int64_t since_us;
	struct shared_memory shared;         /* where the balances are; or zeros */
	struct balances_handover *inherited; /* what may still come from there; or NULL */
};

/* What the store found for one check, before it charges. */
struct finding {
	struct key_hash id;
	uint32_t cell; /* of the balance; 0: there is none yet */
	bool is_grant;
	bool is_rewritten; /* `balance` is not what the cell has: all of it is to be written */
	struct balance balance;
	/* By which the balance counts: the check's, or in place of another store a part of it. */
	const struct quota *quota;
	struct quota part;
	struct shared_log shared;
	const struct balances *balances; /* for read_log */
};

static struct memory_store *memory_of(const struct store *store)
{
	return CONTAINER_OF(store, struct memory_store, store);
}

/* ---- a check ---- */

/*
 * 0 when there is none. That a balance has the state of another algorithm than its check can only
 * be in an image that was made to harm: the algorithm is a part of the key.
 */
static uint32_t find_balance(struct balances *balances, struct key_hash id,
			     const struct quota *quota)
{
	uint32_t cell = balances_find(balances, id);

	if (cell == 0 || balances_at(balances, cell)->algorithm == quota->algorithm)
		return cell;
	balances_forget(balances, cell);
	return 0;
}

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

/*
 * A bucket that was full by the terms of its last write is a new one by those of the check. A
 * window is empty at the same time by any terms, and says so itself.
 */
static bool was_full(const struct balance_cell *cell, const struct quota *quota, int64_t now_us)
{
	return algorithm_traits(quota->algorithm)->is_by_rate && now_us >= cell->full_us;
}

static void look_at(struct finding *finding, const struct quota *quota, int64_t now_us)
{
	finding->quota = quota;
	finding->is_rewritten = false;
	finding->balance.is_new =
		finding->cell == 0 ||
		was_full(balances_at(finding->balances, finding->cell), quota, now_us);
	if (!finding->balance.is_new)
		read_balance(finding, quota->algorithm);
	balance_look(&finding->balance, quota, now_us);
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
	} else if (cost > 0) {
		drop_expired(cells, cell, log->expired);
		add_units(cells, cell, log->last_us, cost);
	} else { /* units were given back */
		drop_expired(cells, cell, log->expired);
		if (cell->log.count > 0)
			cell->total_before = last_entry(cells, &cell->log).total - log->used;
	}
}

/*
 * Writes the log that the other store has, without entries that add nothing. What was charged here
 * on top of it becomes one entry.
 */
static void keep_log(struct cells *cells, struct balance_cell *cell, const struct window_log *log)
{
	int64_t total = 0;

	cell->is_log = true;
	cell_log_clear(cells, &cell->log);
	cell->total_before = 0;
	for (size_t i = 0; i < log->count; i++) {
		struct window_entry entry = log->entry(log->state, i);
		if (entry.total > total)
			add_units(cells, cell, entry.time_us, entry.total - total);
		total = greatest_i64(entry.total, total);
	}
	if (log->used > total)
		add_units(cells, cell, log->last_us, log->used - total);
}

/* The caller calls balances_set_full after this. */
static void write_back(struct balances *balances, struct finding *finding, int64_t cost)
{
	struct balance *b = &finding->balance;
	const struct quota *quota = finding->quota;

	if (finding->cell == 0)
		finding->cell = finding->is_grant ? balances_remember_grant(balances, finding->id)
						  : balances_remember(balances, finding->id);
	struct balance_cell *cell = balances_at(balances, finding->cell);
	if (!algorithm_traits(quota->algorithm)->is_log)
		cell->plain = b->plain;
	else if (finding->is_rewritten)
		keep_log(&balances->cells, cell, &b->log);
	else
		write_log(&balances->cells, cell, &b->log, cost);
	cell->algorithm = quota->algorithm;
	cell->is_kept = false;
}

static bool would_pass(const struct finding *finding, const struct check *check)
{
	return check->cost <= balance_remaining(&finding->balance, finding->quota);
}

static int64_t units_left_of(const struct finding *finding, const struct check *check)
{
	return least_i64(check->cost, balance_remaining(&finding->balance, finding->quota));
}

/*
 * ---- in place of another store ----
 *
 * Of each key there may be two balances:
 *
 *     the balance   what the other store said (is_kept), until something is granted of it here;
 *                   from then on what is left of this store's share of it
 *     the grant     what was granted here, and the other store did not say that it charged it
 *
 * Each reply of the other store takes the place of the balance. When this store is asked next, it
 * makes its share of the balance, less what is used of the grant. So a key of which Redis says "3
 * left" again and again, because it never hears of the 3 that were granted here, gets no others.
 *
 * Both count by the part of the policy's numbers that is this store's share: of 10 a minute a half
 * is 5 a minute. The grant counts as that part has it: a window until it is over, a bucket until
 * the part has refilled. All agents together so refill what one limiter would.
 */

/* `part` lives as long as `grant`. */
static void find_grant(struct finding *grant, struct balances *balances, struct key_hash id,
		       const struct quota *part, int64_t now_us)
{
	grant->id = balances_grant_id(id);
	grant->is_grant = true;
	grant->balances = balances;
	grant->cell = find_balance(balances, grant->id, part);
	look_at(grant, part, now_us);
}

/* The units that were granted here and still count. */
static int64_t granted_units(struct balances *balances, struct key_hash id,
			     const struct quota *part, int64_t now_us)
{
	struct finding grant;

	if (balances->grants == 0)
		return 0;
	find_grant(&grant, balances, id, part, now_us);
	return part->limit - balance_remaining(&grant.balance, part);
}

/*
 * Adds to what was granted of a balance. The caller has made room for the grant. A grant never
 * grows above the limit: at the limit nothing is left of the balance, so a larger one would change
 * nothing.
 */
static void add_grant(struct balances *balances, const struct finding *finding, int64_t cost,
		      int64_t now_us)
{
	struct finding grant;

	find_grant(&grant, balances, finding->id, finding->quota, now_us);
	int64_t remaining = balance_remaining(&grant.balance, grant.quota);
	int64_t units = least_i64(cost, remaining);
	if (units == 0)
		return;
	if (grant.cell != 0)
		balances_hold(balances, grant.cell);
	balance_take(&grant.balance, grant.quota, units);
	/* Before the write, since the balance of a log reads it in the cell. */
	int64_t full_in_us =
		balance_wait_us(&grant.balance, grant.quota, now_us, grant.quota->limit);
	write_back(balances, &grant, units);
	balances_set_full(balances, grant.cell, now_us + full_in_us);
	balances_set_share(balances, grant.cell, remaining - units, grant.quota->limit);
	balances_let_go(balances, grant.cell);
}

/* What this store may grant of the check in place of the other one. */
static void look_for_other(struct finding *finding, struct balances *balances, struct ratio share,
			   const struct check *check, int64_t now_us)
{
	bool is_kept = finding->cell != 0 && balances_at(balances, finding->cell)->is_kept;

	finding->part = share_of_quota(share, check->quota);
	look_at(finding, is_kept ? check->quota : &finding->part, now_us);
	if (finding->cell != 0 && !is_kept)
		return;
	if (is_kept)
		balance_share(&finding->balance, check->quota, &finding->part, share,
			      &finding->shared);
	finding->quota = &finding->part;
	finding->is_rewritten = true;
	int64_t granted = granted_units(balances, finding->id, &finding->part, now_us);
	int64_t remaining = balance_remaining(&finding->balance, &finding->part);
	if (granted > 0 && remaining > 0)
		balance_take(&finding->balance, &finding->part, least_i64(granted, remaining));
}

/*
 * The same as balances_forget_one. Of what is forgotten only a grant counts as evicted: the other
 * store still has every balance, and tells it again when that key is asked for.
 */
static bool forget_copy_or_grant(struct balances *balances, int64_t now_us)
{
	uint64_t evicted = balances->evicted;
	uint64_t grants = balances->grants;
	bool is_forgotten = balances_forget_one(balances, now_us);

	if (balances->grants == grants)
		balances->evicted = evicted;
	return is_forgotten;
}

/* False when the balances that are held fill the memory. */
static bool free_cells_to_keep(struct balances *balances, uint32_t needed, int64_t now_us)
{
	if (balances->cells.unused < needed)
		balances_forget_full(balances, now_us, FORGET_FULL_MORE);
	while (balances->cells.unused < needed && forget_copy_or_grant(balances, now_us))
		;
	return balances->cells.unused >= needed;
}

/* A full balance is as good as none, and is not remembered. */
static void keep(struct store *store, const struct check *check, const struct balance *balance,
		 int64_t now_us)
{
	struct memory_store *m = memory_of(store);
	struct balances *balances = &m->balances;
	const struct quota *quota = check->quota;
	struct key_hash id = check->hash;

	balances_forget_due(balances, now_us - m->keep_full_us);
	int64_t full_in_us = balance_wait_us(balance, quota, now_us, quota->limit);
	if (full_in_us == 0 && balances_find(balances, id) == 0)
		return;
	if (!free_cells_to_keep(balances, 1 + CELL_LOG_APPEND_MAX, now_us))
		return;
	uint32_t cell = find_balance(balances, id, quota);
	if (cell == 0)
		cell = balances_remember(balances, id);
	else
		balances_hold(balances, cell);
	if (algorithm_traits(quota->algorithm)->is_log)
		keep_log(&balances->cells, balances_at(balances, cell), &balance->log);
	else
		balances_at(balances, cell)->plain = balance->plain;
	balances_at(balances, cell)->algorithm = quota->algorithm;
	balances_at(balances, cell)->is_kept = true;
	balances_set_full(balances, cell, now_us + full_in_us);
	balances_set_share(balances, cell, balance_remaining(balance, quota), quota->limit);
	balances_let_go(balances, cell);
}

/* Of a balance that was looked at. Needs no new cells: a log gets no longer. */
static void give_back_units(struct balances *balances, struct finding *finding, int64_t taken_us,
			    int64_t units, int64_t now_us)
{
	const struct quota *quota = finding->quota;
	struct balance *b = &finding->balance;

	balances_hold(balances, finding->cell);
	balance_give_back(b, quota, taken_us, least_i64(units, quota->limit));
	write_back(balances, finding, 0);
	look_at(finding, quota, now_us); /* the log is another one now */
	balances_set_full(balances, finding->cell,
			  now_us + balance_wait_us(b, quota, now_us, quota->limit));
	balances_set_share(balances, finding->cell, balance_remaining(b, quota), quota->limit);
	balances_let_go(balances, finding->cell);
}

static void forget_grant(struct store *store, const struct check *check, int64_t granted_us,
			 int64_t now_us)
{
	struct memory_store *m = memory_of(store);
	struct balances *balances = &m->balances;
	struct finding grant;

	if (check->cost == 0 || balances->grants == 0)
		return;
	const struct quota part = share_of_quota(m->share, check->quota);
	find_grant(&grant, balances, check->hash, &part, now_us);
	if (grant.cell == 0)
		return;
	give_back_units(balances, &grant, granted_us, check->cost, now_us);
}

/*
 * Units of a window before this one, of which sliding_window_counter still counts a part, are left
 * out: charged now they would count for too long. Giving all back as of now shows how many there
 * are of this one.
 */
static int64_t granted(struct store *store, struct key_hash balance, const struct quota *quota,
		       int64_t now_us)
{
	struct memory_store *m = memory_of(store);
	struct finding grant;

	if (m->balances.grants == 0)
		return 0;
	const struct quota part = share_of_quota(m->share, quota);
	find_grant(&grant, &m->balances, balance, &part, now_us);
	if (grant.cell == 0)
		return 0;
	int64_t remaining = balance_remaining(&grant.balance, &part);
	balance_give_back(&grant.balance, &part, now_us, part.limit);
	return balance_remaining(&grant.balance, &part) - remaining;
}

/* ---- a check, decided ---- */

/*
 * Above the limit of the part a check never passes here, but it does when the other store is back:
 * the time that the other one takes to be full is as good a wait as any.
 */
static int64_t wait_for_other_us(const struct outcome *outcome, const struct check *check)
{
	bool is_above_part = outcome->retry_after_us < 0 && check->cost <= check->quota->limit;

	return is_above_part ? quota_full_us(check->quota) : outcome->retry_after_us;
}

/* `passes`: the check passes by itself, and the request is allowed. */
static void answer_check(struct balances *balances, const struct store_op *op,
			 struct finding *finding, struct check *check, bool passes)
{
	int64_t now_us = op->now_us;
	bool charged = passes && check->cost > 0;
	struct balance *b = &finding->balance;

	if (charged)
		balance_take(b, finding->quota, check->cost);
	check->outcome = balance_outcome(b, finding->quota, now_us, check->cost, passes);
	check->outcome.retry_after_us = wait_for_other_us(&check->outcome, check);
	check->is_decided = true;
	check->error = STORE_OK;
	if (op->is_look)
		return;
	if (charged || (b->mended && finding->cell != 0)) {
		write_back(balances, finding, charged ? check->cost : 0);
		balances_set_full(balances, finding->cell, now_us + check->outcome.reset_us);
	}
	if (charged && op->is_stand_in)
		add_grant(balances, finding, check->cost, now_us);
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
		findings[i].is_grant = false;
		findings[i].id = op->checks[i]->hash;
		findings[i].cell = find_balance(balances, findings[i].id, op->checks[i]->quota);
		if (findings[i].cell != 0 && !op->is_look)
			balances_hold(balances, findings[i].cell);
	}
}

static uint32_t cells_needed(const struct store_op *op, struct part part,
			     const struct finding *findings)
{
	uint32_t cells = 0;

	for (size_t i = part.first; i < part.end; i++) {
		const struct check *check = op->checks[i];
		if (check->cost == 0 || op->is_look)
			continue;
		uint32_t balances = op->is_stand_in ? 2 : 1; /* with the grant */
		cells += (balances - 1) + (findings[i].cell == 0);
		if (algorithm_traits(check->quota->algorithm)->is_log)
			cells += balances * CELL_LOG_APPEND_MAX;
	}
	return cells;
}

/*
 * Makes sure of enough cells before a part is decided. Balances that are held are not pushed out;
 * but those that are full are forgotten all the same, so `findings` is filled anew.
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

static void look_to_decide(struct memory_store *m, const struct store_op *op,
			   struct finding *finding, const struct check *check)
{
	if (op->is_stand_in)
		look_for_other(finding, &m->balances, m->share, check, op->now_us);
	else
		look_at(finding, check->quota, op->now_us);
}

/* A check in shadow is decided alone; STORE_OOM is then its own error. */
static void ask_shadow(struct memory_store *m, const struct store_op *op, size_t index,
		       struct finding *findings, bool allowed)
{
	struct balances *balances = &m->balances;
	struct finding *finding = &findings[index];
	struct part alone = {index, index + 1};
	struct check *check = op->checks[index];

	locate(balances, op, alone, findings); /* again: balances may have been forgotten */
	if (!free_cells_for(balances, op, alone, findings)) {
		check->error = STORE_OOM;
		check->is_decided = false;
		return;
	}
	look_to_decide(m, op, finding, check);
	answer_check(balances, op, finding, check, allowed && would_pass(finding, check));
}

static void decide(struct memory_store *m, struct store_op *op, struct finding *findings)
{
	struct balances *balances = &m->balances;
	struct part together = {0, op->count - op->shadow};
	bool allowed = !op->is_denied;

	if (!free_cells_for(balances, op, together, findings)) {
		store_op_fail(op, STORE_OOM);
		return;
	}
	for (size_t i = 0; i < together.end; i++) {
		look_to_decide(m, op, &findings[i], op->checks[i]);
		if (op->is_settling)
			op->checks[i]->cost = units_left_of(&findings[i], op->checks[i]);
		allowed = allowed && would_pass(&findings[i], op->checks[i]);
	}
	for (size_t i = 0; i < together.end; i++)
		answer_check(balances, op, &findings[i], op->checks[i], allowed);
	for (size_t i = together.end; i < op->count; i++)
		ask_shadow(m, op, i, findings, allowed);
}

/* With the grant of a store that stands in: what was granted here counts no more either. */
static void forget_key(struct balances *balances, struct key_hash id)
{
	uint32_t cell = balances_find(balances, id);
	uint32_t grant = balances_find(balances, balances_grant_id(id));

	if (cell != 0)
		balances_forget(balances, cell);
	if (grant != 0)
		balances_forget(balances, grant);
}

static void forget_all(struct balances *balances, const struct store_op *op)
{
	for (size_t i = 0; i < op->count; i++)
		forget_key(balances, op->checks[i]->hash);
}

void memory_store_forget(struct store *store, struct bytes key)
{
	struct memory_store *m = memory_of(store);
	struct key_hash id = key_hash_of_key(key);

	/* So that it does not come from there later. */
	if (m->inherited != NULL)
		balances_handover_take(m->inherited, &m->balances, id, clock_now_us());
	forget_key(&m->balances, id);
}

/* A balance stays in its class if nothing was decided about it. */
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
					   findings[i].quota->limit);
		balances_let_go(balances, cell);
	}
}

/* A balance that is not there, or is full, has nothing to get back. */
static void give_all_back(struct balances *balances, const struct store_op *op)
{
	for (size_t i = 0; i < op->count; i++) {
		const struct check *check = op->checks[i];
		struct finding finding = {.id = check->hash, .balances = balances};
		finding.cell = find_balance(balances, finding.id, check->quota);
		look_at(&finding, check->quota, op->now_us);
		if (!finding.balance.is_new && check->cost > 0)
			give_back_units(balances, &finding, op->taken_us[i], check->cost,
					op->now_us);
	}
}

static void take_inherited(struct memory_store *m, const struct store_op *op)
{
	for (size_t i = 0; i < op->count; i++)
		balances_handover_take(m->inherited, &m->balances, op->checks[i]->hash, op->now_us);
}

static enum store_state ask(struct store *store, struct store_op *op)
{
	struct memory_store *m = memory_of(store);
	struct balances *balances = &m->balances;
	struct finding findings[REQUEST_CHECKS_MAX];
	struct part all = {0, op->count};

	ASSERT(op->count <= REQUEST_CHECKS_MAX);
	balances_forget_due(balances, op->now_us - m->keep_full_us);
	if (m->inherited != NULL)
		take_inherited(m, op);
	if (op->taken_us != NULL) {
		give_all_back(balances, op);
		return STORE_DONE;
	}
	locate(balances, op, all, findings);
	decide(m, op, findings);
	let_all_go(balances, op, findings);
	if (op->is_reset)
		forget_all(balances, op);
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

	if (m->shared.data != NULL)
		shared_memory_release(&m->shared);
	else
		balances_release(&m->balances);
	free(m);
}

static struct memory_store *make(void)
{
	struct memory_store *m = calloc(1, sizeof *m);

	if (m == NULL)
		return NULL;
	m->store = (struct store){
		.ask = ask,
		.keep = keep,
		.forget_grant = forget_grant,
		.granted = granted,
		.describe = describe,
		.free = release,
	};
	m->since_us = clock_mono_us();
	m->share = (struct ratio){1, 1};
	return m;
}

struct store *memory_store_new(uint64_t memory_limit)
{
	struct memory_store *m = make();

	if (m != NULL && balances_init(&m->balances, memory_limit))
		return &m->store;
	free(m);
	return NULL;
}

struct store *memory_store_new_shared(uint64_t memory_limit)
{
	uint32_t cells_max = balances_cells_max(memory_limit);
	struct memory_store *m = make();

	if (m != NULL &&
	    shared_memory_make(&m->shared, "ratelimit-balances", balances_places(cells_max).end)) {
		balances_init_on(&m->balances, m->shared.data, cells_max);
		return &m->store;
	}
	free(m);
	return NULL;
}

int memory_store_descriptor(const struct store *store)
{
	const struct memory_store *m = memory_of(store);

	return m->shared.data != NULL ? m->shared.fd : -1;
}

struct balances *memory_store_balances(struct store *store)
{
	return &memory_of(store)->balances;
}

void memory_store_inherit(struct store *store, struct balances_handover *from)
{
	memory_of(store)->inherited = from;
}

void memory_store_set_share(struct store *store, struct ratio share)
{
	memory_of(store)->share = share;
}

void memory_store_keep_full(struct store *store, int64_t us)
{
	memory_of(store)->keep_full_us = us;
}

bool memory_store_write_image(const struct store *store, int64_t now_us,
			      balances_image_write_fn *write, void *owner,
			      struct balances_image_counts *ret_counts)
{
	const struct memory_store *m = memory_of(store);
	struct balances_image_head head = {.written_us = now_us};

	key_hash_get_secrets(head.secrets);
	return balances_image_write(&m->balances, &head, now_us - m->keep_full_us, write, owner,
				    ret_counts);
}

void memory_store_read_image(struct store *store, int64_t now_us, balances_image_read_fn *read,
			     void *owner, struct balances_image_counts *ret_counts)
{
	struct memory_store *m = memory_of(store);
	struct balances_image_reader reader = {
		.read = read,
		.owner = owner,
		.to = &m->balances,
		.now_us = now_us,
		.full_us = now_us - m->keep_full_us,
	};

	/* Of an image that is another one than was checked some balances may be taken all the same:
	 * each of them is one that can be. */
	if (balances_image_read(&reader) != BALANCES_IMAGE_OF_ANOTHER_VERSION &&
	    reader.counts.balances > 0)
		key_hash_set_secrets(reader.head.secrets);
	*ret_counts = reader.counts;
}

struct memory_store_stats memory_store_stats(const struct store *store)
{
	const struct balances *balances = &memory_of(store)->balances;

	return (struct memory_store_stats){
		.balances = balances->count - balances->grants,
		.evicted = balances->evicted,
		.bytes = balances_bytes(balances),
	};
}
