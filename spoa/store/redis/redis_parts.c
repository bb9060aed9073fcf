/*
 * The life of a request in parts:
 *
 *     ask --> looked at in each slot --> some check denies -----------------> answered
 *                      |                 it was denied before, or resets ----->   ^
 *                      |                 it is late ------------------------->    |
 *                      `---------------> nothing denies --> taken in each slot ---'
 *
 * The look is that of a request which is denied already: the outcomes are those of checks that are
 * not charged, which is what the checks of a denied request get. So a denied request needs no
 * second step. A request that is only looked at is looked at twice, since the outcomes of an
 * allowed one are those after the taking.
 *
 * A part is an op of its own. That a request is late is marked in its parts, where the nodes look
 * for it before they send. A reset has one step only: no check of it denies. Deadlines are in the
 * order of the asking, so the late requests are the first ones of the list.
 */
#include "store/redis/redis_parts.h"

#include <string.h>

#include "base/compiler.h"
#include "limit/request.h"

struct part {
	struct store_op op;
	struct parted *of;
	struct check *checks[REQUEST_CHECKS_MAX];
	bool is_failed; /* the look had an error: it is not taken */
};

struct parted {
	struct redis_parts *parts;
	struct list link;
	struct store_op *whole;
	size_t waiting; /* parts without an answer, and one while parts are asked */
	bool is_last_step;
	size_t count;
	struct part part[REQUEST_CHECKS_MAX];
};

static void go_on(struct parted *parted);

static void on_part_answered(struct store_op *op)
{
	struct part *part = CONTAINER_OF(op, struct part, op);

	part->of->waiting--;
	if (part->of->waiting == 0)
		go_on(part->of);
}

static void on_part_seen(struct store_op *op, const struct check *check,
			 const struct balance *balance, bool is_charged, int64_t now_us)
{
	struct store_op *whole = CONTAINER_OF(op, struct part, op)->of->whole;

	whole->seen(whole, check, balance, is_charged, now_us);
}

/* ---- the parts ---- */

static struct part *add_part(struct parted *parted, uint16_t slot)
{
	struct part *part = &parted->part[parted->count++];

	part->of = parted;
	part->is_failed = false;
	part->op = (struct store_op){
		.checks = part->checks,
		.now_us = parted->whole->now_us,
		.mono_us = parted->whole->mono_us,
		.is_reset = parted->whole->is_reset,
		.answered = on_part_answered,
		.seen = parted->whole->seen == NULL ? NULL : on_part_seen,
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
		part->checks[part->op.count++] = whole->checks[i];
		part->op.shadow += i >= whole->count - whole->shadow;
	}
}

/* ---- the steps ---- */

static void ask_parts(struct parted *parted)
{
	const struct redis_parts_config *config = &parted->parts->config;

	parted->waiting = 1;
	for (size_t i = 0; i < parted->count; i++) {
		struct part *part = &parted->part[i];
		if (part->is_failed)
			continue;
		parted->waiting++;
		if (config->ask(config->owner, &part->op) == STORE_DONE)
			parted->waiting--;
	}
	parted->waiting--;
}

static void look(struct parted *parted)
{
	const struct store_op *whole = parted->whole;

	for (size_t i = 0; i < parted->count; i++) {
		struct store_op *op = &parted->part[i].op;
		op->is_denied = !whole->is_reset;
		op->is_look = whole->is_look || !parted->is_last_step;
	}
	ask_parts(parted);
}

static void take(struct parted *parted)
{
	parted->is_last_step = true;
	for (size_t i = 0; i < parted->count; i++) {
		struct part *part = &parted->part[i];
		part->is_failed = store_op_error(&part->op) != STORE_OK;
		part->op.is_denied = false;
		part->op.is_look = parted->whole->is_look;
	}
	ask_parts(parted);
}

/* What could not be asked has no outcome here, and its on_error may deny. */
static bool is_denied(const struct store_op *whole)
{
	for (size_t i = 0; i < whole->count - whole->shadow; i++)
		if (check_denies(whole->checks[i]))
			return true;
	return false;
}

static bool is_all_failed(const struct parted *parted)
{
	for (size_t i = 0; i < parted->count; i++)
		if (store_op_error(&parted->part[i].op) == STORE_OK)
			return false;
	return true;
}

static bool is_over(const struct parted *parted)
{
	return parted->is_last_step || parted->whole->is_late || is_all_failed(parted) ||
	       is_denied(parted->whole);
}

static void end_parted(struct parted *parted)
{
	list_remove(&parted->link);
	pool_put(&parted->parts->requests, parted);
}

/* Once a request, in however many slots it failed. */
static void count_error(const struct parted *parted)
{
	const struct redis_parts_config *config = &parted->parts->config;
	const struct store_op *whole = parted->whole;
	enum store_error error = store_op_error(whole);

	if (error != STORE_OK && !whole->is_late && !whole->is_part)
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
	count_error(parted);
	end_parted(parted);
	whole->answered(whole);
}

enum store_state redis_parts_ask(struct redis_parts *parts, struct store_op *op, bool is_by_key)
{
	struct parted *parted = pool_get(&parts->requests);

	if (parted == NULL) {
		store_op_fail(op, STORE_FULL);
		return STORE_DONE;
	}
	parted->parts = parts;
	parted->whole = op;
	parted->count = 0;
	parted->is_last_step = op->is_denied || op->is_reset;
	list_init(&parted->link);
	list_append(&parts->open, &parted->link);
	divide(parted, is_by_key);
	look(parted);
	if (parted->waiting > 0)
		return STORE_PENDING;
	end_parted(parted); /* no slot could be asked */
	return STORE_DONE;
}

void redis_parts_note_late(struct redis_parts *parts)
{
	while (!list_is_empty(&parts->open)) {
		struct parted *parted = CONTAINER_OF(parts->open.next, struct parted, link);
		if (!parted->whole->is_late)
			return;
		for (size_t i = 0; i < parted->count; i++)
			parted->part[i].op.is_late = true;
		list_remove(&parted->link);
		list_append(&parts->late, &parted->link);
	}
}

bool redis_parts_init(struct redis_parts *parts, const struct redis_parts_config *config)
{
	*parts = (struct redis_parts){.config = *config};
	list_init(&parts->open);
	list_init(&parts->late);
	return pool_init(&parts->requests, sizeof(struct parted), config->max);
}

void redis_parts_release(struct redis_parts *parts)
{
	pool_release(&parts->requests);
}
