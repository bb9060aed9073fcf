#include "store/redis_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "contract.h"
#include "limit/request.h"
#include "store/memory.h"
#include "store/redis_info.h"
#include "support/sweep.h"

/* 20 s into a minute. */
#define NOW_US INT64_C(1700000000000000)
#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HASH   "0123456789abcdef0123456789abcdef01234567"
#define EXACT  QUOTA_EXACT_MAX

/* What redis.c leaves around the ops: the array, EVALSHA, hash, number of keys, time. */
#define AROUND_OPS 128

/* ---- the call ---- */

struct call {
	struct redis_call_form form;
	struct list ops;
};

static void put_call(struct writer *w, const void *context)
{
	const struct call *call = context;

	redis_call_put(w, &call->form, &call->ops);
}

static struct store_op *op_in(struct store_op *op, struct list *ops, struct check *const *checks,
			      size_t count)
{
	*op = (struct store_op){.checks = checks, .count = count};
	list_append(ops, &op->link);
	return op;
}

/* "EVALSHA x 1" in Redis' protocol. */
static struct bytes protocol_of(const char *words, char *memory, size_t max)
{
	struct writer w = writer_on(memory, max), body = writer_on((char[4096]){0}, 4096);
	struct bytes list = bytes_from_text(words), word;
	size_t count = 0;

	for (; bytes_next_item(&list, ' ', &word); count++) {
		writer_put_u8(&body, '$');
		writer_put_unsigned(&body, word.len);
		writer_put_text(&body, "\r\n");
		writer_put(&body, word);
		writer_put_text(&body, "\r\n");
	}
	writer_put_u8(&w, '*');
	writer_put_unsigned(&w, count);
	writer_put_text(&w, "\r\n");
	writer_put(&w, writer_bytes(&body));
	assert_false(w.full || body.full);
	return writer_bytes(&w);
}

static void assert_call(const struct call *call, const char *words)
{
	char memory[4096];

	sweep_encoder(protocol_of(words, memory, sizeof memory), put_call, call);
}

static void test_redis_call_put_one_bucket_is_these_bytes(void **state)
{
	struct quota quota = bucket_of(10, "1");
	struct check check;
	struct store_op op;
	struct call call = {.form = {.hash = HASH, .prefix = BYTES("rl:")}};
	(void)state;

	list_init(&call.ops);
	op_in(&op, &call.ops, (struct check *[]){check_make(&check, "key", &quota, 3)}, 1);

	sweep_encoder(BYTES("*12\r\n$7\r\nEVALSHA\r\n$40\r\n" HASH "\r\n$1\r\n1\r\n"
			    "$6\r\nrl:key\r\n$3\r\nnow\r\n$1\r\n1\r\n$1\r\n0\r\n"
			    "$12\r\ntoken_bucket\r\n$1\r\n3\r\n$2\r\n10\r\n$1\r\n1\r\n"
			    "$7\r\n1000000\r\n"),
		      put_call, &call);
}

static void test_redis_call_put_each_algorithm_has_its_numbers(void **state)
{
	const struct {
		struct quota quota;
		const char *words;
	} cases[] = {
		{bucket_of(10, "1/3s"), "token_bucket 2 10 1 3000000"},
		{bucket_of(1000, "1000/1m"), "token_bucket 2 1000 1 60000"},
		{window_of(SLIDING_WINDOW, 5, MINUTE), "sliding_window 2 5 60000000"},
		{window_of(SLIDING_WINDOW_COUNTER, 5, 1500), "sliding_window_counter 2 5 1500"},
		{window_of(FIXED_WINDOW, 2, 86400 * SECOND), "fixed_window 2 2 86400000000"},
	};
	char words[256];
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct check check;
		struct store_op op;
		struct call call = {.form = {.hash = HASH, .prefix = BYTES("")}};
		list_init(&call.ops);
		op_in(&op, &call.ops,
		      (struct check *[]){check_make(&check, "k", &cases[i].quota, 2)}, 1);
		snprintf(words, sizeof words, "EVALSHA " HASH " 1 k now 1 0 %s", cases[i].words);
		assert_call(&call, words);
	}
}

static void test_redis_call_put_batch_has_all_keys_then_all_requests(void **state)
{
	struct quota bucket = bucket_of(10, "1"), log = window_of(SLIDING_WINDOW, 5, MINUTE),
		     counter = window_of(SLIDING_WINDOW_COUNTER, 6, MINUTE),
		     fixed = window_of(FIXED_WINDOW, 7, MINUTE);
	struct check checks[5];
	struct store_op ops[3];
	struct call call = {.form = {HASH, BYTES("p/"), true, NOW_US}};
	(void)state;

	list_init(&call.ops);
	op_in(&ops[0], &call.ops,
	      (struct check *[]){check_make(&checks[0], "a", &bucket, 1),
				 check_make(&checks[1], "b", &log, 0)},
	      2);
	op_in(&ops[1], &call.ops, (struct check *[]){check_make(&checks[2], "c", &counter, 3)}, 1);
	op_in(&ops[2], &call.ops,
	      (struct check *[]){check_make(&checks[3], "a", &bucket, 4),
				 check_make(&checks[4], "d", &fixed, 5)},
	      2);

	assert_call(&call, "EVALSHA " HASH " 5 p/a p/b p/c p/a p/d 1700000000000000 "
			   "2 0 token_bucket 1 10 1 1000000 sliding_window 0 5 60000000 "
			   "1 0 sliding_window_counter 3 6 60000000 "
			   "2 0 token_bucket 4 10 1 1000000 fixed_window 5 7 60000000");
}

/* How many are charged together, and how many more are in shadow; a minus: nothing is charged. */
static void test_redis_call_put_shadow_and_denied_are_told_by_the_counts(void **state)
{
	static const struct {
		size_t count, shadow;
		bool is_denied;
		const char *counts;
	} cases[] = {
		{2, 0, false, "2 0"},    {2, 1, false, "1 1"},   {2, 2, false, "0 2"},
		{2, 0, true, "-2 0"},    {2, 1, true, "-2 0"},   {2, 2, true, "-2 0"},
		{16, 16, true, "-16 0"}, {16, 6, false, "10 6"},
	};
	struct quota quota = window_of(FIXED_WINDOW, 5, 1000);
	struct check checks[REQUEST_CHECKS_MAX], *pointers[REQUEST_CHECKS_MAX];
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct call call = {.form = {HASH, BYTES(""), false, 0}};
		struct store_op op;
		char words[2048], memory[4096];
		struct writer w = writer_on(words, sizeof words);
		list_init(&call.ops);
		op_in(&op, &call.ops, pointers, cases[i].count);
		op.shadow = cases[i].shadow;
		op.is_denied = cases[i].is_denied;
		writer_put_text(&w, "EVALSHA " HASH " ");
		writer_put_unsigned(&w, op.count);
		for (size_t k = 0; k < op.count; k++) {
			pointers[k] = check_make(&checks[k], "k", &quota, 1);
			writer_put_text(&w, " k");
		}
		writer_put_text(&w, " now ");
		writer_put_text(&w, cases[i].counts);
		for (size_t k = 0; k < op.count; k++)
			writer_put_text(&w, " fixed_window 1 5 1000");

		struct bytes expected = protocol_of(writer_text(&w), memory, sizeof memory);
		sweep_encoder(expected, put_call, &call);
		assert_true(expected.len <= AROUND_OPS + redis_call_size(&op, BYTES("")));
	}
}

/* Above the limit it is all the same, and a double must hold it. */
static void test_redis_call_put_cost_above_the_limit_is_the_limit_and_one(void **state)
{
	static const struct {
		int64_t limit, cost;
		const char *words;
	} cases[] = {
		{5, 0, "fixed_window 0 5 60000000"},
		{5, 5, "fixed_window 5 5 60000000"},
		{5, 6, "fixed_window 6 5 60000000"},
		{5, 7, "fixed_window 6 5 60000000"},
		{5, INT64_MAX, "fixed_window 6 5 60000000"},
		{EXACT / 2, INT64_MAX, "fixed_window 4503599627370497 4503599627370496 60000000"},
	};
	char words[256];
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct quota quota = window_of(FIXED_WINDOW, cases[i].limit, MINUTE);
		struct check check;
		struct store_op op;
		struct call call = {.form = {.hash = HASH, .prefix = BYTES("")}};
		list_init(&call.ops);
		op_in(&op, &call.ops,
		      (struct check *[]){check_make(&check, "k", &quota, cases[i].cost)}, 1);
		snprintf(words, sizeof words, "EVALSHA " HASH " 1 k now 1 0 %s", cases[i].words);
		assert_call(&call, words);
	}
}

/* ---- its size ---- */

static uint64_t random_state = 42;

static uint64_t random_below(uint64_t max)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (random_state >> 33) % max;
}

/* What the checks of a call have in common: nothing, or an algorithm, or that all is long. */
struct likeness {
	bool is_of_one_algorithm;
	enum algorithm algorithm;
	bool is_longest;
};

static struct likeness random_likeness(void)
{
	return (struct likeness){random_below(2) == 0, (enum algorithm)random_below(4),
				 random_below(2) == 0};
}

static int64_t random_number(int64_t max, bool is_longest)
{
	int64_t low = is_longest || random_below(2) == 0 ? max - max / 10 : 1;

	return low + (int64_t)random_below((uint64_t)(max - low) / 2 + 1);
}

static void make_random(struct check *check, struct quota *quota, const struct likeness *like)
{
	bool is_longest = like->is_longest;

	*quota = (struct quota){
		.algorithm = like->is_of_one_algorithm ? like->algorithm
						       : (enum algorithm)random_below(4),
		.limit = random_number(EXACT / 2, is_longest),
		.refill_tokens = random_number(EXACT, is_longest),
		.refill_us = random_number(EXACT, is_longest),
		.window_us = random_number(is_longest ? EXACT : QUOTA_WINDOW_MAX_US, is_longest),
	};
	check_make(check, "", quota,
		   is_longest || random_below(2) == 0 ? INT64_MAX : random_number(EXACT, false));
	check->key_len = is_longest ? CHECK_KEY_MAX : random_below(CHECK_KEY_MAX);
	memset(check->key, 'k', check->key_len);
}

struct random_call {
	struct call call;
	struct store_op ops[REDIS_CALL_OPS_MAX];
	struct check checks[REDIS_CALL_OPS_MAX][REQUEST_CHECKS_MAX];
	struct check *pointers[REDIS_CALL_OPS_MAX][REQUEST_CHECKS_MAX];
	struct quota quotas[REDIS_CALL_OPS_MAX][REQUEST_CHECKS_MAX];
};

/* Returns what its ops may need. */
static size_t fill_random(struct random_call *r)
{
	size_t size = 0, count = 1 + random_below(REDIS_CALL_OPS_MAX);
	struct likeness like = random_likeness();

	list_init(&r->call.ops);
	for (size_t i = 0; i < count; i++) {
		size_t checks = random_below(4) == 0 ? REQUEST_CHECKS_MAX
						     : 1 + random_below(REQUEST_CHECKS_MAX);
		for (size_t k = 0; k < checks; k++) {
			make_random(&r->checks[i][k], &r->quotas[i][k], &like);
			r->pointers[i][k] = &r->checks[i][k];
		}
		op_in(&r->ops[i], &r->call.ops, r->pointers[i], checks);
		r->ops[i].shadow = random_below(checks + 1);
		r->ops[i].is_denied = random_below(3) == 0;
		size += redis_call_size(&r->ops[i], r->call.form.prefix);
	}
	return size;
}

static void test_redis_call_size_is_never_exceeded(void **state)
{
	static struct random_call r;
	static uint8_t memory[REDIS_CALL_OPS_MAX * 8192 + AROUND_OPS];
	static uint8_t prefix[REDIS_PREFIX_MAX];

	(void)state;
	memset(prefix, 'p', sizeof prefix);
	for (int i = 0; i < 3000; i++) {
		struct writer w = writer_on(memory, sizeof memory);
		size_t prefix_len = i % 2 == 0 ? sizeof prefix : random_below(sizeof prefix);
		r.call.form = (struct redis_call_form){HASH, bytes_from(prefix, prefix_len),
						       i % 3 != 0, EXACT};
		size_t size = fill_random(&r);
		redis_call_put(&w, &r.call.form, &r.call.ops);
		assert_false(w.full);
		assert_in_range(w.len, 1, AROUND_OPS + size);
	}
}

static void test_redis_call_size_of_the_longest_request_fits_into_a_call(void **state)
{
	struct quota quota = {SLIDING_WINDOW_COUNTER, EXACT / 2, 0, 0, QUOTA_WINDOW_MAX_US};
	struct check check, *checks[REQUEST_CHECKS_MAX];
	struct store_op op = {.checks = checks, .count = REQUEST_CHECKS_MAX};

	(void)state;
	check_make(&check, "", &quota, INT64_MAX);
	check.key_len = CHECK_KEY_MAX;
	for (size_t i = 0; i < REQUEST_CHECKS_MAX; i++)
		checks[i] = &check;

	size_t size = redis_call_size(&op, (struct bytes){NULL, REDIS_PREFIX_MAX});

	assert_true(size + AROUND_OPS <= REDIS_CALL_MAX);
}

/* ---- replies in words: numbers, T for the time, T-10 in seconds, !ERROR, 'text, nil, *2 ---- */

#define ITEMS_MAX 128

struct words {
	struct redis_item items[ITEMS_MAX];
	struct redis_reply reply;
};

static int64_t microseconds(const char *seconds, char **ret_end)
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

static struct redis_item item_of(const char *word)
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

/* One array of all that. */
static void words_read(struct words *words, char *text)
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

#define WORDS(words, ...)                  \
	char words##_text[] = __VA_ARGS__; \
	static struct words words;         \
	words_read(&words, words##_text)

/* False when it is not a reply to such an op, to the end. */
static bool read_op(const struct redis_reply *reply, struct store_op *op)
{
	struct redis_call_reader reader;
	struct bytes why;

	return redis_call_read(&reader, reply) && redis_call_next(&reader, op, &why) &&
	       reader.next == reader.end;
}

static bool read_check(const struct redis_reply *reply, struct check *check)
{
	struct store_op op = {.checks = (struct check *[]){check}, .count = 1};

	return read_op(reply, &op);
}

/* ---- outcomes, worked by hand ---- */

#define BUCKET  bucket_of(10, "1")
#define LOG     window_of(SLIDING_WINDOW, 5, MINUTE)
#define COUNTER window_of(SLIDING_WINDOW_COUNTER, 10, MINUTE)
#define FIXED   window_of(FIXED_WINDOW, 5, MINUTE)
#define NEVER   (-1)

struct worked {
	struct quota quota;
	int64_t cost;
	const char *reply;   /* behind the time */
	const char *outcome; /* allowed?, remaining; in seconds: retry after, reset, grows */
	/* The same for the memory store: what was taken when, in seconds from now; by what limit.
	 */
	const char *priors;
	int64_t prior_limit; /* 0: the same */
};

static size_t worked_cases(const struct worked **ret_cases)
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

static struct outcome outcome_of(const char *text)
{
	struct outcome outcome = {.allowed = *text == '1'};
	char *end;

	outcome.remaining = strtoll(text + 1, &end, 10);
	outcome.retry_after_us = microseconds(end, &end);
	outcome.reset_us = microseconds(end, &end);
	outcome.grows_us = microseconds(end, &end);
	if (outcome.retry_after_us == -SECOND)
		outcome.retry_after_us = NEVER;
	return outcome;
}

static void assert_outcome(const struct worked *worked, const struct outcome *got)
{
	struct outcome expected = outcome_of(worked->outcome);

	if (got->allowed == expected.allowed && got->remaining == expected.remaining &&
	    got->retry_after_us == expected.retry_after_us && got->reset_us == expected.reset_us &&
	    got->grows_us == expected.grows_us)
		return;
	fail_msg("%ld of \"%s\" is %d %ld %ld %ld %ld, not %s", (long)worked->cost, worked->reply,
		 got->allowed, (long)got->remaining, (long)got->retry_after_us, (long)got->reset_us,
		 (long)got->grows_us, worked->outcome);
}

static void read_worked(const struct worked *worked, struct words *words)
{
	static char text[256];

	snprintf(text, sizeof text, "T %s", worked->reply);
	words_read(words, text);
}

static void test_redis_call_next_outcomes_are_as_worked_by_hand(void **state)
{
	const struct worked *cases;
	size_t count = worked_cases(&cases);
	static struct words words;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		struct check check;
		read_worked(&cases[i], &words);
		check_make(&check, "k", &cases[i].quota, cases[i].cost);
		check.error = STORE_OTHER;
		if (!read_check(&words.reply, &check))
			fail_msg("%ld of \"%s\" is refused", (long)cases[i].cost, cases[i].reply);
		assert_true(check.is_decided);
		assert_int_equal(check.error, STORE_OK);
		assert_outcome(&cases[i], &check.outcome);
	}
}

static void take_priors(struct store *store, const struct worked *worked)
{
	struct quota before = worked->quota;

	if (worked->prior_limit != 0)
		before.limit = worked->prior_limit;
	for (char *at = (char *)worked->priors; *at != '\0';) {
		struct check check;
		int64_t at_us = NOW_US + microseconds(at, &at);
		check_make(&check, "k", &before, strtoll(at, &at, 10));
		ask(store, (struct check *[]){&check}, 1, at_us);
		assert_true(check.is_decided && check.outcome.allowed);
	}
}

/* What is made of a reply must be what the memory store makes of the same state. */
static void test_redis_call_next_outcomes_are_those_of_the_memory_store(void **state)
{
	const struct worked *cases;
	size_t count = worked_cases(&cases);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		struct store *store = memory_store_new(MEMORY_LIMIT_MIN);
		struct check check;
		take_priors(store, &cases[i]);
		check_make(&check, "k", &cases[i].quota, cases[i].cost);
		ask(store, (struct check *[]){&check}, 1, NOW_US);
		assert_outcome(&cases[i], &check.outcome);
		store_free(store);
	}
}

static void test_redis_call_next_checks_of_a_request_are_read_in_order(void **state)
{
	struct quota bucket = BUCKET, log = LOG, counter = COUNTER, fixed = FIXED;
	struct check checks[4];
	struct store_op op = {.checks = (struct check *[]){check_make(&checks[0], "a", &bucket, 1),
							   check_make(&checks[1], "b", &log, 1),
							   check_make(&checks[2], "c", &counter, 1),
							   check_make(&checks[3], "d", &fixed, 1)},
			      .count = 4};
	(void)state;

	WORDS(words, "T 0 10000000 T 5 T T T T 0 9 T 4 T");
	assert_true(read_op(&words.reply, &op));

	/* The log denies, so nothing of the others was taken. */
	assert_true(checks[0].outcome.allowed);
	assert_int_equal(checks[0].outcome.remaining, 10);
	assert_false(checks[1].outcome.allowed);
	assert_int_equal(checks[2].outcome.remaining, 1);
	assert_int_equal(checks[3].outcome.remaining, 1);
	for (int i = 0; i < 4; i++)
		assert_true(checks[i].is_decided && checks[i].error == STORE_OK);
}

/* ---- shadow, and what is denied already ---- */

/* Of a fixed window of 5, cost 2 each; the last one, or two, in shadow. */
static const struct {
	const char *reply;
	size_t count, shadow;
	bool is_denied;
	const char *expected; /* a sign and what remains of each; ! for an error */
} shadow_replies[] = {
	{"T 1 0 T 0 T", 2, 1, false, "+3+3"},
	{"T 1 0 T 4 T", 2, 1, false, "+3-1"},
	{"T 1 3 T 3 T", 2, 1, false, "+0+0"},
	{"T 0 4 T 0 T", 2, 1, false, "-1+5"}, /* denied: it is as it was found */
	{"T 0 4 T 4 T", 2, 1, false, "-1-1"},
	{"T 1 0 T !WRONGTYPE", 2, 1, false, "+3!"},
	{"T 0 4 T !WRONGTYPE", 2, 1, false, "-1!"},
	{"T 1 !WRONGTYPE 0 T", 2, 2, false, "!+3"},
	{"T 1 4 T 0 T", 2, 2, false, "-1+3"},
	{"T 1 !WRONGTYPE !OOM", 2, 2, false, "!!"},
	{"T 1 0 T !WRONGTYPE 0 T", 3, 2, false, "+3!+3"},
	{"T !WRONGTYPE", 2, 1, false, "!!"},
	{"T 0 0 T 0 T", 2, 0, true, "+5+5"},
	{"T 0 0 T 4 T", 2, 1, true, "+5-1"},
	{"T 0 0 T 0 T", 2, 2, true, "+5+5"},
	{"T !WRONGTYPE", 2, 1, true, "!!"},
	/* what contradicts */
	{"T 0 0 T 0 T", 2, 1, false, ""}, /* not charged, though all is there */
	{"T 0 0 T 4 T", 2, 1, false, ""}, /* what is in shadow denies nothing */
	{"T 1 4 T 0 T", 2, 1, false, ""},
	{"T 0 0 T", 1, 1, false, ""},
	{"T 0 4 T", 1, 1, false, ""},
	{"T 1 0 T 0 T", 2, 0, true, ""}, /* charged, though it is denied */
	{"T 1 0 T 0 T", 2, 2, true, ""},
	{"T 2 0 T 0 T", 2, 1, false, ""},
	/* an error that stands where none may, or half a state */
	{"T 1 !WRONGTYPE 0 T", 2, 1, false, ""},
	{"T 0 0 T !WRONGTYPE", 2, 1, true, ""},
	{"T 1 0 T 0 !WRONGTYPE", 2, 1, false, ""},
	{"T 1 0 T", 2, 1, false, ""},
	{"T 1 0 T 0", 2, 1, false, ""},
	{"T 1 0 T 6 T", 2, 1, false, ""},
	{"T 1 0 T 0 T-1", 2, 1, false, ""},
	{"T 1 0 T nil nil", 2, 1, false, ""},
};

static void test_redis_call_next_shadow_is_told_alone(void **state)
{
	struct quota fixed = FIXED;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(shadow_replies); i++) {
		struct check checks[3], *pointers[3];
		struct store_op op = {.checks = pointers,
				      .count = shadow_replies[i].count,
				      .shadow = shadow_replies[i].shadow,
				      .is_denied = shadow_replies[i].is_denied};
		char text[128], got[32] = "";
		static struct words words;
		for (size_t k = 0; k < op.count; k++)
			pointers[k] = check_make(&checks[k], "k", &fixed, 2);
		snprintf(text, sizeof text, "%s", shadow_replies[i].reply);
		words_read(&words, text);

		bool is_taken = read_op(&words.reply, &op);
		for (size_t k = 0; k < op.count && is_taken; k++)
			snprintf(got + strlen(got), sizeof got - strlen(got),
				 checks[k].is_decided ? "%c%d" : "!",
				 checks[k].outcome.allowed ? '+' : '-',
				 (int)checks[k].outcome.remaining);
		if (strcmp(got, shadow_replies[i].expected) != 0)
			fail_msg("\"%s\" of %zu, %zu in shadow%s, is \"%s\"",
				 shadow_replies[i].reply, op.count, op.shadow,
				 op.is_denied ? ", denied" : "", got);
	}
}

static void test_redis_call_next_error_of_a_shadow_is_told_why(void **state)
{
	struct quota fixed = FIXED;
	struct check checks[2];
	struct store_op op = {.checks = (struct check *[]){check_make(&checks[0], "a", &fixed, 1),
							   check_make(&checks[1], "b", &fixed, 1)},
			      .count = 2,
			      .shadow = 1};
	struct redis_call_reader reader;
	struct bytes why;
	(void)state;

	WORDS(words, "T 1 0 T !OOM");
	assert_true(redis_call_read(&reader, &words.reply));
	assert_true(redis_call_next(&reader, &op, &why));

	assert_bytes_text(why, "OOM");
	assert_int_equal(checks[0].error, STORE_OK);
	assert_int_equal(checks[1].error, STORE_OOM);
	assert_int_equal(store_op_error(&op), STORE_OOM);
}

/* ---- errors ---- */

static void test_redis_call_next_error_of_a_request_is_its_own(void **state)
{
	static const struct {
		const char *text;
		enum store_error error;
	} cases[] = {
		{"OOM command not allowed", STORE_OOM},
		{"READONLY no", STORE_READONLY},
		{"BROKENSTATE the value", STORE_OTHER},
		{"WRONGTYPE Operation", STORE_OTHER},
		{"", STORE_OTHER},
	};
	struct quota fixed = FIXED;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct check checks[4];
		struct store_op ops[3] = {
			{.checks = (struct check *[]){check_make(&checks[0], "a", &fixed, 1)},
			 .count = 1},
			{.checks = (struct check *[]){check_make(&checks[1], "b", &fixed, 1),
						      check_make(&checks[2], "c", &fixed, 1)},
			 .count = 2},
			{.checks = (struct check *[]){check_make(&checks[3], "d", &fixed, 1)},
			 .count = 1},
		};
		struct redis_call_reader reader;
		struct bytes why;
		WORDS(words, "T 1 0 T !x 1 2 T");
		words.items[5].text = bytes_from_text(cases[i].text);

		assert_true(redis_call_read(&reader, &words.reply));
		for (size_t k = 0; k < 3; k++)
			assert_true(redis_call_next(&reader, &ops[k], &why));
		assert_ptr_equal(reader.next, reader.end);
		assert_bytes_text(why, cases[i].text);
		for (size_t k = 0; k < 4; k++)
			assert_int_equal(checks[k].error,
					 k == 1 || k == 2 ? cases[i].error : STORE_OK);
		assert_false(checks[1].is_decided || checks[2].is_decided);
		assert_int_equal(checks[0].outcome.remaining, 4);
		assert_int_equal(checks[3].outcome.remaining, 2);
	}
}

static void test_redis_call_read_what_is_no_array_of_the_scripts_is_refused(void **state)
{
	struct redis_call_reader reader;
	static const struct redis_item items[] = {
		{REDIS_NIL, 0, {NULL, 0}},
		{REDIS_NUMBER, 1, {NULL, 0}},
		{REDIS_TEXT, 0, {(const uint8_t *)"OK", 2}},
		{REDIS_ERROR, 0, {(const uint8_t *)"ERR", 3}},
		{REDIS_ARRAY, 0, {NULL, 0}},
		{REDIS_ARRAY, 1, {NULL, 0}},
		{REDIS_ARRAY, INT64_MAX, {NULL, 0}},
	};
	(void)state;

	POISON(reader);
	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		assert_false(redis_call_read(&reader, &(struct redis_reply){&items[i], 1, false}));
	assert_untouched(reader);
}

static void test_redis_call_read_time_that_is_none_is_refused(void **state)
{
	static const char *const times[] = {"-1",
					    "9007199254740993",
					    "9223372036854775807",
					    "-9223372036854775808",
					    "nil",
					    "'1",
					    "!ERR",
					    "*0"};
	struct quota fixed = FIXED;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		char text[64];
		struct check check;
		static struct words words;
		snprintf(text, sizeof text, "%s 1 0 T", times[i]);
		words_read(&words, text);
		assert_false(read_check(&words.reply, check_make(&check, "k", &fixed, 1)));
	}
}

static void test_redis_call_read_cut_reply_is_refused(void **state)
{
	struct redis_call_reader reader;
	(void)state;

	WORDS(words, "T 1 0 T");
	assert_true(redis_call_read(&reader, &words.reply));
	words.reply.is_cut = true;
	assert_false(redis_call_read(&reader, &words.reply));
}

/* Cut off after each item: with a count that says so, and with one that does not. */
static void test_redis_call_next_truncated_is_refused(void **state)
{
	const struct worked *cases;
	size_t count = worked_cases(&cases);
	static struct words words;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		struct check check;
		read_worked(&cases[i], &words);
		check_make(&check, "k", &cases[i].quota, cases[i].cost);
		for (size_t len = words.reply.count - 1; len > 0; len--) {
			words.reply.count = len;
			assert_false(read_check(&words.reply, &check));
			words.items[0].number = (int64_t)len - 1;
			assert_false(read_check(&words.reply, &check));
		}
	}
}

static void test_redis_call_next_more_items_are_left_over(void **state)
{
	struct quota fixed = FIXED;
	struct check check;
	struct store_op op = {.checks = (struct check *[]){check_make(&check, "k", &fixed, 1)},
			      .count = 1};
	struct redis_call_reader reader;
	struct bytes why;
	(void)state;

	WORDS(words, "T 1 0 T 0");
	assert_true(redis_call_read(&reader, &words.reply));
	assert_true(redis_call_next(&reader, &op, &why));
	assert_ptr_not_equal(reader.next, reader.end);
	assert_false(redis_call_next(&reader, &op, &why)); /* not one more request */
	assert_ptr_equal(words.items + words.reply.count, reader.end);
}

static void test_redis_call_next_nested_array_is_refused(void **state)
{
	static const char *const texts[] = {"*3 T 1 0 T", "T *2 1 0 T", "T 1 *2 0 T", "T 1 0 *1 T",
					    "T *0 1 0 T"};
	struct quota fixed = FIXED;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char text[64];
		struct check check;
		static struct words words;
		check_make(&check, "k", &fixed, 1);
		snprintf(text, sizeof text, "%s", texts[i]);
		words_read(&words, text);
		/* By the count of the elements, as it would be; and by that of the items. */
		assert_false(read_check(&words.reply, &check));
		words.items[0].number = 1;
		assert_false(read_check(&words.reply, &check));
	}
}

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
static void test_redis_call_next_numbers_that_can_not_be_are_refused(void **state)
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

	(void)state;
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
static void test_redis_call_next_any_numbers_are_refused_or_make_sense(void **state)
{
	const struct worked *cases;
	size_t count = worked_cases(&cases), taken = 0;
	static struct words words;

	(void)state;
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
	static const char *const states[] = {[TOKEN_BUCKET] = "10000000 T",
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
			put_state(&m->words, m->pointers[index][k],
				  !op->is_denied && k >= op->count - op->shadow);
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

/* Decided or failed as its op may be; what is denied together has no charge. */
static void assert_op_can_be(const struct store_op *op)
{
	size_t together = op->is_denied ? op->count : op->count - op->shadow;

	for (size_t k = 0; k < op->count; k++) {
		const struct check *check = op->checks[k];
		assert_int_equal(check->is_decided, check->error == STORE_OK);
		if (check->is_decided)
			assert_outcome_can_be(check);
		if (k < together) /* of these all have an answer, or none has */
			assert_int_equal(check->is_decided, op->checks[0]->is_decided);
	}
}

static void test_redis_call_next_changed_replies_are_refused_or_make_sense(void **state)
{
	size_t taken = 0, whole = 0, rounds = 200000;
	static struct mutated m;

	(void)state;
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

static void test_redis_call_next_state_that_contradicts_is_refused(void **state)
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
		{COUNTER, 1, "T 1 11 0 T"},
		{COUNTER, 1, "T 0 0 11 T"},
		{FIXED, 1, "T 0 6 T"},
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
	(void)state;

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

/* ---- the script, and the server that it runs on ---- */

static void test_redis_script_text_is_all_of_lua(void **state)
{
	struct bytes script = redis_script_text();
	static const char *const parts[] = {"--[[\nratelimit-spoa",
					    "local algorithms = {}",
					    "algorithms.token_bucket = ",
					    "algorithms.sliding_window = ",
					    "algorithms.sliding_window_counter = ",
					    "algorithms.fixed_window = ",
					    "return reply\n"};
	const uint8_t *at = script.data;
	(void)state;

	assert_null(memchr(script.data, '\0', script.len));
	assert_int_equal(script.data[script.len - 1], '\n');
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		at = memmem(at, script.len - (size_t)(at - script.data), parts[i],
			    strlen(parts[i]));
		if (at == NULL)
			fail_msg("%s is not there, or too early", parts[i]);
	}
}

#define REDIS_6_2                                                                                  \
	"# Server\r\nredis_version:6.2.14\r\nredis_git_sha1:00000000\r\nredis_mode:standalone\r\n" \
	"os:Linux 5.10.0 x86_64\r\ntcp_port:6379\r\n\r\n# Clients\r\nconnected_clients:1\r\n\r\n"
#define REDIS_7                                                                               \
	"# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nserver_time_usec:1\r\n" \
	"executable:/usr/bin/redis-server\r\n\r\n# Persistence\r\nloading:0\r\n"              \
	"async_loading:0\r\n\r\n"
#define REDIS_8                                                                                 \
	"# Server\r\nredis_version:8.0.2\r\nredis_mode:standalone\r\nmonotonic_clock:POSIX\r\n" \
	"\r\n# Persistence\r\nasync_loading:0\r\nloading:0\r\n\r\n# Modules\r\n"                \
	"module:name=bf,ver=80002,api=1\r\n\r\n"
#define VALKEY_8                                                                            \
	"# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\n" \
	"server_mode:standalone\r\n\r\n# Persistence\r\nloading:0\r\n\r\n"
#define MASTER  "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n"
#define REPLICA "# Replication\r\nrole:slave\r\nmaster_host:192.0.2.1\r\nslave_read_only:1\r\n"
#define CPU     "\r\n# CPU\r\nused_cpu_sys:0.1\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n"

static void test_redis_info_is_usable_takes_a_server_on_its_own(void **state)
{
	static const char *const infos[] = {
		REDIS_6_2 MASTER CPU,
		REDIS_7 MASTER CPU,
		REDIS_8 MASTER CPU,
		VALKEY_8 MASTER CPU,
		"",
		"# Server\nredis_mode:standalone\nrole:master",
		/* Not these words, but others that have them. */
		"os:role:slave\r\n",
		"xrole:slave\r\n",
		"role:slave \r\n",
		"loading:10\r\n",
		"async_loading:1\r\n",
		"executable:/redis_mode:cluster\r\n",
	};
	enum store_error error;
	const char *why;
	(void)state;

	POISON(error);
	POISON(why);
	for (size_t i = 0; i < ARRAY_SIZE(infos); i++)
		if (!redis_info_is_usable(bytes_from_text(infos[i]), &error, &why))
			fail_msg("refused, since %s: %s", why, infos[i]);
	assert_untouched(error);
	assert_untouched(why);
}

static void test_redis_info_is_usable_refuses_what_can_not_keep_balances(void **state)
{
	static const struct {
		const char *info;
		enum store_error error;
		const char *says;
	} cases[] = {
		{"# Server\r\nredis_version:7.0.15\r\nredis_mode:sentinel\r\n\r\n# Sentinel\r\n",
		 STORE_OTHER, "Sentinel"},
		{"# Server\r\nserver_name:valkey\r\nserver_mode:sentinel\r\n", STORE_OTHER,
		 "Sentinel"},
		{"# Server\r\nredis_version:6.2.14\r\nredis_mode:cluster\r\n\r\n" MASTER CPU,
		 STORE_MOVED, "Cluster"},
		{"# Server\r\nserver_name:valkey\r\nserver_mode:cluster\r\n\r\n" MASTER,
		 STORE_MOVED, "Cluster"},
		{REDIS_6_2 REPLICA CPU, STORE_READONLY, "replica"},
		{REDIS_8 REPLICA, STORE_READONLY, "replica"},
		{VALKEY_8 REPLICA, STORE_READONLY, "replica"},
		{"# Persistence\r\nloading:1\r\nloading_start_time:1\r\n\r\n" MASTER, STORE_LOADING,
		 "loading"},
		{"loading:1", STORE_LOADING, "loading"},
		{"redis_mode:cluster\nrole:slave\n", STORE_MOVED, "Cluster"},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum store_error error;
		const char *why;
		if (redis_info_is_usable(bytes_from_text(cases[i].info), &error, &why))
			fail_msg("taken: %s", cases[i].info);
		assert_int_equal(error, cases[i].error);
		assert_non_null(strstr(why, cases[i].says));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_redis_call_put_one_bucket_is_these_bytes),
		cmocka_unit_test(test_redis_call_put_each_algorithm_has_its_numbers),
		cmocka_unit_test(test_redis_call_put_batch_has_all_keys_then_all_requests),
		cmocka_unit_test(test_redis_call_put_shadow_and_denied_are_told_by_the_counts),
		cmocka_unit_test(test_redis_call_put_cost_above_the_limit_is_the_limit_and_one),
		cmocka_unit_test(test_redis_call_size_is_never_exceeded),
		cmocka_unit_test(test_redis_call_size_of_the_longest_request_fits_into_a_call),
		cmocka_unit_test(test_redis_call_next_outcomes_are_as_worked_by_hand),
		cmocka_unit_test(test_redis_call_next_outcomes_are_those_of_the_memory_store),
		cmocka_unit_test(test_redis_call_next_checks_of_a_request_are_read_in_order),
		cmocka_unit_test(test_redis_call_next_shadow_is_told_alone),
		cmocka_unit_test(test_redis_call_next_error_of_a_shadow_is_told_why),
		cmocka_unit_test(test_redis_call_next_error_of_a_request_is_its_own),
		cmocka_unit_test(test_redis_call_read_what_is_no_array_of_the_scripts_is_refused),
		cmocka_unit_test(test_redis_call_read_time_that_is_none_is_refused),
		cmocka_unit_test(test_redis_call_read_cut_reply_is_refused),
		cmocka_unit_test(test_redis_call_next_truncated_is_refused),
		cmocka_unit_test(test_redis_call_next_more_items_are_left_over),
		cmocka_unit_test(test_redis_call_next_nested_array_is_refused),
		cmocka_unit_test(test_redis_call_next_numbers_that_can_not_be_are_refused),
		cmocka_unit_test(test_redis_call_next_any_numbers_are_refused_or_make_sense),
		cmocka_unit_test(test_redis_call_next_changed_replies_are_refused_or_make_sense),
		cmocka_unit_test(test_redis_call_next_state_that_contradicts_is_refused),
		cmocka_unit_test(test_redis_script_text_is_all_of_lua),
		cmocka_unit_test(test_redis_info_is_usable_takes_a_server_on_its_own),
		cmocka_unit_test(test_redis_info_is_usable_refuses_what_can_not_keep_balances),
	};

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
