/*
 * policy_values.h - the values of the policy file, each read from its JSON, or refused with what
 * stands there and what is accepted.
 *
 * Those that return a bool return false then. The name of an attribute is a view of the JSON.
 */
#ifndef APP_POLICY_VALUES_H
#define APP_POLICY_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "app/policies/problems.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/parse.h"
#include "limit/policy.h"

struct cJSON;

struct policy_value {
	const struct cJSON
		*json; /* NULL: absent, which the takers leave and the others must not get */
	struct place place;
};

/* For a message: a text in quotes, a number as it is, of lists and objects only that. */
struct quoted policy_value_shown(const struct policy_value *value);

MUST_CHECK bool policy_value_algorithm(const struct policy_value *value,
				       enum algorithm *ret_algorithm);
/* From 1 on. */
MUST_CHECK bool policy_value_units(const struct policy_value *value, int64_t *ret_units);
MUST_CHECK bool policy_value_refill_rate(const struct policy_value *value,
					 struct ratio *ret_tokens_per_us);
MUST_CHECK bool policy_value_window(const struct policy_value *value, int64_t *ret_us);
/* The name of an attribute that a request may have. */
MUST_CHECK bool policy_value_attribute(const struct policy_value *value, struct bytes *ret_name);
MUST_CHECK bool policy_value_attribute_name(struct bytes name, const struct place *place);

/* What these refuse nobody waits for: they leave it as it was. */
void policy_value_take_on_error(const struct policy_value *value, enum on_error *on_error);
void policy_value_take_bool(const struct policy_value *value, bool *fact);
void policy_value_take_prefix(const struct policy_value *value, unsigned max, unsigned *prefix);

#endif
