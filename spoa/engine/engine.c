/*
 * The life of an inquiry:
 *
 *  begin --> submit --> DONE ------------------------------------------> end
 *               |
 *               `-----> PENDING --> the store answers -----> done() ---> end
 *                          |
 *                          `------> the deadline --> done() --> LATE
 *                                                     the store answers --> end
 *
 * Why a late inquiry lives on: the store still has its op and will write into its checks. Until the
 * store answers, the inquiry keeps its slot and counts in max_in_flight, so a store that answers
 * nothing leads to answers at once and not to growth. All inquiries have the same time, so a list
 * in the order in which they were submitted is in the order of their deadlines, and one timer is
 * enough.
 */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "engine/settling.h"

struct engine {
	struct engine_config config;
	const struct policies *policies; /* a reference */
	struct pool inquiries;
	struct pool checks;
	struct list waiting; /* for the store, oldest first: their deadlines are in order */
	size_t in_flight;    /* checks of requests that the store has not given back */
	/*
	 * The clock of a store that has one, as far as it is known: it was `store_us` when a reply
	 * was made, and so it is at least store_ahead_us ahead of the monotonic clock, since that
	 * was read later.
	 */
	int64_t store_us, store_ahead_us;
	struct settling settling;
	struct counter counter;
};

struct inquiry {
	struct engine *engine;
	struct request request;
	struct verdict verdict;
	struct store_op op;
	struct check *asked[REQUEST_CHECKS_MAX]; /* the op's: those not decided already */
	struct asker asker;     /* `done` is NULL when nobody waits for the answer any more */
	struct list open_link;  /* in asker.open */
	struct list queue_link; /* in engine.waiting; in no list when late */
	int64_t asked_us;       /* on the monotonic clock */
	int64_t deadline_us;
	int64_t now_us; /* when it was asked, for the local store */
	/*
	 * Of a late inquiry: the request's checks that the local store granted and of which the
	 * store has not said that it charged them, as bits; and when, by the time of that op.
	 */
	uint32_t granted;
	int64_t granted_us;
	uint8_t trace_len;
	char trace[TRACE_MAX];
};

struct engine *engine_new(const struct engine_config *config, struct policies *policies)
{
	struct engine *engine = calloc(1, sizeof *engine);

	if (engine == NULL)
		return NULL;
	engine->config = *config;
	list_init(&engine->waiting);
	counter_init(&engine->counter, config->mono_us());
	engine->policies = policies_ref(policies);
	const struct settling_config settling = {
		.store = config->store,
		.local = config->local,
		.in_flight = &engine->in_flight,
		.in_flight_max = config->max_in_flight,
		.timeout_us = config->store_timeout_us,
		.mono_us = config->mono_us,
	};
	/*
	 * Beside the inquiries that wait there is the one that is being filled: it has up to
	 * REQUEST_CHECKS_MAX checks, and a slot for the next one before it is known whether that
	 * one is merged into another or left out.
	 */
	if (!settling_init(&engine->settling, &settling) ||
	    !pool_init(&engine->inquiries, sizeof(struct inquiry), config->max_in_flight + 1) ||
	    !pool_init(&engine->checks, sizeof(struct check),
		       config->max_in_flight + REQUEST_CHECKS_MAX + 1)) {
		engine_free(engine);
		return NULL;
	}
	return engine;
}

void engine_free(struct engine *engine)
{
	if (engine == NULL)
		return;
	ASSERT(engine->in_flight == 0);
	policies_unref(engine->policies);
	settling_release(&engine->settling);
	pool_release(&engine->inquiries);
	pool_release(&engine->checks);
	counter_release(&engine->counter);
	free(engine);
}

void engine_set_policies(struct engine *engine, const struct policies *policies)
{
	const struct policies *old = engine->policies;

	engine->policies = policies_ref(policies);
	if (engine->config.exceptions != NULL)
		exceptions_bind(engine->config.exceptions, policies);
	policies_unref(old);
	store_forget_known(engine->config.store);
}

bool engine_prepare_policies(struct engine *engine, const struct policies *policies)
{
	return engine->config.exceptions != NULL &&
	       exceptions_prepare(engine->config.exceptions, policies);
}

bool engine_tidy_policies(struct engine *engine)
{
	return engine->config.exceptions != NULL && exceptions_tidy(engine->config.exceptions);
}

const struct policies *engine_policies(const struct engine *engine)
{
	return engine->policies;
}

struct top_panes *engine_top(const struct engine *engine)
{
	return engine->counter.top;
}

struct engine_stats engine_stats(const struct engine *engine)
{
	struct engine_stats stats = engine->counter.stats;

	stats.in_flight = engine->in_flight;
	stats.settling = engine->settling.stats;
	return stats;
}

struct inquiry *engine_begin(struct engine *engine)
{
	struct inquiry *inquiry = pool_get(&engine->inquiries);

	ASSERT(inquiry != NULL);
	inquiry->engine = engine;
	request_init(&inquiry->request, engine->policies, &engine->checks);
	if (engine->config.exceptions != NULL && exceptions_count(engine->config.exceptions) > 0)
		inquiry->request.exceptions = engine->config.exceptions;
	list_init(&inquiry->open_link);
	list_init(&inquiry->queue_link);
	inquiry->trace_len = 0;
	inquiry->granted = 0;
	return inquiry;
}

void engine_look(struct inquiry *inquiry)
{
	inquiry->request.is_look = true;
}

static void keep_trace(struct inquiry *inquiry, const struct attributes *attributes)
{
	const struct value *trace = attributes_find(attributes, BYTES("traceparent"));

	if (trace == NULL || trace->kind != VALUE_TEXT || trace->text.len > TRACE_MAX)
		return;
	inquiry->trace_len = (uint8_t)trace->text.len;
	memcpy(inquiry->trace, trace->text.data, trace->text.len);
}

void engine_add(struct inquiry *inquiry, const struct attributes *attributes)
{
	request_add(&inquiry->request, attributes);
	if (inquiry->engine->config.decided != NULL)
		keep_trace(inquiry, attributes);
}

void engine_end(struct inquiry *inquiry)
{
	request_clear(&inquiry->request);
	pool_put(&inquiry->engine->inquiries, inquiry);
}

const struct request *engine_request(const struct inquiry *inquiry)
{
	return &inquiry->request;
}

const struct verdict *engine_verdict(const struct inquiry *inquiry)
{
	return &inquiry->verdict;
}

static bool is_blocked(const struct request *request)
{
	for (size_t i = 0; i < request->count; i++)
		if (request->checks[i]->is_decided && check_denies(request->checks[i]))
			return true;
	return false;
}

static bool is_denied_already(const struct request *request)
{
	for (size_t i = 0; i < request->count; i++)
		if (check_denies(request->checks[i]))
			return true;
	return false;
}

static bool are_all_decided(const struct request *request)
{
	for (size_t i = 0; i < request->count; i++)
		if (!request->checks[i]->is_decided)
			return false;
	return true;
}

static bool is_for_store(const struct check *check)
{
	return !check->is_decided;
}

static bool is_for_local(const struct check *check)
{
	return !check->is_decided && !check->is_skipped && check->terms->on_error == ON_ERROR_LOCAL;
}

/* Makes an op of the checks that `is_for` chooses, in file order, those in shadow last. */
static void make_op(struct store_op *op, const struct inquiry *inquiry, struct check **checks,
		    bool (*is_for)(const struct check *check))
{
	const struct request *request = &inquiry->request;

	*op = (struct store_op){
		.checks = checks, .now_us = inquiry->now_us, .is_look = request->is_look};
	for (size_t i = 0; i < request->count; i++) {
		struct check *check = request->checks[i];
		if (!is_for(check))
			continue;
		if (check->is_shadow)
			op->shadow++;
		else
			checks[op->count++] = check;
	}
	size_t end = op->count + op->shadow;
	for (size_t i = 0; op->count < end; i++)
		if (is_for(request->checks[i]) && request->checks[i]->is_shadow)
			checks[op->count++] = request->checks[i];
}

/*
 * The local store keeps balances of the other store by that one's clock, and its windows begin by
 * that clock. Until it is known, the local store counts by our own.
 */
static int64_t local_now_us(const struct inquiry *inquiry)
{
	const struct engine *engine = inquiry->engine;

	return engine->store_us == 0 ? inquiry->now_us : inquiry->asked_us + engine->store_ahead_us;
}

/*
 * ---- on_error=local: what the local store has of a check ----
 *
 * It has two balances of each key (store/memory.c). One is called the balance here: it decides the
 * next check. The other one is the grant: the units that the local store granted and that Redis, as
 * far as the agent knows, did not charge. Of a check that costs c units:
 *
 *     what happens                                       the grant    the balance has left
 *     -------------------------------------------------  -----------  ---------------------------
 *     Redis replies in time                              as before    what Redis says, less grant
 *
 *     Redis is not asked, answers by an error, or has
 *     not answered by the deadline:
 *       the local store grants the check                 c more       c less
 *       the local store denies it                        as before    as before
 *
 *     Redis replies after the deadline, and says that
 *       it charged the check, which was granted here     c less       what Redis says, less grant
 *       it did not, or the check was denied here         as before    what Redis says, less grant
 *
 *     the reply never comes, or is an error              as before    as before
 *
 *     Redis charges n units of the grant (settling.h)    n less       what Redis says, less grant
 *
 *     the window is over                                 none         the limit
 *     the bucket refills by n units                      n less       n more
 *
 * Why the grant is raised at the deadline, and not when it is known that Redis did not charge the
 * check: replies to other requests of the key come before that, and each puts what Redis says in
 * the place of the balance.
 *
 * The late reply takes off the grant only what still counts of the c units that were granted then.
 * After the end of their window, or when their bucket has refilled them, that is nothing: what the
 * grant has by then is of other checks.
 *
 * When Redis has charged the check and the reply is lost, the c units count twice here until their
 * window is over or their bucket has refilled them. That is better than to grant them twice.
 */

/* What the local store has charged for `op`. */
static uint32_t granted_bits(const struct inquiry *inquiry, const struct store_op *op)
{
	const struct request *request = &inquiry->request;
	bool is_granted = !op->is_denied;
	uint32_t bits = 0;

	for (size_t i = 0; i < op->count - op->shadow; i++)
		is_granted = is_granted && op->checks[i]->outcome.allowed;
	for (size_t i = 0; i < request->count && is_granted; i++)
		for (size_t k = 0; k < op->count; k++)
			if (op->checks[k] == request->checks[i] && op->checks[k]->is_decided &&
			    op->checks[k]->outcome.allowed)
				bits |= UINT32_C(1) << i;
	return bits;
}

/*
 * The local store granted these checks, and no reply says that Redis charged them. They are settled
 * if it is certain that Redis did not.
 */
static void owe(struct inquiry *inquiry, uint32_t granted, int64_t granted_us)
{
	struct settling *settling = &inquiry->engine->settling;

	for (size_t i = 0; i < inquiry->request.count && granted >> i != 0; i++) {
		if ((granted >> i & 1) == 0)
			continue;
		if (inquiry->op.is_unsure)
			settling_give_up(settling, inquiry->request.checks[i]);
		else
			settling_owe(settling, inquiry->request.checks[i], granted_us,
				     inquiry->asked_us);
	}
}

/*
 * Has the local store decide the checks whose policy says on_error=local: they are charged all
 * together or not at all. The checks keep the error of the first store, so that the verdict says
 * `degraded`.
 */
static void ask_local(struct inquiry *inquiry)
{
	struct check *checks[REQUEST_CHECKS_MAX];
	unsigned errors[REQUEST_CHECKS_MAX];
	struct store_op op;

	make_op(&op, inquiry, checks, is_for_local);
	if (op.count == 0)
		return;
	op.is_denied = is_denied_already(&inquiry->request);
	op.is_stand_in = inquiry->engine->config.store != inquiry->engine->config.local;
	op.now_us = local_now_us(inquiry);
	for (size_t i = 0; i < op.count; i++)
		errors[i] = checks[i]->error;
	enum store_state state = store_ask(inquiry->engine->config.local, &op);
	ASSERT(state == STORE_DONE);
	for (size_t i = 0; i < op.count; i++)
		checks[i]->error = errors[i];
	if (op.is_look || !op.is_stand_in)
		return;
	uint32_t granted = granted_bits(inquiry, &op);
	if (!inquiry->op.is_late) {
		owe(inquiry, granted, op.now_us);
		return;
	}
	inquiry->granted = granted;
	inquiry->granted_us = op.now_us;
}

/* The store charged a check of a late inquiry, which the local store may have granted as well. */
static void forget_late_grant(struct inquiry *inquiry, const struct check *check, int64_t now_us)
{
	struct store *local = inquiry->engine->config.local;

	for (size_t i = 0; i < inquiry->request.count; i++) {
		uint32_t bit = UINT32_C(1) << i;
		if (inquiry->request.checks[i] != check || (inquiry->granted & bit) == 0)
			continue;
		inquiry->granted &= ~bit;
		inquiry->engine->settling.stats.late += (uint64_t)check->cost;
		local->forget_grant(local, check, inquiry->granted_us, now_us);
	}
}

static void decide(struct inquiry *inquiry, enum source source)
{
	struct engine *engine = inquiry->engine;
	const struct engine_config *config = &engine->config;

	if (!are_all_decided(&inquiry->request))
		ask_local(inquiry);
	inquiry->verdict = verdict_fold(&inquiry->request, config->on_error);
	struct decision decision = {
		.verdict = &inquiry->verdict,
		.source = source,
		.latency_us = config->mono_us() - inquiry->asked_us,
		.trace = bytes_from(inquiry->trace, inquiry->trace_len),
	};
	if (inquiry->request.is_look)
		return;
	counter_add(&engine->counter, &inquiry->verdict, source, decision.latency_us,
		    inquiry->asked_us + decision.latency_us);
	if (config->decided != NULL)
		config->decided(config->owner, &decision);
}

/* Decides the request and hands over the verdict; false when no asker waits for it any more. */
static bool finish(struct inquiry *inquiry)
{
	struct asker asker = inquiry->asker;

	inquiry->asker.done = NULL;
	list_remove(&inquiry->open_link);
	list_remove(&inquiry->queue_link);
	if (asker.done == NULL)
		return false;
	decide(inquiry, asker.source);
	asker.done(&asker, &inquiry->verdict);
	return true;
}

static void on_store_answered(struct store_op *op)
{
	struct inquiry *inquiry = CONTAINER_OF(op, struct inquiry, op);

	inquiry->engine->in_flight -= inquiry->request.count;
	inquiry->engine->counter.stats.late += op->is_late && !op->is_look;
	(void)finish(inquiry);
	owe(inquiry, inquiry->granted, inquiry->granted_us);
	engine_end(inquiry);
}

/* One clock reading for all checks of a call, which have one time. */
static void learn_store_time(struct engine *engine, int64_t now_us)
{
	if (engine->store_us == now_us)
		return;
	engine->store_us = now_us;
	engine->store_ahead_us = now_us - engine->config.mono_us();
}

static void on_seen(struct store_op *op, const struct check *check, const struct balance *balance,
		    bool is_charged, int64_t now_us)
{
	struct inquiry *inquiry = CONTAINER_OF(op, struct inquiry, op);
	struct engine *engine = inquiry->engine;
	struct store *local = engine->config.local;

	if (check->terms->on_error != ON_ERROR_LOCAL)
		return;
	learn_store_time(engine, now_us);
	if (is_charged && inquiry->granted != 0)
		forget_late_grant(inquiry, check, now_us);
	local->keep(local, check, balance, now_us);
}

static enum store_state ask_store(struct inquiry *inquiry)
{
	struct engine *engine = inquiry->engine;

	/* Before the store is asked only a blocked check denies: on_error decides later. */
	make_op(&inquiry->op, inquiry, inquiry->asked, is_for_store);
	inquiry->op.is_denied = is_blocked(&inquiry->request);
	inquiry->op.mono_us = inquiry->asked_us;
	inquiry->op.answered = on_store_answered;
	inquiry->op.seen = inquiry->request.is_look ? NULL : on_seen;
	if (inquiry->op.count == 0)
		return STORE_DONE;
	/* All checks of the request hold a slot until the store answers, the blocked ones too. The
	 * local store answers at once, so its requests need no limit. */
	if (engine->config.store != engine->config.local &&
	    inquiry->request.count > engine->config.max_in_flight - engine->in_flight) {
		if (store_answer_known(engine->config.store, &inquiry->op))
			return STORE_DONE;
		store_op_fail(&inquiry->op, STORE_FULL);
		engine->counter.stats.full += !inquiry->op.is_look;
		return STORE_DONE;
	}
	if (settling_has_debts(&engine->settling) && !inquiry->op.is_look && !inquiry->op.is_denied)
		settling_ask(&engine->settling, &inquiry->request, local_now_us(inquiry),
			     inquiry->asked_us);
	return store_ask(engine->config.store, &inquiry->op);
}

static void note_when_asked(struct inquiry *inquiry, int64_t now_us, int64_t mono_us)
{
	inquiry->now_us = now_us;
	inquiry->asked_us = mono_us;
	if (inquiry->request.is_invalid && inquiry->engine->config.on_error == ON_ERROR_DENY)
		request_drop_checks(&inquiry->request); /* the request is denied: charge nothing */
}

void engine_decide_unasked(struct inquiry *inquiry, const struct asker *asker, int64_t now_us,
			   int64_t mono_us)
{
	note_when_asked(inquiry, now_us, mono_us);
	make_op(&inquiry->op, inquiry, inquiry->asked, is_for_store);
	store_op_fail(&inquiry->op, STORE_FULL);
	inquiry->engine->counter.stats.full += inquiry->op.count > 0;
	decide(inquiry, asker->source);
}

enum engine_state engine_submit(struct inquiry *inquiry, const struct asker *asker, int64_t now_us,
				int64_t mono_us)
{
	struct engine *engine = inquiry->engine;

	note_when_asked(inquiry, now_us, mono_us);
	if (ask_store(inquiry) == STORE_DONE) {
		decide(inquiry, asker->source);
		return ENGINE_DONE;
	}
	inquiry->asker = *asker;
	inquiry->deadline_us = mono_us + engine->config.store_timeout_us;
	engine->in_flight += inquiry->request.count;
	list_append(asker->open, &inquiry->open_link);
	list_append(&engine->waiting, &inquiry->queue_link);
	return ENGINE_PENDING;
}

void engine_abandon(struct list *open)
{
	while (!list_is_empty(open)) {
		struct inquiry *inquiry = CONTAINER_OF(open->next, struct inquiry, open_link);
		inquiry->asker.done = NULL;
		list_remove(&inquiry->open_link);
	}
}

static struct inquiry *first_waiting(const struct engine *engine)
{
	if (list_is_empty(&engine->waiting))
		return NULL;
	return CONTAINER_OF(engine->waiting.next, struct inquiry, queue_link);
}

int64_t engine_next_us(const struct engine *engine)
{
	const struct inquiry *first = first_waiting(engine);
	int64_t next_us = settling_next_us(&engine->settling);

	if (first != NULL && (next_us < 0 || first->deadline_us < next_us))
		next_us = first->deadline_us;
	return next_us;
}

/* A store that asks several servers may have outcomes of some, which count. */
static void fail_unanswered(const struct store_op *op)
{
	for (size_t i = 0; i < op->count; i++)
		if (!op->checks[i]->is_decided && op->checks[i]->error == STORE_OK)
			op->checks[i]->error = STORE_TIMEOUT;
}

void engine_expire(struct engine *engine, int64_t mono_us)
{
	struct store *store = engine->config.store;
	struct inquiry *inquiry = first_waiting(engine);

	if (inquiry != NULL && inquiry->deadline_us <= mono_us)
		store_catch_up(store);
	while ((inquiry = first_waiting(engine)) != NULL && inquiry->deadline_us <= mono_us) {
		inquiry->op.is_late = true;
		engine->counter.stats.expired += !inquiry->op.is_look;
		store_expired(store, &inquiry->op, mono_us);
		fail_unanswered(&inquiry->op);
		if (finish(inquiry))
			store_settled(store, &inquiry->op, !inquiry->verdict.allowed);
	}
	settling_expire(&engine->settling, mono_us);
}
