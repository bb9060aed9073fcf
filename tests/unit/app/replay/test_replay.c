/* The whole command with balances in memory: what stands in standard input, output and error. */
#include "app/replay/replay.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sodium.h>

#include "app/policies/policy_file.h"
#include "support/test.h"

#define POLICIES                                                                           \
	"{\"policies\":{\"login\":{\"algorithm\":\"fixed_window\",\"limit\":1,\"window\":" \
	"\"1h\",\"key\":[\"src\"]}}}"

#define REPLAY_LINE_TEST_LEN 65537 /* a byte more than a line may have */

/* The options as they are when no flag is given. */
#define OWN .window_us = -1

#define ASK(at) "{\"at_ms\":" at ",\"attributes\":{\"src\":\"192.0.2.1\"}}\n"
#define LOG(second, src)                                                                \
	src ":1 [24/Nov/2026:11:44:" second ".000] web app/s 0/0/1/2/3 200 2 - - ---- " \
	    "1/1/0/0/0 0/0 \"GET / HTTP/1.1\"\n"

struct run {
	int status;
	char output[8192], error[8192];
};

static struct options options;

BEFORE_ALL
{
	char *none[] = {NULL};
	struct err err;
	bool help;

	assert_true(sodium_init() >= 0);
	assert_true(options_read(none, none, &options, &help, &err));
}

/* Puts another file in the place of a standard one; returns a copy of that. */
static int exchange(int standard, int with)
{
	int kept = dup(standard);

	assert_true(kept >= 0 && dup2(with, standard) == standard);
	return kept;
}

static void give_back(int standard, int kept)
{
	assert_int_equal(dup2(kept, standard), standard);
	close(kept);
}

static void read_back(int fd, char text[8192])
{
	ssize_t len = pread(fd, text, 8191, 0);

	assert_true(len >= 0);
	text[len] = '\0';
	close(fd);
}

static size_t count_descriptors(void)
{
	DIR *all = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(all);
	while (readdir(all) != NULL)
		count++;
	closedir(all);
	return count;
}

static struct run run(struct replay_options own, const char *input)
{
	static struct run run;
	struct problems problems;
	struct policies *policies = policy_file_parse(BYTES(POLICIES), ON_ERROR_ALLOW, &problems);
	int in[2], out = memfd_create("out", 0), error = memfd_create("error", 0);

	assert_non_null(policies);
	assert_int_equal(pipe(in), 0);
	assert_true(fcntl(in[1], F_SETPIPE_SZ, 1 << 18) > 0); /* room for all of the input */
	assert_int_equal(write(in[1], input, strlen(input)), strlen(input));
	close(in[1]);
	fflush(NULL);
	int kept[] = {exchange(0, in[0]), exchange(1, out), exchange(2, error)};
	size_t before = count_descriptors();
	run.status = replay(&options, &own, policies);
	size_t after = count_descriptors();
	fflush(stderr);
	for (int i = 0; i < 3; i++)
		give_back(i, kept[i]);
	assert_int_equal(after, before);
	close(in[0]);
	read_back(out, run.output);
	read_back(error, run.error);
	return run;
}

static void assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("%s\ndoes not have %s", text, part);
}

static size_t lines_of(const char *text)
{
	size_t lines = 0;

	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

TEST(replay_json_lines_have_an_answer_each)
{
	struct run done =
		run((struct replay_options){OWN}, ASK("0") "\n \t\r\n" ASK("1") ASK("3600000"));

	assert_int_equal(done.status, EXIT_SUCCESS);
	assert_int_equal(lines_of(done.output), 3);
	assert_has(done.output, "{\"at_ms\":0,\"allowed\":true,");
	assert_has(done.output, "{\"at_ms\":1,\"allowed\":false,");
	assert_has(done.output, "{\"at_ms\":3600000,\"allowed\":true,");
	assert_has(done.error, "requests: 3, 2 allowed, 1 denied\n");
	assert_null(strstr(done.error, "lines without a request"));
}

TEST(replay_bad_line_ends_it)
{
	struct run done = run((struct replay_options){OWN}, ASK("0") "{}\n" ASK("1"));

	assert_int_equal(done.status, EXIT_FAILURE);
	assert_int_equal(lines_of(done.output), 1);
	assert_has(done.error, "ratelimit-spoa: line 2: at_ms is missing\n");
	assert_has(done.error, "requests: 1, ");
}

TEST(replay_keep_going_tells_of_each_bad_line)
{
	struct run done = run((struct replay_options){OWN, .keep_going = true},
			      ASK("0") "{}\n" ASK("1") "{\"at_ms\":0,\"policy\":\"x\"}\n");

	assert_int_equal(done.status, EXIT_FAILURE);
	assert_int_equal(lines_of(done.output), 2);
	assert_has(done.error, "ratelimit-spoa: line 2: ");
	assert_has(done.error, "ratelimit-spoa: line 4: ");
	assert_has(done.error, "lines that are not valid: 2\n");
}

TEST(replay_line_that_is_too_long_is_bad)
{
	char *input = malloc(2 * REPLAY_LINE_TEST_LEN);

	memset(input, ' ', REPLAY_LINE_TEST_LEN);
	strcpy(input + REPLAY_LINE_TEST_LEN, "\n" ASK("1"));
	struct run done = run((struct replay_options){OWN, .keep_going = true}, input);

	assert_int_equal(done.status, EXIT_FAILURE);
	assert_has(done.error, "ratelimit-spoa: line 1: longer than 65536 bytes\n");
	assert_int_equal(lines_of(done.output), 1);
	free(input);
}

/* The line that came last was asked first; what is no request is counted. */
TEST(replay_log_is_asked_in_the_order_of_its_times)
{
	struct run done = run((struct replay_options){OWN, .is_haproxy = true},
			      LOG("30", "192.0.2.1") "\nno request\n" LOG("10", "192.0.2.1"));

	assert_int_equal(done.status, EXIT_SUCCESS);
	const char *first = strstr(done.output, "{\"at_ms\":1795520650000,\"allowed\":true,");
	const char *second = strstr(done.output, "{\"at_ms\":1795520670000,\"allowed\":false,");
	assert_true(first != NULL && second != NULL && first < second);
	assert_has(done.error, "lines without a request: 1\n");
	assert_has(done.error, "first at 2026-11-24T11:44:10Z, last at 2026-11-24T11:44:30Z\n");
}

TEST(replay_plot_is_written_over_what_was_there)
{
	char path[] = "replay-plot-XXXXXX";
	int fd = mkstemp(path);
	char text[8192];

	assert_int_equal(write(fd, "old", 3), 3);
	struct run done = run((struct replay_options){OWN, .plot = path}, ASK("0"));
	read_back(fd, text);
	(void)unlink(path);

	assert_int_equal(done.status, EXIT_SUCCESS);
	assert_int_equal(strncmp(text, "<svg", 4), 0);
	assert_has(text, "</svg>\n");
}

TEST(replay_plot_that_can_not_be_opened_is_told_first)
{
	struct run done =
		run((struct replay_options){OWN, .plot = "/no-such-folder/x.svg"}, ASK("0"));

	assert_int_equal(done.status, EXIT_FAILURE);
	assert_has(done.error, "--plot: /no-such-folder/x.svg: No such file or directory");
	assert_string_equal(done.output, "");
}
