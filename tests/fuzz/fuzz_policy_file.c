/*
 * fuzz_policy_file.c - a policy file of any bytes: it is taken whole, and then what it holds is
 * within its bounds, or it is refused with an error that is one printable line.
 */
#include <stdint.h>
#include <stdlib.h>

#include "app/policy_file.h"
#include "base/bytes.h"
#include "base/compiler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_quota(const struct quota *quota)
{
	ASSERT(quota->limit >= 1 && quota->limit <= QUOTA_EXACT_MAX / 2);
	ASSERT(quota_full_us(quota) > 0);
	if (quota->algorithm == TOKEN_BUCKET) {
		ASSERT(quota->refill_tokens > 0 && quota->refill_us > 0);
		return;
	}
	ASSERT(quota->window_us >= QUOTA_WINDOW_MIN_US && quota->window_us <= QUOTA_WINDOW_MAX_US);
	ASSERT(quota->algorithm != SLIDING_WINDOW || quota->limit <= QUOTA_LOG_LIMIT_MAX);
}

static void check_policy(const struct policies *policies, size_t position)
{
	const struct policy *policy = policies_at(policies, position);

	ASSERT(policy->position == position);
	ASSERT(policy_name_is_good(bytes_from_text(policy->name)));
	ASSERT(policies_find(policies, bytes_from_text(policy->name)) == policy);
	ASSERT(strlen(policy->generation) == POLICY_GENERATION_MAX);
	ASSERT(policy->key_count <= POLICY_KEY_MAX);
	for (size_t i = 0; i < policy->key_count; i++) {
		ASSERT(policy->key[i].len > 0);
		ASSERT(memchr(policy->key[i].data, '\0', policy->key[i].len) == NULL);
		ASSERT(!attribute_name_is_reserved(policy->key[i]));
	}
	check_quota(&policy->quota);
}

static void check_error(const struct err *err)
{
	size_t len = strnlen(err->text, sizeof err->text);

	ASSERT(len > 0 && len < sizeof err->text);
	for (size_t i = 0; i < len; i++)
		ASSERT(err->text[i] >= ' ' && err->text[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* In a block of its own, with the NUL that policy_file_parse wants behind it. */
	char *json = malloc(size + 1);
	struct err err = {""};
	ASSERT(json != NULL);

	if (size > 0)
		memcpy(json, data, size);
	json[size] = '\0';
	struct policies *policies = policy_file_parse(bytes_from(json, size), ON_ERROR_ALLOW, &err);
	free(json); /* the policies keep no view of it */
	if (policies == NULL) {
		check_error(&err);
		return 0;
	}
	for (size_t i = 0; i < policies_count(policies); i++)
		check_policy(policies, i);
	policies_unref(policies);
	return 0;
}
