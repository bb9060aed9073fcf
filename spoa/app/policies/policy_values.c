#include "app/policies/policy_values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "app/policies/policy_text.h"
#include "base/clock.h"
#include "base/did_you_mean.h"
#include "limit/quota.h"

#define NUMBER_TEXT_MAX 32

/* The decimal that was written: the shortest that reads as the same number. */
static struct bytes number_text(const cJSON *item, char memory[NUMBER_TEXT_MAX])
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(memory, NUMBER_TEXT_MAX, "%.*g", digits, item->valuedouble);
		if (strtod(memory, NULL) == item->valuedouble)
			break;
	}
	return bytes_from_text(memory);
}

struct quoted policy_value_shown(const struct policy_value *value)
{
	const cJSON *item = value->json;
	struct quoted shown = {""};
	char memory[NUMBER_TEXT_MAX];

	if (problems_are_full(value->place.problems))
		return shown; /* to nobody */
	if (cJSON_IsString(item))
		return quoted(bytes_from_text(item->valuestring));
	if (cJSON_IsNumber(item))
		(void)number_text(item, memory);
	snprintf(shown.text, sizeof shown.text, "%s",
		 cJSON_IsNumber(item)   ? memory
		 : cJSON_IsTrue(item)   ? "true"
		 : cJSON_IsFalse(item)  ? "false"
		 : cJSON_IsArray(item)  ? "a list"
		 : cJSON_IsObject(item) ? "an object"
					: "null");
	return shown;
}

static struct hint suggestion(const cJSON *item, const char *const *words, size_t count)
{
	return did_you_mean(bytes_from_text(cJSON_IsString(item) ? item->valuestring : ""), words,
			    count);
}

bool policy_value_algorithm(const struct policy_value *value, enum algorithm *ret_algorithm)
{
	static const enum algorithm all[] = {TOKEN_BUCKET, SLIDING_WINDOW, SLIDING_WINDOW_COUNTER,
					     FIXED_WINDOW};
	const char *names[ARRAY_SIZE(all)];

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		names[i] = algorithm_name(all[i]);
	if (cJSON_IsString(value->json) &&
	    algorithm_find(bytes_from_text(value->json->valuestring), ret_algorithm))
		return true;
	return place_refuse(&value->place,
			    "%s is unknown%s; accepted are token_bucket, sliding_window, "
			    "sliding_window_counter and fixed_window",
			    policy_value_shown(value).text,
			    suggestion(value->json, names, ARRAY_SIZE(names)).text);
}

void policy_value_take_on_error(const struct policy_value *value, enum on_error *on_error)
{
	static const enum on_error all[] = {ON_ERROR_ALLOW, ON_ERROR_DENY, ON_ERROR_LOCAL};
	const char *names[ARRAY_SIZE(all)];

	if (value->json == NULL)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		names[i] = policy_text_on_error(all[i]);
		if (cJSON_IsString(value->json) &&
		    strcmp(value->json->valuestring, names[i]) == 0) {
			*on_error = all[i];
			return;
		}
	}
	(void)place_refuse(&value->place, "%s is unknown%s; accepted are allow, deny and local",
			   policy_value_shown(value).text,
			   suggestion(value->json, names, ARRAY_SIZE(names)).text);
}

void policy_value_take_bool(const struct policy_value *value, bool *fact)
{
	if (value->json == NULL)
		return;
	if (cJSON_IsBool(value->json))
		*fact = cJSON_IsTrue(value->json);
	else
		(void)place_refuse(&value->place, "%s is neither true nor false",
				   policy_value_shown(value).text);
}

static bool is_whole(const cJSON *item, int64_t min, int64_t max)
{
	return cJSON_IsNumber(item) && item->valuedouble >= (double)min &&
	       item->valuedouble <= (double)max &&
	       item->valuedouble == (double)(int64_t)item->valuedouble;
}

bool policy_value_units(const struct policy_value *value, int64_t *ret_units)
{
	if (!is_whole(value->json, 1, QUOTA_EXACT_MAX / 2))
		return place_refuse(&value->place, "%s is not a whole number from 1 to 2^52",
				    policy_value_shown(value).text);
	*ret_units = (int64_t)value->json->valuedouble;
	return true;
}

bool policy_value_refill_rate(const struct policy_value *value, struct ratio *ret_tokens_per_us)
{
	char memory[NUMBER_TEXT_MAX];

	if ((cJSON_IsString(value->json) &&
	     refill_rate_parse(bytes_from_text(value->json->valuestring), ret_tokens_per_us)) ||
	    (cJSON_IsNumber(value->json) &&
	     refill_rate_parse(number_text(value->json, memory), ret_tokens_per_us)))
		return true;
	return place_refuse(
		&value->place,
		"%s is not a rate; accepted are tokens per second above 0, or a ratio such as "
		"\"1000/1m\"",
		policy_value_shown(value).text);
}

static bool read_seconds(const cJSON *item, int64_t *ret_us)
{
	struct ratio seconds;
	char memory[NUMBER_TEXT_MAX];

	if (!parse_decimal(number_text(item, memory), &seconds) ||
	    !ratio_multiply(seconds, (struct ratio){US_PER_SECOND, 1}, &seconds) ||
	    seconds.den != 1)
		return false;
	*ret_us = seconds.num;
	return true;
}

bool policy_value_window(const struct policy_value *value, int64_t *ret_us)
{
	if ((cJSON_IsString(value->json) &&
	     parse_duration(bytes_from_text(value->json->valuestring), ret_us)) ||
	    (cJSON_IsNumber(value->json) && read_seconds(value->json, ret_us)))
		return true;
	return place_refuse(&value->place,
			    "%s is not a duration; accepted are such as \"500ms\", \"1m\", "
			    "\"1d\", or a number of seconds",
			    policy_value_shown(value).text);
}

void policy_value_take_prefix(const struct policy_value *value, unsigned max, unsigned *prefix)
{
	if (value->json == NULL)
		return;
	if (is_whole(value->json, 0, max))
		*prefix = (unsigned)value->json->valuedouble;
	else
		(void)place_refuse(&value->place, "%s is not a number of bits from 0 to %u",
				   policy_value_shown(value).text, max);
}

bool policy_value_attribute_name(struct bytes name, const struct place *place)
{
	if (name.len == 0)
		return place_refuse(place, "\"\" is not the name of an attribute");
	if (attribute_name_is_reserved(name))
		return place_refuse(place,
				    "%s is a reserved name; requests have no attribute of that "
				    "name",
				    quoted(name).text);
	return true;
}

bool policy_value_attribute(const struct policy_value *value, struct bytes *ret_name)
{
	if (!cJSON_IsString(value->json))
		return place_refuse(&value->place, "%s is not the name of an attribute",
				    policy_value_shown(value).text);
	*ret_name = bytes_from_text(value->json->valuestring);
	return policy_value_attribute_name(*ret_name, &value->place);
}
