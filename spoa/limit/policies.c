#include "limit/policies.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "limit/generation.h"

struct policies {
	size_t references;
	size_t count;
	struct policy **items;  /* in file order */
	struct policy **sorted; /* by name */
	struct policy fallback; /* "inline" */
	struct policy blocked;  /* who is in the list `block` */
	struct match_list lists[LISTED_COUNT];
	bool has_lists;
	struct policy_index *index; /* NULL until it is compiled, and without any `match` */
	bool are_unknown;
	bool have_local; /* some policy, or an override, has on_error `local` */
};

struct policies *policies_new(enum on_error on_error)
{
	struct policies *policies = calloc(1, sizeof *policies);

	if (policies == NULL)
		return NULL;
	policies->references = 1;
	policies->fallback = (struct policy){
		.name = "inline",
		.name_len = sizeof "inline" - 1,
		.position = SIZE_MAX,
		.terms.on_error = on_error,
		.ipv4_prefix = POLICY_IPV4_PREFIX,
		.ipv6_prefix = POLICY_IPV6_PREFIX,
		.tally = tally_new(),
	};
	policies->have_local = on_error == ON_ERROR_LOCAL;
	policies->blocked = (struct policy){
		.name = "blocked",
		.name_len = sizeof "blocked" - 1,
		.terms = {.on_error = on_error, .is_blocked = true},
		.tally = tally_new(),
	};
	generations_set(&policies->blocked);
	if (policies->fallback.tally == NULL || policies->blocked.tally == NULL) {
		policies_unref(policies);
		return NULL;
	}
	return policies;
}

/* Behind `const` a set stays what policies_new allocated: its references may be counted. */
static struct policies *writable(const struct policies *policies)
{
	return (struct policies *)(uintptr_t)policies;
}

const struct policies *policies_ref(const struct policies *policies)
{
	writable(policies)->references++;
	return policies;
}

void policies_unref(const struct policies *unwanted)
{
	struct policies *policies = writable(unwanted);

	if (policies == NULL || --policies->references > 0)
		return;
	for (size_t i = 0; i < policies->count; i++)
		policy_free(policies->items[i]);
	for (size_t i = 0; i < LISTED_COUNT; i++)
		match_list_release(&policies->lists[i]);
	tally_unref(policies->fallback.tally);
	tally_unref(policies->blocked.tally);
	policy_index_free(policies->index);
	free(policies->items);
	free(policies->sorted);
	free(policies);
}

bool policies_are_last_reference(const struct policies *policies)
{
	return policies->references == 1;
}

/*
 * What is left stays a set that policies_unref frees. Policies go from the last one on, so that
 * `count` tells which are left.
 */
bool policies_unref_some(const struct policies *unwanted)
{
	struct policies *policies = writable(unwanted);

	ASSERT(policies->references == 1);
	if (policies->index != NULL) {
		if (!policy_index_free_some(policies->index))
			policies->index = NULL;
		return true;
	}
	for (size_t i = 0; i < LISTED_COUNT; i++)
		if (match_list_release_some(&policies->lists[i]))
			return true;
	if (policies->count == 0) {
		policies_unref(policies);
		return false;
	}
	if (!policy_free_some(policies->items[policies->count - 1]))
		policies->count--;
	return true;
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
	struct policy **larger = grow_by_one(*items, count, sizeof(struct policy *));

	if (larger == NULL)
		return false;
	*items = larger;
	return true;
}

static bool has_local(const struct policy *policy)
{
	bool has = policy->terms.on_error == ON_ERROR_LOCAL;

	for (size_t i = 0; i < policy->override_count && !has; i++)
		has = policy->overrides[i].terms.on_error == ON_ERROR_LOCAL;
	return has;
}

bool policies_add(struct policies *policies, const struct policy *policy)
{
	ASSERT(policies->count < POLICIES_MAX);
	struct policy *copy = policy_new(policy, policies->count);

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
	policies->have_local = policies->have_local || has_local(copy);
	return true;
}

void policies_set_unknown(struct policies *policies)
{
	ASSERT(policies->count == 0);
	policies->are_unknown = true;
}

bool policies_are_unknown(const struct policies *policies)
{
	return policies->are_unknown;
}

void policies_hash_keys(struct policies *policies)
{
	policies->fallback.hash_keys = true;
	for (size_t i = 0; i < policies->count; i++)
		policies->items[i]->hash_keys = true;
}

void policies_hash_starts(struct policies *policies)
{
	for (size_t i = 0; i < policies->count; i++)
		generations_hash_starts(policies->items[i]);
}

static void put_in_shadow(struct policy *policy)
{
	policy->terms.is_shadow = true;
	for (size_t i = 0; i < policy->override_count; i++)
		policy->overrides[i].terms.is_shadow = true;
}

void policies_shadow_all(struct policies *policies)
{
	put_in_shadow(&policies->fallback);
	put_in_shadow(&policies->blocked);
	for (size_t i = 0; i < policies->count; i++)
		put_in_shadow(policies->items[i]);
}

/* ---- rows ---- */

size_t policies_row_count(const struct policies *policies)
{
	return policies->count + 2;
}

size_t policies_row_of(const struct policies *policies, const struct policy *policy)
{
	if (policy == &policies->fallback)
		return policies->count;
	return policy == &policies->blocked ? policies->count + 1 : policy->position;
}

static struct policy *policy_at_row(struct policies *policies, size_t row)
{
	if (row < policies->count)
		return policies->items[row];
	return row == policies->count ? &policies->fallback : &policies->blocked;
}

const struct policy *policies_at_row(const struct policies *policies, size_t row)
{
	return policy_at_row(writable(policies), row);
}

/* ---- after another set ---- */

/*
 * The policy that has the place of `policies`' policy at `position` in the set before, or NULL.
 * Most are where they were.
 */
static const struct policy *find_before(const struct policies *before,
					const struct policies *policies, size_t position)
{
	const struct policy *policy = policies_at_row(policies, position);

	if (position >= policies->count)
		return policies_at_row(before, before->count + (position - policies->count));
	if (position < before->count && strcmp(before->items[position]->name, policy->name) == 0)
		return before->items[position];
	return policies_find(before, bytes_from_text(policy->name));
}

void policies_inherit_at(struct policies *policies, const struct policies *before, size_t position)
{
	struct policy *policy = policy_at_row(policies, position);
	const struct policy *old = find_before(before, policies, position);

	if (old == NULL)
		return;
	tally_unref(policy->tally);
	policy->tally = tally_ref(old->tally);
}

void policies_forget_keys_at(struct policies *policies, const struct policies *before,
			     size_t position)
{
	struct policy *policy = policy_at_row(policies, position);
	const struct policy *old = find_before(before, policies, position);

	if (old != NULL && strcmp(policy->terms.generation, old->terms.generation) != 0)
		tally_forget_keys(policy->tally);
}

bool policies_have_local(const struct policies *policies)
{
	return policies->have_local;
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

const struct policy *policies_blocked(const struct policies *policies)
{
	return &policies->blocked;
}

/* ---- the lists ---- */

struct match_list *policies_list(struct policies *policies, enum listed which)
{
	return &policies->lists[which];
}

const struct match_list *policies_get_list(const struct policies *policies, enum listed which)
{
	return &policies->lists[which];
}

bool policies_have_lists(const struct policies *policies)
{
	return policies->has_lists;
}

enum listed policies_find_listed(const struct policies *policies,
				 const struct attributes *attributes,
				 const struct attribute *instead)
{
	if (match_list_fits(&policies->lists[LISTED_ALLOW], attributes, instead))
		return LISTED_ALLOW;
	if (match_list_fits(&policies->lists[LISTED_BLOCK], attributes, instead))
		return LISTED_BLOCK;
	return LISTED_NOT;
}

static bool compile_lists(struct policies *policies)
{
	for (size_t i = 0; i < LISTED_COUNT; i++) {
		if (!match_list_compile(&policies->lists[i]))
			return false;
		policies->has_lists = policies->has_lists || policies->lists[i].count > 0;
	}
	return true;
}

/* ---- finding policies ---- */

bool policies_compile(struct policies *policies)
{
	const struct conditions **matches = calloc(policies->count + 1, sizeof *matches);
	bool is_whole = matches != NULL && compile_lists(policies), has_conditions = false;

	ASSERT(policies->index == NULL);
	for (size_t i = 0; i < policies->count && is_whole; i++)
		is_whole = policy_compile(policies->items[i]);
	for (size_t i = 0; i < policies->count && is_whole; i++) {
		matches[i] = &policies->items[i]->match;
		has_conditions = has_conditions || matches[i]->count > 0;
	}
	if (is_whole && has_conditions) {
		policies->index = policy_index_new(matches, policies->count);
		is_whole = policies->index != NULL;
	}
	free(matches);
	return is_whole;
}

void policy_search_begin(struct policy_search *search, const struct policies *policies,
			 const struct attributes *attributes)
{
	search->policies = policies;
	search->attributes = attributes;
	search->next = 0;
	if (policies->index != NULL)
		policy_index_search(policies->index, attributes, &search->found);
}

/* The first position from `from` on that may fit; at least the count when there is none. */
static size_t next_candidate(const struct policy_search *search, size_t from)
{
	const struct policy_index *index = search->policies->index;

	return index == NULL ? from : policy_index_next(index, &search->found, from);
}

const struct policy *policy_search_next(struct policy_search *search)
{
	const struct policies *policies = search->policies;

	for (size_t i = next_candidate(search, search->next); i < policies->count;
	     i = next_candidate(search, i + 1)) {
		if (!conditions_fit(&policies->items[i]->match, search->attributes, NULL))
			continue;
		search->next = i + 1;
		return policies->items[i];
	}
	search->next = policies->count;
	return NULL;
}
