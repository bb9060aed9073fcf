#include "app/policies/policy_read.h"

#include <sodium.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "app/policies/policy_fields.h"
#include "app/policies/policy_match.h"
#include "app/policies/policy_numbers.h"

/* ---- what policies and overrides have in common ---- */

/* A number in quotes would be taken for the name of an attribute that no request has. */
static void read_cost(const struct policy_value *value, struct terms *terms)
{
	struct bytes name;

	if (cJSON_IsNumber(value->json)) {
		if (policy_value_units(value, &terms->cost))
			terms->cost_attribute = bytes_from(NULL, 0);
		return;
	}
	if (!cJSON_IsString(value->json)) {
		(void)place_refuse(&value->place,
				   "%s is neither a whole number from 1 on nor the name of an "
				   "attribute",
				   policy_value_shown(value).text);
		return;
	}
	if (!policy_value_attribute(value, &name))
		return;
	if (strspn(value->json->valuestring, "0123456789.-") == name.len) {
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
	policy_value_take_bool(&values[FIELD_SHADOW], &terms->is_shadow);
	policy_value_take_on_error(&values[FIELD_ON_ERROR], &terms->on_error);
}

/* ---- overrides ---- */

/* Who is not limited, or always denied, has no numbers: they were meant for something else. */
static void read_exceptions(const struct policy_fields *fields, struct terms *terms)
{
	const struct policy_value *values = fields->values;

	policy_value_take_bool(&values[FIELD_UNLIMITED], &terms->is_unlimited);
	policy_value_take_bool(&values[FIELD_BLOCKED], &terms->is_blocked);
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
	if (match->json == NULL)
		(void)place_refuse(&match->place, "is missing");
	else if (cJSON_IsObject(match->json) && match->json->child == NULL)
		(void)place_refuse(&match->place, "an override names at least one attribute");
	else
		policy_match_read(match, conditions);
}

/* `numbers` are the policy's. */
static void read_override(const struct policy_value *value, const struct policy_numbers *numbers,
			  struct override *override)
{
	if (!cJSON_IsObject(value->json)) {
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

/* Behind the policy's own terms, which they begin with. */
static void read_overrides(const struct policy_value *value, const struct policy_numbers *numbers,
			   struct policy *policy)
{
	size_t index = 0;

	if (!cJSON_IsArray(value->json)) {
		(void)place_refuse(&value->place, "must be a list, not %s",
				   policy_value_shown(value).text);
		return;
	}
	for (const cJSON *item = value->json->child; item != NULL; item = item->next) {
		struct policy_value at = {item, place_of_item(&value->place, index++)};
		struct override *override = policy_add_override(policy);
		if (override == NULL)
			(void)place_refuse(&at.place, "out of memory");
		else
			read_override(&at, numbers, override);
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
	size_t index = 0;

	if (key->json == NULL) {
		(void)place_refuse(&key->place, "is missing; [] counts everything together");
		return;
	}
	if (!cJSON_IsArray(key->json)) {
		(void)place_refuse(&key->place, "%s is not a list of names of attributes",
				   policy_value_shown(key).text);
		return;
	}
	for (const cJSON *item = key->json->child; item != NULL; item = item->next) {
		struct policy_value value = {item, place_of_item(&key->place, index++)};
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

	policy_value_take_prefix(&values[FIELD_IPV4_PREFIX], 32, &policy->ipv4_prefix);
	policy_value_take_prefix(&values[FIELD_IPV6_PREFIX], 128, &policy->ipv6_prefix);
}

static void set_fingerprint(const struct policy_value *value, struct policy *policy)
{
	static const uint8_t key[crypto_shorthash_KEYBYTES];
	char *text = cJSON_PrintUnformatted(value->json);

	_Static_assert(crypto_shorthash_BYTES == sizeof policy->fingerprint, "all of the hash");
	if (text == NULL)
		(void)place_refuse(&value->place, "out of memory");
	else
		crypto_shorthash((uint8_t *)&policy->fingerprint, (const uint8_t *)text,
				 strlen(text), key);
	cJSON_free(text);
}

void policy_read(const struct policy_value *value, enum on_error on_error,
		 struct policy *ret_policy)
{
	struct policy_fields fields = policy_fields_of(value, FIELDS_OF_POLICY);
	struct policy_numbers numbers;

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
	set_fingerprint(value, ret_policy);
}
