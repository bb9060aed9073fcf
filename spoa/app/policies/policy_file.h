/*
 * policy_file.h - the policy file (INTERFACE.md section 2): JSON in, a set of policies out.
 *
 * The file is taken whole or not at all. A problem names the place, the value and what is accepted:
 * `policies.login.window: "1x" is not a duration`. All that can be found are told in one go.
 */
#ifndef APP_POLICY_FILE_H
#define APP_POLICY_FILE_H

#include "app/policies/problems.h"
#include "base/bytes.h"
#include "limit/policies.h"

/*
 * A set with one reference, which is the caller's; NULL when there are problems. `on_error` is the
 * flag. The JSON ends with a NUL that its length does not count.
 */
struct policies *policy_file_load(const char *path, enum on_error on_error,
				  struct problems *ret_problems);
struct policies *policy_file_parse(struct bytes json, enum on_error on_error,
				   struct problems *ret_problems);

#endif
