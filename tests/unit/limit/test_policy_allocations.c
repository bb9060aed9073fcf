/* Each allocation of a set of policies fails in turn: it says so, and nothing is left behind. */
#include <stdlib.h>

#include "limit/policies.h"
#include "samples.h"
#include "support/allocations.h"
#include "support/test.h"

#define OVERRIDES 9 /* so many that they have an index */

static bool add_condition(struct conditions *conditions, struct bytes name)
{
	struct condition *condition = conditions_add(conditions, name);

	return condition != NULL && condition_add_pattern(condition, BYTES("x*")) &&
	       condition_add_pattern(condition, BYTES("10.0.0.0/8"));
}

static bool add_blocked(struct policy *policy)
{
	struct override *override = policy_add_override(policy);

	if (override == NULL)
		return false;
	override->terms.is_blocked = true;
	override->terms.cost_attribute = BYTES("size");
	return add_condition(&override->match, BYTES("a"));
}

static bool add(struct policies *policies, const char *notation)
{
	struct policy policy = policy_of(notation);

	policy.terms.cost_attribute = BYTES("cost-of-it");
	bool is_whole = add_condition(&policy.match, BYTES("path")) &&
			add_condition(&policy.match, BYTES("src"));
	for (int i = 0; i < OVERRIDES && is_whole; i++)
		is_whole = add_blocked(&policy);
	if (is_whole)
		return policies_add(policies, &policy);
	policy_drop(&policy);
	return false;
}

/* NULL when memory was short. */
static struct policies *make(void)
{
	struct policies *policies = policies_new(ON_ERROR_ALLOW);

	if (policies != NULL && add(policies, "a:src,path") && add(policies, "b:") &&
	    policies_compile(policies))
		return policies;
	policies_unref(policies);
	return NULL;
}

TEST(policies_any_allocation_that_fails_is_told)
{
	struct attributes attributes = ATTRIBUTES(text("path", "xy"), text("src", "10.1.2.3"));
	bool is_reached = true;
	size_t index = 0;

	for (; is_reached; index++) {
		struct policy_search search;
		allocations_fail_at(index);
		struct policies *policies = make();
		is_reached = allocations_end();
		assert_int_equal(policies == NULL, is_reached);
		if (is_reached)
			continue;
		policy_search_begin(&search, policies, &attributes);
		assert_non_null(policy_search_next(&search));
		policies_unref(policies);
	}
	assert_in_range(index, 100, 400);
}
