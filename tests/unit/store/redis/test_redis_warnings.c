/* Three nodes of one store, of which each tells what it lacks and how it makes room. */
#include "store/redis/redis_warnings.h"

#include <string.h>

#include "base/compiler.h"
#include "support/test.h"

#define HINT "allow +pttl"

static struct told {
	size_t lacking, regained, evictions;
	char eviction[REDIS_EVICTION_MAX];
} told;

static void on_lacks_right(void *owner, const char *command, const char *hint)
{
	(void)owner;
	assert_string_equal(command, "PTTL");
	assert_string_equal(hint, HINT);
	told.lacking++;
}

static void on_regained_right(void *owner, const char *hint)
{
	(void)owner;
	assert_string_equal(hint, HINT);
	told.regained++;
}

static void on_eviction(void *owner, const char *policy)
{
	(void)owner;
	told.evictions++;
	(void)strcpy(told.eviction, policy);
}

static const struct store_config config = {.lacks_right = on_lacks_right,
					   .regained_right = on_regained_right,
					   .told_eviction = on_eviction};
static struct redis_warnings all;
static struct redis_node_warnings nodes[3];

BEFORE_EACH
{
	told = (struct told){.lacking = 0};
	redis_warnings_init(&all, &config);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		redis_warnings_add(&all, &nodes[i]);
}

TEST(redis_warnings_a_right_is_regained_when_no_node_lacks_it)
{
	redis_warnings_lack(&nodes[0], "PTTL", HINT);
	redis_warnings_lack(&nodes[1], "PTTL", HINT);
	redis_warnings_lack(&nodes[1], "PTTL", HINT); /* by another connection */
	assert_int_equal(told.lacking, 3);

	redis_warnings_regain(&nodes[1]);
	redis_warnings_regain(&nodes[2]); /* which never lacked it */
	assert_int_equal(told.regained, 0);

	redis_warnings_regain(&nodes[0]);
	assert_int_equal(told.regained, 1);
}

TEST(redis_warnings_a_node_that_leaves_lacks_nothing)
{
	redis_warnings_lack(&nodes[0], "PTTL", HINT);
	redis_warnings_lack(&nodes[1], "PTTL", HINT);

	redis_warnings_withdraw(&nodes[0]);
	redis_warnings_remove(&nodes[0]);
	assert_int_equal(told.regained, 0);

	redis_warnings_withdraw(&nodes[1]);
	assert_int_equal(told.regained, 1);
}

TEST(redis_warnings_one_node_that_deletes_keys_without_ttl_is_enough)
{
	redis_warnings_set_eviction(&nodes[0], "allkeys-lfu");
	redis_warnings_set_eviction(&nodes[1], "volatile-lfu");
	redis_warnings_set_eviction(&nodes[2], "noeviction");
	assert_string_equal(told.eviction, "allkeys-lfu");
	assert_int_equal(told.evictions, 1);

	redis_warnings_set_eviction(&nodes[0], "volatile-lfu");
	assert_string_equal(told.eviction, "volatile-lfu");
}

TEST(redis_warnings_a_node_that_leaves_deletes_nothing)
{
	redis_warnings_set_eviction(&nodes[0], "allkeys-lfu");
	redis_warnings_set_eviction(&nodes[1], "allkeys-lru");
	assert_int_equal(told.evictions, 2);

	redis_warnings_withdraw(&nodes[0]);
	assert_string_equal(told.eviction, "allkeys-lru");

	redis_warnings_withdraw(&nodes[1]);
	assert_string_equal(told.eviction, "");
}

TEST(redis_warnings_a_node_that_says_nothing_changes_nothing)
{
	redis_warnings_set_eviction(&nodes[0], "allkeys-lfu");
	redis_warnings_set_eviction(&nodes[1], "");

	assert_string_equal(told.eviction, "allkeys-lfu");
}
