#include "store/redis/redis_script.h"

#include <stdio.h>
#include <string.h>

#include "limit/request.h"
#include "script_calls.h"
#include "support/sweep.h"
#include "support/test.h"
#include "unit/store/contract.h"

#define HASH "0123456789abcdef0123456789abcdef01234567"

/* What an op may need of a call. */
static size_t size_of(const struct store_op *op, struct bytes prefix)
{
	size_t size = REDIS_OP_BYTES;

	for (size_t i = 0; i < op->count; i++)
		size += REDIS_CHECK_BYTES + prefix.len + op->checks[i]->key_len;
	return size;
}

/* ---- the call ---- */

/* One for all cases, as a store has one for all calls: words of another quota stand there. */
static struct redis_terms_memory terms;

struct call {
	struct redis_call_form form;
	struct list ops;
};

static void put_call(struct writer *w, const void *context)
{
	const struct call *call = context;

	redis_call_put(w, &call->form, &call->ops);
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

TEST(redis_call_put_one_bucket_is_these_bytes)
{
	struct quota quota = bucket_of(10, "1");
	struct check check;
	struct store_op op;
	struct call call = {.form = {.hash = HASH, .prefix = BYTES("rl:"), .terms = &terms}};

	list_init(&call.ops);
	op_in(&op, &call.ops, (struct check *[]){check_make(&check, "key", &quota, 3)}, 1);

	sweep_encoder(BYTES("*12\r\n$7\r\nEVALSHA\r\n$40\r\n" HASH "\r\n$1\r\n1\r\n"
			    "$6\r\nrl:key\r\n$3\r\nnow\r\n$1\r\n1\r\n$1\r\n0\r\n"
			    "$12\r\ntoken_bucket\r\n$1\r\n3\r\n$2\r\n10\r\n$1\r\n1\r\n"
			    "$7\r\n1000000\r\n"),
		      put_call, &call);
}

TEST(redis_call_put_each_algorithm_has_its_numbers)
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

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct check check;
		struct store_op op;
		struct call call = {.form = {.hash = HASH, .prefix = BYTES(""), .terms = &terms}};
		list_init(&call.ops);
		op_in(&op, &call.ops,
		      (struct check *[]){check_make(&check, "k", &cases[i].quota, 2)}, 1);
		snprintf(words, sizeof words, "EVALSHA " HASH " 1 k now 1 0 %s", cases[i].words);
		assert_call(&call, words);
	}
}

TEST(redis_call_put_batch_has_all_keys_then_all_requests)
{
	struct quota bucket = bucket_of(10, "1"), log = window_of(SLIDING_WINDOW, 5, MINUTE),
		     counter = window_of(SLIDING_WINDOW_COUNTER, 6, MINUTE),
		     fixed = window_of(FIXED_WINDOW, 7, MINUTE);
	struct check checks[5];
	struct store_op ops[3];
	struct call call = {.form = {HASH, BYTES("p/"), true, NOW_US, &terms}};

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

TEST(redis_call_put_what_is_given_back_has_the_times_of_its_taking)
{
	struct quota bucket = bucket_of(10, "1"), fixed = window_of(FIXED_WINDOW, 7, MINUTE);
	struct check checks[3];
	struct store_op ops[2];
	struct call call = {.form = {HASH, BYTES("p/"), false, 0, &terms}};

	list_init(&call.ops);
	op_in(&ops[0], &call.ops,
	      (struct check *[]){check_make(&checks[0], "a", &bucket, 4),
				 check_make(&checks[1], "b", &fixed, 5)},
	      2);
	op_in(&ops[1], &call.ops, (struct check *[]){check_make(&checks[2], "c", &fixed, 1)}, 1);
	ops[0].taken_us = (const int64_t[]){1700000000000001, 1700000000000002};
	ops[1].taken_us = (const int64_t[]){1700000000000003};

	assert_call(&call, "EVALSHA " HASH " 3 p/a p/b p/c back now "
			   "1700000000000001 token_bucket 4 10 1 1000000 "
			   "1700000000000002 fixed_window 5 7 60000000 "
			   "1700000000000003 fixed_window 1 7 60000000");
}

/* Lua holds no number above the limit, and no more than the limit can be left. */
TEST(redis_call_put_what_is_settled_has_a_cost_below_that_of_a_reset)
{
	struct quota fixed = window_of(FIXED_WINDOW, 7, MINUTE);
	struct check checks[2], *pointers[2];
	struct store_op ops[2];
	struct call call = {.form = {HASH, BYTES("p/"), false, 0, &terms}};

	list_init(&call.ops);
	for (size_t i = 0; i < 2; i++) {
		int64_t units = i == 0 ? 3 : QUOTA_EXACT_MAX;
		pointers[i] = check_make(&checks[i], "a", &fixed, units);
		op_in(&ops[i], &call.ops, &pointers[i], 1);
		ops[i].is_settling = true;
	}

	assert_call(&call, "EVALSHA " HASH " 2 p/a p/a now 1 0 fixed_window -4 7 60000000 "
			   "1 0 fixed_window -8 7 60000000");
}

/* How many are charged together, and how many more are in shadow; a minus: nothing is charged. */
TEST(redis_call_put_shadow_and_denied_are_told_by_the_counts)
{
	static const struct {
		size_t count, shadow;
		bool is_denied;
		const char *counts;
	} cases[] = {
		{2, 0, false, "2 0"}, {2, 1, false, "1 1"},    {2, 2, false, "0 2"},
		{2, 0, true, "-2 0"}, {2, 1, true, "-1 1"},    {16, 6, false, "10 6"},
		{2, 2, true, "-0 2"}, {16, 16, true, "-0 16"},
	};
	struct quota quota = window_of(FIXED_WINDOW, 5, 1000);
	struct check checks[REQUEST_CHECKS_MAX], *pointers[REQUEST_CHECKS_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct call call = {.form = {HASH, BYTES(""), false, 0, &terms}};
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
		assert_true(expected.len <= REDIS_CALL_BYTES + size_of(&op, BYTES("")));
	}
}

/* Above the limit it is all the same, and a double must hold it. */
TEST(redis_call_put_cost_above_the_limit_is_the_limit_and_one)
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
		{QUOTA_UNITS_MAX, INT64_MAX,
		 "fixed_window 1000000000000000 999999999999999 60000000"},
	};
	char words[256];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct quota quota = window_of(FIXED_WINDOW, cases[i].limit, MINUTE);
		struct check check;
		struct store_op op;
		struct call call = {.form = {.hash = HASH, .prefix = BYTES(""), .terms = &terms}};
		list_init(&call.ops);
		op_in(&op, &call.ops,
		      (struct check *[]){check_make(&check, "k", &quota, cases[i].cost)}, 1);
		snprintf(words, sizeof words, "EVALSHA " HASH " 1 k now 1 0 %s", cases[i].words);
		assert_call(&call, words);
	}
}

/* ---- its size ---- */

/* What the checks of a call have in common: nothing, or an algorithm, or that all is long. */
struct likeness {
	bool is_of_one_algorithm;
	enum algorithm algorithm;
	bool is_longest;
};

static struct likeness random_likeness(void)
{
	return (struct likeness){random_below(2) == 0,
				 (enum algorithm)random_below(ALGORITHM_COUNT),
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
		.algorithm = like->is_of_one_algorithm
				     ? like->algorithm
				     : (enum algorithm)random_below(ALGORITHM_COUNT),
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
		size += size_of(&r->ops[i], r->call.form.prefix);
	}
	return size;
}

TEST(redis_call_size_is_never_exceeded)
{
	static struct random_call r;
	static uint8_t memory[REDIS_CALL_OPS_MAX * 8192 + REDIS_CALL_BYTES];
	static uint8_t prefix[REDIS_PREFIX_MAX];

	memset(prefix, 'p', sizeof prefix);
	for (int i = 0; i < 3000; i++) {
		struct writer w = writer_on(memory, sizeof memory);
		size_t prefix_len = i % 2 == 0 ? sizeof prefix : random_below(sizeof prefix);
		r.call.form = (struct redis_call_form){HASH, bytes_from(prefix, prefix_len),
						       i % 3 != 0, EXACT, &terms};
		size_t size = fill_random(&r);
		redis_call_put(&w, &r.call.form, &r.call.ops);
		assert_false(w.full);
		assert_in_range(w.len, 1, REDIS_CALL_BYTES + size);
	}
}

/* The most checks, each in an op of its own, with the longest prefix, keys and numbers. */
TEST(redis_call_size_of_the_longest_is_within_the_most)
{
	static uint8_t memory[REDIS_CALL_MAX], prefix[REDIS_PREFIX_MAX];
	struct quota quota = {SLIDING_WINDOW_COUNTER, EXACT / 2, 0, 0, QUOTA_WINDOW_MAX_US};
	struct check check, *checks[REQUEST_CHECKS_MAX];
	struct store_op ops[REDIS_CALL_OPS_MAX];
	struct call call = {.form = {HASH, bytes_from(prefix, sizeof prefix), true, EXACT, &terms}};
	struct writer w = writer_on(memory, sizeof memory);

	memset(prefix, 'p', sizeof prefix);
	check_make(&check, "", &quota, INT64_MAX);
	check.key_len = CHECK_KEY_MAX;
	memset(check.key, 'k', check.key_len);
	for (size_t i = 0; i < REQUEST_CHECKS_MAX; i++)
		checks[i] = &check;
	list_init(&call.ops);
	for (size_t i = 0; i < REDIS_CALL_OPS_MAX; i++)
		op_in(&ops[i], &call.ops, checks, 1);
	redis_call_put(&w, &call.form, &call.ops);

	assert_false(w.full);
	op_in(&ops[0], &call.ops, checks, REQUEST_CHECKS_MAX);
	assert_true(size_of(&ops[0], call.form.prefix) + REDIS_CALL_BYTES <= REDIS_CALL_MAX);
}

/* ---- the script ---- */

TEST(redis_script_text_is_all_of_lua)
{
	struct bytes script = redis_script_text();
	static const char *const parts[] = {"--[[\nratelimit-spoa", "local algorithms = {}",
					    "\nalgorithms.", "return reply\n"};
	const uint8_t *at = script.data;

	assert_null(memchr(script.data, '\0', script.len));
	assert_int_equal(script.data[script.len - 1], '\n');
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		at = memmem(at, script.len - (size_t)(at - script.data), parts[i],
			    strlen(parts[i]));
		if (at == NULL)
			fail_msg("%s is not there, or too early", parts[i]);
	}
}

TEST(redis_script_text_has_each_algorithm)
{
	struct bytes script = redis_script_text();
	char wanted[64];

	for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
		int len = snprintf(wanted, sizeof wanted, "\nalgorithms.%s = function()\n",
				   algorithm_name((enum algorithm)i));
		if (memmem(script.data, script.len, wanted, (size_t)len) == NULL)
			fail_msg("the script has no %s", algorithm_name((enum algorithm)i));
	}
}
