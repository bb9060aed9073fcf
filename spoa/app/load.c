#include "app/load.h"

#include "app/policy_file.h"

static struct policies *load_none(enum on_error on_error, struct err *err)
{
	struct policies *policies = policies_new(on_error);

	if (policies == NULL)
		(void)err_set(err, "out of memory");
	return policies;
}

struct policies *load_policies(const struct options *options, struct err *err)
{
	struct policies *policies =
		options->policies == NULL
			? load_none(options->on_error, err)
			: policy_file_load(options->policies, options->on_error, err);

	if (policies != NULL && options->hash_keys)
		policies_hash_keys(policies);
	return policies;
}
