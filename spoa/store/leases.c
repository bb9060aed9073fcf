/*
 * The life of a lease, which is the entry of one balance:
 *
 *             +------------------------------------------------------------------+
 *             v                                                                  |
 *     IDLE, no units  --begin-->  ASKED, no units  --learn, units were taken-->  HELD
 *             ^                    |           ^                                 | spend: fewer
 *             `----learn, none-----'           `--begin: they are given back-----+
 *                                                                                |
 *                        ended, and LEASES_GRACE_US have passed: next_back ------+--> IDLE
 *
 * Entries lie in sets of WAYS, by a hash that no client can compute. A set that is full of entries
 * in use makes no room: that balance is asked for each request, which is right, only dearer.
 *
 * An entry that holds units stands in a wheel of TICKS slots, at the tick at which the units are to
 * be given back. All leases end within the wheel's turn, so no entry is passed over.
 *
 * `round` grows when everything is forgotten. Entries of an earlier round are free, and a question
 * of an earlier round finds no entry that waits for it.
 */
#include "store/leases.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/least.h"
#include "base/list.h"
#include "base/pool.h"
#include "limit/request.h"

#define WAYS        4
#define SETS        (LEASES_MAX / WAYS)
#define TICK_US     INT64_C(10000)
#define TICKS       1024
#define ROUNDING_US 3 /* each of three readings of a clock was rounded down */
_Static_assert(TICKS *TICK_US > QUOTA_LEASE_MAX_US + LEASES_GRACE_US + 2 * TICK_US,
	       "every lease ends within one turn of the wheel");

struct lease {
	struct key_hash id;
	uint32_t round; /* 0: never used */
	bool is_asked;  /* a question is under way that may bring units */
	bool ends_with_window;
	int64_t units;    /* that are held */
	int64_t taken_us; /* when they were taken, by the server's clock */
	int64_t until_us; /* by ours: they may be spent before this */
	/* As the last reply said; less what was spent since then. */
	int64_t remaining, reset_us, grows_us;
	/* What was allowed here in the last lease's time, and in the one that began at since_us. */
	int64_t since_us, needed_before, needed;
	struct list link; /* in a slot of the wheel, when units are held */
	struct quota quota;
	size_t key_len;
	char key[CHECK_KEY_MAX];
};

struct leases {
	struct lease *table; /* SETS times WAYS */
	uint32_t round;
	size_t held;  /* leases with units */
	int64_t tick; /* the slots up to this one are empty */
	struct list wheel[TICKS];
};

/* ---- the table ---- */

static bool is_of(const struct lease *lease, struct key_hash id)
{
	return lease->id.low == id.low && lease->id.high == id.high;
}

static struct lease *find_lease(const struct leases *leases, struct key_hash id)
{
	struct lease *set = &leases->table[id.low % SETS * WAYS];

	for (size_t i = 0; i < WAYS; i++)
		if (set[i].round == leases->round && is_of(&set[i], id))
			return &set[i];
	return NULL;
}

static bool is_in_use(const struct leases *leases, const struct lease *lease)
{
	return lease->round == leases->round && (lease->is_asked || lease->units > 0);
}

/*
 * Finds a lease to replace: one of an earlier round, else the one whose need was noted longest ago.
 * NULL: all are in use.
 */
static struct lease *find_room(const struct leases *leases, struct key_hash id)
{
	struct lease *set = &leases->table[id.low % SETS * WAYS], *best = NULL;

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].round != leases->round)
			return &set[i];
		if (!is_in_use(leases, &set[i]) &&
		    (best == NULL || set[i].since_us < best->since_us))
			best = &set[i];
	}
	return best;
}

static struct lease *make_lease(struct leases *leases, const struct check *check, int64_t mono_us)
{
	struct lease *lease = find_room(leases, check->hash);

	if (lease == NULL)
		return NULL;
	lease->id = check->hash;
	lease->round = leases->round;
	lease->is_asked = false;
	lease->units = 0;
	lease->since_us = mono_us;
	lease->needed = lease->needed_before = 0;
	list_init(&lease->link);
	lease->quota = *check->quota;
	lease->key_len = check->key_len;
	memcpy(lease->key, check->key, check->key_len);
	return lease;
}

/* ---- the wheel ---- */

static void hold(struct leases *leases, struct lease *lease, int64_t units, int64_t mono_us)
{
	int64_t ends_us = greatest_i64(lease->until_us, mono_us) + LEASES_GRACE_US;

	if (leases->held++ == 0)
		leases->tick = mono_us / TICK_US;
	lease->units = units;
	list_append(&leases->wheel[ends_us / TICK_US % TICKS], &lease->link);
}

static int64_t let_go(struct leases *leases, struct lease *lease)
{
	int64_t units = lease->units;

	if (units == 0)
		return 0;
	lease->units = 0;
	list_remove(&lease->link);
	leases->held--;
	return units;
}

/* ---- what is needed ---- */

static void note_need(struct lease *lease, int64_t lease_us, int64_t units, int64_t mono_us)
{
	int64_t passed_us = mono_us - lease->since_us;

	if (passed_us >= lease_us) {
		lease->needed_before = passed_us < 2 * lease_us ? lease->needed : 0;
		lease->needed = 0;
		lease->since_us = passed_us < 2 * lease_us ? lease->since_us + lease_us : mono_us;
	}
	/* A lease of 10 s may span 10,000 windows of 1 ms. */
	lease->needed = least_i64(lease->needed, QUOTA_UNITS_MAX) + units;
}

void leases_note_need(struct leases *leases, const struct check *check, int64_t mono_us)
{
	struct lease *lease = find_lease(leases, check->hash);

	if (lease == NULL)
		lease = make_lease(leases, check, mono_us);
	if (lease != NULL)
		note_need(lease, check->terms->lease_us, check->cost, mono_us);
}

/* ---- spending ---- */

static bool can_spend(const struct lease *lease, const struct check *check, int64_t mono_us)
{
	return lease != NULL && lease->units > 0 && check->cost <= lease->units &&
	       mono_us < lease->until_us;
}

/* A check in shadow is decided by the server. */
static bool find_all(const struct leases *leases, const struct store_op *op, int64_t mono_us,
		     struct lease **found)
{
	if (op->is_denied || op->shadow > 0)
		return false;
	for (size_t i = 0; i < op->count; i++) {
		/* To look at the balance alone wants what the server has. */
		if (op->checks[i]->terms->lease_us == 0 ||
		    (op->is_look && op->checks[i]->cost == 0))
			return false;
		found[i] = find_lease(leases, op->checks[i]->hash);
		if (!can_spend(found[i], op->checks[i], mono_us))
			return false;
	}
	return true;
}

static void spend(struct leases *leases, struct lease *lease, const struct check *check,
		  int64_t mono_us)
{
	note_need(lease, check->terms->lease_us, check->cost, mono_us);
	lease->remaining -= least_i64(check->cost, lease->remaining);
	lease->units -= check->cost;
	if (lease->units > 0 || check->cost == 0)
		return;
	list_remove(&lease->link);
	leases->held--;
}

bool leases_spend(struct leases *leases, const struct store_op *op, int64_t mono_us)
{
	struct lease *found[REQUEST_CHECKS_MAX];

	if (leases->held == 0 || !find_all(leases, op, mono_us, found))
		return false;
	for (size_t i = 0; i < op->count; i++) {
		struct check *check = op->checks[i];
		check->error = STORE_OK;
		check->is_decided = true;
		check->outcome = (struct outcome){
			.allowed = true,
			.remaining =
				found[i]->remaining - least_i64(check->cost, found[i]->remaining),
			.reset_us = found[i]->reset_us,
			.grows_us = found[i]->grows_us,
		};
		if (!op->is_look)
			spend(leases, found[i], check, mono_us);
	}
	return true;
}

/* ---- asking ---- */

struct lease_part leases_begin(struct leases *leases, const struct check *check, bool is_look,
			       int64_t mono_us)
{
	struct lease *lease = find_lease(leases, check->hash);

	if (lease == NULL || lease->is_asked || (is_look && lease->units == 0))
		return (struct lease_part){0};
	note_need(lease, check->terms->lease_us, 0, mono_us);
	/* What one request takes is no lease. */
	int64_t wanted = least_i64(lease->needed_before, check->quota->limit);
	if (wanted <= check->cost || is_look)
		wanted = 0;
	struct lease_part part = {
		.is_leased = wanted > 0 || lease->units > 0,
		.round = leases->round,
		.wanted = wanted,
		.back = lease->units,
		.back_taken_us = lease->units > 0 ? lease->taken_us : 0,
	};
	if (part.is_leased && !is_look) {
		lease->is_asked = true;
		(void)let_go(leases, lease);
		lease->quota = *check->quota; /* a raise may have begun or ended */
	}
	return part;
}

/* NULL when everything was forgotten since the question was asked. */
static struct lease *find_asked(const struct leases *leases, const struct check *check,
				const struct lease_part *part)
{
	return part->round == leases->round ? find_lease(leases, check->hash) : NULL;
}

void leases_undo(struct leases *leases, const struct check *check, const struct lease_part *part,
		 int64_t mono_us)
{
	struct lease *lease = find_asked(leases, check, part);

	if (lease == NULL)
		return;
	lease->is_asked = false;
	if (part->back > 0)
		hold(leases, lease, part->back, mono_us);
}

/* Returns how long after the server's taking this agent may spend the units. */
static int64_t lease_life_us(const struct check *check, int64_t taken_us,
			     bool *ret_ends_with_window)
{
	const struct quota *quota = check->quota;
	int64_t lease_us = check->terms->lease_us;

	*ret_ends_with_window = false;
	if (algorithm_traits(quota->algorithm)->is_by_rate)
		return lease_us;
	int64_t left_us = quota->window_us - taken_us % quota->window_us;
	*ret_ends_with_window = left_us <= lease_us;
	return least_i64(left_us, lease_us);
}

void leases_learn(struct leases *leases, const struct check *check, const struct lease_part *part,
		  int64_t asked_us, int64_t mono_us)
{
	struct lease *lease = find_asked(leases, check, part);

	if (lease == NULL)
		return;
	lease->is_asked = false;
	if (part->got == 0)
		return;
	int64_t life_us = lease_life_us(check, part->got_us, &lease->ends_with_window);
	int64_t sure_us = (life_us - ROUNDING_US) * LEASE_DRIFT_IN / (LEASE_DRIFT_IN + 1);
	lease->until_us = asked_us + greatest_i64(sure_us, 0);
	lease->taken_us = part->got_us;
	lease->remaining = check->outcome.remaining;
	lease->reset_us = check->outcome.reset_us;
	lease->grows_us = check->outcome.grows_us;
	hold(leases, lease, part->got, mono_us);
}

/* ---- giving back ---- */

bool leases_are_held(const struct leases *leases)
{
	return leases->held > 0;
}

static void fill_back(struct lease_back *back, const struct lease *lease, int64_t units)
{
	back->id = lease->id;
	back->key_len = lease->key_len;
	memcpy(back->key, lease->key, lease->key_len);
	back->quota = lease->quota;
	back->units = units;
	back->taken_us = lease->taken_us;
}

/* Units of a window that is over count for nothing any more. */
static bool take_from_slot(struct leases *leases, struct list *slot, size_t *looks_left,
			   struct lease_back *ret_back)
{
	while (!list_is_empty(slot) && *looks_left > 0) {
		struct lease *lease = CONTAINER_OF(slot->next, struct lease, link);
		int64_t units = let_go(leases, lease);
		--*looks_left;
		if (lease->ends_with_window)
			continue;
		fill_back(ret_back, lease, units);
		return true;
	}
	return false;
}

/* A slot is due when its tick is over, so that all that stands in it is. */
bool leases_next_back(struct leases *leases, int64_t mono_us, size_t *looks_left,
		      struct lease_back *ret_back)
{
	int64_t now = mono_us / TICK_US;

	if (now - leases->tick > TICKS)
		leases->tick = now - TICKS; /* every slot once */
	for (; leases->held > 0 && leases->tick < now; leases->tick++) {
		struct list *slot = &leases->wheel[leases->tick % TICKS];
		if (take_from_slot(leases, slot, looks_left, ret_back))
			return true;
		if (!list_is_empty(slot))
			return false; /* this tick goes on when the caller looks again */
	}
	return false;
}

void leases_hold_back(struct leases *leases, const struct lease_back *back, int64_t mono_us)
{
	struct lease *lease = find_lease(leases, back->id);

	if (lease == NULL || is_in_use(leases, lease))
		return;
	lease->taken_us = back->taken_us;
	lease->until_us = 0;
	hold(leases, lease, back->units, mono_us);
}

/* ---- start and end ---- */

void leases_forget(struct leases *leases)
{
	leases->round++;
	leases->held = 0;
	for (size_t i = 0; i < TICKS; i++)
		list_init(&leases->wheel[i]);
}

struct leases *leases_new(void)
{
	struct leases *leases = calloc(1, sizeof *leases);

	if (leases == NULL)
		return NULL;
	leases->table = pages_reserve(LEASES_MAX * sizeof *leases->table);
	if (leases->table == NULL) {
		free(leases);
		return NULL;
	}
	leases_forget(leases); /* the first round is 1 */
	return leases;
}

void leases_free(struct leases *leases)
{
	if (leases == NULL)
		return;
	pages_release(leases->table, LEASES_MAX * sizeof *leases->table);
	free(leases);
}
