#include "app/view/decision_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cJSON.h>
#include <sodium.h>

#include "support/test.h"
#include "world.h"

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

#define POLICIES                                                                           \
	"{\"policies\":{\"login\":{\"algorithm\":\"fixed_window\",\"limit\":2,\"window\":" \
	"\"1h\",\"key\":[\"src\"]}}}"
#define LINES_MAX (2 * DECISION_LINES_MAX)

/* ---- what is written to standard error, line by line ---- */

struct lines {
	cJSON *items[LINES_MAX];
	size_t count;
};

static FILE *caught;
static int real_stderr;

static void catch_lines(void)
{
	fflush(stderr);
	caught = tmpfile();
	assert_non_null(caught);
	real_stderr = dup(STDERR_FILENO);
	assert_true(dup2(fileno(caught), STDERR_FILENO) >= 0);
}

static struct lines caught_lines(void)
{
	struct lines lines = {.count = 0};
	char line[4096];

	assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
	close(real_stderr);
	rewind(caught);
	while (fgets(line, sizeof line, caught) != NULL) {
		assert_true(lines.count < LINES_MAX);
		lines.items[lines.count] = cJSON_Parse(line);
		assert_non_null(lines.items[lines.count]);
		lines.count++;
	}
	fclose(caught);
	return lines;
}

static void lines_release(struct lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		cJSON_Delete(lines->items[i]);
}

static const cJSON *field(const struct lines *lines, size_t index, const char *name)
{
	assert_true(index < lines->count);
	return cJSON_GetObjectItemCaseSensitive(lines->items[index], name);
}

static void assert_text(const struct lines *lines, size_t index, const char *name,
			const char *expected)
{
	assert_true(cJSON_IsString(field(lines, index, name)));
	assert_string_equal(field(lines, index, name)->valuestring, expected);
}

static void assert_number(const struct lines *lines, size_t index, const char *name,
			  double expected)
{
	assert_true(cJSON_IsNumber(field(lines, index, name)));
	assert_true(field(lines, index, name)->valuedouble == expected);
}

/* ---- a world that logs ---- */

static void world_log(struct world *world, struct decision_log *log, enum log_decisions which)
{
	world_init(world, POLICIES);
	decision_log_init(log, which);
	log->limit.period_us = 3600000000; /* so that none ends during the test */
	world->decided = decision_log_put;
	world->owner = log;
}

TEST(decision_log_all_is_a_line_each)
{
	struct decision_log log;
	struct world world;

	world_log(&world, &log, LOG_DECISIONS_ALL);
	catch_lines();
	world_ask(&world, SOURCE_HTTP, "login", "203.0.113.9", 3);
	struct lines lines = caught_lines();

	assert_int_equal(lines.count, 3);
	assert_text(&lines, 0, "event", "decision");
	assert_text(&lines, 0, "level", "info");
	assert_text(&lines, 0, "source", "http");
	assert_text(&lines, 0, "policy", "login");
	assert_text(&lines, 0, "reason", "ok");
	assert_true(cJSON_IsTrue(field(&lines, 0, "allowed")));
	assert_true(cJSON_IsFalse(field(&lines, 0, "degraded")));
	assert_number(&lines, 0, "remaining", 1);
	assert_number(&lines, 0, "retry_after_ms", 0);
	assert_number(&lines, 0, "latency_us", 12);
	assert_null(field(&lines, 0, "traceparent"));
	assert_null(field(&lines, 0, "suppressed"));
	assert_text(&lines, 2, "reason", "limited");
	assert_true(cJSON_IsFalse(field(&lines, 2, "allowed")));
	assert_true(field(&lines, 2, "retry_after_ms")->valuedouble > 0);
	lines_release(&lines);
	world_release(&world);
}

TEST(decision_log_denied_leaves_the_allowed_out)
{
	struct decision_log log;
	struct world world;

	world_log(&world, &log, LOG_DECISIONS_DENIED);
	catch_lines();
	world_ask(&world, SOURCE_SPOP, "login", "a", 3);
	struct lines lines = caught_lines();

	assert_int_equal(lines.count, 1);
	assert_text(&lines, 0, "reason", "limited");
	lines_release(&lines);
	world_release(&world);
}

/* `printf 203.0.113.9 | sha256sum | cut -c1-16` */
TEST(decision_log_key_is_the_beginning_of_its_hash)
{
	struct decision_log log;
	struct world world;

	world_log(&world, &log, LOG_DECISIONS_ALL);
	catch_lines();
	world_ask(&world, SOURCE_SPOP, "login", "203.0.113.9", 1);
	struct lines lines = caught_lines();

	assert_text(&lines, 0, "key_hash", "d861b7e91033ebc1");
	lines_release(&lines);
	world_release(&world);
}

TEST(decision_log_hashed_key_is_not_hashed_again)
{
	char longest[200];
	struct decision_log log;
	struct world world;

	memset(longest, 'x', 129);
	longest[129] = '\0';
	world_log(&world, &log, LOG_DECISIONS_ALL);
	catch_lines();
	world_ask(&world, SOURCE_SPOP, "login", longest, 1);
	struct lines lines = caught_lines();

	/* As test_check.c has it of the same key. */
	assert_text(&lines, 0, "key_hash", "f01921ccc31733e8");
	lines_release(&lines);
	world_release(&world);
}

TEST(decision_log_no_policy_is_none)
{
	struct decision_log log;
	struct world world;

	world_log(&world, &log, LOG_DECISIONS_ALL);
	catch_lines();
	world_ask_all(&world, NULL, 0);
	world_ask(&world, SOURCE_SPOP, "unknown", "a", 1);
	struct lines lines = caught_lines();

	assert_text(&lines, 0, "policy", "none");
	assert_text(&lines, 0, "reason", "none");
	assert_null(field(&lines, 0, "key_hash"));
	assert_null(field(&lines, 0, "remaining"));
	assert_text(&lines, 1, "policy", "none");
	assert_text(&lines, 1, "reason", "invalid");
	lines_release(&lines);
	world_release(&world);
}

TEST(decision_log_traceparent_is_there_and_escaped)
{
	static const char trace[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
	const struct attribute attributes[] = {
		{BYTES("src"), value_text(BYTES("a"))},
		{BYTES("traceparent"), value_text(bytes_from_text(trace))},
	};
	const struct attribute hostile[] = {
		{BYTES("traceparent"), value_text(BYTES("\"},\n{\""))},
	};
	struct decision_log log;
	struct world world;

	world_log(&world, &log, LOG_DECISIONS_ALL);
	catch_lines();
	world_ask_all(&world, attributes, 2);
	world_ask_all(&world, hostile, 1);
	struct lines lines = caught_lines();

	assert_int_equal(lines.count, 2);
	assert_text(&lines, 0, "traceparent", trace);
	assert_text(&lines, 1, "traceparent", "\"},\n{\"");
	lines_release(&lines);
	world_release(&world);
}

TEST(decision_log_more_than_the_most_are_counted)
{
	struct decision_log log;
	struct world world;

	world_log(&world, &log, LOG_DECISIONS_ALL);
	catch_lines();
	world_ask(&world, SOURCE_SPOP, "login", "a", DECISION_LINES_MAX + 23);
	log.limit.next_us = 0; /* a second later */
	world_ask(&world, SOURCE_SPOP, "login", "a", 1);
	struct lines lines = caught_lines();

	assert_int_equal(lines.count, DECISION_LINES_MAX + 1);
	assert_number(&lines, DECISION_LINES_MAX, "suppressed", 23);
	lines_release(&lines);
	world_release(&world);
}
