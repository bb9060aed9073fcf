/*
 * policies_json.h - shows a set of policies as JSON, for programs: `{"policies":[...]}` in the
 * order of the file and in its notation, with the default of every field that the file left out.
 */
#ifndef APP_POLICIES_JSON_H
#define APP_POLICIES_JSON_H

#include <stdbool.h>
#include <stdio.h>

#include "base/compiler.h"
#include "limit/policies.h"

/* One document and a newline; false, and nothing, when memory is short. */
MUST_CHECK bool policies_json_put(const struct policies *policies, FILE *to);

#endif
