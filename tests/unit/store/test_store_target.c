#include "store/store_target.h"

#include <string.h>

#include <ev.h>

#include "support/sweep.h"
#include "support/test.h"

static struct store_target target_of(const char *url)
{
	struct store_target target;
	struct err err;

	memset(&target, 0xa5, sizeof target);
	if (!store_target_parse(bytes_from_text(url), &target, &err))
		fail_msg("%s: %s", url, err.text);
	return target;
}

TEST(store_target_parse_memory_is_this_process)
{
	struct store_target target = target_of("memory:");

	assert_true(target.is_memory);
	assert_string_equal(store_target_text(&target), "memory:");
	assert_false(store_target_has_password(&target));
}

TEST(store_target_parse_url_is_a_server)
{
	struct store_target target = target_of("redis://agent:hunter2@h:1/2");

	assert_false(target.is_memory);
	assert_string_equal(target.redis.host, "h");
	assert_string_equal(store_target_text(&target), "redis://h:1/2");
	assert_true(store_target_has_password(&target));
	target = target_of("redis://h");
	assert_false(store_target_has_password(&target));
}

TEST(store_target_parse_refuses_what_is_neither)
{
	static const char *const urls[] = {"",        "memory", "memory:x",
					   "Memory:", "redis:", "http://h"};

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct store_target target;
		struct err err = {""};
		POISON(target);
		assert_false(store_target_parse(bytes_from_text(urls[i]), &target, &err));
		assert_untouched(target);
		assert_true(strlen(err.text) > 0);
	}
}

TEST(store_target_parse_names_a_mistake_in_any_topology)
{
	static const struct {
		const char *url, *says;
	} cases[] = {
		{"redis+sentinel://h1:1,h2:2", "the name of the master"},
		{"redis+cluster://h1:x", "the port"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct store_target target;
		struct err err = {""};
		POISON(target);
		assert_false(store_target_parse(bytes_from_text(cases[i].url), &target, &err));
		assert_untouched(target);
		assert_non_null(strstr(err.text, cases[i].says));
	}
}

TEST(store_target_can_delete_but_in_a_cluster)
{
	static const struct {
		const char *url;
		bool can;
	} cases[] = {{"memory:", true},
		     {"redis://h", true},
		     {"redis+sentinel://h/m", true},
		     {"redis+cluster://h", false}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct store_target target;
		struct err err;
		assert_true(store_target_parse(bytes_from_text(cases[i].url), &target, &err));
		assert_int_equal(store_target_can_delete(&target), cases[i].can);
	}
}

/* The memory store is each agent's own; there is nothing to open, and nothing to delete. */
TEST(store_target_memory_is_not_opened)
{
	struct store_target target = target_of("memory:");
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct err err;

	assert_null(store_target_open(&target, loop, &(struct store_config){.max_in_flight = 1}));
	assert_true(store_target_delete(&target, loop, BYTES("rl:"), &err));
	ev_loop_destroy(loop);
}

TEST(store_target_delete_of_a_server_that_is_away_says_why)
{
	struct store_target target = target_of("redis+unix:///nowhere/redis.sock");
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct err err = {""};

	assert_false(store_target_delete(&target, loop, BYTES("rl:"), &err));
	assert_non_null(strstr(err.text, "No such file or directory"));
	ev_loop_destroy(loop);
}
