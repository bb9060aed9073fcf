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

	assert_true(replay_options_read(ARGS("--x"), &options, &err));

	assert_false(options.is_haproxy);
	assert_int_equal(options.window_us, -1);
	assert_false(options.keep_going);
	assert_null(options.plot);
	assert_int_equal(time_zone_seconds(&options.zone, &(struct tm){.tm_year = 70, .tm_mday = 1})
				 .earlier_s,
			 0);
}

TEST(replay_options_read_what_is_no_flag_and_no_value_is_a_file)
{
	static const char *const files[] = {"a.log", "-", "b.log", "--store", "--"};
	char **args = ARGS("a.log", "--store", "x", "-", "--hash-keys=on", "--window", "2s",
			   "b.log", "--help", "--nosuch", "--", "--store", "--");
	struct replay_options options;
	struct err err;

	assert_true(replay_options_read(args, &options, &err));

	assert_int_equal(options.file_count, ARRAY_SIZE(files));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		assert_string_equal(options.files[i], files[i]);
	assert_string_equal(args[0], "--store");
	assert_string_equal(args[1], "x");
	assert_string_equal(args[2], "--hash-keys=on");
	assert_string_equal(args[3], "--help");
	assert_string_equal(args[4], "--nosuch");
	assert_null(args[5]);
	assert_int_equal(options.window_us, 2000000);
}

TEST(replay_options_read_more_files_than_there_may_be_are_refused)
{
	char *args[REPLAY_FILES_MAX + 2];
	struct replay_options options;
	struct err err;

	for (size_t i = 0; i < REPLAY_FILES_MAX; i++)
		args[i] = "x";
	args[REPLAY_FILES_MAX] = NULL;
	assert_true(replay_options_read(args, &options, &err));
	for (size_t i = 0; i < REPLAY_FILES_MAX; i++)
		args[i] = "x";
	args[REPLAY_FILES_MAX] = "last";
	args[REPLAY_FILES_MAX + 1] = NULL;
	assert_false(replay_options_read(args, &options, &err));

	assert_string_equal(err.text, "last: there are more than 1000 files");
}

TEST(replay_options_read_the_window)
{
	static const struct {
		char *text;
		int64_t us;
	} cases[] = {{"auto", -1}, {"0", 0}, {"0s", 0}, {"1.5s", 1500000}, {"24h", 86400000000}};
	struct replay_options options;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(replay_options_read(ARGS("--window", cases[i].text), &options, &err));
		assert_int_equal(options.window_us, cases[i].us);
	}
}

TEST(replay_options_read_bad_values_are_refused_by_name)
{
	char **cases[] = {
		ARGS("--format", "xml"), ARGS("--format="),      ARGS("--format"),
		ARGS("--tz", "x"),       ARGS("--tz"),           ARGS("--plot="),
		ARGS("--plot"),          ARGS("--window", "60"), ARGS("--window", "25h"),
		ARGS("--keep-going="),   ARGS("--keep-going=1"),
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
