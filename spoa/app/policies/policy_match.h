/*
 * policy_match.h - reads `match` of the policy file: an object with the names of attributes, and
 * for each attribute a pattern, or a list of patterns of which one must fit. A pattern "@FILE"
 * stands for the lines of that file (list_files.h), and "@@x" for the text "@x".
 */
#ifndef APP_POLICY_MATCH_H
#define APP_POLICY_MATCH_H

#include "app/policies/policy_values.h"
#include "limit/conditions.h"

/* Adds to `conditions`. The caller releases them, also after something was refused. */
void policy_match_read(const struct policy_value *match, struct conditions *conditions);

#endif
