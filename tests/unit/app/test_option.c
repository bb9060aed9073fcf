#include "app/option.h"

#include <stdlib.h>

#include "support/test.h"

#define ARGS(...) ((char *[]){__VA_ARGS__, NULL})

enum colour { RED = 0, GREEN, BLUE };

struct fields {
	const char *text, *name;
	bool either, mark;
	enum colour colour;
	uint64_t number, size;
	int64_t duration;
	struct address_list addresses, wide;
	int own;
};

static bool read_own(void *into, const char *value, struct err *err)
{
	if (strcmp(value, "why") == 0)
		return err_set(err, "its own reason");
	((struct fields *)into)->own = value[0];
	return value[0] != '\0';
}

#define FIELD(field, type) OPTION_FIELD(struct fields, field, type)

static const char *const eithers[] = {"left", "right", NULL};
static const char *const colours[] = {"red", "green", "blue", NULL};

static const struct option table[] = {
	{"text", "TEXT", OPTION_NONE, "may be empty", .kind = OPTION_TEXT,
	 .offset = FIELD(text, const char *), .accepted = "a text"},
	{"name", "TEXT", NULL, "may not be empty", .kind = OPTION_TEXT,
	 .offset = FIELD(name, const char *), .accepted = "a name"},
	{"either", "WORD", "left", "one of two", .kind = OPTION_EITHER,
	 .offset = FIELD(either, bool), .names = eithers},
	{"mark", NULL, NULL, "is there or not", .kind = OPTION_MARK, .offset = FIELD(mark, bool)},
	{"colour", "WORD", "green", "one of three", .kind = OPTION_CHOICE,
	 .offset = OPTION_ENUM_FIELD(struct fields, colour), .names = colours},
	{"number", "NUMBER", "5", "a number", .kind = OPTION_NUMBER,
	 .offset = FIELD(number, uint64_t), .min = 2, .max = 7},
	{"size", "SIZE", "64k", "a size", .kind = OPTION_SIZE, .offset = FIELD(size, uint64_t),
	 .min = 1000, .max = 3 << 20},
	{"duration", "DURATION", "1m", "a duration", .kind = OPTION_DURATION,
	 .offset = FIELD(duration, int64_t), .min = 1500, .max = 90 * UINT64_C(60000000)},
	{"addresses", "ADDRESS", OPTION_NONE, "addresses", .kind = OPTION_ADDRESSES,
	 .offset = FIELD(addresses, struct address_list)},
	{"wide", "ADDRESS", "127.0.0.1:1", "addresses", .kind = OPTION_ADDRESSES,
	 .offset = FIELD(wide, struct address_list)},
	{"own", "X", "x", "its own", .kind = OPTION_OWN, .accepted = "a letter", .read = read_own},
	{.name = NULL},
};

static const struct option *row(const char *name)
{
	const struct option *o = table;

	while (strcmp(o->name, name) != 0)
		o++;
	return o;
}

static struct fields read_flags(char **args)
{
	struct fields fields = {0};
	struct err err;

	if (!option_read_own_flags(table, &fields, args, &err))
		fail_msg("%s", err.text);
	return fields;
}

TEST(option_accepted_is_made_from_the_row)
{
	static const char *const cases[][2] = {
		{"text", "a text"},
		{"either", "left or right"},
		{"mark", "no value"},
		{"colour", "red, green or blue"},
		{"number", "a whole number from 2 to 7"},
		{"size", "a size from 1000 to 3m"},
		{"duration", "a duration from 1.5ms to 90m"},
		{"addresses", "host:port, [v6]:port, *:port or "
			      "unix:/path[?mode=0660&user=NAME&group=NAME]; several with commas "
			      "between; or off"},
		{"own", "a letter"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(option_accepted(row(cases[i][0])).text, cases[i][1]);
}

TEST(option_accepted_bounds_are_in_the_largest_unit_that_divides_them)
{
	static const struct {
		enum option_kind kind;
		uint64_t min, max;
		const char *accepted;
	} cases[] = {
		{OPTION_SIZE, 0, 1023, "a size from 0 to 1023"},
		{OPTION_SIZE, 1024, 1536 << 10, "a size from 1k to 1536k"},
		{OPTION_SIZE, 1 << 20, UINT64_C(5) << 30, "a size from 1m to 5g"},
		{OPTION_SIZE, 1, UINT64_C(2) << 40, "a size from 1 to 2048g"},
		{OPTION_DURATION, 0, 1000, "a duration from 0s to 1ms"},
		{OPTION_DURATION, 2000000, UINT64_C(86400000000), "a duration from 2s to 1d"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct option option = {.kind = cases[i].kind};
		option.min = cases[i].min;
		option.max = cases[i].max;
		assert_string_equal(option_accepted(&option).text, cases[i].accepted);
	}
}

TEST(option_read_own_flags_nothing_is_the_defaults)
{
	struct fields fields = read_flags(ARGS("other"));

	assert_null(fields.text);
	assert_null(fields.name);
	assert_false(fields.either);
	assert_false(fields.mark);
	assert_int_equal(fields.colour, GREEN);
	assert_int_equal(fields.number, 5);
	assert_int_equal(fields.size, 65536);
	assert_int_equal(fields.duration, 60000000);
	assert_int_equal(fields.addresses.count, 0);
	assert_int_equal(fields.wide.count, 1);
	assert_int_equal(fields.own, 'x');
}

TEST(option_read_own_flags_values_land_in_their_fields)
{
	struct fields fields =
		read_flags(ARGS("--text=t", "--name", "n", "--either=right", "--mark",
				"--colour=blue", "--number=2", "--size", "3m", "--duration=1.5ms",
				"--addresses=unix:/a,unix:/b", "--wide=off", "--own=y"));

	assert_string_equal(fields.text, "t");
	assert_string_equal(fields.name, "n");
	assert_true(fields.either);
	assert_true(fields.mark);
	assert_int_equal(fields.colour, BLUE);
	assert_int_equal(fields.number, 2);
	assert_int_equal(fields.size, 3 << 20);
	assert_int_equal(fields.duration, 1500);
	assert_int_equal(fields.addresses.count, 2);
	assert_int_equal(fields.wide.count, 0);
	assert_int_equal(fields.own, 'y');
}

TEST(option_read_own_flags_leaves_the_other_arguments)
{
	char **args = ARGS("a", "--mark", "--numbers=1", "--number", "7", "--", "--mark");

	struct fields fields = read_flags(args);

	assert_true(fields.mark);
	assert_int_equal(fields.number, 7);
	assert_string_equal(args[0], "a");
	assert_string_equal(args[1], "--numbers=1");
	assert_string_equal(args[2], "--");
	assert_null(args[3]);
}

TEST(option_read_own_flags_bad_values_are_refused)
{
	static const char *const cases[][2] = {
		{"--name=", "--name: \"\" is not accepted; accepted is a name"},
		{"--either=Left", "--either: \"Left\" is not accepted; accepted is left or right"},
		{"--mark=", "--mark: \"\" is not accepted; accepted is no value"},
		{"--colour=", "--colour: \"\" is not accepted; accepted is red, green or blue"},
		{"--number=1", "--number: \"1\" is not accepted; accepted is a whole number from 2 "
			       "to 7"},
		{"--number=8", "--number: \"8\" is not accepted; accepted is a whole number from 2 "
			       "to 7"},
		{"--size=999", "--size: \"999\" is not accepted; accepted is a size from 1000 to "
			       "3m"},
		{"--size=3145729", "--size: \"3145729\" is not accepted; accepted is a size from "
				   "1000 to 3m"},
		{"--duration=1.499ms", "--duration: \"1.499ms\" is not accepted; accepted is a "
				       "duration from 1.5ms to 90m"},
		{"--duration=5401s", "--duration: \"5401s\" is not accepted; accepted is a "
				     "duration from 1.5ms to 90m"},
		{"--own=", "--own: \"\" is not accepted; accepted is a letter"},
		{"--own=why", "--own: its own reason"},
		{"--number", "--number: a value is missing; accepted is a whole number from 2 to "
			     "7"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fields fields = {0};
		struct err err;
		assert_false(
			option_read_own_flags(table, &fields, ARGS((char *)cases[i][0]), &err));
		assert_string_equal(err.text, cases[i][1]);
	}
}

TEST(option_read_own_flags_bad_address_says_that_off_is_accepted)
{
	struct fields fields = {0};
	struct err err;

	assert_false(option_read_own_flags(table, &fields, ARGS("--wide=on"), &err));

	assert_string_equal(err.text, "--wide: \"on\": this is no address; accepted is host:port, "
				      "[v6]:port, *:port or "
				      "unix:/path[?mode=0660&user=NAME&group=NAME], or off");
}

TEST(option_read_own_flags_off_is_no_address_whatever_the_default)
{
	struct fields fields = read_flags(ARGS("--addresses=off", "--wide=off"));

	assert_int_equal(fields.addresses.count, 0);
	assert_int_equal(fields.wide.count, 0);
}

TEST(option_print_table_has_name_default_meaning_and_what_is_accepted)
{
	static const struct option two[] = {
		{"number", "NUMBER", "5", "a number", .kind = OPTION_NUMBER, .min = 2, .max = 7},
		{"mark", NULL, NULL, "is there or not", .kind = OPTION_MARK},
		{"text", "TEXT", OPTION_NONE, "may be empty", .kind = OPTION_TEXT,
		 .accepted = "a text"},
		{.name = NULL},
	};
	char *text = NULL;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	option_print_table(two, file);
	(void)fclose(file);

	assert_string_equal(text, "  --number NUMBER (default: 5)\n"
				  "      a number\n"
				  "      accepted: a whole number from 2 to 7\n"
				  "  --mark\n"
				  "      is there or not\n"
				  "  --text TEXT (default: none)\n"
				  "      may be empty\n"
				  "      accepted: a text\n");
	free(text);
}
