#include "app/load.h"

#include "app/policies/policy_file.h"

static struct policies *load_none(enum on_error on_error, struct problems *ret_problems)
{
	return policy_file_parse(BYTES("{\"policies\":{}}"), on_error, ret_problems);
}

struct policies *load_policies_or_problems(const struct options *options,
					   struct problems *ret_problems)
{
	struct policies *policies =
		options->policies == NULL
			? load_none(options->on_error, ret_problems)
			: policy_file_load(options->policies, options->on_error, ret_problems);

	if (policies != NULL && options->hash_keys)
		policies_hash_keys(policies);
	return policies;
}

struct policies *load_policies(const struct options *options, struct err *err)
{
	struct problems problems;
	struct policies *policies = load_policies_or_problems(options, &problems);

	if (policies == NULL)
		problems_to_err(&problems, err);
	return policies;
}
