/*
 * A set of patterns when memory is short: each allocation on the way fails once.
 */
#include "limit/pattern_set.h"

#include "limit/conditions.h"
#include "support/allocations.h"
#include "support/test.h"

static bool add(struct pattern_set *set, const char *pattern)
{
	unsigned prefix;
	struct value network = network_read(bytes_from_text(pattern), BYTES(""), &prefix);

	return network.kind == VALUE_ABSENT ? pattern_set_add_text(set, bytes_from_text(pattern))
					    : pattern_set_add_network(set, &network, prefix);
}

TEST(pattern_set_without_memory_says_so)
{
	static const char *const patterns[] = {"10.0.0.0/8", "192.0.2.1", "::1",
					       "text",       "a*",        "*b"};
	bool is_reached = true;
	size_t failed = 0;

	for (size_t index = 0; is_reached; index++) {
		allocations_fail_at(index);
		struct pattern_set *set = pattern_set_new();
		bool is_good = set != NULL;
		for (size_t i = 0; i < ARRAY_SIZE(patterns) && is_good; i++) {
			pattern_set_at_line(set, (uint32_t)i + 1);
			is_good = add(set, patterns[i]);
		}
		is_good = is_good && pattern_set_build(set);
		is_reached = allocations_end();
		/* A text's block that can't be made smaller stays as it is. */
		assert_true(is_good || is_reached);
		failed += !is_good;
		pattern_set_unref(set);
	}
	assert_true(failed > 10);
}

/* So many patterns that they are in a set, and a file. */
TEST(condition_compile_without_memory_says_so)
{
	bool is_reached = true;
	size_t failed = 0;

	for (size_t index = 0; is_reached; index++) {
		struct pattern_set *lines = pattern_set_new();
		struct conditions conditions = {0};
		struct condition *condition = conditions_add(&conditions, BYTES("a"));
		assert_true(lines != NULL && condition != NULL && pattern_set_build(lines));
		allocations_fail_at(index);
		bool is_good = condition_add_file(condition, BYTES("@f"), lines);
		for (size_t i = 0; i < 40 && is_good; i++)
			is_good = condition_add_pattern(condition, BYTES("192.0.2.1"));
		is_good = is_good && condition_compile(condition);
		is_reached = allocations_end();
		assert_true(is_good || is_reached);
		failed += !is_good;
		pattern_set_unref(lines);
		conditions_release(&conditions);
	}
	assert_true(failed > 40);
}
