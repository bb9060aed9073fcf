/*
 * fuzz_policy_file.c - a policy file of any bytes. Either the whole file is taken, and all its
 * values are within their bounds, or the file is refused with problems of one printable line each.
 */
#include <stdint.h>
#include <stdlib.h>

#include "app/policies/policy_file.h"
#include "base/bytes.h"
#include "base/compiler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_quota(const struct quota *quota)
{
	ASSERT(quota->limit >= 1 && quota->limit <= QUOTA_UNITS_MAX);
	ASSERT(quota_full_us(quota) > 0);
	if (algorithm_traits(quota->algorithm)->is_by_rate) {
		ASSERT(quota->refill_tokens > 0 && quota->refill_us > 0);
		return;
	}
	ASSERT(quota->window_us >= QUOTA_WINDOW_MIN_US && quota->window_us <= QUOTA_WINDOW_MAX_US);
	ASSERT(quota->algorithm != SLIDING_WINDOW || quota->limit <= QUOTA_LOG_LIMIT_MAX);
}

static void check_attribute(struct bytes name)
{
	ASSERT(name.len > 0);
	ASSERT(memchr(name.data, '\0', name.len) == NULL);
	ASSERT(!attribute_name_is_reserved(name));
}

static void check_match(const struct conditions *match)
{
	for (size_t i = 0; i < match->count; i++) {
		check_attribute(match->items[i].attribute);
		ASSERT(match->items[i].count > 0);
	}
}

static void check_terms(const struct terms *terms)
{
	ASSERT(strlen(terms->generation) == POLICY_GENERATION_MAX);
	ASSERT(terms->cost >= 0 && terms->cost <= QUOTA_UNITS_MAX);
	ASSERT(terms->cost == 0 || terms->cost_attribute.data == NULL);
	ASSERT(!terms->is_unlimited || !terms->is_blocked);
	if (terms->cost_attribute.data != NULL)
		check_attribute(terms->cost_attribute);
	check_quota(&terms->quota);
}

static void check_policy(const struct policies *policies, size_t position)
{
	const struct policy *policy = policies_at(policies, position);

	ASSERT(policy->position == position);
	ASSERT(policy_name_is_good(bytes_from_text(policy->name)));
	ASSERT(policies_find(policies, bytes_from_text(policy->name)) == policy);
	ASSERT(policy->ipv4_prefix <= 32 && policy->ipv6_prefix <= 128);
	ASSERT(policy->key_count <= POLICY_KEY_MAX);
	for (size_t i = 0; i < policy->key_count; i++)
		check_attribute(policy->key[i]);
	check_match(&policy->match);
	check_terms(&policy->terms);
	for (size_t i = 0; i < policy->override_count; i++) {
		ASSERT(policy->overrides[i].match.count > 0);
		check_match(&policy->overrides[i].match);
		check_terms(&policy->overrides[i].terms);
	}
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
	/* In a block of its own, so that a byte too far is seen. */
	char *json = malloc(size == 0 ? 1 : size);
	struct problems problems;
	ASSERT(json != NULL);

	if (size > 0)
		memcpy(json, data, size);
	struct policies *policies =
		policy_file_parse(bytes_from(json, size), ON_ERROR_ALLOW, &problems);
	free(json); /* the policies keep no view of it */
	if (policies == NULL) {
		ASSERT(problems.count > 0);
		for (size_t i = 0; i < problems.count && i < PROBLEMS_MAX; i++)
			check_error(&problems.items[i]);
		return 0;
	}
	for (size_t i = 0; i < policies_count(policies); i++)
		check_policy(policies, i);
	policies_unref(policies);
	return 0;
}
