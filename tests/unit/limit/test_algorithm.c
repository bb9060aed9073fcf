/*
 * Each algorithm has its row, and stands in all places where it can't stand by its row: the
 * limiters in Redis, the documents, and the tests that compare it with the model.
 */
#include "limit/algorithm.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limit/balance.h"
#include "support/test.h"

static const char *const values[ALGORITHM_COUNT] = {
#define VALUE_TEXT(value, row) #value,
	ALGORITHMS(VALUE_TEXT)};

TEST(algorithm_rows_are_whole)
{
	for (int i = 0; i < ALGORITHM_COUNT; i++) {
		const struct algorithm_traits *row = algorithm_traits((enum algorithm)i);
		assert_non_null(row->name);
		assert_true(row->full_us != NULL && row->look != NULL && row->remaining != NULL &&
			    row->wait_us != NULL && row->take != NULL && row->read_reply != NULL &&
			    row->give_back != NULL && row->share != NULL);
		assert_in_range(row->reply_count, 1, ALGORITHM_REPLY_MAX);
		assert_int_equal(row->limit_max > 0, row->above_limit_max != NULL);
		assert_true(row->letter >= 'a' && row->letter <= 'z');
	}
}

TEST(algorithm_rows_have_names_and_letters_of_their_own)
{
	for (int i = 0; i < ALGORITHM_COUNT; i++)
		for (int k = 0; k < i; k++) {
			const struct algorithm_traits *one = algorithm_traits((enum algorithm)i);
			const struct algorithm_traits *other = algorithm_traits((enum algorithm)k);
			assert_string_not_equal(one->name, other->name);
			assert_int_not_equal(one->letter, other->letter);
		}
}

/* A larger limit is taken by the algorithm that the error names. */
TEST(algorithm_rows_above_their_largest_limit_name_one_that_takes_more)
{
	for (int i = 0; i < ALGORITHM_COUNT; i++) {
		const struct algorithm_traits *row = algorithm_traits((enum algorithm)i);
		enum algorithm larger;
		struct quota quota;
		struct err err;
		if (row->limit_max == 0)
			continue;
		assert_true(algorithm_find(bytes_from_text(row->above_limit_max), &larger));
		assert_true(quota_set_window(&quota, larger, row->limit_max + 1, 1000, &err));
	}
}

/* A file of the source tree; the caller frees it. */
static char *read_source(const char *name)
{
	char path[PATH_MAX], *text;
	long len;

	snprintf(path, sizeof path, "%.*s/%s", (int)(strstr(__FILE__, "tests/unit") - __FILE__),
		 __FILE__, name);
	FILE *file = fopen(path, "r");
	if (file == NULL)
		fail_msg("%s is not there", path);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	len = ftell(file);
	rewind(file);
	text = calloc(1, (size_t)len + 1);
	assert_int_equal(fread(text, 1, (size_t)len, file), (size_t)len);
	fclose(file);
	return text;
}

static void assert_stands_in(const char *name, const char *before, const char *what,
			     const char *behind)
{
	char wanted[128], *text = read_source(name);

	snprintf(wanted, sizeof wanted, "%s%s%s", before, what, behind);
	if (strstr(text, wanted) == NULL)
		fail_msg("%s: %s is missing", name, wanted);
	free(text);
}

/* Where the name must stand, between which other characters. */
TEST(algorithm_names_stand_in_lua_and_in_the_documents)
{
	static const struct {
		const char *file, *before, *behind;
	} places[] = {
		{"lua/contract.lua", " ", " <cost> "}, /* its numbers in a check */
		{"lua/contract.lua", "\n    ", " "},   /* its states */
		{"docs/policies.schema.json", "\"", "\""},
		{"docs/openapi.json", "\"", "\""},
		{"docs/algorithms.md", "- `", "`"},
		{"docs/algorithms.json", "\"algorithm\": \"", "\""},
		{"docs/redis.md", "`", "`"},
	};
	char path[64];

	for (int i = 0; i < ALGORITHM_COUNT; i++) {
		const char *name = algorithm_name((enum algorithm)i);
		for (size_t k = 0; k < ARRAY_SIZE(places); k++)
			assert_stands_in(places[k].file, places[k].before, name, places[k].behind);
		snprintf(path, sizeof path, "lua/%s.lua", name);
		assert_stands_in(path, "algorithms.", name, " = function()");
	}
}

TEST(algorithms_are_compared_with_the_model_and_with_redis)
{
	for (int i = 0; i < ALGORITHM_COUNT; i++) {
		const char *value = values[i];
		assert_stands_in("tests/unit/limit/test_balance_model.c", "steps_take(", value,
				 ",");
		assert_stands_in("tests/lua/test_lockstep.c", "compare(*state, ", value, ")");
		assert_stands_in("tests/lua/unusable.c", "\", ", value, "}");
		assert_stands_in("tests/support/quotas.h", ".algorithm = ", value, ", ");
	}
}
