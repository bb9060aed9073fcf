/*
 * policy_read.h - one policy of the file, with its overrides, from its JSON.
 */
#ifndef APP_POLICY_READ_H
#define APP_POLICY_READ_H

#include "app/policies/policy_values.h"
#include "limit/policy.h"

/*
 * What is wrong with it goes to the problems; after that it is good for policy_drop only.
 * `on_error` is for a policy that does not say. Its name is the caller's to set; the names of
 * attributes are views of the JSON.
 */
void policy_read(const struct policy_value *value, enum on_error on_error,
		 struct policy *ret_policy);

#endif
