/*
 * reserved.h - the attributes with a meaning of their own: policy, key, cost, and the numbers of an
 * inline policy (docs/reference.md, section SPOP).
 *
 * Their types and values are checked whether or not they are needed: a mistake in HAProxy's
 * configuration is to be seen at the first request, not at the first that depends on it.
 */
#ifndef LIMIT_RESERVED_H
#define LIMIT_RESERVED_H

#include <stdbool.h>

#include "limit/quota.h"
#include "limit/value.h"

struct reserved {
	bool has_policy;
	struct bytes policy;     /* names, comma-separated */
	const struct value *key; /* NULL when absent */
	int64_t cost;
	bool has_algorithm;
	struct quota quota; /* with has_algorithm */
};

/* Whether an attribute of this name is one of them. */
MUST_CHECK bool attribute_name_is_reserved(struct bytes name);

/*
 * One of the reasons of reserved_read, to be known by its address: each number of an inline policy
 * is good, and they can't be kept exactly.
 */
extern const char reserved_inexact[];

/* False when the message is invalid; *ret_why is then a constant that names the argument. */
MUST_CHECK bool reserved_read(const struct attributes *attributes, struct reserved *ret_reserved,
			      const char **ret_why);

#endif
