#include "app/policies/policy_warnings.h"

/* NULL when the pattern is written as what it is: a text with stars. */
static const char *find_mistake(struct bytes pattern)
{
	if (bytes_begin_with(pattern, BYTES("!")))
		return "a negation";
	if (bytes_begin_with(pattern, BYTES("^")) ||
	    (pattern.len > 0 && pattern.data[pattern.len - 1] == '$'))
		return "a regular expression";
	return NULL;
}

static void look_at_pattern(const struct place *place, struct bytes attribute, struct bytes pattern)
{
	const char *mistake = find_mistake(pattern);

	if (mistake != NULL)
		(void)place_refuse(
			place,
			"%s looks like %s and is taken as text; in a match only * is special",
			quoted(pattern).text, mistake);
	else if (text_is_failed_address(attribute, pattern))
		(void)place_refuse(place,
				   "%s is no address and no network, and is taken as text, which "
				   "no address fits; accepted are such as \"192.0.2.1\", "
				   "\"192.0.2.0/24\" and \"2001:db8::/32\"",
				   quoted(pattern).text);
}

static void look_at_condition(const struct place *match, const struct condition *condition)
{
	struct place attribute = place_of_field(match, condition->attribute);

	for (size_t i = 0; i < condition->count; i++) {
		if (condition->patterns[i].is_file)
			continue;
		struct place item = place_of_item(&attribute, i);
		look_at_pattern(condition->count == 1 ? &attribute : &item, condition->attribute,
				condition->patterns[i].text);
	}
}

static void look_at_conditions(const struct place *match, const struct conditions *conditions)
{
	for (size_t i = 0; i < conditions->count; i++)
		look_at_condition(match, &conditions->items[i]);
}

static void look_at_match(const struct place *owner, const struct conditions *conditions)
{
	struct place match = place_of_field(owner, BYTES("match"));

	look_at_conditions(&match, conditions);
}

static void look_at_policy(const struct place *place, const struct policy *policy)
{
	struct place overrides = place_of_field(place, BYTES("overrides"));

	look_at_match(place, &policy->match);
	for (size_t i = 0; i < policy->override_count; i++) {
		struct place override = place_of_item(&overrides, i);
		look_at_match(&override, &policy->overrides[i].match);
	}
}

/* ---- the hash tag ---- */

static void compare_prefix(const struct place *policy, const char *field, unsigned prefix,
			   const struct policy *first, unsigned prefix_of_first)
{
	struct place place = place_of_field(policy, bytes_from_text(field));

	if (prefix != prefix_of_first)
		(void)place_refuse(&place,
				   "is %u here and %u in policies.%s; the hash tag of these two "
				   "differs, so a request's keys are in different slots",
				   prefix, prefix_of_first, first->name);
}

/* Both have the hash tag in their key; `first` is the first such policy of the file. */
static void compare_tags(const struct place *place, const struct policy *policy,
			 const struct policy *first)
{
	compare_prefix(place, "ipv4_prefix", policy->ipv4_prefix, first, first->ipv4_prefix);
	compare_prefix(place, "ipv6_prefix", policy->ipv6_prefix, first, first->ipv6_prefix);
}

static void look_at_list(const struct place *file, const char *name, const struct match_list *list)
{
	struct place place = place_of_field(file, bytes_from_text(name));

	for (size_t i = 0; i < list->count; i++) {
		struct place item = place_of_item(&place, i);
		look_at_conditions(&item, &list->matches[i]);
	}
}

void policy_warnings_find(const struct policies *policies, struct problems *ret_warnings)
{
	struct place file = place_of_file(ret_warnings);
	struct place in = place_of_field(&file, BYTES("policies"));

	const struct policy *first_tagged = NULL;

	problems_clear(ret_warnings);
	look_at_list(&file, "allow", policies_get_list(policies, LISTED_ALLOW));
	look_at_list(&file, "block", policies_get_list(policies, LISTED_BLOCK));
	for (size_t i = 0; i < policies_count(policies); i++) {
		const struct policy *policy = policies_at(policies, i);
		struct place place = place_of_field(&in, bytes_from_text(policy->name));
		look_at_policy(&place, policy);
		if (policy->hash_tag > 0 && first_tagged == NULL)
			first_tagged = policy;
		if (policy->hash_tag > 0)
			compare_tags(&place, policy, first_tagged);
	}
}
