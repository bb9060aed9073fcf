#include "app/view/status.h"

#include <stdlib.h>
#include <string.h>

#include <cJSON.h>
#include <sodium.h>

#include "app/view/top.h"
#include "support/test.h"
#include "world.h"

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

#define POLICIES                                                                               \
	"{\"policies\":{"                                                                      \
	"\"login\":{\"algorithm\":\"sliding_window\",\"limit\":5,\"window\":\"1.5s\",\"key\":" \
	"[\"src\"]},"                                                                          \
	"\"rate\":{\"algorithm\":\"token_bucket\",\"capacity\":10,\"refill_rate\":0.5,"        \
	"\"key\":[]}}}"

static cJSON *read_page(bool (*put)(FILE *to, const struct agent_stats *stats),
			const struct agent_stats *stats)
{
	char *text;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	assert_true(put(to, stats));
	assert_int_equal(fclose(to), 0);
	const char *end;
	cJSON *json = cJSON_ParseWithOpts(text, &end, true);
	if (json == NULL)
		fail_msg("not JSON: %s", text);
	free(text);
	return json;
}

/* "policies.0.hottest.key" */
static const cJSON *at(const cJSON *json, const char *path)
{
	struct bytes rest = bytes_from_text(path), name;

	while (json != NULL && bytes_next_item(&rest, '.', &name)) {
		char text[32];
		snprintf(text, sizeof text, "%.*s", (int)name.len, (const char *)name.data);
		json = cJSON_IsArray(json) ? cJSON_GetArrayItem(json, atoi(text))
					   : cJSON_GetObjectItemCaseSensitive(json, text);
	}
	return json;
}

static void assert_number(const cJSON *json, const char *path, double expected)
{
	const cJSON *found = at(json, path);

	if (!cJSON_IsNumber(found) || found->valuedouble != expected)
		fail_msg("%s is %s", path, found == NULL ? "not there" : cJSON_Print(found));
}

static void assert_text(const cJSON *json, const char *path, const char *expected)
{
	const cJSON *found = at(json, path);

	if (!cJSON_IsString(found) || strcmp(found->valuestring, expected) != 0)
		fail_msg("%s is %s", path, found == NULL ? "not there" : cJSON_Print(found));
}

TEST(status_put_tells_of_the_agent)
{
	struct world world;

	world_init(&world, POLICIES);
	struct agent_stats stats = world_stats(&world);
	stats.spop.connections = 3;
	stats.http.connections = 2;
	stats.is_draining = true;
	cJSON *json = read_page(status_put, &stats);

	assert_number(json, "uptime_s", 90);
	assert_number(json, "now_ms", 1700000090000);
	assert_true(cJSON_IsTrue(at(json, "draining")));
	assert_true(cJSON_IsFalse(at(json, "shadow_all")));
	assert_text(json, "store.kind", "memory");
	assert_text(json, "store.state", "up");
	assert_number(json, "connections.spop", 3);
	assert_number(json, "connections.http", 2);
	assert_number(json, "load.policies", 2);
	assert_number(json, "load.generation", 2);
	cJSON_Delete(json);
	world_release(&world);
}

TEST(status_put_tells_what_haproxy_sends)
{
	struct world world;

	world_init(&world, POLICIES);
	struct agent_stats stats = world_stats(&world);
	stats.spop.healthchecks = 7;
	stats.spop.notifies = 3;
	stats.spop.last_notify_us = 1700000089500000;
	stats.spop.ended_owing = 2;
	spop_names_add(&stats.spop.names, BYTES("src"), false);
	spop_names_add(&stats.spop.names, BYTES("ap\"ikey"), true);
	/* A verdict at 50 ms is still in time. */
	for (int64_t us = 49000; us <= 52000; us += 1000)
		histogram_add(&stats.engine.latency[SOURCE_SPOP], us);
	histogram_add(&stats.engine.latency[SOURCE_SPOP], 5000000);
	cJSON *json = read_page(status_put, &stats);

	assert_number(json, "spop.healthchecks", 7);
	assert_number(json, "spop.notifies", 3);
	assert_number(json, "spop.last_notify_ms", 1700000089500);
	assert_number(json, "spop.slower_than_50_ms", 3);
	assert_number(json, "spop.ended_owing", 2);
	assert_text(json, "spop.attributes.0.name", "src");
	assert_number(json, "spop.attributes.0.absent", 0);
	assert_text(json, "spop.attributes.1.name", "ap\"ikey");
	assert_number(json, "spop.attributes.1.times", 1);
	assert_number(json, "spop.attributes.1.absent", 1);
	assert_true(cJSON_IsFalse(at(json, "spop.attributes_left_out")));
	cJSON_Delete(json);
	world_release(&world);
}

TEST(status_put_tells_why_redis_is_down)
{
	struct world world;

	world_init(&world, POLICIES);
	struct agent_stats stats = world_stats(&world);
	stats.store = (struct store_description){
		.kind = "redis",
		.address = "redis://127.0.0.1:6379",
		.why = "it said \"no\"",
	};
	cJSON *json = read_page(status_put, &stats);

	assert_text(json, "store.kind", "redis");
	assert_text(json, "store.url", "redis://127.0.0.1:6379");
	assert_text(json, "store.state", "down");
	assert_text(json, "store.reason", "it said \"no\"");
	cJSON_Delete(json);
	world_release(&world);
}

TEST(status_put_tells_why_a_reload_failed)
{
	struct world world;

	world_init(&world, POLICIES);
	struct agent_stats stats = world_stats(&world);
	stats.load.last_failed = true;
	snprintf(stats.load.last_error, sizeof stats.load.last_error, "policies.a: no \"key\"");
	cJSON *json = read_page(status_put, &stats);
	assert_true(cJSON_IsTrue(at(json, "load.last_failed")));
	assert_text(json, "load.reason", "policies.a: no \"key\"");
	cJSON_Delete(json);

	stats.load.last_failed = false;
	json = read_page(status_put, &stats);
	assert_true(cJSON_IsFalse(at(json, "load.last_failed")));
	assert_text(json, "load.reason", "");
	cJSON_Delete(json);
	world_release(&world);
}

TEST(status_put_tells_of_each_policy)
{
	struct world world;

	world_init(&world, POLICIES);
	world_ask(&world, SOURCE_SPOP, "login", "203.0.113.9", 7);
	world_ask(&world, SOURCE_HTTP, "login", "203.0.113.10", 1);
	world_ask(&world, SOURCE_SPOP, NULL, "user:1", 3);
	struct agent_stats stats = world_stats(&world);
	cJSON *json = read_page(status_put, &stats);

	assert_number(json, "totals.allowed", 5 + 1 + 2);
	assert_number(json, "totals.blocked", 2 + 1);
	assert_text(json, "policies.0.policy", "login");
	assert_text(json, "policies.0.algorithm", "sliding_window");
	assert_number(json, "policies.0.limit", 5);
	assert_number(json, "policies.0.window_s", 1.5);
	assert_text(json, "policies.0.key.0", "src");
	assert_null(at(json, "policies.0.key.1"));
	assert_number(json, "policies.0.checks", 8);
	assert_number(json, "policies.0.allowed", 6);
	assert_number(json, "policies.0.denied", 2);
	assert_number(json, "policies.0.latency_ms.mean", 0.012);
	assert_number(json, "policies.0.latency_ms.p99", 0.05);
	assert_text(json, "policies.0.hottest.key", "203.0.113.9");
	assert_number(json, "policies.0.hottest.count", 7);
	assert_number(json, "policies.0.hottest.remaining", 0);
	assert_text(json, "policies.1.policy", "inline");
	assert_null(at(json, "policies.1.limit"));
	assert_null(at(json, "policies.1.key"));
	assert_text(json, "policies.2.policy", "rate");
	assert_number(json, "policies.2.refill_tokens", 1);
	assert_number(json, "policies.2.refill_s", 2);
	assert_null(at(json, "policies.2.hottest"));
	assert_text(json, "top.seen.0.key", "203.0.113.9");
	assert_text(json, "top.seen.1.policy", "inline");
	assert_text(json, "top.denied.0.key", "203.0.113.9");
	assert_number(json, "top.denied.0.count", 2);
	cJSON_Delete(json);
	world_release(&world);
}

TEST(status_put_the_history_is_in_order)
{
	struct world world;

	world_init(&world, POLICIES);
	history_advance(&world.history, 10, 1, 2000000);
	history_advance(&world.history, 30, 1, 4000000);
	struct agent_stats stats = world_stats(&world);
	stats.uptime_us = 5000000;
	cJSON *json = read_page(status_put, &stats);

	assert_number(json, "history.step_s", 2);
	assert_number(json, "history.end_ms", 1700000090000 - 1000);
	assert_int_equal(cJSON_GetArraySize(at(json, "history.allowed")), 2);
	assert_number(json, "history.allowed.0", 10);
	assert_number(json, "history.allowed.1", 20);
	assert_number(json, "history.blocked.0", 1);
	cJSON_Delete(json);
	world_release(&world);
}

TEST(status_put_hostile_keys_are_text)
{
	struct world world;

	world_init(&world, POLICIES);
	world_ask(&world, SOURCE_SPOP, "login", "</script>\"\\\n\x01\xff<img onerror=x>", 1);
	struct agent_stats stats = world_stats(&world);
	cJSON *json = read_page(status_put, &stats);

	assert_text(json, "policies.0.hottest.key",
		    "%3c/script%3e%22%5c%0a%01%ff%3cimg%20onerror%3dx%3e");
	cJSON_Delete(json);
	world_release(&world);
}

TEST(top_put_tells_shadow_from_denied)
{
	struct world world;

	world_init(&world, "{\"policies\":{\"tried\":{\"algorithm\":\"fixed_window\",\"limit\":1,"
			   "\"window\":\"1h\",\"key\":[\"src\"],\"shadow\":true}}}");
	world_ask(&world, SOURCE_SPOP, "tried", "203.0.113.9", 4);
	struct agent_stats stats = world_stats(&world);
	cJSON *json = read_page(top_put, &stats);

	assert_number(json, "policies.0.seen.total", 4);
	assert_number(json, "policies.0.shadow_denied.total", 3);
	assert_text(json, "policies.0.shadow_denied.keys.0.key", "203.0.113.9");
	assert_null(at(json, "policies.0.denied"));
	cJSON_Delete(json);
	json = read_page(status_put, &stats);
	assert_int_equal(cJSON_GetArraySize(at(json, "top.denied")), 0);
	cJSON_Delete(json);
	world_release(&world);
}

TEST(top_put_states_its_error)
{
	struct world world;
	char key[24];

	world_init(&world, POLICIES);
	world_ask(&world, SOURCE_SPOP, "login", "203.0.113.9", 50);
	for (int i = 0; i < 46; i++) {
		snprintf(key, sizeof key, "10.0.0.%d", i);
		world_ask(&world, SOURCE_SPOP, "login", key, 1);
	}
	struct agent_stats stats = world_stats(&world);
	cJSON *json = read_page(top_put, &stats);

	assert_number(json, "keys_max", TOP_KEYS_MAX);
	assert_text(json, "policies.0.policy", "login");
	assert_number(json, "policies.0.seen.total", 96);
	assert_number(json, "policies.0.seen.error_max", 3);
	assert_int_equal(cJSON_GetArraySize(at(json, "policies.0.seen.keys")), TOP_KEYS_MAX);
	assert_text(json, "policies.0.seen.keys.0.key", "203.0.113.9");
	assert_number(json, "policies.0.seen.keys.0.count", 50);
	assert_number(json, "policies.0.seen.keys.0.error", 0);
	assert_number(json, "policies.0.denied.total", 45);
	assert_int_equal(cJSON_GetArraySize(at(json, "policies.0.denied.keys")), 1);
	assert_null(at(json, "policies.1.seen"));
	cJSON_Delete(json);
	world_release(&world);
}
