/*
 * policies_json.h - a set of policies as JSON for machines: `{"policies":[...]}` in file order, in
 * the notation of the policy file, with what the file left out filled in.
 */
#ifndef APP_POLICIES_JSON_H
#define APP_POLICIES_JSON_H

#include <stdio.h>

#include "limit/policies.h"

/* One document, with a newline behind it. */
void policies_json_put(const struct policies *policies, FILE *to);

#endif
