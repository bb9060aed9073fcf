#include "app/load.h"

#include "app/policies/policy_file.h"

static struct policies *load_none(enum on_error on_error, struct problems *ret_problems)
{
	return policy_file_parse(BYTES("{\"policies\":{}}"), on_error, ret_problems);
}

struct policies *load_policies(const struct options *options, struct problems *ret_problems)
{
	struct list_files files;
	struct policies *policies = load_policies_with(options, &files, ret_problems);

	list_files_release(&files);
	return policies;
}

struct policies *load_policies_with(const struct options *options, struct list_files *ret_files,
				    struct problems *ret_problems)
{
	list_files_init(ret_files, options->policies);
	struct policies *policies =
		options->policies == NULL
			? load_none(options->on_error, ret_problems)
			: policy_file_load_with(options->policies, options->on_error, ret_files,
						ret_problems);

	if (policies != NULL && options->hash_keys)
		policies_hash_keys(policies);
	if (policies != NULL && options->shadow_all)
		policies_shadow_all(policies);
	return policies;
}
