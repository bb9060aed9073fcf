/*
 * spop_map.h - where SPOP's bytes and the limiter's meaning meet: an argument of a NOTIFY becomes
 * an attribute of the request, and a verdict becomes the variables that an ACK sets
 * (docs/reference.md, section SPOP).
 *
 * A new variable is a value of enum spop_var, and in spop_map.c the row of its name and its value.
 */
#ifndef NET_SPOP_MAP_H
#define NET_SPOP_MAP_H

#include <stdbool.h>

#include "base/err.h"
#include "base/writer.h"
#include "limit/value.h"
#include "limit/verdict.h"
#include "wire/spop_notify.h"

/* HAProxy from 3.1 on stalls when an ACK is large: no ACK, with its LENGTH, has more bytes. */
#define SPOP_ACK_MAX 700

struct attribute spop_map_attribute(const struct spop_argument *argument);

/* In the order in which an ACK has them. */
enum spop_var {
	/* Every ACK sets these. */
	SPOP_VAR_ALLOWED = 0,
	SPOP_VAR_REASON,
	SPOP_VAR_DEGRADED,
	SPOP_VAR_RETRY_AFTER,
	SPOP_VAR_RETRY_AFTER_MS,
	/* The user chooses among these by --spop-vars. */
	SPOP_VAR_POLICY,
	SPOP_VAR_LIMIT,
	SPOP_VAR_REMAINING,
	SPOP_VAR_RESET,
	/* The headers come last: the policies that they list are as many as still fit. */
	SPOP_VAR_RATELIMIT,
	SPOP_VAR_RATELIMIT_POLICY,
	SPOP_VAR_COUNT,
};

#define SPOP_VAR_FIRST_OPTIONAL SPOP_VAR_POLICY

/* A set of optional variables has a bit for each of them. */
#define SPOP_VAR_BIT(var) (1u << (var))
#define SPOP_VARS_ALL     (SPOP_VAR_BIT(SPOP_VAR_COUNT) - SPOP_VAR_BIT(SPOP_VAR_FIRST_OPTIONAL))

/* The names of the optional variables, with commas between. */
void spop_map_put_var_names(struct writer *w);
/* Reads "all", "none", or names such as "policy,remaining". False when a name is unknown. */
MUST_CHECK bool spop_map_parse_vars(struct bytes text, unsigned *ret_vars);

/*
 * Puts an action for each variable that every ACK sets, and for each of `vars`. An optional
 * variable is unset when it has no value or its value does not fit into `w`, so that HAProxy keeps
 * no value of an earlier ACK. The smallest frame that may be agreed on has room for all actions
 * when the optional variables are unset.
 */
void spop_map_put_verdict(struct writer *w, const struct verdict *verdict, unsigned vars);

#endif
