#include "app/replay/replay_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/sweep.h"
#include "support/test.h"

static struct http_question question;

static bool read_at(const char *at, int64_t *ret_at_us, struct err *err)
{
	char text[128];
	struct replay_line line;

	snprintf(text, sizeof text, "{\"at_ms\":%s,\"policy\":\"p\"}", at);
	if (!replay_line_read(bytes_from_text(text), &line, err))
		return false;
	*ret_at_us = line.at_us;
	return true;
}

TEST(replay_line_read_a_time_is_exact_to_a_microsecond)
{
	static const struct {
		const char *at;
		int64_t us;
	} cases[] = {
		{"0", 0},         {"0.0", 0},           {"1", 1000},
		{"1.5", 1500},    {"0.001", 1},         {"1795520668123.456", 1795520668123456},
		{"1e3", 1000000}, {"1.5000", 1500},     {"4503599627370.496", INT64_C(1) << 52},
		{"1E-3", 1},      {"12.345e1", 123450}, {"0.000", 0},
		{"0e3", 0},       {"0.00E-7", 0},
	};
	int64_t at_us;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (!read_at(cases[i].at, &at_us, &err))
			fail_msg("%s: %s", cases[i].at, err.text);
		assert_int_equal(at_us, cases[i].us);
	}
}

TEST(replay_line_read_what_is_no_time_is_refused)
{
	static const char *const bad[] = {
		"null",
		"true",
		"\"1\"",
		"[1]",
		"{}",
		"-1",
		"-0",
		"-0.0",
		"1e99",
		"1e-9",
		"1e-4",
		"0.0001",
		"4503599627370.497",
		"9007199254740993000",
	};
	int64_t at_us;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (read_at(bad[i], &at_us, &err))
			fail_msg("%s is %" PRId64, bad[i], at_us);
		assert_non_null(strstr(err.text, "at_ms"));
	}
}

static int decode(struct bytes input, void *context)
{
	struct replay_line *line = context;
	struct err err;

	if (!replay_line_read(input, line, &err) ||
	    (!line->body.is_batch && !replay_line_read_check(line, &question, &err))) {
		for (const char *c = err.text; *c != '\0'; c++)
			assert_in_range(*c, ' ', '~');
		return -1;
	}
	assert_in_range(line->at_us, 0, REPLAY_AT_MAX_US);
	return 1;
}

TEST(replay_line_read_any_bytes_are_read_within_their_bounds)
{
	static const char *const vectors[] = {
		"{\"at_ms\":1500.25,\"attributes\":{\"src\":\"192.0.2.1\"},\"cost\":2}",
		"{\"checks\":[{\"policy\":\"p\"},{}],\"at_ms\":7}",
	};
	struct replay_line line;

	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		struct sweep_counts counts =
			sweep_decoder(bytes_from_text(vectors[i]), decode, &line);
		assert_int_equal(counts.taken, 0);
	}
	assert_int_equal(line.at_us, 7000);
	assert_true(line.body.is_batch);
	assert_int_equal(line.body.count, 2);
}
