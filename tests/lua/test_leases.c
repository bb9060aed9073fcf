/*
 * Units are taken ahead of need and given back by later questions, in a real Redis and by limit/
 * in lock-step: after each random step both have the same left, and gave the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "base/least.h"
#include "stage.h"
#include "support/chance.h"
#include "support/test.h"
#include "unit/store/contract.h"

#define START_US INT64_C(1700000000000000)
#define KEYS     3

static const char *const names[KEYS] = {"bucket", "fixed", "counter"};

/* A balance as limit/ has it, and the units that are held of it. */
static struct kept {
	struct quota quota;
	struct balance balance;
	bool is_there;
	int64_t held, taken_us;
} kept[KEYS];

static void begin(void)
{
	kept[0] = (struct kept){.quota = bucket_of(100, "1000/7s")};
	kept[1] = (struct kept){.quota = window_of(FIXED_WINDOW, 100, US_PER_SECOND)};
	kept[2] = (struct kept){.quota = window_of(SLIDING_WINDOW_COUNTER, 100, US_PER_SECOND)};
}

static void look(struct kept *k, int64_t now_us)
{
	k->balance.is_new = !k->is_there;
	k->is_there = true;
	balance_look(&k->balance, &k->quota, now_us);
}

static struct lease_part part_of(const struct kept *k, int64_t wanted)
{
	return (struct lease_part){
		.is_leased = true, .wanted = wanted, .back = k->held, .back_taken_us = k->taken_us};
}

/* What Redis is to say. Returns what is to be got beyond the cost. */
static int64_t decide(struct kept *k, const struct lease_part *part, int64_t cost, bool is_look,
		      int64_t now_us, struct outcome *ret_outcome)
{
	struct kept before = *k;

	look(k, now_us);
	if (part->back > 0)
		balance_give_back(&k->balance, &k->quota, part->back_taken_us, part->back);
	int64_t left = balance_remaining(&k->balance, &k->quota), got = 0;
	bool is_taken = cost <= left && !is_look;
	if (is_taken && cost > 0)
		balance_take(&k->balance, &k->quota, cost);
	*ret_outcome = balance_outcome(&k->balance, &k->quota, now_us, cost, cost <= left);
	if (is_look && cost <= left)
		ret_outcome->remaining = left - cost;
	if (is_taken)
		got = least_i64(greatest_i64(part->wanted - cost, 0), left - cost);
	if (got > 0)
		balance_take(&k->balance, &k->quota, got);
	if (is_look)
		*k = before;
	return got;
}

static void step(struct stage *stage, struct chance *chance, size_t key, int64_t now_us)
{
	struct kept *k = &kept[key];
	int64_t cost = chance_between(chance, 0, chance_is_one_in(chance, 20) ? 120 : 6);
	bool is_look = chance_is_one_in(chance, 8);
	bool is_plain = is_look || chance_is_one_in(chance, 3);
	int64_t wanted = is_plain ? 0 : cost + chance_between(chance, 0, 60);
	struct lease_part part = part_of(k, wanted);
	struct question *question = stage_question(stage, now_us);
	struct outcome expected;

	(void)question_add(question, names[key], &k->quota, cost);
	question->op.leases = &part;
	question->op.is_look = is_look;
	int64_t got = decide(k, &part, cost, is_look, now_us, &expected);
	stage_ask(stage, question);
	stage_settle(stage);

	const struct outcome *outcome = &question->checks[0].outcome;
	assert_int_equal(outcome->allowed, expected.allowed);
	if (!is_look)
		assert_int_equal(outcome->remaining, expected.remaining);
	if (!is_look || !expected.allowed) {
		assert_int_equal(outcome->retry_after_us, expected.retry_after_us);
		assert_int_equal(outcome->reset_us, expected.reset_us);
	}
	assert_int_equal(part.got, got);
	if (is_look)
		return;
	k->held = got == 0 ? 0 : chance_between(chance, 0, got); /* the others were spent */
	k->taken_us = now_us;
}

TEST(lease_takes_and_gives_back_as_limit_does)
{
	struct stage *stage = stage_new(true);
	struct chance chance = {(uint64_t)environment_number("MODEL_SEED", 1)};
	int64_t now_us = START_US;

	begin();
	for (int i = 0; i < 3000; i++) {
		now_us +=
			chance_between(&chance, 0, chance_is_one_in(&chance, 10) ? 900000 : 30000);
		step(stage, &chance, chance_bits(&chance) % KEYS, now_us);
	}
	stage_free(stage);
}

TEST(lease_of_a_denied_request_is_given_back_and_takes_nothing)
{
	struct stage *stage = stage_new(true);
	struct quota quota = window_of(FIXED_WINDOW, 10, US_PER_SECOND);
	struct lease_part parts[2] = {{.is_leased = true, .wanted = 8}, {0}};
	struct question *question = stage_question(stage, START_US);

	(void)question_add(question, "a", &quota, 1);
	question->op.leases = parts;
	stage_ask(stage, question);
	stage_settle(stage);
	assert_int_equal(parts[0].got, 7);

	parts[0] = (struct lease_part){
		.is_leased = true, .wanted = 8, .back = 7, .back_taken_us = START_US};
	question = stage_question(stage, START_US);
	(void)question_add(question, "a", &quota, 1);
	(void)question_add(question, "b", &quota, 11);
	question->op.leases = parts;
	stage_ask(stage, question);
	stage_settle(stage);
	assert_int_equal(parts[0].got, 0);
	assert_int_equal(stage_ask_one(stage, "a", &quota, 0, START_US).remaining, 9);
	stage_free(stage);
}
