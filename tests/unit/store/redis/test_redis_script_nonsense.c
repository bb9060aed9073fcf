#include "store/redis/redis_script.h"

#include <stdio.h>
#include <string.h>

#include "script_calls.h"
#include "support/test.h"
#include "unit/store/contract.h"

/* ---- what can't be ---- */

static void assert_outcome_can_be(const struct check *check)
{
	const struct outcome *outcome = &check->outcome;

	assert_true(check->is_decided);
	assert_in_range(outcome->remaining, 0, check->quota->limit);
	assert_true(outcome->retry_after_us == NEVER || outcome->retry_after_us >= 0);
	assert_int_equal(outcome->allowed, outcome->retry_after_us == 0);
	assert_true(outcome->retry_after_us != NEVER || check->cost > check->quota->limit);
	assert_true(outcome->reset_us >= 0 && outcome->grows_us >= 0);
	assert_true(outcome->grows_us <= outcome->reset_us);
	assert_true(outcome->reset_us <= 2 * quota_full_us(check->quota));
}

/* In place of each number of a good reply, what is none. */
TEST(redis_call_next_numbers_that_can_not_be_are_refused)
{
	static const char *const nones[] = {
		"-1",
		"-9223372036854775808",
		"9223372036854775807",
		"9007199254740993",
		"nil",
		"'1",
		"*0",
	};
	const struct worked *cases;
	size_t count = worked_cases(&cases);
	static struct words words;

	for (size_t i = 0; i < count; i++) {
		struct check check;
		read_worked(&cases[i], &words);
		check_make(&check, "k", &cases[i].quota, cases[i].cost);
		for (size_t at = 1; at < words.reply.count; at++)
			for (size_t k = 0; k < ARRAY_SIZE(nones); k++) {
				struct redis_item good = words.items[at];
				words.items[at] = item_of(nones[k]);
				if (read_check(&words.reply, &check))
					fail_msg("%s with %s at %zu is taken", cases[i].reply,
						 nones[k], at);
				words.items[at] = good;
			}
	}
}

/* What is taken in their place makes sense, whatever it is. */
TEST(redis_call_next_any_numbers_are_refused_or_make_sense)
{
	const struct worked *cases;
	size_t count = worked_cases(&cases), taken = 0;
	static struct words words;

	for (int round = 0; round < 300000; round++) {
		const struct worked *worked = &cases[random_below(count)];
		struct check check;
		read_worked(worked, &words);
		check_make(&check, "k", &worked->quota,
			   random_below(3) == 0 ? (int64_t)random_below(13) : worked->cost);
		for (uint64_t changes = 1 + random_below(3); changes > 0; changes--) {
			const int64_t numbers[] = {
				0,
				1,
				(int64_t)random_below(20),
				(int64_t)random_below(UINT64_C(1) << 31),
				NOW_US + (int64_t)random_below(130 * SECOND) - 65 * SECOND,
				NOW_US,
				EXACT - (int64_t)random_below(3),
			};
			words.items[1 + random_below(words.reply.count - 1)].number =
				numbers[random_below(ARRAY_SIZE(numbers))];
		}
		if (!read_check(&words.reply, &check))
			continue;
		assert_outcome_can_be(&check);
		taken++;
	}
	assert_in_range(taken, 10000, 290000);
}

/* ---- several requests, and replies of which something was changed ---- */

#define MUTATED_OPS    3
#define MUTATED_CHECKS 4

struct mutated {
	struct store_op ops[MUTATED_OPS];
	struct check checks[MUTATED_OPS][MUTATED_CHECKS];
	struct check *pointers[MUTATED_OPS][MUTATED_CHECKS];
	struct quota quotas[4];
	struct list list;
	struct words words;
};

static void put_item(struct words *words, const char *word)
{
	words->items[words->reply.count++] = item_of(word);
}

/* What the script says of a new balance; or of one in shadow that it can't read. */
static void put_state(struct words *words, const struct check *check, bool may_fail)
{
	static const char *const states[ALGORITHM_COUNT] = {[TOKEN_BUCKET] = "10000000 T",
							    [SLIDING_WINDOW] = "0 T 0 0 0",
							    [SLIDING_WINDOW_COUNTER] = "0 0 T",
							    [FIXED_WINDOW] = "0 T"};
	char text[32];
	char *rest;

	if (may_fail && random_below(4) == 0) {
		put_item(words, "!WRONGTYPE");
		return;
	}
	strcpy(text, states[check->quota->algorithm]);
	for (char *word = strtok_r(text, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest))
		put_item(words, word);
}

static void make_mutated_op(struct mutated *m, size_t index)
{
	struct store_op *op = &m->ops[index];

	op_in(op, &m->list, m->pointers[index], 1 + random_below(MUTATED_CHECKS));
	op->shadow = random_below(op->count + 1);
	op->is_denied = random_below(4) == 0;
	bool is_failed = random_below(8) == 0;
	put_item(&m->words, is_failed ? "!OOM" : op->is_denied ? "0" : "1");
	for (size_t k = 0; k < op->count; k++) {
		m->pointers[index][k] =
			check_make(&m->checks[index][k], "k", &m->quotas[random_below(4)],
				   (int64_t)random_below(3));
		if (!is_failed)
			put_state(&m->words, m->pointers[index][k], k >= op->count - op->shadow);
	}
}

static void make_mutated(struct mutated *m)
{
	const struct quota quotas[] = {BUCKET, LOG, COUNTER, FIXED};

	memcpy(m->quotas, quotas, sizeof quotas);
	list_init(&m->list);
	m->words.reply = (struct redis_reply){m->words.items, 1, false};
	put_item(&m->words, "T");
	for (size_t i = 0; i < MUTATED_OPS; i++)
		make_mutated_op(m, i);
	m->words.items[0] =
		(struct redis_item){REDIS_ARRAY, (int64_t)m->words.reply.count - 1, BYTES("")};
}

static void mutate(struct words *words)
{
	static const char *const others[] = {
		"0",       "1",    "2",  "5",  "-1", "T",   "T-10",
		"T+1",     "!OOM", "!x", "*0", "'x", "nil", "9007199254740992",
		"10000000"};
	size_t at = 1 + random_below(words->reply.count - 1);

	switch (random_below(4)) {
	case 0: /* one is missing */
		memmove(&words->items[at], &words->items[at + 1],
			(words->reply.count-- - at - 1) * sizeof words->items[0]);
		break;
	case 1: /* one is twice */
		memmove(&words->items[at + 1], &words->items[at],
			(words->reply.count++ - at) * sizeof words->items[0]);
		break;
	default:
		words->items[at] = item_of(others[random_below(ARRAY_SIZE(others))]);
	}
	words->items[0].number = (int64_t)words->reply.count - 1;
}

/* Decided or failed as its op may be. */
static void assert_op_can_be(const struct store_op *op)
{
	size_t together = op->count - op->shadow;

	for (size_t k = 0; k < op->count; k++) {
		const struct check *check = op->checks[k];
		assert_int_equal(check->is_decided, check->error == STORE_OK);
		if (check->is_decided)
			assert_outcome_can_be(check);
		if (k < together) /* of these all have an answer, or none has */
			assert_int_equal(check->is_decided, op->checks[0]->is_decided);
	}
}

TEST(redis_call_next_changed_replies_are_refused_or_make_sense)
{
	size_t taken = 0, whole = 0, rounds = 200000;
	static struct mutated m;

	for (size_t round = 0; round < rounds; round++) {
		struct redis_call_reader reader;
		struct bytes why;
		size_t read = 0;
		make_mutated(&m);
		for (uint64_t changes = random_below(4); changes > 0; changes--)
			mutate(&m.words);
		if (!redis_call_read(&reader, &m.words.reply))
			continue;
		bool is_for = redis_call_is_for(&reader, &m.list);
		while (read < MUTATED_OPS && redis_call_next(&reader, &m.ops[read], &why))
			assert_op_can_be(&m.ops[read++]);
		taken += read;
		whole += read == MUTATED_OPS && reader.next == reader.end;
		/* A reply that is read to its end is one that was taken for theirs. */
		if (read == MUTATED_OPS)
			assert_int_equal(is_for, reader.next == reader.end);
	}
	assert_in_range(taken, rounds, rounds * MUTATED_OPS);
	assert_in_range(whole, rounds / 8, rounds * 7 / 8);
}

TEST(redis_call_next_state_that_contradicts_is_refused)
{
	const struct {
		struct quota quota;
		int64_t cost;
		const char *reply;
	} cases[] = {
		/* charged, though it has too little */
		{BUCKET, 3, "T 1 2999999 T"},
		{BUCKET, 11, "T 1 10000000 T"},
		{LOG, 1, "T 1 5 T T T T"},
		{LOG, 1, "T 1 9 T T T T"},
		{LOG, 6, "T 1 0 T 0 0 0"},
		{COUNTER, 3, "T 1 6 3 T"},
		{FIXED, 2, "T 1 4 T"},
		/* not charged, though all is there */
		{BUCKET, 3, "T 0 3000000 T"},
		{LOG, 1, "T 0 4 T T T T"},
		{COUNTER, 2, "T 0 6 3 T"},
		{FIXED, 1, "T 0 4 T"},
		{FIXED, 0, "T 0 5 T"},
		{FIXED, 1, "T 2 4 T"},
		/* above the limit */
		{BUCKET, 1, "T 1 10000001 T"},
		{COUNTER, 1, "T 1 15 0 T"},
		{COUNTER, 1, "T 1 0 11 T"},
		{FIXED, 1, "T 1 6 T"},
		/* above the largest limit, from which it may have been lowered */
		{COUNTER, 1, "T 0 4503599628 0 T"},
		{COUNTER, 1, "T 0 0 4503599628 T"},
		{FIXED, 1, "T 0 4503599627370497 T"},
		/* a balance behind the time that it was brought up to, or too far ahead */
		{BUCKET, 1, "T 0 0 T-1"},
		{BUCKET, 1, "T 0 0 T-0.000001"},
		{BUCKET, 1, "T 0 0 0"},
		{BUCKET, 1, "T 0 0 T+10.000001"},
		{LOG, 1, "T 0 5 T-1 T-1 T-1 T-1"},
		{LOG, 1, "T 0 5 T-0.000001 T-1 T-1 T-1"},
		{LOG, 1, "T 0 5 T+60.000001 T+1 T+1 T+1"},
		{COUNTER, 10, "T 0 6 3 T-1"},
		{COUNTER, 10, "T 0 6 3 T-0.000001"},
		{COUNTER, 10, "T 0 6 3 T+120.000001"},
		{FIXED, 1, "T 0 5 T-1"},
		{FIXED, 1, "T 0 5 T-0.000001"},
		{FIXED, 1, "T 0 5 T+60.000001"},
		/* a log in disorder, or of what has left */
		{LOG, 1, "T 0 5 T T+1 T T"},
		{LOG, 1, "T 0 5 T T-10 T-9 T-10"},
		{LOG, 1, "T 0 5 T T-10 T-10 T-9"},
		{LOG, 1, "T 0 5 T T-60 T-60 T-60"},
		{LOG, 1, "T 0 5 T T-10 T-60 T-10"},
		{LOG, 1, "T 0 5 T 0 0 0"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[64];
		struct check check;
		static struct words words;
		snprintf(text, sizeof text, "%s", cases[i].reply);
		words_read(&words, text);
		if (read_check(&words.reply,
			       check_make(&check, "k", &cases[i].quota, cases[i].cost)))
			fail_msg("%s is taken", cases[i].reply);
	}
}
