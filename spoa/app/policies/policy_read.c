#include "app/policies/policy_read.h"

#include <string.h>

#include "app/policies/policy_fields.h"
#include "app/policies/policy_match.h"
#include "app/policies/policy_numbers.h"

/* ---- what policies and overrides have in common ---- */

static bool is_written_as_number(struct bytes text)
{
	static const char characters[] = "0123456789.-";

	for (size_t i = 0; i < text.len; i++)
		if (memchr(characters, text.data[i], sizeof characters - 1) == NULL)
			return false;
	return true;
}

/* A number in quotes is refused: it would name an attribute that no request has. */
static void read_cost(const struct policy_value *value, struct terms *terms)
{
	struct bytes name;

	if (value->kind == JSON_NUMBER) {
		if (policy_value_units(value, &terms->cost))
			terms->cost_attribute = bytes_from(NULL, 0);
		return;
	}
	if (value->kind != JSON_STRING) {
		(void)place_refuse(&value->place,
				   "%s is neither a whole number from 1 on nor the name of an "
				   "attribute",
				   policy_value_shown(value).text);
		return;
	}
	if (!policy_value_attribute(value, &name))
		return;
	if (is_written_as_number(name)) {
		(void)place_refuse(&value->place, "%s: a number stands without quotes",
				   quoted(name).text);
		return;
	}
	terms->cost = 0;
	terms->cost_attribute = name;
}

static void read_terms(const struct policy_fields *fields, struct terms *terms)
{
	const struct policy_value *values = fields->values;

	if (policy_fields_have(fields, FIELD_COST))
		read_cost(&values[FIELD_COST], terms);
	policy_value_set_shadow(&values[FIELD_SHADOW], terms);
	policy_value_set_on_error(&values[FIELD_ON_ERROR], &terms->on_error);
}

/* ---- overrides ---- */

/* Numbers beside `unlimited` or `blocked` would mean nothing, so somebody meant something else. */
static void read_exceptions(const struct policy_fields *fields, struct terms *terms)
{
	const struct policy_value *values = fields->values;

	policy_value_set_bool(&values[FIELD_UNLIMITED], &terms->is_unlimited);
	policy_value_set_bool(&values[FIELD_BLOCKED], &terms->is_blocked);
	if (terms->is_unlimited && terms->is_blocked)
		(void)place_refuse(&values[FIELD_BLOCKED].place, "stands beside unlimited");
	else if ((terms->is_unlimited || terms->is_blocked) &&
		 (policy_numbers_are_given(fields) || policy_fields_have(fields, FIELD_COST)))
		(void)place_refuse(
			&values[terms->is_blocked ? FIELD_BLOCKED : FIELD_UNLIMITED].place,
			"stands beside numbers, which then mean nothing");
}

static void read_override_match(const struct policy_value *match, struct conditions *conditions)
{
	if (!match->is_given)
		(void)place_refuse(&match->place, "is missing");
	else if (match->kind == JSON_OBJECT && policy_value_is_empty(match))
		(void)place_refuse(&match->place, "an override names at least one attribute");
	else
		policy_match_read(match, conditions);
}

/* `numbers` are those of the policy. */
static void read_override(const struct policy_value *value, const struct policy_numbers *numbers,
			  struct override *override)
{
	if (value->kind != JSON_OBJECT) {
		(void)place_refuse(&value->place, "must be an object, not %s",
				   policy_value_shown(value).text);
		return;
	}
	struct policy_fields fields = policy_fields_of(value, FIELDS_OF_OVERRIDE);
	read_override_match(&fields.values[FIELD_MATCH], &override->match);
	read_terms(&fields, &override->terms);
	read_exceptions(&fields, &override->terms);
	override->has_own_balances = policy_numbers_are_given(&fields);
	policy_numbers_override(numbers, &fields, &override->terms.quota);
}

/* To be read after the terms of the policy, which every override begins with. */
static void read_overrides(const struct policy_value *value, const struct policy_numbers *numbers,
			   struct policy *policy)
{
	struct policy_walk walk = policy_walk_in(value);
	struct policy_value item;

	if (value->kind != JSON_ARRAY) {
		(void)place_refuse(&value->place, "must be a list, not %s",
				   policy_value_shown(value).text);
		return;
	}
	while (policy_walk_next(&walk, &item)) {
		struct override *override = policy_add_override(policy);
		if (override == NULL)
			(void)place_refuse(&item.place, "out of memory");
		else
			read_override(&item, numbers, override);
	}
}

/* ---- the policy ---- */

static bool has_key_attribute(const struct policy *policy, struct bytes name)
{
	for (size_t i = 0; i < policy->key_count; i++)
		if (bytes_equal(policy->key[i], name))
			return true;
	return false;
}

static void add_key_attribute(const struct policy_value *value, struct policy *policy)
{
	struct bytes name;

	if (!policy_value_attribute(value, &name))
		return;
	if (has_key_attribute(policy, name))
		(void)place_refuse(&value->place, "%s stands there twice", quoted(name).text);
	else
		policy->key[policy->key_count++] = name;
}

static void read_key(const struct policy_value *key, struct policy *policy)
{
	struct policy_walk walk = policy_walk_in(key);
	struct policy_value value;

	if (!key->is_given) {
		(void)place_refuse(&key->place, "is missing; [] counts everything together");
		return;
	}
	if (key->kind != JSON_ARRAY) {
		(void)place_refuse(&key->place, "%s is not a list of names of attributes",
				   policy_value_shown(key).text);
		return;
	}
	while (policy_walk_next(&walk, &value)) {
		if (policy->key_count == POLICY_KEY_MAX) {
			(void)place_refuse(&key->place, "more than %d attributes", POLICY_KEY_MAX);
			return;
		}
		add_key_attribute(&value, policy);
	}
}

static void read_prefixes(const struct policy_fields *fields, struct policy *policy)
{
	const struct policy_value *values = fields->values;

	policy_value_set_prefix(&values[FIELD_IPV4_PREFIX], 32, &policy->ipv4_prefix);
	policy_value_set_prefix(&values[FIELD_IPV6_PREFIX], 128, &policy->ipv6_prefix);
}

/* ---- the lease ---- */

static bool read_lease_time(const struct policy_value *lease, enum algorithm algorithm,
			    int64_t *ret_us)
{
	const struct algorithm_traits *traits = algorithm_traits(algorithm);

	if (lease->kind != JSON_STRING || !parse_duration(lease->text, ret_us) ||
	    *ret_us < QUOTA_LEASE_MIN_US || *ret_us > QUOTA_LEASE_MAX_US)
		return place_refuse(&lease->place, "%s is not a duration from \"10ms\" to \"10s\"",
				    policy_value_shown(lease).text);
	if (!traits->can_be_leased)
		return place_refuse(&lease->place, "a %s can't be leased", traits->name);
	return true;
}

/* `of` says whose terms these are, in a message. */
static void set_lease(const struct policy_value *lease, struct terms *terms, int64_t lease_us,
		      const char *of)
{
	struct quota *quota = &terms->quota;

	if (quota->limit == 0 || terms->is_unlimited || terms->is_blocked)
		return; /* numbers that were refused, or none */
	if (!quota_can_be_leased(quota, lease_us)) {
		(void)place_refuse(&lease->place,
				   "in %s %lld of the %lld tokens%s are refilled; accepted is a "
				   "time in which at most half of the capacity is",
				   policy_value_shown(lease).text,
				   (long long)quota_lease_units(quota, lease_us),
				   (long long)quota->limit, of);
		return;
	}
	quota->limit -= quota_lease_units(quota, lease_us);
	terms->lease_us = lease_us;
}

/* To be read last: the capacities of the policy and of its overrides are reduced here. */
static void read_lease(const struct policy_value *lease, enum algorithm algorithm,
		       struct policy *policy)
{
	int64_t lease_us;

	if (!read_lease_time(lease, algorithm, &lease_us))
		return;
	set_lease(lease, &policy->terms, lease_us, "");
	for (size_t i = 0; i < policy->override_count; i++)
		set_lease(lease, &policy->overrides[i].terms, lease_us, " of an override");
}

void policy_read(const struct policy_value *value, enum on_error on_error,
		 struct policy *ret_policy)
{
	struct policy_numbers numbers;

	value->source->fingerprint = 0;
	struct policy_fields fields = policy_fields_of(value, FIELDS_OF_POLICY);

	*ret_policy = (struct policy){
		.terms.on_error = on_error,
		.ipv4_prefix = POLICY_IPV4_PREFIX,
		.ipv6_prefix = POLICY_IPV6_PREFIX,
	};
	policy_numbers_read(&fields, &ret_policy->terms.quota, &numbers);
	read_key(&fields.values[FIELD_KEY], ret_policy);
	read_terms(&fields, &ret_policy->terms);
	read_prefixes(&fields, ret_policy);
	if (policy_fields_have(&fields, FIELD_MATCH))
		policy_match_read(&fields.values[FIELD_MATCH], &ret_policy->match);
	if (policy_fields_have(&fields, FIELD_OVERRIDES))
		read_overrides(&fields.values[FIELD_OVERRIDES], &numbers, ret_policy);
	if (policy_fields_have(&fields, FIELD_LEASE) && numbers.has_algorithm)
		read_lease(&fields.values[FIELD_LEASE], numbers.algorithm, ret_policy);
	/* Every value of a good policy was walked, each once. */
	ret_policy->fingerprint = value->source->fingerprint;
}
