#include "limit/policy_changes.h"

#include "base/writer.h"

static void put_name(struct policy_names *names, const struct policy *policy)
{
	if (names->count < POLICIES_SHOWN)
		names->shown[names->count] = policy->name;
	names->count++;
}

static const struct policy *find_namesake(const struct policies *policies,
					  const struct policy *policy)
{
	return policies_find(policies, bytes_from_text(policy->name));
}

static bool is_list_changed(const struct policies *before, const struct policies *after,
			    enum listed which)
{
	return policies_get_list(before, which)->fingerprint !=
	       policies_get_list(after, which)->fingerprint;
}

struct policy_changes policies_compare(const struct policies *before, const struct policies *after)
{
	struct policy_changes changes = {0};
	size_t reached = 0; /* in the set before */

	for (size_t i = 0; i < policies_count(after); i++) {
		const struct policy *policy = policies_at(after, i);
		const struct policy *old = find_namesake(before, policy);
		if (old == NULL) {
			put_name(&changes.added, policy);
			continue;
		}
		if (old->fingerprint != policy->fingerprint)
			put_name(&changes.changed, policy);
		changes.is_reordered = changes.is_reordered || old->position < reached;
		reached = old->position;
	}
	for (size_t i = 0; i < policies_count(before); i++)
		if (find_namesake(after, policies_at(before, i)) == NULL)
			put_name(&changes.removed, policies_at(before, i));
	changes.is_allow_changed = is_list_changed(before, after, LISTED_ALLOW);
	changes.is_block_changed = is_list_changed(before, after, LISTED_BLOCK);
	return changes;
}

bool policy_changes_are_none(const struct policy_changes *changes)
{
	return changes->added.count == 0 && changes->changed.count == 0 &&
	       changes->removed.count == 0 && !changes->is_reordered &&
	       !changes->is_allow_changed && !changes->is_block_changed;
}

struct policy_names_text policy_names_text(const struct policy_names *names)
{
	struct policy_names_text text;
	struct writer w = writer_on(text.text, sizeof text.text);

	for (size_t i = 0; i < names->count && i < POLICIES_SHOWN; i++) {
		writer_put_text(&w, i == 0 ? "" : ",");
		writer_put_text(&w, names->shown[i]);
	}
	if (names->count > POLICIES_SHOWN) {
		writer_put_text(&w, " and ");
		writer_put_unsigned(&w, names->count - POLICIES_SHOWN);
		writer_put_text(&w, " more");
	}
	(void)writer_text(&w);
	return text;
}
