#include "app/policies/policy_numbers.h"

#include <string.h>

/* True when there is a value to read. Refuses a policy, but no override, that leaves it out. */
static bool require_number(const struct policy_value *value, bool is_override,
			   struct policy_numbers *numbers)
{
	if (!value->is_given && !is_override)
		numbers->is_whole = place_refuse(&value->place, "is missing");
	return value->is_given;
}

static void read_units(const struct policy_value *value, bool is_override,
		       struct policy_numbers *numbers)
{
	if (require_number(value, is_override, numbers) &&
	    !policy_value_units(value, &numbers->units))
		numbers->is_whole = false;
}

static void read_rate(const struct policy_value *value, bool is_override,
		      struct policy_numbers *numbers)
{
	if (require_number(value, is_override, numbers) &&
	    !policy_value_refill_rate(value, &numbers->tokens_per_us))
		numbers->is_whole = false;
}

static void read_window(const struct policy_value *value, bool is_override,
			struct policy_numbers *numbers)
{
	if (require_number(value, is_override, numbers) &&
	    !policy_value_window(value, &numbers->window_us))
		numbers->is_whole = false;
}

static void refuse_foreign_number(const struct policy_value *value, enum algorithm algorithm)
{
	if (value->is_given)
		(void)place_refuse(&value->place, "is not a field of a %s",
				   algorithm_name(algorithm));
}

static void read_numbers(const struct policy_fields *fields, bool is_override,
			 struct policy_numbers *numbers)
{
	const struct policy_value *values = fields->values;

	if (algorithm_traits(numbers->algorithm)->is_by_rate) {
		refuse_foreign_number(&values[FIELD_LIMIT], numbers->algorithm);
		refuse_foreign_number(&values[FIELD_WINDOW], numbers->algorithm);
		read_units(&values[FIELD_CAPACITY], is_override, numbers);
		read_rate(&values[FIELD_REFILL_RATE], is_override, numbers);
	} else {
		refuse_foreign_number(&values[FIELD_CAPACITY], numbers->algorithm);
		refuse_foreign_number(&values[FIELD_REFILL_RATE], numbers->algorithm);
		read_units(&values[FIELD_LIMIT], is_override, numbers);
		read_window(&values[FIELD_WINDOW], is_override, numbers);
	}
}

/* `err` is "FIELD: REASON", of the field that is to blame. */
static void refuse_quota(const struct policy_fields *fields, const struct err *err)
{
	size_t len = strcspn(err->text, ":");
	const struct policy_value *value = policy_fields_find(fields, bytes_from(err->text, len));
	const char *why = err->text + len + strlen(": ");

	if (!value->is_given)
		(void)place_refuse(&value->place, "%s", why);
	else
		(void)place_refuse(&value->place, "%s; it is %s", why,
				   policy_value_shown(value).text);
}

static void set_quota(const struct policy_fields *fields, const struct policy_numbers *numbers,
		      struct quota *quota)
{
	struct err err;
	bool is_good = algorithm_traits(numbers->algorithm)->is_by_rate
			       ? quota_set_bucket(quota, numbers->algorithm, numbers->units,
						  numbers->tokens_per_us, &err)
			       : quota_set_window(quota, numbers->algorithm, numbers->units,
						  numbers->window_us, &err);

	if (!is_good)
		refuse_quota(fields, &err);
}

void policy_numbers_read(const struct policy_fields *policy, struct quota *quota,
			 struct policy_numbers *ret_numbers)
{
	const struct policy_value *algorithm = &policy->values[FIELD_ALGORITHM];
	struct policy_numbers numbers = {0};

	if (!algorithm->is_given)
		(void)place_refuse(&algorithm->place, "is missing");
	else
		numbers.has_algorithm = policy_value_algorithm(algorithm, &numbers.algorithm);
	numbers.is_whole = numbers.has_algorithm;
	if (numbers.has_algorithm)
		read_numbers(policy, false, &numbers);
	if (numbers.is_whole)
		set_quota(policy, &numbers, quota);
	*ret_numbers = numbers;
}

void policy_numbers_override(const struct policy_numbers *numbers,
			     const struct policy_fields *override, struct quota *quota)
{
	struct policy_numbers own = *numbers;

	if (own.has_algorithm)
		read_numbers(override, true, &own);
	if (own.is_whole && policy_numbers_are_given(override))
		set_quota(override, &own, quota);
}

bool policy_numbers_are_given(const struct policy_fields *fields)
{
	return policy_fields_have(fields, FIELD_CAPACITY) ||
	       policy_fields_have(fields, FIELD_REFILL_RATE) ||
	       policy_fields_have(fields, FIELD_LIMIT) || policy_fields_have(fields, FIELD_WINDOW);
}
