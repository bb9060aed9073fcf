#include "app/view/metrics.h"

#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

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

/* A file beside this one; `MAKE_GOLDEN=1` writes the golden one anew. */
static char *read_file(const char *name)
{
	char here[PATH_MAX] = __FILE__, path[PATH_MAX + 64];
	char *text = NULL;
	size_t len = 0;

	snprintf(path, sizeof path, "%s/%s", dirname(here), name);
	FILE *from = fopen(path, "r");
	if (from == NULL)
		fail_msg("can't open %s", path);
	assert_true(getdelim(&text, &len, '\0', from) > 0);
	fclose(from);
	return text;
}

static void write_golden(const char *text)
{
	char here[PATH_MAX] = __FILE__, path[PATH_MAX + 64];

	snprintf(path, sizeof path, "%s/metrics.golden", dirname(here));
	FILE *to = fopen(path, "w");
	assert_non_null(to);
	fputs(text, to);
	fclose(to);
}

static char *page_of(const struct agent_stats *stats)
{
	char *text;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	metrics_put(to, stats);
	assert_int_equal(fclose(to), 0);
	return text;
}

/* The version changes, and the golden page does not. */
static void hide_version(char *page)
{
	char *version = strstr(page, "version=\"") + strlen("version=\"");

	memmove(version, version + strcspn(version, "\""),
		strlen(version) - strcspn(version, "\"") + 1);
}

static size_t count(const char *page, const char *what)
{
	size_t found = 0;

	for (const char *at = page; (at = strstr(at, what)) != NULL; at++)
		found++;
	return found;
}

/* Different numbers everywhere, so that none can take another's place. */
static void fill(struct agent_stats *stats)
{
	static const uint64_t latencies[] = {40, 60, 120, 300, 700, 2000, 3000, 9000, 20000, 40000};

	for (size_t i = 0; i < ARRAY_SIZE(latencies); i++)
		histogram_add(&stats->store.stats.latency, (int64_t)latencies[i]);
	for (size_t i = 0; i < STORE_ERROR_COUNT; i++)
		stats->store.stats.errors[i] = 100 + i;
	for (size_t i = 0; i < STORE_BATCH_BOUNDS; i++)
		stats->store.stats.batches[i] = i + 1;
	stats->store.kind = "redis";
	stats->store.is_up = false;
	stats->load.last_failed = true;
	stats->store.stats.calls = 21;
	stats->store.stats.requests = 300;
	stats->store.stats.connects = 7;
	stats->store.stats.ups = 6;
	stats->store.stats.downs = 5;
	stats->engine.degraded = 31;
	stats->engine.expired = 32;
	stats->engine.late = 33;
	stats->engine.full = 34;
	stats->engine.left_out = 35;
	stats->engine.in_flight = 36;
	stats->engine.settling = (struct settling_stats){.charged = 91,
							 .nothing_left = 92,
							 .over = 93,
							 .dropped = 94,
							 .unsure = 95,
							 .late = 96};
	stats->memory = (struct memory_store_stats){.balances = 41, .evicted = 42, .bytes = 43};
	stats->spop = (struct spop_server_stats){
		.connections = 51,
		.accepted = 52,
		.hello_timeouts = 53,
		.ended_owing = 65,
		.last_notify_us = 1700000066000000,
		.hellos = 54,
		.healthchecks = 55,
		.notifies = 56,
		.disconnects = 57,
		.others = 58,
		.agent_hellos = 59,
		.acks = 60,
		.agent_disconnects = 61,
	};
	stats->spop.errors[SPOP_INVALID] = 62;
	stats->spop.errors[spop_status_place(SPOP_UNKNOWN)] = 63;
	stats->spop.errors_of_haproxy[SPOP_TOO_BIG] = 64;
	stats->http = (struct http_server_stats){
		.connections = 71,
		.accepted = 72,
		.evicted = 73,
		.timeouts = 74,
		.refused = 75,
		.problems = {[4] = 76, [5] = 77},
		.requests = 78,
	};
}

static void ask(struct world *world)
{
	world_init(world, POLICIES);
	world_ask(world, SOURCE_SPOP, "login", "203.0.113.9", 5);
	world_ask(world, SOURCE_HTTP, "login", "203.0.113.9", 1);
	world_ask(world, SOURCE_HTTP, NULL, "user:1", 1);
	world_ask(world, SOURCE_SPOP, "unknown", "203.0.113.9", 4);
	world_ask_all(world, NULL, 0);
}

TEST(metrics_put_is_the_golden_page)
{
	struct world world;

	ask(&world);
	struct agent_stats stats = world_stats(&world);
	fill(&stats);
	char *page = page_of(&stats);
	hide_version(page);
	if (getenv("MAKE_GOLDEN") != NULL)
		write_golden(page);
	char *golden = read_file("metrics.golden");

	assert_string_equal(page, golden);
	free(golden);
	free(page);
	world_release(&world);
}

/* Whatever clients send: the number of series is that of the policies, and no key is seen. */
TEST(metrics_put_clients_add_no_series)
{
	struct world world;

	world_init(&world, POLICIES);
	struct agent_stats stats = world_stats(&world);
	char *before = page_of(&stats);
	for (int i = 0; i < 2000; i++) {
		char key[32];
		snprintf(key, sizeof key, "client\"\n%d", i);
		world_ask(&world, SOURCE_SPOP, i % 2 == 0 ? "login" : NULL, key, 1);
		world_ask(&world, SOURCE_SPOP, key, key, 1);
	}
	stats = world_stats(&world);
	char *after = page_of(&stats);

	assert_int_equal(count(after, "\n"), count(before, "\n"));
	assert_null(strstr(after, "client"));
	free(before);
	free(after);
	world_release(&world);
}

TEST(metrics_put_a_policy_is_eleven_series)
{
	static const char two[] =
		"{\"policies\":{"
		"\"a\":{\"algorithm\":\"fixed_window\",\"limit\":2,\"window\":1,\"key\":[]},"
		"\"b\":{\"algorithm\":\"fixed_window\",\"limit\":2,\"window\":1,\"key\":[]}}}";
	struct world one, other;

	world_init(&one, POLICIES);
	world_init(&other, two);
	struct agent_stats stats = world_stats(&one), more_stats = world_stats(&other);
	char *page = page_of(&stats), *more = page_of(&more_stats);

	assert_int_equal(count(more, "\n"), count(page, "\n") + 11);
	free(page);
	free(more);
	world_release(&one);
	world_release(&other);
}

/* Each metric is in the table of docs/metrics.md, and nothing else is. */
TEST(metrics_put_is_what_the_docs_say)
{
	struct world world;
	char *docs = read_file("../../../../docs/metrics.md");
	size_t metrics = 0;

	world_init(&world, POLICIES);
	struct agent_stats stats = world_stats(&world);
	char *page = page_of(&stats);
	for (const char *at = page; (at = strstr(at, "# TYPE ")) != NULL; metrics++) {
		char name[80], type[16], row[128];
		assert_int_equal(sscanf(at, "# TYPE %79s %15s", name, type), 2);
		snprintf(row, sizeof row, "\n| `%s` | %s |", name, type);
		if (strstr(docs, row) == NULL)
			fail_msg("docs/metrics.md has no row of %s, %s", name, type);
		at++;
	}

	size_t rows = count(docs, "` | counter | ") + count(docs, "` | gauge | ") +
		      count(docs, "` | histogram | ");
	assert_int_equal(rows, metrics);
	free(page);
	free(docs);
	world_release(&world);
}
