#include "script_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/test.h"

static uint64_t random_state = 42;

uint64_t random_below(uint64_t max)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (random_state >> 33) % max;
}

struct store_op *op_in(struct store_op *op, struct list *ops, struct check *const *checks,
		       size_t count)
{
	*op = (struct store_op){.checks = checks, .count = count};
	list_append(ops, &op->link);
	return op;
}

int64_t microseconds(const char *seconds, char **ret_end)
{
	double us = strtod(seconds, ret_end) * 1e6;

	return (int64_t)(us < 0 ? us - 0.5 : us + 0.5);
}

static int64_t number_of(const char *word)
{
	if (*word != 'T')
		return strtoll(word, NULL, 10);
	return NOW_US + microseconds(word + 1, &(char *){NULL});
}

struct redis_item item_of(const char *word)
{
	switch (*word) {
	case '!':
		return (struct redis_item){REDIS_ERROR, 0, bytes_from_text(word + 1)};
	case '\'':
		return (struct redis_item){REDIS_TEXT, 0, bytes_from_text(word + 1)};
	case '*':
		return (struct redis_item){REDIS_ARRAY, number_of(word + 1), BYTES("")};
	case 'n':
		return (struct redis_item){.kind = REDIS_NIL, .text = BYTES("")};
	}
	return (struct redis_item){REDIS_NUMBER, number_of(word), BYTES("")};
}

void words_read(struct words *words, char *text)
{
	size_t count = 1;
	char *rest;

	for (char *word = strtok_r(text, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest)) {
		assert_true(count < ITEMS_MAX);
		words->items[count++] = item_of(word);
	}
	words->items[0] = (struct redis_item){REDIS_ARRAY, (int64_t)count - 1, BYTES("")};
	words->reply = (struct redis_reply){words->items, count, false};
}

bool read_op(const struct redis_reply *reply, struct store_op *op)
{
	struct redis_call_reader reader;
	struct bytes why;

	return redis_call_read(&reader, reply) && redis_call_next(&reader, op, &why) &&
	       reader.next == reader.end;
}

bool read_check(const struct redis_reply *reply, struct check *check)
{
	struct store_op op = {.checks = (struct check *[]){check}, .count = 1};

	return read_op(reply, &op);
}

/* ---- worked by hand ---- */

size_t worked_cases(const struct worked **ret_cases)
{
	static struct worked cases[64];
	const struct worked all[] = {
		/* token_bucket: 10, one a second; the level is in millionths */
		{BUCKET, 3, "1 10000000 T", "1 7 0 3 1", "", 0},
		{BUCKET, 3, "0 2500000 T", "0 2 0.5 7.5 0.5", "-2.5 10", 0},
		{BUCKET, 2, "1 2500000 T", "1 0 0 9.5 0.5", "-2.5 10", 0},
		{BUCKET, 3, "0 2999999 T", "0 2 0.000001 7.000001 0.000001", "-2.999999 10", 0},
		{BUCKET, 10, "1 10000000 T", "1 0 0 10 1", "", 0},
		{BUCKET, 11, "0 10000000 T", "0 10 -1 0 0", "", 0},
		{BUCKET, INT64_MAX, "0 10000000 T", "0 10 -1 0 0", "", 0},
		{BUCKET, 0, "1 0 T", "1 0 0 10 1", "0 10", 0},
		{BUCKET, 1, "0 0 T+1", "0 0 2 11 2", "1 10", 0}, /* ahead of the clock */
		/* sliding_window: 5 a minute */
		{LOG, 2, "1 0 T 0 0 0", "1 3 0 60 60", "", 0},
		{LOG, 5, "1 0 T 0 0 0", "1 0 0 60 60", "", 0},
		{LOG, 0, "1 0 T 0 0 0", "1 5 0 0 0", "", 0},
		{LOG, 2, "1 3 T T-10 T-50 T-10", "1 0 0 60 10", "-50 1 -30 1 -10 1", 0},
		{LOG, 3, "0 4 T T-10 T-50 T-30", "0 1 30 50 10", "-50 1 -30 1 -10 2", 0},
		{LOG, 4, "0 4 T T-10 T-50 T-10", "0 1 50 50 10", "-50 1 -30 1 -10 2", 0},
		{LOG, 0, "1 5 T T-10 T-50 T-10", "1 0 0 50 10", "-50 2 -10 3", 0},
		{LOG, 5, "0 1 T T-10 T-10 T-10", "0 4 50 50 50", "-10 1", 0},
		{LOG, 6, "0 1 T T-10 T-10 T-10", "0 4 -1 50 50", "-10 1", 0},
		{LOG, INT64_MAX, "0 1 T T-10 T-10 T-10", "0 4 -1 50 50", "-10 1", 0},
		{LOG, INT64_MAX, "0 5 T T-10 T-50 T-10", "0 0 -1 50 10", "-50 2 -10 3", 0},
		{LOG, 1, "0 5 T T T T", "0 0 60 60 60", "0 5", 0},
		{LOG, 1, "0 5 T T-59.5 T-59.5 T-59.5", "0 0 0.5 0.5 0.5", "-59.5 5", 0},
		{LOG, 1, "0 5 T+1 T+1 T+1 T+1", "0 0 61 61 61", "1 5", 0},
		/* It was 9: of them five must leave for one to pass, six for two. */
		{LOG, 2, "0 9 T T-10 T-40 T-20", "0 0 40 50 20", "-50 3 -40 2 -20 2 -10 2", 9},
		{LOG, 1, "0 9 T T-10 T-40 T-40", "0 0 20 50 20", "-50 3 -40 2 -20 2 -10 2", 9},
		{LOG, 5, "0 9 T T-10 T-40 T-10", "0 0 50 50 20", "-50 3 -40 2 -20 2 -10 2", 9},
		{LOG, 6, "0 9 T T-10 T-40 T-10", "0 0 -1 50 20", "-50 3 -40 2 -20 2 -10 2", 9},
		{LOG, 0, "1 9 T T-10 T-40 T-10", "1 0 0 50 20", "-50 3 -40 2 -20 2 -10 2", 9},
		/* counter: 10 a minute, of which 333333 of 1000000 ticks are gone */
		{COUNTER, 1, "1 0 0 T", "1 9 0 100 100", "", 0},
		{COUNTER, 2, "1 6 3 T", "1 0 0 100 0.00004", "-60 6 -10 3", 0},
		{COUNTER, 3, "0 6 3 T", "0 2 0.00004 100 0.00004", "-60 6 -10 3", 0},
		{COUNTER, 8, "0 6 3 T", "0 2 60.00004 100 0.00004", "-60 6 -10 3", 0},
		{COUNTER, 0, "1 6 3 T", "1 2 0 100 0.00004", "-60 6 -10 3", 0},
		{COUNTER, 11, "0 6 3 T", "0 2 -1 100 0.00004", "-60 6 -10 3", 0},
		/* fixed_window: 5 a minute, of which 40 s are to come */
		{FIXED, 1, "1 0 T", "1 4 0 40 40", "", 0},
		{FIXED, 2, "1 3 T", "1 0 0 40 40", "-10 3", 0},
		{FIXED, 2, "0 4 T", "0 1 40 40 40", "-10 4", 0},
		{FIXED, 0, "1 0 T", "1 5 0 0 0", "", 0},
		{FIXED, INT64_MAX, "0 4 T", "0 1 -1 40 40", "-10 4", 0},
		{FIXED, 1, "0 5 T", "0 0 40 40 40", "-10 9", 9}, /* it was 9 */
	};

	_Static_assert(ARRAY_SIZE(all) <= ARRAY_SIZE(cases), "there is room");
	memcpy(cases, all, sizeof all);
	*ret_cases = cases;
	return ARRAY_SIZE(all);
}

void read_worked(const struct worked *worked, struct words *words)
{
	static char text[256];

	snprintf(text, sizeof text, "T %s", worked->reply);
	words_read(words, text);
}
