/*
 * The way of an op:
 *
 *     ask --> is one of its checks known to be denied?
 *               | no                       | yes
 *               v                          v
 *             the other store is asked   the known checks get their outcomes, the others are
 *               |                        skipped: STORE_DONE
 *               v
 *             `seen`, for each check that the reply tells of: the server's clock is learnt from it,
 *             a denial is remembered, and a remembered balance gets its new state
 *
 * When a denial is over. A reply says what the balance was at the server's time t. From that
 * follows the moment, by the server's clock, at which a cost passes. Nobody here knows that clock
 * exactly, but server_clock.h has two bounds of it. A denial is over when the clock may have come
 * to that moment, by the upper bound: so no client is denied whom the server would let pass. The
 * wait that a client is told is counted by the lower bound: so a client that waits for so long does
 * pass. A store may have several servers, as a cluster has, and each of them has a clock of its
 * own: a denial goes by the clock of the server that said so.
 *
 *     the server's clock, by now       least         most
 *     --------------------------------|--------------|----------------------> its time
 *                                        still denied if the cost passes here or later: ^
 *                                     <-------------------- the wait that is told ------>
 *
 * Balances lie in sets of WAYS, by a hash that no client can compute. A set that is full gives up
 * the one that ends first. `round` grows when everything is forgotten, which then costs nothing.
 */
#include "store/denials.h"

#include <stdlib.h>

#include "base/pool.h"
#include "limit/request.h"
#include "store/front_store.h"
#include "store/server_clock.h"

#define WAYS  4
#define SETS  (DENIALS_MAX / WAYS)
#define NEVER INT64_MAX

/* What is known of a log: what one cost got, by the server's clock. */
struct log_denial {
	int64_t passes_us; /* or NEVER */
	int64_t resets_us;
	int64_t remaining;
};

struct denial {
	struct key_hash id;
	union {
		union plain_state plain;
		struct log_denial log; /* of an algorithm that is_log */
	};
	int64_t cost;     /* of a log, the one that was asked for */
	int64_t until_us; /* by the monotonic clock; 0 in one that was never used */
	uint32_t round;
	uint16_t server; /* by whose clock it is */
};
_Static_assert(sizeof(struct denial) == 64, "a denial is a cache line");

/* What is known of the clock of a server, in this round. */
struct clock {
	struct server_clock bounds;
	int64_t store_us, read_us; /* of the last reply: what it says, and when it was read */
	uint32_t round;
};

struct denials {
	struct front_store front;
	int64_t longest_us;
	int64_t (*mono_us)(void);
	struct denial *table; /* SETS times WAYS */
	uint32_t round;
	int64_t ends_us; /* every denial is over then */
	uint64_t connection;
	int64_t forgotten_us; /* what was asked by then is not remembered */
	struct clock clocks[STORE_SERVERS_MAX];
	uint64_t hits;
};

static struct denials *denials_of(const struct store *store)
{
	return CONTAINER_OF(store, struct denials, front.store);
}

/* ---- forgetting ---- */

static void forget_all(struct denials *denials)
{
	denials->round++;
	denials->ends_us = 0;
}

/*
 * A reply to what was asked before may still be on its way, and tell of a balance as it was before,
 * say, an operator forgave it. So only replies to later questions are remembered.
 */
static void forget_known(struct store *store)
{
	struct denials *denials = denials_of(store);

	forget_all(denials);
	denials->forgotten_us = denials->mono_us();
}

/* Over a connection that has ended there comes no reply any more. */
static void notice_connection(struct denials *denials)
{
	uint64_t now = store_connection(denials->front.asked);

	if (now == denials->connection)
		return;
	denials->connection = now;
	forget_all(denials);
}

/* ---- the table ---- */

static struct denial *set_of(const struct denials *denials, struct key_hash id)
{
	return &denials->table[id.low % SETS * WAYS];
}

static bool is_remembered(const struct denials *denials, const struct denial *denial,
			  int64_t mono_us)
{
	return denial->round == denials->round && denial->until_us > mono_us;
}

static struct denial *find(const struct denials *denials, struct key_hash id, int64_t mono_us)
{
	struct denial *set = set_of(denials, id);

	for (size_t i = 0; i < WAYS; i++)
		if (set[i].id.low == id.low && set[i].id.high == id.high &&
		    is_remembered(denials, &set[i], mono_us))
			return &set[i];
	return NULL;
}

/* One that is over, or the one that will be first. */
static struct denial *make_room(const struct denials *denials, struct key_hash id, int64_t mono_us)
{
	struct denial *set = set_of(denials, id), *first = set;

	for (size_t i = 0; i < WAYS; i++) {
		if (!is_remembered(denials, &set[i], mono_us))
			return &set[i];
		if (set[i].until_us < first->until_us)
			first = &set[i];
	}
	return first;
}

/* ---- what a reply tells ---- */

static const struct clock *learn_time(struct denials *denials, const struct store_op *op,
				      int64_t store_us)
{
	struct clock *clock = &denials->clocks[op->server];

	if (clock->round != denials->round)
		server_clock_forget(&clock->bounds);
	/* All checks of a call have one time, and our clock is read once for them. */
	if (store_us != clock->store_us || !clock->bounds.is_known) {
		clock->store_us = store_us;
		clock->read_us = denials->mono_us();
	}
	clock->round = denials->round;
	server_clock_learn(&clock->bounds, store_us, op->mono_us, clock->read_us);
	return clock;
}

static void set_denial(struct denial *denial, const struct check *check,
		       const struct balance *balance, int64_t store_us)
{
	const struct outcome *outcome = &check->outcome;

	if (!algorithm_traits(check->quota->algorithm)->is_log) {
		denial->plain = balance->plain;
		return;
	}
	denial->cost = check->cost;
	denial->log = (struct log_denial){
		.passes_us =
			outcome->retry_after_us < 0 ? NEVER : store_us + outcome->retry_after_us,
		.resets_us = store_us + outcome->reset_us,
		.remaining = outcome->remaining,
	};
}

static void remember(struct denials *denials, const struct clock *clock, const struct check *check,
		     const struct balance *balance)
{
	int64_t longest_us = denials->longest_us, mono_us = clock->read_us;

	if (denials->front.asked->gives_back && longest_us > DENIALS_GIVEN_BACK_US)
		longest_us = DENIALS_GIVEN_BACK_US;
	if (check->terms->lease_us > 0 && longest_us > check->terms->lease_us)
		longest_us = check->terms->lease_us;
	struct key_hash id = check->hash;
	struct denial *denial = find(denials, id, mono_us);
	if (denial == NULL)
		denial = make_room(denials, id, mono_us);
	*denial = (struct denial){.id = id,
				  .round = denials->round,
				  .until_us = mono_us + longest_us,
				  .server = (uint16_t)(clock - denials->clocks)};
	set_denial(denial, check, balance, clock->store_us);
	if (denials->ends_us < denial->until_us)
		denials->ends_us = denial->until_us;
}

/*
 * The check was not denied, maybe since it costs less than the one whose denial is remembered. If
 * it was charged, the wait of the other one has become longer; of a log nobody knows by how much.
 */
static void renew(struct denials *denials, const struct clock *clock, const struct check *check,
		  const struct balance *balance, bool is_charged)
{
	if (denials->ends_us <= clock->read_us)
		return;
	struct denial *denial = find(denials, check->hash, clock->read_us);
	if (denial == NULL)
		return;
	if (!algorithm_traits(check->quota->algorithm)->is_log) {
		denial->plain = balance->plain;
		denial->server = (uint16_t)(clock - denials->clocks);
	} else if (is_charged) {
		denial->until_us = 0;
	}
}

static void on_seen(struct store_op *op, const struct check *check, const struct balance *balance,
		    bool is_charged, int64_t now_us)
{
	struct denials *denials = denials_of(op->wrapped.store);

	notice_connection(denials);
	if (op->mono_us > denials->forgotten_us) {
		const struct clock *clock = learn_time(denials, op, now_us);
		if (check->outcome.allowed)
			renew(denials, clock, check, balance, is_charged);
		else
			remember(denials, clock, check, balance);
	}
	if (op->wrapped.seen != NULL)
		op->wrapped.seen(op, check, balance, is_charged, now_us);
}

/* ---- answers ---- */

struct server_time {
	int64_t least_us, most_us;
};

static bool is_log_denied(const struct log_denial *log, struct server_time time,
			  struct outcome *ret_outcome)
{
	bool is_never = log->passes_us == NEVER;

	if (log->passes_us <= time.most_us)
		return false;
	*ret_outcome = (struct outcome){
		.allowed = false,
		.remaining = log->remaining,
		.retry_after_us = is_never ? -1 : log->passes_us - time.least_us,
		.reset_us = log->resets_us > time.least_us ? log->resets_us - time.least_us : 0,
	};
	return true;
}

static bool is_plain_denied(const union plain_state *plain, const struct check *check,
			    struct server_time time, struct outcome *ret_outcome)
{
	struct balance balance = {.plain = *plain};

	balance_look(&balance, check->quota, time.most_us);
	if (check->cost <= balance_remaining(&balance, check->quota))
		return false;
	balance.plain = *plain;
	balance_look(&balance, check->quota, time.least_us);
	*ret_outcome = balance_outcome(&balance, check->quota, time.least_us, check->cost, false);
	return true;
}

/* Whether the check is known to be denied, and with which outcome. */
static bool is_denied(const struct denials *denials, const struct check *check, int64_t mono_us,
		      struct outcome *ret_outcome)
{
	const struct denial *denial = find(denials, check->hash, mono_us);

	if (denial == NULL)
		return false;
	const struct server_clock *clock = &denials->clocks[denial->server].bounds;
	struct server_time time = {server_clock_least_us(clock, mono_us),
				   server_clock_most_us(clock, mono_us)};
	if (!algorithm_traits(check->quota->algorithm)->is_log)
		return is_plain_denied(&denial->plain, check, time, ret_outcome);
	return denial->cost == check->cost && is_log_denied(&denial->log, time, ret_outcome);
}

static void answer_check(struct check *check, bool is_known, const struct outcome *outcome)
{
	check->error = STORE_OK;
	check->is_decided = is_known;
	check->is_skipped = !is_known;
	check->is_remembered = is_known;
	if (is_known)
		check->outcome = *outcome;
}

static bool answer_known(struct store *store, struct store_op *op)
{
	struct denials *denials = denials_of(store);
	struct outcome outcomes[REQUEST_CHECKS_MAX];
	bool is_known[REQUEST_CHECKS_MAX], is_any_known = false;
	size_t limiting = op->count - op->shadow;

	notice_connection(denials);
	if (denials->ends_us <= op->mono_us)
		return false;
	/* A turn of the loop may have begun a while ago, and denials end on time. */
	int64_t mono_us = denials->mono_us();
	for (size_t i = 0; i < op->count && (i < limiting || is_any_known); i++) {
		is_known[i] = is_denied(denials, op->checks[i], mono_us, &outcomes[i]);
		is_any_known = is_any_known || is_known[i];
	}
	if (!is_any_known)
		return false;
	for (size_t i = 0; i < op->count; i++)
		answer_check(op->checks[i], is_known[i], &outcomes[i]);
	denials->hits += !op->is_look;
	return true;
}

static enum store_state ask(struct store *store, struct store_op *op)
{
	if (op->taken_us != NULL)
		return store_ask(denials_of(store)->front.asked, op);
	/* What is asked for from now on gets to the server after the reset. */
	if (op->is_reset)
		forget_known(store);
	else if (!op->is_settling && answer_known(store, op))
		return STORE_DONE;
	if (op->is_look || op->is_reset || op->is_settling)
		return store_ask(denials_of(store)->front.asked, op);
	op->wrapped.store = store;
	op->wrapped.seen = op->seen;
	op->seen = on_seen;
	return store_ask(denials_of(store)->front.asked, op);
}

/* ---- the store ---- */

static struct store_description describe(const struct store *store)
{
	const struct denials *denials = denials_of(store);
	struct store_description description = store_describe(denials->front.asked);

	description.stats.deny_cache_hits = denials->hits;
	return description;
}

static void release(struct store *store)
{
	struct denials *denials = denials_of(store);

	store_free(denials->front.asked); /* which still answers what waits in it */
	pages_release(denials->table, DENIALS_MAX * sizeof *denials->table);
	free(denials);
}

struct store *denials_new(struct store *asked, int64_t longest_us, int64_t (*mono_us)(void))
{
	struct denials *denials = calloc(1, sizeof *denials);

	if (denials != NULL)
		denials->table = pages_reserve(DENIALS_MAX * sizeof *denials->table);
	if (denials == NULL || denials->table == NULL) {
		free(denials);
		store_free(asked);
		return NULL;
	}
	front_store_init(&denials->front, asked);
	denials->front.store.ask = ask;
	denials->front.store.answer_known = answer_known;
	denials->front.store.forget_known = forget_known;
	denials->front.store.describe = describe;
	denials->front.store.free = release;
	denials->longest_us = longest_us;
	denials->mono_us = mono_us;
	denials->round = 1;
	denials->forgotten_us = INT64_MIN;
	return &denials->front.store;
}
