#include "app/view/ranking.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/test.h"

static struct policies *many(size_t count)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);

	for (size_t i = 0; i < count; i++) {
		struct policy policy = {.terms.quota = {.algorithm = FIXED_WINDOW, .limit = 1}};
		snprintf(policy.name, sizeof policy.name, "p%zu", i);
		assert_true(policies_add(policies, &policy));
	}
	return policies;
}

TEST(ranking_of_few_is_by_use_then_by_place)
{
	struct policies *policies = many(4);

	policies_at(policies, 2)->tally->checks[TALLY_DENIED] = 9;
	policies_at(policies, 1)->tally->checks[TALLY_ALLOWED] = 4;
	policies_at(policies, 1)->tally->checks[TALLY_ERROR] = 1;
	struct ranking ranking = ranking_of(policies);

	assert_int_equal(ranking.count, 4);
	assert_int_equal(ranking.left_out, 0);
	assert_string_equal(ranking.policies[0]->name, "p2");
	assert_string_equal(ranking.policies[1]->name, "p1");
	assert_string_equal(ranking.policies[2]->name, "p0");
	assert_string_equal(ranking.policies[3]->name, "p3");
	assert_int_equal(ranking.checks[1], 5);
	policies_unref(policies);
}

TEST(ranking_of_inline_ones_are_there_once_used)
{
	struct policies *policies = many(1);

	assert_int_equal(ranking_of(policies).count, 1);
	policies_inline(policies)->tally->checks[TALLY_ALLOWED] = 1;
	struct ranking ranking = ranking_of(policies);

	assert_int_equal(ranking.count, 2);
	assert_string_equal(ranking.policies[0]->name, "inline");
	policies_blocked(policies)->tally->checks[TALLY_DENIED] = 2;
	assert_string_equal(ranking_of(policies).policies[0]->name, "blocked");
	policies_unref(policies);
}

TEST(ranking_of_many_keeps_the_most_used)
{
	size_t count = 5 * RANKING_MAX;
	struct policies *policies = many(count);

	/* Each its own number, in no order: 7 has no divisor in common with their count. */
	for (size_t i = 0; i < count; i++)
		policies_at(policies, i)->tally->checks[TALLY_ALLOWED] = i * 7 % count;
	struct ranking ranking = ranking_of(policies);

	assert_int_equal(ranking.count, RANKING_MAX);
	assert_int_equal(ranking.left_out, count - RANKING_MAX);
	for (size_t i = 0; i < RANKING_MAX; i++)
		assert_int_equal(ranking.checks[i], count - 1 - i);
	policies_unref(policies);
}

TEST(ranking_of_none_is_empty)
{
	struct policies *policies = many(0);

	assert_int_equal(ranking_of(policies).count, 0);
	policies_unref(policies);
}
