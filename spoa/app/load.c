#include "app/load.h"

#include "app/policies/policy_file.h"
#include "limit/key_hash.h"

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

static struct policies *adapt(const struct options *options, struct policies *policies)
{
	if (policies != NULL && options->hash_keys)
		policies_hash_keys(policies);
	if (policies != NULL && options->shadow_all)
		policies_shadow_all(policies);
	return policies;
}

static struct policies *load_unknown(enum on_error on_error, struct problems *ret_problems)
{
	struct policies *policies = load_none(on_error, ret_problems);

	if (policies != NULL)
		policies_set_unknown(policies);
	/* Draws the secret of the hashes, before several threads read policies. */
	(void)key_hash_of_start(BYTES(""));
	return policies;
}

struct policies *load_policies_with(const struct options *options, struct list_files *ret_files,
				    struct problems *ret_problems)
{
	enum on_error on_error = options->on_error;
	bool is_file = options->policies != NULL && !options_policies_are_stored(options);

	list_files_init(ret_files, is_file ? options->policies : NULL);
	if (is_file)
		return adapt(options, policy_file_load_with(options->policies, on_error, ret_files,
							    ret_problems));
	return adapt(options, options->policies == NULL ? load_none(on_error, ret_problems)
							: load_unknown(on_error, ret_problems));
}

struct policies *load_policies_of_text(const struct options *options, struct bytes text,
				       struct problems *ret_problems)
{
	return adapt(options, policy_file_parse(text, options->on_error, ret_problems));
}
