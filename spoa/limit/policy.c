#include "limit/policy.h"

#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/large_block.h"
#include "limit/generation.h"
#include "limit/policy_index.h"

/* So few, of all overrides, are looked at one by one. */
#define PATTERNS_FEW 16

void policy_drop(struct policy *policy)
{
	conditions_release(&policy->match);
	for (size_t i = 0; i < policy->override_count; i++)
		conditions_release(&policy->overrides[i].match);
	policy_index_free(policy->override_index);
	policy->override_index = NULL;
	free(policy->overrides);
	policy->overrides = NULL;
	policy->override_count = 0;
}

static void free_name(struct bytes name)
{
	free((void *)(uintptr_t)name.data);
}

void policy_free(struct policy *policy)
{
	if (policy == NULL)
		return;
	for (size_t i = 0; i < policy->key_count; i++)
		free_name(policy->key[i]);
	free_name(policy->terms.cost_attribute);
	for (size_t i = 0; i < policy->override_count; i++)
		free_name(policy->overrides[i].terms.cost_attribute);
	policy_drop(policy);
	tally_unref(policy->tally);
	free(policy);
}

bool policy_free_some(struct policy *policy)
{
	if (policy->override_index != NULL) {
		if (!policy_index_free_some(policy->override_index))
			policy->override_index = NULL;
		return true;
	}
	if (policy->override_count > 0) {
		struct override *last = &policy->overrides[policy->override_count - 1];
		if (!conditions_release_some(&last->match)) {
			free_name(last->terms.cost_attribute);
			policy->override_count--;
		}
		return true;
	}
	if (large_block_is_large(policy->overrides)) {
		policy->overrides = large_block_shrink(policy->overrides);
		return true;
	}
	if (conditions_release_some(&policy->match))
		return true;
	policy_free(policy);
	return false;
}

static bool is_name_byte(uint8_t byte)
{
	return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
	       (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';
}

bool policy_name_is_good(struct bytes name)
{
	if (name.len < 1 || name.len > POLICY_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!is_name_byte(name.data[i]))
			return false;
	return !bytes_equal(name, BYTES("inline")) && !bytes_equal(name, BYTES("none")) &&
	       !bytes_equal(name, BYTES("blocked"));
}

struct override *policy_add_override(struct policy *policy)
{
	struct override *larger =
		grow_by_one(policy->overrides, policy->override_count, sizeof(struct override));

	if (larger == NULL)
		return NULL;
	policy->overrides = larger;
	struct override *override = &larger[policy->override_count++];
	*override = (struct override){.terms = policy->terms};
	return override;
}

static bool copy_name(struct bytes *name)
{
	uint8_t *copy;

	if (name->data == NULL)
		return true;
	copy = malloc(name->len + 1);
	if (copy != NULL)
		memcpy(copy, name->data, name->len);
	*name = bytes_from(copy, copy == NULL ? 0 : name->len);
	return copy != NULL;
}

/* In place of the views; on failure what was not copied is gone from it, and so not freed. */
static bool copy_names(struct policy *policy)
{
	bool is_whole = true;

	for (size_t i = 0; i < policy->key_count; i++)
		is_whole = copy_name(&policy->key[i]) && is_whole;
	is_whole = copy_name(&policy->terms.cost_attribute) && is_whole;
	for (size_t i = 0; i < policy->override_count; i++)
		is_whole = copy_name(&policy->overrides[i].terms.cost_attribute) && is_whole;
	return is_whole;
}

struct policy *policy_new(const struct policy *policy, size_t position)
{
	struct policy *copy = malloc(sizeof *copy);

	if (copy == NULL) {
		struct policy taken = *policy;
		policy_drop(&taken);
		return NULL;
	}
	*copy = *policy;
	copy->tally = tally_new();
	if (!copy_names(copy) || copy->tally == NULL) {
		policy_free(copy);
		return NULL;
	}
	copy->name_len = (uint8_t)strlen(copy->name);
	copy->position = position;
	generations_set(copy);
	return copy;
}

static size_t count_patterns(const struct policy *policy)
{
	size_t patterns = 0;

	for (size_t i = 0; i < policy->override_count; i++)
		for (size_t j = 0; j < policy->overrides[i].match.count; j++)
			patterns += policy->overrides[i].match.items[j].count;
	return patterns;
}

bool policy_compile(struct policy *policy)
{
	if (count_patterns(policy) <= PATTERNS_FEW)
		return true;
	const struct conditions **matches = calloc(policy->override_count, sizeof *matches);
	if (matches == NULL)
		return false;
	for (size_t i = 0; i < policy->override_count; i++)
		matches[i] = &policy->overrides[i].match;
	policy->override_index = policy_index_new(matches, policy->override_count);
	free(matches);
	return policy->override_index != NULL;
}

/* The position of the first override that fits; at least the count when none does. */
static size_t find_override(const struct policy *policy, const struct attributes *attributes,
			    const struct attribute *instead)
{
	size_t i = 0;

	if (policy->override_index != NULL)
		return policy_index_first(policy->override_index, attributes, instead);
	while (i < policy->override_count &&
	       !conditions_fit(&policy->overrides[i].match, attributes, instead))
		i++;
	return i;
}

const struct terms *policy_terms(const struct policy *policy, const struct attributes *attributes,
				 const struct value *key)
{
	struct attribute in_place;
	const struct attribute *instead = NULL;

	if (policy->override_count == 0)
		return &policy->terms;
	if (key != NULL && policy->key_count == 1) {
		in_place = (struct attribute){policy->key[0], *key};
		instead = &in_place;
	}
	size_t found = find_override(policy, attributes, instead);
	return found < policy->override_count ? &policy->overrides[found].terms : &policy->terms;
}
