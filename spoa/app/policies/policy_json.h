/*
 * policy_json.h - the text of the policy file as a tree of cJSON, if it is JSON (RFC 8259).
 *
 * cJSON alone takes what is none, ends a text at a NUL, and rounds decimals: what it would change
 * in silence is refused first, with its line and column.
 */
#ifndef APP_POLICY_JSON_H
#define APP_POLICY_JSON_H

#include "app/policies/problems.h"
#include "base/bytes.h"

struct cJSON;

/* The tree, for cJSON_Delete; NULL when there is none. `text` ends with a NUL behind its length. */
struct cJSON *policy_json_parse(struct bytes text, const struct place *file);

#endif
