/*
 * The way of an op that has checks of policies with a lease:
 *
 *     ask --> are the units for all its checks held here?
 *               | no                             | yes: STORE_DONE
 *               v
 *             is it known to be denied, by the other store's memory (denials.h)?
 *               | no                             | yes: STORE_DONE, and what is held stays held
 *               v
 *             each check gets its part: what it takes beside its cost, and gives back
 *               |
 *               v
 *             the other store is asked --------> it does not ask: the parts are undone, STORE_DONE
 *               |
 *               v
 *             `answered`: what was got is held from now on, and the op's owner is told
 *
 * While units are held, a timer looks for leases that have ended.
 */
#include "store/lease_store.h"

#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "base/pool.h"
#include "limit/request.h"
#include "store/front_store.h"
#include "store/leases.h"

#define LOOK_EVERY_S 0.01
#define LOOKS_MAX    1024 /* at leases that have ended, in one turn of the loop */

/* An op that is with the other store. */
struct leased_op {
	struct lease_store *leased;
	void (*answered)(struct store_op *op); /* of the op's owner */
	struct lease_part parts[REQUEST_CHECKS_MAX];
};

/* Gives back what is left of leases that have ended. */
struct back_op {
	struct lease_store *leased;
	struct store_op op;
	struct check checks[REQUEST_CHECKS_MAX];
	struct check *pointers[REQUEST_CHECKS_MAX];
	int64_t taken_us[REQUEST_CHECKS_MAX];
};

struct lease_store {
	struct front_store front;
	int64_t (*mono_us)(void);
	struct leases *leases;
	struct pool ops, backs;
	uint64_t connection;
	struct ev_loop *loop;
	struct ev_timer timer; /* runs while units are held */
	uint64_t hits;
};

static struct lease_store *leased_of(const struct store *store)
{
	return CONTAINER_OF(store, struct lease_store, front.store);
}

static void notice_connection(struct lease_store *leased)
{
	uint64_t now = store_connection(leased->front.asked);

	if (now == leased->connection)
		return;
	leased->connection = now;
	leases_forget(leased->leases);
}

/* ---- questions ---- */

static bool has_lease(const struct store_op *op)
{
	for (size_t i = 0; i < op->count - op->shadow; i++)
		if (op->checks[i]->terms->lease_us > 0)
			return true;
	return false;
}

static void learn_check(struct lease_store *leased, const struct store_op *op, size_t i,
			int64_t mono_us)
{
	const struct check *check = op->checks[i];
	struct lease_part *part = &op->leases[i];

	if (check->terms->lease_us == 0)
		return;
	if (check->is_decided && check->outcome.allowed)
		leases_note_need(leased->leases, check, mono_us);
	if (!part->is_leased)
		return;
	if (check->error != STORE_OK)
		part->got = 0; /* of a reply that could be read in part */
	/* Of a denied op nobody says whether it is unsure. */
	if (check->error != STORE_OK && !op->is_unsure && !op->is_denied)
		leases_undo(leased->leases, check, part,
			    mono_us); /* it was not sent, or did nothing */
	else
		leases_learn(leased->leases, check, part, op->mono_us, mono_us);
}

/*
 * The reply is of the connection by which the op was asked, since none comes over one that has
 * ended. The connection is not looked at here: the other store may be about to be freed.
 */
static void on_answered(struct store_op *op)
{
	struct leased_op *own = CONTAINER_OF(op->leases, struct leased_op, parts[0]);
	struct lease_store *leased = own->leased;
	int64_t mono_us = leased->mono_us();

	for (size_t i = 0; i < op->count - op->shadow && !op->is_look; i++)
		learn_check(leased, op, i, mono_us);
	if (leases_are_held(leased->leases) && !ev_is_active(&leased->timer))
		ev_timer_again(leased->loop, &leased->timer);
	op->answered = own->answered;
	op->leases = NULL;
	pool_put(&leased->ops, own);
	op->answered(op);
}

static void begin_parts(struct lease_store *leased, struct store_op *op, struct leased_op *own,
			int64_t mono_us)
{
	own->leased = leased;
	own->answered = op->answered;
	for (size_t i = 0; i < op->count; i++) {
		bool is_leased = i < op->count - op->shadow && op->checks[i]->terms->lease_us > 0;
		own->parts[i] = (struct lease_part){0};
		if (is_leased)
			own->parts[i] =
				leases_begin(leased->leases, op->checks[i], op->is_look, mono_us);
	}
	op->leases = own->parts;
	op->answered = on_answered;
}

static void undo_parts(struct lease_store *leased, struct store_op *op, struct leased_op *own,
		       int64_t mono_us)
{
	for (size_t i = 0; i < op->count && !op->is_look; i++)
		if (own->parts[i].is_leased)
			leases_undo(leased->leases, op->checks[i], &own->parts[i], mono_us);
	op->answered = own->answered;
	op->leases = NULL;
	pool_put(&leased->ops, own);
}

static bool decide_here(struct lease_store *leased, struct store_op *op, int64_t mono_us)
{
	notice_connection(leased);
	if (!leases_spend(leased->leases, op, mono_us))
		return false;
	leased->hits += !op->is_look;
	return true;
}

static enum store_state ask_with_leases(struct lease_store *leased, struct store_op *op)
{
	/* A turn of the loop may have begun a while ago, and leases end on time. */
	int64_t mono_us = leased->mono_us();

	if (decide_here(leased, op, mono_us) || store_answer_known(leased->front.asked, op))
		return STORE_DONE;
	struct leased_op *own =
		store_divides(leased->front.asked, op) ? NULL : pool_get(&leased->ops);
	if (own == NULL) /* in several slots of a cluster; or an operator's, beside all others */
		return store_ask(leased->front.asked, op);
	begin_parts(leased, op, own, mono_us);
	enum store_state state = store_ask(leased->front.asked, op);
	if (state == STORE_DONE)
		undo_parts(leased, op, own, mono_us);
	return state;
}

static void forget_known(struct store *store)
{
	leases_forget(leased_of(store)->leases);
	store_forget_known(leased_of(store)->front.asked);
}

static enum store_state ask(struct store *store, struct store_op *op)
{
	struct lease_store *leased = leased_of(store);

	if (op->is_reset)
		leases_forget(leased->leases);
	else if (store_op_is_request(op) && has_lease(op))
		return ask_with_leases(leased, op);
	return store_ask(leased->front.asked, op);
}

static bool answer_known(struct store *store, struct store_op *op)
{
	struct lease_store *leased = leased_of(store);

	return (has_lease(op) && decide_here(leased, op, leased->mono_us())) ||
	       store_answer_known(leased->front.asked, op);
}

/* ---- leases that have ended ---- */

static void on_given_back(struct store_op *op)
{
	struct back_op *back = CONTAINER_OF(op, struct back_op, op);

	pool_put(&back->leased->backs, back);
}

static void add_back(struct back_op *back, const struct lease_back *ended)
{
	size_t i = back->op.count++;
	struct check *check = &back->checks[i];

	back->pointers[i] = check;
	back->taken_us[i] = ended->taken_us;
	check->hash = ended->id;
	check->own_quota = ended->quota;
	check->quota = &check->own_quota;
	check->cost = ended->units;
	check->key_len = ended->key_len;
	memcpy(check->key, ended->key, ended->key_len);
}

static void fill_back_op(struct lease_store *leased, struct back_op *back, int64_t mono_us,
			 size_t *looks_left)
{
	struct lease_back ended;

	back->leased = leased;
	back->op = (struct store_op){.checks = back->pointers,
				     .taken_us = back->taken_us,
				     .mono_us = mono_us,
				     .answered = on_given_back};
	while (back->op.count < REQUEST_CHECKS_MAX &&
	       leases_next_back(leased->leases, mono_us, looks_left, &ended))
		add_back(back, &ended);
}

/* The store behind refused the op, so the units go back to the leases, to be offered later. */
static void hold_all_back(struct lease_store *leased, const struct back_op *back, int64_t mono_us)
{
	for (size_t i = 0; i < back->op.count; i++) {
		const struct check *check = &back->checks[i];
		struct lease_back again = {
			.id = check->hash, .units = check->cost, .taken_us = back->taken_us[i]};
		leases_hold_back(leased->leases, &again, mono_us);
	}
}

static void give_back_ended(struct lease_store *leased, int64_t mono_us)
{
	struct back_op *back;
	size_t looks_left = LOOKS_MAX;
	bool is_full = true;

	while (is_full && (back = pool_get(&leased->backs)) != NULL) {
		fill_back_op(leased, back, mono_us, &looks_left);
		is_full = back->op.count == REQUEST_CHECKS_MAX;
		if (back->op.count > 0 &&
		    store_ask(leased->front.asked, &back->op) == STORE_PENDING)
			continue;
		hold_all_back(leased, back, mono_us);
		pool_put(&leased->backs, back);
		return;
	}
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct lease_store *leased = CONTAINER_OF(timer, struct lease_store, timer);

	(void)events;
	notice_connection(leased);
	give_back_ended(leased, leased->mono_us());
	if (!leases_are_held(leased->leases))
		ev_timer_stop(loop, timer);
}

/* ---- the store ---- */

static struct store_description describe(const struct store *store)
{
	const struct lease_store *leased = leased_of(store);
	struct store_description description = store_describe(leased->front.asked);

	description.stats.lease_hits = leased->hits;
	return description;
}

static void release(struct store *store)
{
	struct lease_store *leased = leased_of(store);

	store_free(leased->front.asked); /* which still answers what waits in it */
	ev_timer_stop(leased->loop, &leased->timer);
	leases_free(leased->leases);
	pool_release(&leased->ops);
	pool_release(&leased->backs);
	free(leased);
}

static bool open_leases(struct lease_store *leased, size_t max_in_flight)
{
	leased->leases = leases_new();
	return leased->leases != NULL &&
	       pool_init(&leased->ops, sizeof(struct leased_op),
			 max_in_flight + STORE_OPS_BESIDE) &&
	       pool_init(&leased->backs, sizeof(struct back_op), STORE_BACKS_BESIDE);
}

struct store *lease_store_new(struct ev_loop *loop, struct store *asked, size_t max_in_flight,
			      int64_t (*mono_us)(void))
{
	struct lease_store *leased = calloc(1, sizeof *leased);

	if (leased == NULL) {
		store_free(asked);
		return NULL;
	}
	front_store_init(&leased->front, asked);
	leased->front.store.ask = ask;
	leased->front.store.answer_known = answer_known;
	leased->front.store.forget_known = forget_known;
	leased->front.store.describe = describe;
	leased->front.store.free = release;
	leased->mono_us = mono_us;
	leased->loop = loop;
	ev_timer_init(&leased->timer, on_timer, 0, LOOK_EVERY_S);
	if (!open_leases(leased, max_in_flight)) {
		release(&leased->front.store);
		return NULL;
	}
	return &leased->front.store;
}
