/*
 * spop_map.h - where SPOP's bytes and the limiter's meaning meet: arguments become attributes, a
 * verdict becomes the actions of an ACK (INTERFACE.md section 3).
 */
#ifndef NET_SPOP_MAP_H
#define NET_SPOP_MAP_H

#include <stdbool.h>

#include "base/err.h"
#include "base/writer.h"
#include "limit/value.h"
#include "limit/verdict.h"
#include "wire/spop_notify.h"

/* HAProxy from 3.1 on stalls on large ACKs; this is what a whole frame may have. */
#define SPOP_ACK_MAX 700

struct attribute spop_map_attribute(const struct spop_argument *argument);

/* Which of the optional variables are set: a set of bits. */
enum spop_vars {
	SPOP_VAR_POLICY = 1,
	SPOP_VAR_LIMIT = 2,
	SPOP_VAR_REMAINING = 4,
	SPOP_VAR_RESET = 8,
	SPOP_VAR_RATELIMIT = 16,
	SPOP_VAR_RATELIMIT_POLICY = 32,
};

#define SPOP_VARS_ALL 63

/* "all", "none", or names: "policy,remaining". */
MUST_CHECK bool spop_map_parse_vars(struct bytes text, unsigned *ret_vars);

/*
 * Every variable, set or unset. A value that does not fit into `w` is unset; the rest does, in the
 * smallest frame that may be agreed on.
 */
void spop_map_put_verdict(struct writer *w, const struct verdict *verdict, unsigned vars);

#endif
