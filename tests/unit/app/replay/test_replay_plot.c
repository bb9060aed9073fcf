/*
 * The picture and the summary of some requests, whole: replay_plot.golden and replay_summary.golden
 * beside this file. `MAKE_GOLDEN=1` writes them anew; look at the picture in a browser then.
 */
#include "app/replay/replay_plot.h"

#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "../view/world.h"
#include "app/replay/replay_summary.h"
#include "base/clock.h"
#include "support/test.h"

#define POLICIES                                                                              \
	"{\"policies\":{"                                                                     \
	"\"login\":{\"algorithm\":\"fixed_window\",\"limit\":9,\"window\":\"1h\",\"key\":["   \
	"\"src\"]},"                                                                          \
	"\"unused\":{\"algorithm\":\"fixed_window\",\"limit\":9,\"window\":\"1h\",\"key\":["  \
	"\"src\"]},"                                                                          \
	"\"shadow\":{\"algorithm\":\"fixed_window\",\"limit\":2,\"window\":\"1h\",\"key\":[]" \
	",\"shadow\":true}}}"

#define BEGIN_US INT64_C(1795520668123000) /* 2026-11-24 */

static struct world world;
static struct replay_counts counts;
static int64_t at_us;

static void count(void *owner, const struct decision *decision)
{
	(void)owner;
	assert_true(replay_counts_add(&counts, decision->verdict, at_us));
}

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

static void set_up(const char *file)
{
	world_init(&world, file);
	world.decided = count;
	assert_true(replay_counts_init(&counts, engine_policies(world.engine), true));
}

AFTER_EACH
{
	replay_counts_release(&counts);
	world_release(&world);
}

static void ask(int64_t time_us, const char *policy, const char *key, size_t times)
{
	at_us = time_us;
	world_ask(&world, SOURCE_HTTP, policy, key, times);
}

static void put_summary(FILE *to, const struct replay_counts *all)
{
	const struct replay_lines none = {0};

	replay_summary_put(to, all, &none);
}

static char *written(void (*put)(FILE *to, const struct replay_counts *counts))
{
	char *text;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	assert_non_null(to);
	put(to, &counts);
	assert_int_equal(fclose(to), 0);
	return text;
}

static FILE *open_beside(const char *name, const char *mode)
{
	char here[PATH_MAX] = __FILE__, path[PATH_MAX + 64];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", dirname(here), name);
	file = fopen(path, mode);
	if (file == NULL)
		fail_msg("can't open %s", path);
	return file;
}

static void assert_golden(char *text, const char *name)
{
	char *golden = NULL;
	size_t len = 0;

	if (getenv("MAKE_GOLDEN") != NULL) {
		FILE *to = open_beside(name, "w");
		fputs(text, to);
		assert_int_equal(fclose(to), 0);
	}
	FILE *from = open_beside(name, "r");
	assert_true(getdelim(&golden, &len, '\0', from) > 0);
	fclose(from);
	assert_string_equal(text, golden);
	free(golden);
	free(text);
}

static void ask_many(void)
{
	ask(BEGIN_US, "login", "192.0.2.1", 10);
	ask(BEGIN_US + 1500 * US_PER_MS, "login", "192.0.2.2", 3);
	ask(BEGIN_US + 7 * US_PER_SECOND, "login", "192.0.2.1", 13);
	ask(BEGIN_US + 20 * US_PER_SECOND, "shadow", "", 1);
	ask(BEGIN_US + 21 * US_PER_SECOND, "shadow", "", 6);
	ask(BEGIN_US + 40 * US_PER_SECOND, NULL, "user:1", 5);
}

TEST(replay_plot_put_is_the_golden_picture)
{
	set_up(POLICIES);
	ask_many();

	assert_golden(written(replay_plot_put), "replay_plot.golden");
}

TEST(replay_summary_put_is_the_golden_page)
{
	set_up(POLICIES);
	ask_many();

	assert_golden(written(put_summary), "replay_summary.golden");
}

static void assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("%s\ndoes not have %s", text, part);
}

/* A trace that counts from 0 has seconds, and no zone. */
TEST(replay_plot_put_without_dates_shows_seconds)
{
	set_up(POLICIES);
	ask(0, "login", "192.0.2.1", 1);
	ask(90 * US_PER_MS, "login", "192.0.2.1", 1);
	char *text = written(replay_plot_put);

	assert_has(text, ">0.000 s</text>");
	assert_has(text, ">0.090 s</text>");
	assert_has(text, "requests in 1 ms</text>");
	assert_null(strstr(text, "UTC"));
	assert_null(strstr(text, "would be denied"));
	free(text);
}

TEST(replay_plot_put_nothing_is_a_picture_too)
{
	set_up(POLICIES);
	char *text = written(replay_plot_put);

	assert_has(text, "height=\"52\"");
	assert_has(text, "</svg>\n");
	assert_null(strstr(text, "class=\"name\""));
	free(text);
}

static size_t occurrences(const char *text, const char *part)
{
	size_t found = 0;

	for (; (text = strstr(text, part)) != NULL; text++)
		found++;
	return found;
}

static void ask_policies(size_t number)
{
	struct writer w = writer_on(malloc(65536), 65536);
	char name[24];

	writer_put_text(&w, "{\"policies\":{");
	for (size_t i = 0; i < number; i++) {
		writer_put_text(&w, i == 0 ? "\"p" : ",\"p");
		writer_put_unsigned(&w, i);
		writer_put_text(&w, "\":{\"algorithm\":\"fixed_window\",\"limit\":9,\"window\":1,"
				    "\"key\":[\"src\"]}");
	}
	writer_put_text(&w, "}}");
	set_up(writer_text(&w));
	free(w.data);
	for (size_t i = 0; i < number; i++) {
		snprintf(name, sizeof name, "p%zu", i);
		ask(BEGIN_US, name, "192.0.2.1", 1);
	}
}

TEST(replay_plot_put_as_many_panels_as_there_may_be)
{
	ask_policies(REPLAY_PANELS_MAX);
	char *text = written(replay_plot_put);

	assert_int_equal(occurrences(text, "class=\"name\""), REPLAY_PANELS_MAX);
	assert_null(strstr(text, "more policies"));
	free(text);
}

TEST(replay_plot_put_one_panel_more_is_left_out)
{
	ask_policies(REPLAY_PANELS_MAX + 1);
	char *text = written(replay_plot_put);

	assert_int_equal(occurrences(text, "class=\"name\""), REPLAY_PANELS_MAX);
	assert_has(text, "and 1 more policies");
	free(text);
}

/* The length of a time is told in the largest unit that it is whole in. */
TEST(replay_plot_put_tells_how_long_a_step_is)
{
	static const struct {
		int64_t span_us;
		const char *expected;
	} cases[] = {
		{149 * US_PER_MS, "requests in 1 ms<"},
		{150 * US_PER_MS, "requests in 5 ms<"},
		{149 * US_PER_SECOND, "requests in 1 s<"},
		{149 * 60 * US_PER_SECOND, "requests in 1 min<"},
		{149 * 3600 * US_PER_SECOND, "requests in 1 h<"},
		{149 * 86400 * US_PER_SECOND, "requests in 1 d<"},
	};

	set_up(POLICIES);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		replay_counts_release(&counts);
		assert_true(replay_counts_init(&counts, engine_policies(world.engine), true));
		ask(0, "login", "192.0.2.1", 1);
		ask(cases[i].span_us, "login", "192.0.2.1", 1);
		char *text = written(replay_plot_put);
		assert_has(text, cases[i].expected);
		free(text);
	}
}

/* Keys that took another key's place are told with a range, or not at all when it is wide. */
TEST(replay_summary_put_keys_of_many_have_a_range)
{
	char key[24];

	set_up(POLICIES);
	ask(BEGIN_US, "login", "frequent", 40);
	for (int i = 0; i < TOP_KEYS_MAX; i++) {
		snprintf(key, sizeof key, "rare%d", i);
		ask(BEGIN_US, "login", key, 1);
	}
	ask(BEGIN_US, "login", "late", 3);
	char *text = written(put_summary);

	assert_has(text, "  seen most: frequent 40, late 3-");
	assert_has(text, "  denied most: frequent 31\n");
	free(text);
}
