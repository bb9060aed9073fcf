#include "store/redis/redis_script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "script_calls.h"
#include "store/memory.h"
#include "support/sweep.h"
#include "support/test.h"
#include "unit/store/contract.h"

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

/* ---- outcomes, worked by hand ---- */

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

TEST(redis_call_next_outcomes_are_as_worked_by_hand)
{
	const struct worked *cases;
	size_t count = worked_cases(&cases);
	static struct words words;

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
TEST(redis_call_next_outcomes_are_those_of_the_memory_store)
{
	const struct worked *cases;
	size_t count = worked_cases(&cases);

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

TEST(redis_call_next_checks_of_a_request_are_read_in_order)
{
	struct quota bucket = BUCKET, log = LOG, counter = COUNTER, fixed = FIXED;
	struct check checks[4];
	struct store_op op = {.checks = (struct check *[]){check_make(&checks[0], "a", &bucket, 1),
							   check_make(&checks[1], "b", &log, 1),
							   check_make(&checks[2], "c", &counter, 1),
							   check_make(&checks[3], "d", &fixed, 1)},
			      .count = 4};

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
	{"T 0 0 T !WRONGTYPE", 2, 1, true, "+5!"},
	{"T 0 0 T !WRONGTYPE 4 T", 3, 2, true, "+5!-1"},
	{"T 0 !WRONGTYPE 4 T", 2, 2, true, "!-1"},
	/* what contradicts */
	{"T 0 0 T 0 T", 2, 1, false, ""}, /* not charged, though all is there */
	{"T 0 0 T 4 T", 2, 1, false, ""}, /* what is in shadow denies nothing */
	{"T 1 4 T 0 T", 2, 1, false, ""},
	{"T 0 0 T", 1, 1, false, ""},
	{"T 0 4 T", 1, 1, false, ""},
	{"T 1 0 T 0 T", 2, 0, true, ""}, /* charged, though it is denied */
	{"T 1 0 T 0 T", 2, 1, true, ""},
	{"T 1 0 T 0 T", 2, 2, true, ""},
	{"T 2 0 T 0 T", 2, 1, false, ""},
	/* an error that stands where none may, or half a state */
	{"T 1 !WRONGTYPE 0 T", 2, 1, false, ""},
	{"T 0 !WRONGTYPE 0 T", 2, 1, true, ""},
	{"T 1 0 T 0 !WRONGTYPE", 2, 1, false, ""},
	{"T 1 0 T", 2, 1, false, ""},
	{"T 1 0 T 0", 2, 1, false, ""},
	{"T 1 0 T 4503599627370497 T", 2, 1, false, ""},
	{"T 1 0 T 0 T-1", 2, 1, false, ""},
	{"T 1 0 T nil nil", 2, 1, false, ""},
};

TEST(redis_call_next_shadow_is_told_alone)
{
	struct quota fixed = FIXED;

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

TEST(redis_call_next_error_of_a_shadow_is_told_why)
{
	struct quota fixed = FIXED;
	struct check checks[2];
	struct store_op op = {.checks = (struct check *[]){check_make(&checks[0], "a", &fixed, 1),
							   check_make(&checks[1], "b", &fixed, 1)},
			      .count = 2,
			      .shadow = 1};
	struct redis_call_reader reader;
	struct bytes why;

	WORDS(words, "T 1 0 T !OOM");
	assert_true(redis_call_read(&reader, &words.reply));
	assert_true(redis_call_next(&reader, &op, &why));

	assert_bytes_text(why, "OOM");
	assert_int_equal(checks[0].error, STORE_OK);
	assert_int_equal(checks[1].error, STORE_OOM);
	assert_int_equal(store_op_error(&op), STORE_OOM);
}

/* ---- what is given back ---- */

static const struct {
	const char *name; /* the reply */
	bool is_taken;
} backs[] = {
	{"T 1 1", true}, {"T 1 !READONLY", true}, {"T !x !x", true},
	{"T 1", false},  {"T 1 1 1", false},      {"T", false},
};

/* The checks stay what they are: their request was answered. */
TEST_ROWS(backs)
{
	struct quota fixed = FIXED;
	struct check checks[2];
	struct store_op op = {.checks = (struct check *[]){check_make(&checks[0], "a", &fixed, 1),
							   check_make(&checks[1], "b", &fixed, 1)},
			      .count = 2,
			      .taken_us = (const int64_t[]){NOW_US, NOW_US}};
	char text[64];
	static struct words words;

	checks[0].error = checks[1].error = STORE_FULL;
	snprintf(text, sizeof text, "%s", row->name);
	words_read(&words, text);

	assert_int_equal(read_op(&words.reply, &op), row->is_taken);
	assert_true(checks[0].error == STORE_FULL && checks[1].error == STORE_FULL);
	assert_false(checks[0].is_decided || checks[1].is_decided);
}

/* ---- errors ---- */

TEST(redis_call_next_error_of_a_request_is_its_own)
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

TEST(redis_call_read_what_is_no_array_of_the_scripts_is_refused)
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

	POISON(reader);
	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		assert_false(redis_call_read(&reader, &(struct redis_reply){&items[i], 1, false}));
	assert_untouched(reader);
}

TEST(redis_call_read_time_that_is_none_is_refused)
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

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		char text[64];
		struct check check;
		static struct words words;
		snprintf(text, sizeof text, "%s 1 0 T", times[i]);
		words_read(&words, text);
		assert_false(read_check(&words.reply, check_make(&check, "k", &fixed, 1)));
	}
}

TEST(redis_call_read_cut_reply_is_refused)
{
	struct redis_call_reader reader;

	WORDS(words, "T 1 0 T");
	assert_true(redis_call_read(&reader, &words.reply));
	words.reply.is_cut = true;
	assert_false(redis_call_read(&reader, &words.reply));
}

/* Cut off after each item: with a count that says so, and with one that does not. */
TEST(redis_call_next_truncated_is_refused)
{
	const struct worked *cases;
	size_t count = worked_cases(&cases);
	static struct words words;

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

TEST(redis_call_next_more_items_are_left_over)
{
	struct quota fixed = FIXED;
	struct check check;
	struct store_op op = {.checks = (struct check *[]){check_make(&check, "k", &fixed, 1)},
			      .count = 1};
	struct redis_call_reader reader;
	struct bytes why;

	WORDS(words, "T 1 0 T 0");
	assert_true(redis_call_read(&reader, &words.reply));
	assert_true(redis_call_next(&reader, &op, &why));
	assert_ptr_not_equal(reader.next, reader.end);
	assert_false(redis_call_next(&reader, &op, &why)); /* not one more request */
	assert_ptr_equal(words.items + words.reply.count, reader.end);
}

TEST(redis_call_next_nested_array_is_refused)
{
	static const char *const texts[] = {"*3 T 1 0 T", "T *2 1 0 T", "T 1 *2 0 T", "T 1 0 *1 T",
					    "T *0 1 0 T"};
	struct quota fixed = FIXED;

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
