/*
 * The life of a request in parts:
 *
 *     ask --> looked at in each slot --> some check denies, ---------------------> answered
 *               |              |         or none has an outcome                      ^ ^
 *               |              |                                                     | |
 *               |              `-------> none denies --> taken in each slot ---------' |
 *               |                                                                      |
 *               `-- the deadline --> the request is allowed --> taken in the slots ----|
 *                     |              all the same               that have answered     |
 *                     `------------> it is denied, or nobody waits any more -----------'
 *
 * The look is that of a request which is denied already: the outcomes are those of checks that are
 * not charged, which is what the checks of a denied request get. So a denied request needs no
 * second step. A request that is only looked at is looked at twice, since the outcomes of an
 * allowed one are those after the taking. A reset has one step only: no check of it denies.
 *
 * A check that has an error after the look was decided by its on_error: it is not asked about
 * again, and the other checks of its slot are taken without it.
 *
 * At the deadline the engine decides the request by the checks that have an outcome by then, and by
 * the on_error of the others. Parts that were not sent yet are not sent any more. If the request is
 * allowed, its units are taken after that in those slots that have answered: a slot that hangs must
 * not keep the limits of the other slots from being counted.
 *
 * When the request is denied although parts of it were taken, because another request came in
 * between or a slot failed, those parts give back what they took:
 *
 *     taken in each slot --> some check denies --> given back where it was taken --> answered
 *                                                                                      ^
 *     the deadline, denied --> given back where it was taken; and in a slot whose     |
 *                              reply comes later, after that reply -------------------'
 *
 * A part gives back only by the connection by which it was taken, while its node owns the slot: a
 * node that has come back, or another one, may not have the units any more. So nothing is won; what
 * can't be given back is lost.
 *
 * An op that gives back what leases have left has one step: each slot gets back its part.
 *
 * A part is an op of its own, and it may be in parts again: by key, while its slot migrates.
 */
#include "store/redis/redis_parts.h"

#include <string.h>

#include "base/compiler.h"
#include "limit/request.h"

struct part {
	struct store_op op;
	struct parted *of;
	struct check *checks[REQUEST_CHECKS_MAX];
	int64_t taken_us[REQUEST_CHECKS_MAX]; /* when each was, by the server's clock; 0: not */
	uint64_t place;                       /* of redis_parts_config, when it was asked to take */
	bool is_waited_for;                   /* it was asked and has not answered */
};

struct parted {
	struct redis_parts *parts;
	struct store_op *whole;
	size_t waiting; /* parts that are waited for, and one while parts are asked */
	bool is_last_step;
	bool is_taking;  /* the step after the look was begun */
	bool is_refused; /* the request is denied: what was taken is given back */
	size_t count;
	struct part part[REQUEST_CHECKS_MAX];
};

static void go_on(struct parted *parted);

static void on_part_answered(struct store_op *op)
{
	struct part *part = CONTAINER_OF(op, struct part, op);

	part->is_waited_for = false;
	part->of->whole->is_unsure = part->of->whole->is_unsure || op->is_unsure;
	part->of->waiting--;
	if (part->of->waiting == 0)
		go_on(part->of);
}

static void on_part_seen(struct store_op *op, const struct check *check,
			 const struct balance *balance, bool is_charged, int64_t now_us)
{
	struct part *part = CONTAINER_OF(op, struct part, op);
	struct store_op *whole = part->of->whole;

	for (size_t i = 0; i < op->count && is_charged && !op->is_look; i++)
		if (part->checks[i] == check && check->cost > 0)
			part->taken_us[i] = now_us;
	whole->server = op->server;
	if (whole->seen != NULL)
		whole->seen(whole, check, balance, is_charged, now_us);
}

/* ---- the parts ---- */

static struct part *add_part(struct parted *parted, uint16_t slot)
{
	struct part *part = &parted->part[parted->count++];

	part->of = parted;
	part->is_waited_for = false;
	part->place = 0;
	memset(part->taken_us, 0, sizeof part->taken_us);
	part->op = (struct store_op){
		.checks = part->checks,
		.now_us = parted->whole->now_us,
		.mono_us = parted->whole->mono_us,
		.is_reset = parted->whole->is_reset,
		.answered = on_part_answered,
		.seen = on_part_seen,
		.slot = slot,
		.is_part = true,
	};
	return part;
}

static struct part *find_part(struct parted *parted, uint16_t slot)
{
	for (size_t i = 0; i < parted->count; i++)
		if (parted->part[i].op.slot == slot)
			return &parted->part[i];
	return NULL;
}

/* Checks in shadow are the last ones of the whole, and so of each part. */
static void divide(struct parted *parted, bool is_by_key)
{
	const struct redis_parts_config *config = &parted->parts->config;
	const struct store_op *whole = parted->whole;

	for (size_t i = 0; i < whole->count; i++) {
		uint16_t slot = config->slot(config->owner, whole->checks[i]);
		struct part *part = is_by_key ? NULL : find_part(parted, slot);
		if (part == NULL)
			part = add_part(parted, slot);
		if (whole->taken_us != NULL)
			part->taken_us[part->op.count] = whole->taken_us[i];
		part->checks[part->op.count++] = whole->checks[i];
		part->op.shadow += i >= whole->count - whole->shadow;
	}
}

/* ---- the steps ---- */

static void ask_part(struct part *part)
{
	const struct redis_parts_config *config = &part->of->parts->config;

	if (part->op.count == 0)
		return;
	part->is_waited_for = true;
	part->of->waiting++;
	if (config->ask(config->owner, &part->op) == STORE_DONE) {
		part->is_waited_for = false;
		part->of->waiting--;
	}
}

static void look(struct parted *parted)
{
	const struct store_op *whole = parted->whole;

	parted->waiting = 1;
	for (size_t i = 0; i < parted->count; i++) {
		struct part *part = &parted->part[i];
		part->op.is_denied = !whole->is_reset;
		part->op.is_look = whole->is_look || !parted->is_last_step;
		ask_part(part);
	}
	parted->waiting--;
}

static void drop_failed_checks(struct part *part)
{
	struct store_op *op = &part->op;
	size_t first_shadow = op->count - op->shadow, kept = 0, kept_shadow = 0;

	for (size_t i = 0; i < op->count; i++) {
		struct check *check = part->checks[i];
		if (check->error != STORE_OK)
			continue;
		part->checks[kept++] = check;
		kept_shadow += i >= first_shadow;
	}
	op->count = kept;
	op->shadow = kept_shadow;
}

/* Until it is answered, the outcomes of the look do not count: a late part was maybe taken. */
static void forget_outcomes(const struct part *part)
{
	for (size_t i = 0; i < part->op.count; i++)
		part->checks[i]->is_decided = false;
}

/* Takes from the slots that have answered the look: these are all of them unless the request is
 * late. */
static void take(struct parted *parted)
{
	const struct redis_parts_config *config = &parted->parts->config;

	parted->is_last_step = true;
	parted->is_taking = !parted->whole->is_look;
	parted->waiting++;
	for (size_t i = 0; i < parted->count; i++) {
		struct part *part = &parted->part[i];
		if (part->is_waited_for)
			continue;
		drop_failed_checks(part);
		if (!parted->whole->is_late)
			forget_outcomes(part);
		part->op.is_denied = false;
		part->op.is_look = parted->whole->is_look;
		part->op.is_late = false;
		part->place = config->place(config->owner, part->op.slot);
		ask_part(part);
	}
	parted->waiting--;
}

/* Leaves the checks of the part that took something. False when there is nothing to give back. */
static bool keep_taken_checks(struct part *part)
{
	const struct redis_parts_config *config = &part->of->parts->config;
	size_t kept = 0;

	for (size_t i = 0; i < part->op.count; i++) {
		if (part->taken_us[i] == 0)
			continue;
		part->checks[kept] = part->checks[i];
		part->taken_us[kept++] = part->taken_us[i];
	}
	part->op.count = kept;
	return kept > 0 && part->place != 0 &&
	       part->place == config->place(config->owner, part->op.slot);
}

static void give_back_part(struct part *part)
{
	const struct redis_parts_config *config = &part->of->parts->config;

	part->op.taken_us = part->taken_us;
	part->op.is_late = false;
	part->is_waited_for = true;
	part->of->waiting++;
	if (config->give_back(config->owner, &part->op) == STORE_DONE) {
		part->is_waited_for = false;
		part->of->waiting--;
	}
}

/* In all parts that have taken something and have not given it back. */
static void give_back(struct parted *parted)
{
	parted->waiting++;
	for (size_t i = 0; i < parted->count; i++) {
		struct part *part = &parted->part[i];
		if (!part->is_waited_for && part->op.taken_us == NULL && keep_taken_checks(part))
			give_back_part(part);
	}
	parted->waiting--;
}

/* What could not be asked has no outcome here, and its on_error may deny. */
static bool is_denied(const struct store_op *whole)
{
	for (size_t i = 0; i < whole->count - whole->shadow; i++)
		if (check_denies(whole->checks[i]))
			return true;
	return false;
}

static bool has_any_outcome(const struct store_op *whole)
{
	for (size_t i = 0; i < whole->count; i++)
		if (whole->checks[i]->error == STORE_OK)
			return true;
	return false;
}

static bool is_over(const struct parted *parted)
{
	return parted->is_last_step || parted->whole->is_late || !has_any_outcome(parted->whole) ||
	       is_denied(parted->whole);
}

/* A part that is divided itself leaves the giving back to the whole, which knows the other parts.
 */
static bool has_to_give_back(struct parted *parted)
{
	const struct store_op *whole = parted->whole;

	if (!parted->is_taking || whole->is_part)
		return false;
	if (!whole->is_late)
		parted->is_refused = is_denied(whole);
	return parted->is_refused;
}

static void end_parted(struct parted *parted)
{
	parted->whole->parted = NULL;
	pool_put(&parted->parts->requests, parted);
}

/* Once a request, in however many slots it failed. */
static void count_error(const struct parted *parted)
{
	const struct redis_parts_config *config = &parted->parts->config;
	const struct store_op *whole = parted->whole;

	if (whole->is_late || whole->is_part || !store_op_is_request(whole))
		return;
	enum store_error error = store_op_error(whole);
	if (error != STORE_OK)
		config->failed(config->owner, error);
}

/* All parts of a step are answered. Never inside redis_parts_ask. */
static void go_on(struct parted *parted)
{
	struct store_op *whole = parted->whole;

	if (!is_over(parted)) {
		take(parted);
		if (parted->waiting > 0)
			return;
	}
	if (has_to_give_back(parted)) {
		give_back(parted);
		if (parted->waiting > 0)
			return;
	}
	count_error(parted);
	end_parted(parted);
	whole->answered(whole);
}

/* NULL when there are too many. */
static struct parted *begin_parted(struct redis_parts *parts, struct store_op *op, bool is_by_key)
{
	struct parted *parted = pool_get(&parts->requests);

	if (parted == NULL)
		return NULL;
	parted->parts = parts;
	parted->whole = op;
	parted->waiting = 0;
	parted->count = 0;
	parted->is_last_step = op->is_denied || op->is_reset || op->taken_us != NULL;
	parted->is_taking = false;
	parted->is_refused = false;
	op->parted = parted;
	divide(parted, is_by_key);
	return parted;
}

/* After the first step was begun. */
static enum store_state pending_parted(struct parted *parted)
{
	if (parted->waiting > 0)
		return STORE_PENDING;
	end_parted(parted); /* no slot could be asked */
	return STORE_DONE;
}

enum store_state redis_parts_ask(struct redis_parts *parts, struct store_op *op, bool is_by_key)
{
	struct parted *parted = begin_parted(parts, op, is_by_key);

	if (parted == NULL) {
		store_op_fail(op, STORE_FULL);
		return STORE_DONE;
	}
	look(parted);
	return pending_parted(parted);
}

enum store_state redis_parts_give_back(struct redis_parts *parts, struct store_op *op)
{
	struct parted *parted = begin_parted(parts, op, false);

	if (parted == NULL)
		return STORE_DONE;
	parted->waiting++;
	for (size_t i = 0; i < parted->count; i++)
		give_back_part(&parted->part[i]);
	parted->waiting--;
	return pending_parted(parted);
}

void redis_parts_note_late(struct store_op *op)
{
	struct parted *parted = op->parted;

	for (size_t i = 0; parted != NULL && i < parted->count; i++) {
		struct part *part = &parted->part[i];
		if (!part->is_waited_for || part->op.taken_us != NULL)
			continue; /* what is given back is sent in any case */
		part->op.is_late = true;
		redis_parts_note_late(&part->op);
	}
}

void redis_parts_settle(struct store_op *op, bool is_denied)
{
	struct parted *parted = op->parted;

	ASSERT(op->is_late);
	if (parted == NULL || op->is_look)
		return;
	/* The request is kept until the last of its parts has answered. */
	parted->is_refused = is_denied;
	if (!is_denied && !parted->is_last_step)
		take(parted);
	else if (is_denied && parted->is_taking)
		give_back(parted);
}

bool redis_parts_init(struct redis_parts *parts, const struct redis_parts_config *config)
{
	*parts = (struct redis_parts){.config = *config};
	return pool_init(&parts->requests, sizeof(struct parted), config->max);
}

void redis_parts_release(struct redis_parts *parts)
{
	pool_release(&parts->requests);
}
