#include "limit/policy.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/writer.h"
#include "limit/balance.h"
#include "limit/policy_index.h"

/* So few, of all overrides, are looked at one by one. */
#define PATTERNS_FEW 16

struct policies {
	size_t references;
	size_t count;
	struct policy **items;      /* in file order */
	struct policy **sorted;     /* by name */
	struct policy fallback;     /* "inline" */
	struct policy_index *index; /* NULL until it is compiled */
};

struct policies *policies_new(enum on_error on_error)
{
	struct policies *policies = calloc(1, sizeof *policies);

	if (policies == NULL)
		return NULL;
	policies->references = 1;
	policies->fallback = (struct policy){
		.name = "inline",
		.position = SIZE_MAX,
		.terms.on_error = on_error,
		.ipv4_prefix = POLICY_IPV4_PREFIX,
		.ipv6_prefix = POLICY_IPV6_PREFIX,
		.tally = tally_new(),
	};
	if (policies->fallback.tally == NULL) {
		free(policies);
		return NULL;
	}
	return policies;
}

struct policies *policies_ref(struct policies *policies)
{
	policies->references++;
	return policies;
}

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

static void policy_free(struct policy *policy)
{
	for (size_t i = 0; i < policy->key_count; i++)
		free_name(policy->key[i]);
	free_name(policy->terms.cost_attribute);
	for (size_t i = 0; i < policy->override_count; i++)
		free_name(policy->overrides[i].terms.cost_attribute);
	policy_drop(policy);
	tally_unref(policy->tally);
	free(policy);
}

void policies_unref(struct policies *policies)
{
	if (policies == NULL || --policies->references > 0)
		return;
	for (size_t i = 0; i < policies->count; i++)
		policy_free(policies->items[i]);
	tally_unref(policies->fallback.tally);
	policy_index_free(policies->index);
	free(policies->items);
	free(policies->sorted);
	free(policies);
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
	return !bytes_equal(name, BYTES("inline")) && !bytes_equal(name, BYTES("none"));
}

bool attribute_name_is_reserved(struct bytes name)
{
	static const char *const reserved[] = {"policy",   "key",         "cost",  "algorithm",
					       "capacity", "refill_rate", "limit", "window"};

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (bytes_equal(name, bytes_from_text(reserved[i])))
			return true;
	return false;
}

struct override *policy_add_override(struct policy *policy)
{
	struct override *larger =
		realloc(policy->overrides, (policy->override_count + 1) * sizeof(struct override));

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

static void hash_count(crypto_hash_sha256_state *state, size_t count)
{
	uint8_t memory[4];
	struct writer w = writer_on(memory, sizeof memory);

	writer_put_u32_be(&w, (uint32_t)count);
	crypto_hash_sha256_update(state, w.data, w.len);
}

/* The length is in front: ["ab"] and ["a","b"] differ. */
static void hash_text(crypto_hash_sha256_state *state, struct bytes text)
{
	hash_count(state, text.len);
	crypto_hash_sha256_update(state, text.data, text.len);
}

/* Counts too: a pattern is any text, and could else be taken for an attribute. */
static void hash_conditions(crypto_hash_sha256_state *state, const struct conditions *conditions)
{
	hash_count(state, conditions->count);
	for (size_t i = 0; i < conditions->count; i++) {
		const struct condition *condition = &conditions->items[i];
		hash_text(state, condition->attribute);
		hash_count(state, condition->count);
		for (size_t j = 0; j < condition->count; j++)
			hash_text(state, condition->patterns[j].text);
	}
}

/*
 * All agents must come to the same text: nothing of this machine or this run goes into it. `match`
 * is that of an override which has balances of its own, or NULL.
 */
static void set_generation(struct terms *terms, const struct policy *policy,
			   const struct conditions *match)
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state state;
	char numbers[96];

	int len =
		snprintf(numbers, sizeof numbers, "%d %s %lld %u %u", STATE_FORMAT,
			 algorithm_name(terms->quota.algorithm), (long long)terms->quota.window_us,
			 policy->ipv4_prefix, policy->ipv6_prefix);
	crypto_hash_sha256_init(&state);
	if (match != NULL) { /* in front, where else the numbers stand: never taken for a key */
		hash_text(&state, BYTES("override"));
		hash_conditions(&state, match);
	}
	hash_text(&state, bytes_from(numbers, (size_t)len));
	for (size_t i = 0; i < policy->key_count; i++)
		hash_text(&state, policy->key[i]);
	crypto_hash_sha256_final(&state, hash);

	struct writer w = writer_on(terms->generation, sizeof terms->generation);
	writer_put_hex(&w, bytes_from(hash, POLICY_GENERATION_MAX / 2));
	(void)writer_text(&w);
}

static void set_generations(struct policy *policy)
{
	set_generation(&policy->terms, policy, NULL);
	for (size_t i = 0; i < policy->override_count; i++) {
		struct override *override = &policy->overrides[i];
		set_generation(&override->terms, policy,
			       override->has_own_balances ? &override->match : NULL);
	}
}

/* Takes over what `policy` owns. */
static struct policy *policy_copy(const struct policy *policy, size_t position)
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
	copy->position = position;
	set_generations(copy);
	return copy;
}

static void insert_by_name(struct policy **sorted, size_t count, struct policy *policy)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(sorted[middle]->name, policy->name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	memmove(sorted + low + 1, sorted + low, (count - low) * sizeof(struct policy *));
	sorted[low] = policy;
}

static bool make_room(struct policy ***items, size_t count)
{
	struct policy **larger = realloc(*items, (count + 1) * sizeof(struct policy *));

	if (larger == NULL)
		return false;
	*items = larger;
	return true;
}

bool policies_add(struct policies *policies, const struct policy *policy)
{
	struct policy *copy = policy_copy(policy, policies->count);

	if (copy == NULL)
		return false;
	if (!make_room(&policies->items, policies->count) ||
	    !make_room(&policies->sorted, policies->count)) {
		policy_free(copy);
		return false;
	}
	policies->items[policies->count] = copy;
	insert_by_name(policies->sorted, policies->count, copy);
	policies->count++;
	return true;
}

void policies_hash_keys(struct policies *policies)
{
	policies->fallback.hash_keys = true;
	for (size_t i = 0; i < policies->count; i++)
		policies->items[i]->hash_keys = true;
}

static void inherit(struct policy *policy, const struct policy *before)
{
	if (before == NULL)
		return;
	tally_unref(policy->tally);
	policy->tally = tally_ref(before->tally);
	if (strcmp(policy->terms.generation, before->terms.generation) != 0)
		tally_forget_keys(policy->tally);
}

void policies_inherit(struct policies *policies, const struct policies *before)
{
	inherit(&policies->fallback, &before->fallback);
	for (size_t i = 0; i < policies->count; i++)
		inherit(policies->items[i],
			policies_find(before, bytes_from_text(policies->items[i]->name)));
}

size_t policies_count(const struct policies *policies)
{
	return policies->count;
}

const struct policy *policies_at(const struct policies *policies, size_t position)
{
	return policies->items[position];
}

static int compare_with_name(const void *name, const void *item)
{
	const struct bytes *wanted = name;
	const struct policy *policy = *(struct policy *const *)item;
	int order = strncmp((const char *)wanted->data, policy->name, wanted->len);

	return order != 0 ? order : -(policy->name[wanted->len] != '\0');
}

const struct policy *policies_find(const struct policies *policies, struct bytes name)
{
	if (!policy_name_is_good(name) || policies->count == 0)
		return NULL;
	struct policy **found = bsearch(&name, policies->sorted, policies->count,
					sizeof *policies->sorted, compare_with_name);
	return found == NULL ? NULL : *found;
}

const struct policy *policies_inline(const struct policies *policies)
{
	return &policies->fallback;
}

static size_t count_patterns(const struct policy *policy)
{
	size_t patterns = 0;

	for (size_t i = 0; i < policy->override_count; i++)
		for (size_t j = 0; j < policy->overrides[i].match.count; j++)
			patterns += policy->overrides[i].match.items[j].count;
	return patterns;
}

static bool compile_overrides(struct policy *policy, const struct conditions **matches)
{
	if (count_patterns(policy) <= PATTERNS_FEW)
		return true;
	for (size_t i = 0; i < policy->override_count; i++)
		matches[i] = &policy->overrides[i].match;
	policy->override_index = policy_index_new(matches, policy->override_count);
	return policy->override_index != NULL;
}

static size_t most_matches(const struct policies *policies)
{
	size_t most = policies->count;

	for (size_t i = 0; i < policies->count; i++)
		if (policies->items[i]->override_count > most)
			most = policies->items[i]->override_count;
	return most;
}

bool policies_compile(struct policies *policies)
{
	const struct conditions **matches = calloc(most_matches(policies) + 1, sizeof *matches);
	bool is_whole = matches != NULL;

	ASSERT(policies->index == NULL);
	for (size_t i = 0; i < policies->count && is_whole; i++)
		is_whole = compile_overrides(policies->items[i], matches);
	for (size_t i = 0; i < policies->count && is_whole; i++)
		matches[i] = &policies->items[i]->match;
	if (is_whole)
		policies->index = policy_index_new(matches, policies->count);
	free(matches);
	return policies->index != NULL;
}

void policies_search(struct policies *policies, const struct attributes *attributes)
{
	if (policies->index != NULL)
		policy_index_search(policies->index, attributes, NULL);
}

static size_t next_candidate(const struct policy_index *index, size_t at)
{
	return index != NULL ? policy_index_next(index, at) : at;
}

const struct policy *policies_next_found(const struct policies *policies,
					 const struct attributes *attributes, size_t *at)
{
	for (size_t i = next_candidate(policies->index, *at); i < policies->count;
	     i = next_candidate(policies->index, i + 1)) {
		if (!conditions_fit(&policies->items[i]->match, attributes, NULL))
			continue;
		*at = i + 1;
		return policies->items[i];
	}
	return NULL;
}

const struct terms *policy_terms(const struct policy *policy, const struct attributes *attributes,
				 const struct value *key)
{
	const struct policy_index *index = policy->override_index;
	struct attribute in_place;
	const struct attribute *instead = NULL;

	if (policy->override_count == 0)
		return &policy->terms;
	if (key != NULL && policy->key_count == 1) {
		in_place = (struct attribute){policy->key[0], *key};
		instead = &in_place;
	}
	if (index != NULL)
		policy_index_search(policy->override_index, attributes, instead);
	for (size_t i = next_candidate(index, 0); i < policy->override_count;
	     i = next_candidate(index, i + 1))
		if (conditions_fit(&policy->overrides[i].match, attributes, instead))
			return &policy->overrides[i].terms;
	return &policy->terms;
}
