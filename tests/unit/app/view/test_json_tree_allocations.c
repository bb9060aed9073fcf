/*
 * Documents when memory is short: each allocation on the way fails once. Nothing is written then,
 * and no memory is lost (under AddressSanitizer).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "app/policies/policies_json.h"
#include "app/policies/policy_file.h"
#include "app/view/json_tree.h"
#include "app/view/status.h"
#include "app/view/top.h"
#include "support/allocations.h"
#include "support/test.h"
#include "world.h"

#define POLICIES                                                                               \
	"{\"policies\":{"                                                                      \
	"\"login\":{\"algorithm\":\"sliding_window\",\"limit\":5,\"window\":\"1.5s\",\"key\":" \
	"[\"src\"],\"match\":{\"a\":[\"b\",\"c\"]},\"cost\":\"units\"},"                       \
	"\"large\":{\"algorithm\":\"fixed_window\",\"limit\":999999999999999,\"window\":1,"   \
	"\"key\":[]}}}"

BEFORE_ALL
{
	cJSON_Hooks hooks = {.malloc_fn = malloc, .free_fn = free};

	cJSON_InitHooks(&hooks);
}

static struct world world;
static struct agent_stats stats;

BEFORE_EACH
{
	world_init(&world, POLICIES);
	world_ask(&world, SOURCE_SPOP, "login", "203.0.113.9", 7);
	stats = world_stats(&world);
}

AFTER_EACH
{
	world_release(&world);
}

static bool put_status(FILE *to)
{
	return status_put(to, &stats);
}

static bool put_top(FILE *to)
{
	return top_put(to, &stats);
}

static bool put_policies(FILE *to)
{
	return policies_json_put(stats.policies, to);
}

static bool put_one_of_each(FILE *to)
{
	struct json_tree tree;
	struct json_node page = json_tree_root(&tree), list = json_add_list(page, "l");

	json_add_text(list, NULL, "x");
	json_add_int(page, "i", INT64_MIN);
	json_add_unsigned(page, "u", 1);
	json_add_fraction(json_add_object(page, "o"), "f", 1, 3);
	json_add_utf8(json_add_list_utf8(page, BYTES("n")), NULL, BYTES("y"));
	json_add_bool(page, "b", true);
	return json_tree_write(&tree, to);
}

/* Writes to memory of its own, which the failures do not reach. */
static size_t write_failing_at(bool (*put)(FILE *), size_t index, bool *ret_written,
			       bool *ret_reached)
{
	static char memory[65536];
	FILE *to = fmemopen(memory, sizeof memory, "w");

	assert_non_null(to);
	allocations_fail_at(index);
	*ret_written = put(to);
	*ret_reached = allocations_end();
	long len = ftell(to);
	assert_int_equal(fclose(to), 0);
	return (size_t)len;
}

static void assert_whole_or_nothing(bool (*put)(FILE *), size_t least)
{
	bool is_written, reached = true;
	size_t index = 0;

	for (; reached; index++) {
		size_t len = write_failing_at(put, index, &is_written, &reached);
		if (is_written == reached || (len > 0) != is_written)
			fail_msg("allocation %zu: %s, %zu bytes", index,
				 is_written ? "written" : "not written", len);
	}
	assert_true(index > least);
}

TEST(json_tree_without_memory_writes_nothing)
{
	assert_whole_or_nothing(put_one_of_each, 15);
}

TEST(status_put_without_memory_writes_nothing)
{
	assert_whole_or_nothing(put_status, 100);
}

TEST(top_put_without_memory_writes_nothing)
{
	assert_whole_or_nothing(put_top, 30);
}

TEST(policies_json_put_without_memory_writes_nothing)
{
	assert_whole_or_nothing(put_policies, 40);
}
