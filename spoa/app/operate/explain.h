/*
 * explain.h - says what a request would get now, and of each policy of the file whether it applies
 * and why not.
 *
 * The engine decides, by the same code as a request, and looks instead of taking (store.h). The
 * verdict is its own. The reasons why a policy does not apply are found here, policy by policy, as
 * limit/request.c finds the policies that apply.
 */
#ifndef APP_OPERATE_EXPLAIN_H
#define APP_OPERATE_EXPLAIN_H

#include <stdio.h>

#include "limit/verdict.h"

#define EXPLAIN_POLICIES_MAX 1000
#define EXPLAIN_WHY_MAX      2048

/*
 * Writes why the policy does not check the request: empty when it does. `attributes` are those that
 * the request was made of.
 */
void explain_put_why(struct writer *w, const struct policy *policy, const struct request *request,
		     const struct attributes *attributes);
/*
 * Writes {"verdict":…,"policies":[…],"policies_left_out":… without the last brace, so that the
 * caller can add fields. `prefix` begins the keys in Redis. `policy_file`, or NULL, is the path of
 * the file of the policies. False when memory is short: what was written then is no JSON.
 */
MUST_CHECK bool explain_put(FILE *to, const struct verdict *verdict,
			    const struct attributes *attributes, struct bytes prefix,
			    const char *policy_file);

#endif
