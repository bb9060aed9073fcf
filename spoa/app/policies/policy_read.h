/*
 * policy_read.h - reads one policy of the file, with its overrides.
 */
#ifndef APP_POLICY_READ_H
#define APP_POLICY_READ_H

#include "app/policies/policy_values.h"
#include "limit/policy.h"

/*
 * `value` is the object of the policy. What is wrong with it is added to the problems; after that
 * the policy is good for policy_drop only. A policy without the field `on_error` gets the argument.
 * The caller sets the name. The names of attributes are views, as those of policy_values.h.
 */
void policy_read(const struct policy_value *value, enum on_error on_error,
		 struct policy *ret_policy);

#endif
