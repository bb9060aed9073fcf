/*
 * key_names.h - which key of a policy an operator means: `name=value` of a query.
 *
 * The names are the attributes of the policy's key, all of them; `key` stands for them as it does
 * in a request. An inline policy takes `algorithm`, its numbers and `key`.
 */
#ifndef APP_OPERATE_KEY_NAMES_H
#define APP_OPERATE_KEY_NAMES_H

#include "base/err.h"
#include "limit/policies.h"
#include "limit/reserved.h"

struct key_names {
	struct reserved reserved;
	struct value values[POLICY_KEY_MAX]; /* as the policy counts by them */
	size_t count;
	bool is_inline, is_explicit;
};

/* The policy of the file, or that of all inline policies; NULL when there is none of this name. */
const struct policy *key_names_find_policy(const struct policies *policies, struct bytes name,
					   bool *ret_is_inline);
MUST_CHECK bool key_names_read(const struct policy *policy, bool is_inline,
			       const struct attributes *attributes, struct key_names *ret_key,
			       struct err *err);

#endif
