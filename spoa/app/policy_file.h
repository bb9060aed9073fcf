/*
 * policy_file.h - the policy file (INTERFACE.md section 2): JSON in, a set of policies out.
 *
 * The file is taken whole or not at all. An error names the place, the value and what is accepted:
 * `policies.login.window: "1x" is not a duration`.
 */
#ifndef APP_POLICY_FILE_H
#define APP_POLICY_FILE_H

#include "base/err.h"
#include "limit/policy.h"

/* A set with one reference, which is the caller's, or NULL. `on_error` is the flag. */
struct policies *policy_file_load(const char *path, enum on_error on_error, struct err *err);
struct policies *policy_file_parse(struct bytes json, enum on_error on_error, struct err *err);

#endif
