#include "app/policies/problems.h"

#include <stdint.h>
#include <stdlib.h>

#include "support/guarded.h"
#include "support/test.h"

TEST(place_refuse_names_the_whole_way)
{
	struct problems problems = {.count = 0};
	struct place file = place_of_file(&problems);
	struct place policies = place_of_field(&file, BYTES("policies"));
	struct place policy = place_of_field(&policies, BYTES("a\nb"));
	struct place overrides = place_of_field(&policy, BYTES("overrides"));
	struct place override = place_of_item(&overrides, 12);
	struct place limit = place_of_field(&override, BYTES("limit"));

	assert_false(place_refuse(&file, "must be %s", "an object"));
	assert_false(place_refuse(&limit, "%d is too little", 0));
	assert_false(place_refuse(&override, "is wrong"));

	assert_int_equal(problems.count, 3);
	assert_string_equal(problems.items[0].text, "must be an object");
	assert_string_equal(problems.items[1].text,
			    "policies.\"a\\x0ab\".overrides[12].limit: 0 is too little");
	assert_string_equal(problems.items[2].text, "policies.\"a\\x0ab\".overrides[12]: is wrong");
}

TEST(place_refuse_long_way_is_cut)
{
	struct problems problems = {.count = 0};
	struct place places[100];

	places[0] = place_of_file(&problems);
	for (size_t i = 1; i < ARRAY_SIZE(places); i++)
		places[i] = place_of_field(&places[i - 1], BYTES("field"));
	(void)place_refuse(&places[ARRAY_SIZE(places) - 1], "is wrong");

	assert_non_null(strstr(problems.items[0].text, "field.field"));
	assert_non_null(strstr(problems.items[0].text, ": is wrong"));
}

static void refuse_times(struct problems *problems, size_t times)
{
	struct place file = place_of_file(problems);

	problems->count = 0;
	for (size_t i = 0; i < times; i++)
		(void)place_refuse(&file, "no. %zu", i);
}

static void assert_printed(size_t times, const char *begin, const char *end)
{
	struct problems problems;
	char *text;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	refuse_times(&problems, times);
	problems_name_file(&problems, "p.json");
	problems_print(&problems, "agent: ", file);
	assert_int_equal(fclose(file), 0);

	assert_ptr_equal(strstr(text, begin), text);
	assert_non_null(strstr(text, end));
	assert_string_equal(strstr(text, end), end);
	free(text);
}

TEST(problems_print_a_line_each)
{
	assert_printed(1, "agent: p.json: no. 0\n", "no. 0\n");
	assert_printed(2, "agent: p.json: no. 0\nagent: p.json: no. 1\n", "no. 1\n");
	assert_printed(PROBLEMS_MAX, "agent: p.json: no. 0\n", "agent: p.json: no. 19\n");
}

TEST(problems_print_what_is_too_much_is_counted)
{
	assert_printed(PROBLEMS_MAX + 1, "agent: p.json: no. 0\n", "no. 19\nagent: and 1 more\n");
	assert_printed(1000, "agent: p.json: no. 0\n", "no. 19\nagent: and 980 more\n");
}

/* A file with millions of faults must not hold the agent up for their texts. */
TEST(place_refuse_text_of_what_is_not_kept_is_not_made)
{
	struct guarded *guarded = guarded_new(8);
	const char *untouchable = (const char *)guarded_room(guarded, 0);
	struct problems problems;
	struct place file = place_of_file(&problems);

	refuse_times(&problems, PROBLEMS_MAX - 1);
	assert_false(problems_are_full(&problems));
	assert_false(place_refuse(&file, "the last one"));
	assert_true(problems_are_full(&problems));
	assert_false(place_refuse(&file, "%s", untouchable));

	assert_int_equal(problems.count, PROBLEMS_MAX + 1);
	guarded_free(guarded);
}

TEST(problems_to_err_is_the_first_and_a_count)
{
	struct problems problems;
	struct err err;

	refuse_times(&problems, 1);
	problems_to_err(&problems, &err);
	assert_string_equal(err.text, "no. 0");

	refuse_times(&problems, 30);
	problems_to_err(&problems, &err);
	assert_string_equal(err.text, "no. 0 (and 29 more)");
}

TEST(problems_to_err_a_long_one_leaves_room_for_the_count)
{
	struct problems problems = {.count = 0};
	struct place file = place_of_file(&problems);
	struct err err;

	(void)place_refuse(&file, "%0600d", 0);
	(void)place_refuse(&file, "the other");
	problems_to_err(&problems, &err);

	assert_non_null(strstr(err.text, " (and 1 more)"));
}
