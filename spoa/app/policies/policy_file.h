/*
 * policy_file.h - reads the policy file (docs/reference.md, section Policy file): JSON in, a set of
 * policies out.
 *
 * A file with a problem gives no policies at all. A problem names the place, the value and what is
 * accepted: `policies.login.window: "1x" is not a duration`. One call finds all problems that
 * don't hide each other.
 *
 * base/json_reader, which also reads the bodies of requests, first checks the whole text and then
 * walks it. Numbers are read from their digits, so that a policy is exactly what the file says.
 */
#ifndef APP_POLICY_FILE_H
#define APP_POLICY_FILE_H

#include "app/policies/list_files.h"
#include "app/policies/problems.h"
#include "base/bytes.h"
#include "limit/policies.h"

/*
 * A set with one reference, which is the caller's, or NULL when there are problems. `on_error` is
 * the flag --on-error, for policies without that field. The set keeps no view of the text.
 */
struct policies *policy_file_load(const char *path, enum on_error on_error,
				  struct problems *ret_problems);
/* The same; `files` gets the names of the list files that the policies name, also of bad ones. */
struct policies *policy_file_load_with(const char *path, enum on_error on_error,
				       struct list_files *files, struct problems *ret_problems);
/* Of a text that is in no file: it can't name list files. */
struct policies *policy_file_parse(struct bytes json, enum on_error on_error,
				   struct problems *ret_problems);

#endif
