/*
 * policy_match.h - `match` in the policy file: an object of attributes, and of each the text or
 * texts of which one must fit.
 */
#ifndef APP_POLICY_MATCH_H
#define APP_POLICY_MATCH_H

#include "app/policies/policy_values.h"
#include "limit/conditions.h"

/* Adds to `conditions`, which are the caller's to release, also when something was refused. */
void policy_match_read(const struct policy_value *match, struct conditions *conditions);

#endif
