/*
 * The life of a debt:
 *
 *     owe --> waits -----------------------> asked for -----------------> gone: charged, unsure
 *              ^ |       by a request, or      |   |
 *              | |       without one           |   | the store says that it charged nothing,
 *              | |                             |   | or units were granted in the meantime
 *              | |                             |   |
 *              `-|-----------------------------|---'
 *                |                             |
 *                `--> gone: over, or dropped   `--> (the reply is awaited, however late it comes)
 *
 * While a debt is asked for it is in no list, so it is neither asked for again nor dropped. Units
 * that are granted meanwhile are added to it and wait for the next settlement.
 *
 * Of a cluster one node may be away, full, or refuse what it is asked, while the others do not. A
 * debt of such a node goes to the list `away`, so that the debts behind it have their turn. Ten
 * times a second that list is put behind the debts that wait, also while new debts come. Of 65,536
 * debts so each is tried again within 3 s. As long as a node is away its debts are not overdue;
 * those of a node that is full, or refuses them, are dropped after 10 s as any other.
 *
 * The local store has a grant of each such balance (engine.c): all units that it granted there and
 * that count still, those that are unsure too. A settlement is never of more units than the grant
 * has. When the store has charged them they leave the grant, and what the store says of the balance
 * is kept.
 *
 * How fast debts without a request are settled: as many as a tenth of the window at once (one at
 * least), and more when all of these are answered. With the window at 256 and a round trip of 1 ms
 * that is 25,000 a second. A store that is busy replies later, and gets fewer.
 */
#include "engine/settling.h"

#include <string.h>

#include "base/least.h"

#define AGAIN_US    INT64_C(10000)  /* while the store can be asked */
#define LOOK_US     INT64_C(100000) /* for whether it can */
#define STEPS_MAX   1024            /* debts that a turn looks at, so that it is short */
#define FULL_MAX    256             /* debts of full servers that are tried between two ticks */
#define PART_OF_ALL 10              /* of the window: for settlements without a request */
#define PLACE_MASK  (DEBTS_MAX - 1)
_Static_assert((DEBTS_MAX & PLACE_MASK) == 0, "a mask makes a place of a hash");

struct debt {
	struct list link; /* in settling.newest or .away; in no list while it is asked for */
	struct debt *chain;
	struct key_hash hash;
	struct quota quota;        /* as it was when units were granted last */
	int64_t units;             /* that wait; not those that are asked for */
	int64_t local_us, mono_us; /* when units were granted last, by both clocks */
	int64_t back_us;           /* when its server could be asked again after it was away */
	bool is_away;              /* its server could not be asked when that was last tried */
	bool is_asked;
	uint16_t key_len;
	char key[CHECK_KEY_MAX];
};

struct settlement {
	struct settling *settling;
	struct debt *debt;
	struct store_op op;
	struct check check;
	struct check *checks[1];
	struct list link; /* in settling.asked */
	int64_t units;
	int64_t local_us, mono_us; /* when it was asked */
	bool is_charged;
};

bool settling_init(struct settling *settling, const struct settling_config *config)
{
	const struct store *store = config->store, *local = config->local;

	*settling = (struct settling){.config = *config};
	list_init(&settling->newest);
	list_init(&settling->away);
	list_init(&settling->asked);
	settling->is_possible =
		store != local && store->connection != NULL && local->granted != NULL;
	if (!settling->is_possible)
		return true;
	settling->index = pages_reserve(DEBTS_MAX * sizeof *settling->index);
	return settling->index != NULL &&
	       pool_init(&settling->debts, sizeof(struct debt), DEBTS_MAX) &&
	       pool_init(&settling->settlements, sizeof(struct settlement), config->in_flight_max);
}

void settling_release(struct settling *settling)
{
	pool_release(&settling->settlements);
	pool_release(&settling->debts);
	pages_release(settling->index, DEBTS_MAX * sizeof *settling->index);
}

/* ---- debts ---- */

static struct debt **place_of_debt(const struct settling *settling, struct key_hash hash)
{
	struct debt **place = &settling->index[hash.low & PLACE_MASK];

	while (*place != NULL &&
	       ((*place)->hash.low != hash.low || (*place)->hash.high != hash.high))
		place = &(*place)->chain;
	return place;
}

static void forget_debt(struct settling *settling, struct debt *debt)
{
	struct debt **place = place_of_debt(settling, debt->hash);

	*place = debt->chain;
	list_remove(&debt->link);
	settling->count--;
	pool_put(&settling->debts, debt);
}

static void drop_debt(struct settling *settling, struct debt *debt)
{
	settling->stats.dropped += (uint64_t)debt->units;
	forget_debt(settling, debt);
}

/*
 * The oldest one at the ends of the lists. Debts of servers that are away or full change places, so
 * that there may be older ones between the ends.
 */
static struct debt *oldest_debt(const struct settling *settling)
{
	struct list *const ends[] = {settling->newest.prev, settling->away.next,
				     settling->away.prev};
	struct debt *oldest = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		if (ends[i] == &settling->newest || ends[i] == &settling->away)
			continue;
		struct debt *debt = CONTAINER_OF(ends[i], struct debt, link);
		if (oldest == NULL || debt->mono_us < oldest->mono_us)
			oldest = debt;
	}
	return oldest;
}

/* NULL when all debts are asked for. */
static struct debt *make_debt(struct settling *settling, const struct check *check)
{
	if (settling->count == DEBTS_MAX && oldest_debt(settling) != NULL)
		drop_debt(settling, oldest_debt(settling));
	struct debt *debt = pool_get(&settling->debts);
	if (debt == NULL)
		return NULL;
	struct debt **place = place_of_debt(settling, check->hash);
	*place = debt;
	debt->chain = NULL;
	debt->hash = check->hash;
	debt->units = 0;
	debt->back_us = 0;
	debt->is_away = false;
	debt->is_asked = false;
	debt->key_len = (uint16_t)check->key_len;
	memcpy(debt->key, check->key, check->key_len);
	list_init(&debt->link);
	settling->count++;
	return debt;
}

static void make_newest(struct settling *settling, struct debt *debt)
{
	list_remove(&debt->link);
	list_append(settling->newest.next, &debt->link);
}

void settling_owe(struct settling *settling, const struct check *check, int64_t local_us,
		  int64_t mono_us)
{
	if (!settling->is_possible || check->cost == 0)
		return;
	struct debt *debt = *place_of_debt(settling, check->hash);
	if (debt == NULL)
		debt = make_debt(settling, check);
	if (debt == NULL) {
		settling->stats.dropped += (uint64_t)check->cost;
		return;
	}
	debt->quota = *check->quota;
	debt->units += check->cost;
	/* More than the limit is never charged. So the sum stays small however long an outage is.
	 */
	int64_t above = greatest_i64(debt->units - debt->quota.limit, 0);
	debt->units -= above;
	settling->stats.over += (uint64_t)above;
	debt->local_us = local_us;
	debt->mono_us = mono_us;
	if (!debt->is_asked)
		make_newest(settling, debt);
}

void settling_give_up(struct settling *settling, const struct check *check)
{
	if (settling->is_possible)
		settling->stats.unsure += (uint64_t)check->cost;
}

/* ---- the answer to a settlement ---- */

static void settle_some(struct settling *settling, int64_t mono_us);

static void wait_behind_others(struct settling *settling, struct debt *debt)
{
	list_remove(&debt->link);
	list_append(&settling->away, &debt->link);
}

static void on_seen(struct store_op *op, const struct check *check, const struct balance *balance,
		    bool is_charged, int64_t now_us)
{
	struct settlement *settlement = CONTAINER_OF(op, struct settlement, op);
	struct settling *settling = settlement->settling;
	struct store *local = settling->config.local;
	struct check granted = *check;

	(void)is_charged;
	settlement->is_charged = true;
	settling->stats.charged += (uint64_t)check->cost;
	settling->stats.nothing_left += (uint64_t)(settlement->units - check->cost);
	granted.cost = settlement->units;
	local->forget_grant(local, &granted, settlement->local_us, now_us);
	local->keep(local, check, balance, now_us);
}

/* The units wait again if the store did not charge them; if nobody knows, they are given up. */
static void end_settlement(struct settlement *settlement)
{
	struct settling *settling = settlement->settling;
	struct debt *debt = settlement->debt;

	if (!settlement->is_charged && settlement->op.is_unsure)
		settling->stats.unsure += (uint64_t)settlement->units;
	else if (!settlement->is_charged)
		debt->units += settlement->units;
	debt->is_away = settlement->check.error == STORE_MOVED;
	debt->is_asked = false;
	if (debt->units == 0)
		forget_debt(settling, debt);
	else if (settlement->is_charged || settlement->op.is_unsure)
		make_newest(settling, debt);
	else
		wait_behind_others(settling, debt);
	list_remove(&settlement->link);
	settling->asked_count--;
	--*settling->config.in_flight;
	pool_put(&settling->settlements, settlement);
}

static void on_answered(struct store_op *op)
{
	struct settlement *settlement = CONTAINER_OF(op, struct settlement, op);
	struct settling *settling = settlement->settling;
	bool is_charged = settlement->is_charged;

	end_settlement(settlement);
	if (is_charged && settling->asked_count == 0 && settling->is_back)
		settle_some(settling, settling->config.mono_us());
}

/* ---- settlements ---- */

static void fill_settlement(struct settlement *settlement, const struct debt *debt)
{
	struct check *check = &settlement->check;

	check->own_quota = debt->quota;
	check->quota = &check->own_quota;
	check->hash = debt->hash;
	check->key_len = debt->key_len;
	memcpy(check->key, debt->key, debt->key_len);
	check->cost = settlement->units;
	check->is_decided = false;
	check->error = STORE_OK;
	settlement->checks[0] = check;
	settlement->op = (struct store_op){
		.checks = settlement->checks,
		.count = 1,
		.is_settling = true,
		.now_us = settlement->local_us,
		.mono_us = settlement->mono_us,
		.answered = on_answered,
		.seen = on_seen,
	};
}

/* How many of the debt's units count still. */
static int64_t units_to_settle(const struct settling *settling, const struct debt *debt,
			       int64_t local_us)
{
	struct store *local = settling->config.local;

	return least_i64(debt->units, local->granted(local, debt->hash, &debt->quota, local_us));
}

static void note_whether_away(struct debt *debt, bool is_away, int64_t mono_us)
{
	if (debt->is_away && !is_away)
		debt->back_us = mono_us;
	debt->is_away = is_away;
}

enum settled { SETTLE_NO_ROOM = 0, SETTLE_FULL, SETTLE_AWAY, SETTLE_BEGUN };

/*
 * SETTLE_BEGUN: it is asked for, or there is nothing to ask for any more. Else the debt waits on:
 * the agent has no room for now, or the server of this balance has none, or can't be asked.
 */
static enum settled settle(struct settling *settling, struct debt *debt, int64_t local_us,
			   int64_t mono_us, size_t room_behind)
{
	const struct settling_config *config = &settling->config;
	int64_t units = units_to_settle(settling, debt, local_us);

	settling->stats.over += (uint64_t)(debt->units - units);
	debt->units = units;
	if (units == 0) {
		forget_debt(settling, debt);
		return SETTLE_BEGUN;
	}
	if (*config->in_flight + 1 + room_behind > config->in_flight_max)
		return SETTLE_NO_ROOM;
	struct settlement *settlement = pool_get(&settling->settlements);
	ASSERT(settlement != NULL); /* there are as many as checks in flight */
	settlement->settling = settling;
	settlement->debt = debt;
	settlement->units = units;
	settlement->local_us = local_us;
	settlement->mono_us = mono_us;
	settlement->is_charged = false;
	fill_settlement(settlement, debt);
	settlement->op.room_behind = (uint8_t)room_behind;
	if (store_ask(config->store, &settlement->op) == STORE_DONE) {
		bool is_full = settlement->check.error == STORE_FULL;
		pool_put(&settling->settlements, settlement);
		note_whether_away(debt, !is_full, mono_us);
		return is_full ? SETTLE_FULL : SETTLE_AWAY;
	}
	note_whether_away(debt, false, mono_us);
	list_remove(&debt->link);
	debt->is_asked = true;
	debt->units = 0;
	list_append(&settling->asked, &settlement->link);
	settling->asked_count++;
	++*config->in_flight;
	return SETTLE_BEGUN;
}

void settling_ask(struct settling *settling, const struct request *request, int64_t local_us,
		  int64_t mono_us)
{
	struct store *store = settling->config.store;

	if (store->connection(store) == 0)
		return;
	for (size_t i = 0; i < request->count; i++) {
		const struct check *check = request->checks[i];
		struct debt *debt = *place_of_debt(settling, check->hash);
		if (debt == NULL || debt->is_asked || check->is_decided)
			continue;
		debt->quota = *check->quota; /* a reload may have changed the numbers */
		(void)settle(settling, debt, local_us, mono_us, request->count);
	}
}

/* ---- without a request ---- */

/* A debt whose server was away when it was last tried is tried once more, however old it is. */
static bool is_overdue(const struct settling *settling, const struct debt *debt, int64_t mono_us)
{
	int64_t since_us =
		greatest_i64(greatest_i64(debt->mono_us, debt->back_us), settling->back_us);

	return !debt->is_away && mono_us - since_us >= SETTLING_UNTIL_US;
}

/* The time of the local store goes on as the monotonic clock does. */
static int64_t local_time(const struct debt *debt, int64_t mono_us)
{
	return debt->local_us + (mono_us - debt->mono_us);
}

static bool has_turn_left(const struct settling *settling, size_t asked_max)
{
	return settling->full_count < FULL_MAX && settling->asked_count < asked_max &&
	       !list_is_empty(&settling->newest);
}

static void settle_some(struct settling *settling, int64_t mono_us)
{
	size_t window = store_describe(settling->config.store).stats.window;
	size_t max = window > PART_OF_ALL ? window / PART_OF_ALL : 1;

	for (size_t step = 0; step < STEPS_MAX && has_turn_left(settling, max); step++) {
		struct debt *debt = CONTAINER_OF(settling->newest.next, struct debt, link);
		if (is_overdue(settling, debt, mono_us)) {
			drop_debt(settling, debt);
			continue;
		}
		switch (settle(settling, debt, local_time(debt, mono_us), mono_us, 0)) {
		case SETTLE_NO_ROOM:
			return;
		case SETTLE_FULL:
			settling->full_count++;
			wait_behind_others(settling, debt);
			break;
		case SETTLE_AWAY:
			wait_behind_others(settling, debt);
			break;
		case SETTLE_BEGUN:
			break;
		}
	}
}

/* Those of servers that were away or full have their turn again, behind those that wait. */
static void look_at_away(struct settling *settling, int64_t mono_us)
{
	struct list *first = settling->away.next, *last = settling->away.prev;
	struct list *before = settling->newest.prev;

	if (list_is_empty(&settling->away) || mono_us - settling->looked_us < LOOK_US)
		return;
	settling->looked_us = mono_us;
	before->next = first;
	first->prev = before;
	last->next = &settling->newest;
	settling->newest.prev = last;
	list_init(&settling->away);
}

/* The others, of servers that were away or full, are looked at when they have their turn. */
static void drop_overdue(struct settling *settling, int64_t mono_us)
{
	for (size_t step = 0; step < STEPS_MAX && !list_is_empty(&settling->newest); step++) {
		struct debt *debt = CONTAINER_OF(settling->newest.prev, struct debt, link);
		if (!is_overdue(settling, debt, mono_us))
			return;
		drop_debt(settling, debt);
	}
}

/* Whoever reads the reply sees by that how busy the store is. */
static void mark_late(struct settling *settling, int64_t mono_us)
{
	for (struct list *link = settling->asked.next; link != &settling->asked;
	     link = link->next) {
		struct settlement *settlement = CONTAINER_OF(link, struct settlement, link);
		if (settlement->mono_us + settling->config.timeout_us > mono_us)
			return;
		settlement->op.is_late = true;
	}
}

int64_t settling_next_us(const struct settling *settling)
{
	return settling->count == 0 ? -1 : settling->tick_us;
}

void settling_expire(struct settling *settling, int64_t mono_us)
{
	if (settling->count == 0 || mono_us < settling->tick_us)
		return;
	bool is_up = store_describe(settling->config.store).is_up;
	if (is_up && !settling->is_back)
		settling->back_us = mono_us;
	settling->is_back = is_up;
	settling->tick_us = mono_us + (is_up ? AGAIN_US : LOOK_US);
	settling->full_count = 0;
	mark_late(settling, mono_us);
	if (!is_up)
		return;
	drop_overdue(settling, mono_us);
	look_at_away(settling, mono_us);
	settle_some(settling, mono_us);
}
