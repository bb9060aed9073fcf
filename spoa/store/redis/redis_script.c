#include "store/redis/redis_script.h"

#include "base/least.h"
#include "limit/request.h"
#include "store/redis/redis_command.h"

/* ---- the call ---- */

static bool is_leased(const struct store_op *op, size_t index)
{
	return op->leases != NULL && op->leases[index].is_leased;
}

/* The word `lease`, and three numbers. */
#define LEASE_WORDS 4

static void put_lease(struct writer *w, const struct lease_part *lease)
{
	redis_command_put(w, BYTES("lease"));
	redis_command_put_number(w, lease->wanted);
	redis_command_put_number(w, lease->back);
	redis_command_put_number(w, lease->back_taken_us);
}

#define COST_OF_RESET (-1)

/* Every cost above the limit is denied alike, and limit + 1 is a number that Lua can hold. */
static int64_t cost_of(const struct store_op *op, const struct check *check)
{
	if (op->is_reset)
		return COST_OF_RESET;
	if (op->is_settling && check->cost > 0)
		return COST_OF_RESET - least_i64(check->cost, check->quota->limit);
	return check->cost <= check->quota->limit ? check->cost : check->quota->limit + 1;
}

/*
 * A count with a minus, which may be -0, means: charge nothing. A negative number of those in
 * shadow, which is one less than the number of them, means a look.
 */
static void put_counts(struct writer *w, const struct store_op *op)
{
	int64_t shadow = (int64_t)op->shadow, count = (int64_t)op->count - shadow;

	if (!op->is_denied && !op->is_look && op->count < 10) {
		redis_command_put_digits(w, (uint8_t)count, (uint8_t)shadow);
		return;
	}
	if (op->is_denied && count == 0)
		redis_command_put(w, BYTES("-0"));
	else
		redis_command_put_number(w, op->is_denied ? -count : count);
	redis_command_put_number(w, op->is_look ? -shadow - 1 : shadow);
}

static struct store_op *op_of(const struct list *link)
{
	return CONTAINER_OF(link, struct store_op, link);
}

static void put_checks(struct writer *w, const struct redis_call_form *form,
		       const struct store_op *op)
{
	for (size_t i = 0; i < op->count; i++) {
		const struct check *check = op->checks[i];
		if (op->taken_us != NULL)
			redis_command_put_number(w, op->taken_us[i]);
		if (is_leased(op, i))
			put_lease(w, &op->leases[i]);
		redis_terms_put(w, form->terms, check->quota, cost_of(op, check));
	}
}

void redis_call_put(struct writer *w, const struct redis_call_form *form, const struct list *ops)
{
	bool is_back = op_of(ops->next)->taken_us != NULL;
	size_t keys = 0, arguments = is_back ? 2 : 1;

	for (const struct list *link = ops->next; link != ops; link = link->next) {
		const struct store_op *op = op_of(link);
		keys += op->count;
		arguments += is_back ? op->count : 2;
		for (size_t i = 0; i < op->count; i++)
			arguments += redis_terms_words(op->checks[i]->quota) +
				     (is_leased(op, i) ? LEASE_WORDS : 0);
	}
	redis_command_begin(w, 3 + keys + arguments);
	redis_command_put(w, BYTES("EVALSHA"));
	redis_command_put(w, bytes_from_text(form->hash));
	redis_command_put_number(w, (int64_t)keys);
	for (const struct list *link = ops->next; link != ops; link = link->next)
		for (size_t i = 0; i < op_of(link)->count; i++)
			redis_command_put_two(w, form->prefix, check_key(op_of(link)->checks[i]));
	if (is_back)
		redis_command_put(w, BYTES("back"));
	if (form->is_time_given)
		redis_command_put_number(w, form->time_us);
	else
		redis_command_put(w, BYTES("now"));
	for (const struct list *link = ops->next; link != ops; link = link->next) {
		if (!is_back)
			put_counts(w, op_of(link));
		put_checks(w, form, op_of(link));
	}
}

/* ---- the reply ---- */

static bool next_number(struct redis_call_reader *reader, int64_t max, int64_t *ret_number)
{
	const struct redis_item *item = reader->next;

	if (item == reader->end || item->kind != REDIS_NUMBER || item->number < 0 ||
	    item->number > max)
		return false;
	*ret_number = item->number;
	reader->next++;
	return true;
}

bool redis_call_read(struct redis_call_reader *reader, const struct redis_reply *reply)
{
	struct redis_call_reader new = {reply->items, reply->items + reply->count, 0};

	if (reply->is_cut || reply->items[0].kind != REDIS_ARRAY ||
	    (size_t)reply->items[0].number != reply->count - 1)
		return false;
	new.next++;
	if (!next_number(&new, QUOTA_EXACT_MAX, &new.now_us))
		return false;
	*reader = new;
	return true;
}

static size_t numbers_of(const struct check *check)
{
	return algorithm_traits(check->quota->algorithm)->reply_count;
}

static bool is_error(const struct redis_call_reader *reader)
{
	return reader->next != reader->end && reader->next->kind == REDIS_ERROR;
}

/*
 * Whether the check is decided on its own: it is in shadow. Then the reply has an error of this
 * check in the place of its state. All other checks of an op are charged together, and an error of
 * one of them stands in the place of the whole op.
 */
static bool is_decided_alone(const struct store_op *op, size_t check)
{
	return check >= op->count - op->shadow;
}

static bool skip_items(struct redis_call_reader *reader, size_t items)
{
	if (items > (size_t)(reader->end - reader->next))
		return false;
	reader->next += items;
	return true;
}

static bool skip_op(struct redis_call_reader *reader, const struct store_op *op)
{
	bool is_failed = is_error(reader);

	if (op->taken_us != NULL)
		return skip_items(reader, op->count);
	if (!skip_items(reader, 1))
		return false;
	for (size_t i = 0; i < op->count && !is_failed; i++) {
		bool is_alone = is_decided_alone(op, i) && is_error(reader);
		if (!skip_items(reader, is_alone ? 1 : numbers_of(op->checks[i])))
			return false;
	}
	return true;
}

bool redis_call_is_for(const struct redis_call_reader *reader, const struct list *ops)
{
	struct redis_call_reader ahead = *reader;

	for (const struct list *link = ops->next; link != ops; link = link->next)
		if (!skip_op(&ahead, op_of(link)))
			return false;
	return ahead.next == ahead.end;
}

static bool read_balance(struct redis_call_reader *reader, const struct store_op *op,
			 const struct check *check, struct balance *balance,
			 struct log_excerpt *excerpt)
{
	struct state_reply state = {.now_us = reader->now_us,
				    .cost = op->is_settling ? 0 : check->cost,
				    .excerpt = excerpt};

	for (size_t i = 0; i < numbers_of(check); i++)
		if (!next_number(reader, QUOTA_EXACT_MAX, &state.numbers[i]))
			return false;
	return balance_read_reply(balance, check->quota, &state);
}

/* The script has taken what is wanted beyond the cost, as far as that was there. */
static void take_lease(struct lease_part *lease, const struct check *check, struct balance *balance,
		       int64_t now_us)
{
	int64_t left = balance_remaining(balance, check->quota);

	lease->got = least_i64(greatest_i64(lease->wanted - check->cost, 0), left);
	lease->got_us = now_us;
	if (lease->got > 0)
		balance_take(balance, check->quota, lease->got);
}

/* Makes the outcome of a check from its state, as the memory store does. */
static bool decide_check(struct redis_call_reader *reader, struct store_op *op, size_t index,
			 bool charged)
{
	struct check *check = op->checks[index];
	struct balance balance;
	struct log_excerpt excerpt;

	if (!read_balance(reader, op, check, &balance, &excerpt))
		return false;
	if (op->is_settling)
		check->cost = least_i64(check->cost, balance_remaining(&balance, check->quota));
	if (charged && check->cost > balance_remaining(&balance, check->quota))
		return false;
	if (charged && check->cost > 0)
		balance_take(&balance, check->quota, check->cost);
	check->outcome =
		balance_outcome(&balance, check->quota, reader->now_us, check->cost, charged);
	check->is_decided = true;
	check->error = STORE_OK;
	if (charged && is_leased(op, index))
		take_lease(&op->leases[index], check, &balance, reader->now_us);
	if (op->seen != NULL)
		op->seen(op, check, &balance, charged, reader->now_us);
	return true;
}

/* A check in shadow has an error of its own. */
static void fail_check(struct redis_call_reader *reader, struct check *check, struct bytes *ret_why)
{
	*ret_why = reader->next++->text;
	check->error = redis_error_kind(*ret_why);
	check->is_decided = false;
}

static bool decide_shadow(struct redis_call_reader *reader, struct store_op *op, size_t index,
			  bool allowed)
{
	struct redis_call_reader again = *reader;

	/* The reply does not say whether it was charged: it was if it passes by its state. */
	if (!decide_check(reader, op, index, false))
		return false;
	if (!allowed || !op->checks[index]->outcome.allowed)
		return true;
	*reader = again;
	return decide_check(reader, op, index, true);
}

bool redis_call_next(struct redis_call_reader *reader, struct store_op *op, struct bytes *ret_why)
{
	bool is_denied = op->is_denied;
	int64_t charged;

	if (op->taken_us != NULL)
		return skip_items(reader, op->count);
	if (is_error(reader)) {
		*ret_why = reader->next++->text;
		store_op_fail(op, redis_error_kind(*ret_why));
		/* A write was refused, maybe, behind one that was not. */
		op->is_unsure = op->count - op->shadow > 1 && !op->is_look && !op->is_denied;
		return true;
	}
	if (!next_number(reader, 1, &charged))
		return false;
	for (size_t i = 0; i < op->count; i++) {
		struct check *check = op->checks[i];
		if (is_decided_alone(op, i) && is_error(reader)) {
			fail_check(reader, check, ret_why);
		} else if (is_decided_alone(op, i)) {
			if (!decide_shadow(reader, op, i, charged == 1))
				return false;
		} else {
			if (!decide_check(reader, op, i, charged == 1))
				return false;
			is_denied = is_denied || !check->outcome.allowed;
		}
	}
	return (charged == 0) == is_denied;
}
