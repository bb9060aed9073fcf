#include "app/replay/replay_options.h"

#include <stdlib.h>
#include <string.h>

#include "support/test.h"

#define ARGS(...) ((char *[]){__VA_ARGS__, NULL})

TEST(replay_options_read_takes_its_own_and_leaves_the_rest)
{
	char **args = ARGS("--policies", "p", "--format=haproxy", "--keep-going", "--tz", "+01:00",
			   "--store=x", "--plot", "a=b.svg", "--help");
	struct replay_options options;
	struct err err;

	assert_true(replay_options_read(args, &options, &err));

	assert_true(options.is_haproxy);
	assert_true(options.keep_going);
	assert_int_equal(options.zone.offset_s, 3600);
	assert_string_equal(options.plot, "a=b.svg");
	assert_string_equal(args[0], "--policies");
	assert_string_equal(args[1], "p");
	assert_string_equal(args[2], "--store=x");
	assert_string_equal(args[3], "--help");
	assert_null(args[4]);
}

TEST(replay_options_read_nothing_is_the_defaults)
{
	struct replay_options options;
	struct err err;

	assert_true(replay_options_read(ARGS("x"), &options, &err));

	assert_false(options.is_haproxy);
	assert_false(options.keep_going);
	assert_null(options.plot);
	assert_int_equal(
		time_zone_seconds(&options.zone, &(struct tm){.tm_year = 70, .tm_mday = 1}), 0);
}

TEST(replay_options_read_bad_values_are_refused_by_name)
{
	char **cases[] = {
		ARGS("--format", "xml"), ARGS("--format="),     ARGS("--format"),
		ARGS("--tz", "x"),       ARGS("--tz"),          ARGS("--plot="),
		ARGS("--plot"),          ARGS("--keep-going="), ARGS("--keep-going=1"),
	};
	struct replay_options options;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err;
		size_t name = strcspn(cases[i][0], "=");
		assert_false(replay_options_read(cases[i], &options, &err));
		assert_memory_equal(err.text, cases[i][0], name);
		assert_non_null(strstr(err.text, "accepted is"));
	}
}
