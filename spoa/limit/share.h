/*
 * share.h - the part of a limit that one of several agents grants while none of them can ask Redis.
 *
 *     quota: 100 an hour           a quarter of it:  25 an hour        (at least 1)
 *     balance: 42 of 100 are left  a quarter of it:  10 of 25 are left (rounded down, maybe 0)
 *
 * Four agents with a quarter each so grant no more than one limiter would: together at most the 42,
 * and then what refills or leaves the window.
 */
#ifndef LIMIT_SHARE_H
#define LIMIT_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/parse.h"
#include "limit/balance.h"
#include "limit/quota.h"

/* Above 0, at most 1, in lowest terms; a share is never smaller than 1 / SHARE_WHOLE_MAX. */
#define SHARE_WHOLE_MAX INT64_C(1000000)

/* "1", "0.25", "1/4". False when it is no share. */
MUST_CHECK bool share_parse(struct bytes text, struct ratio *ret_share);

static inline bool share_is_all(struct ratio share)
{
	return share.num == share.den;
}

/* share * units, rounded down. */
int64_t share_of_units(struct ratio share, int64_t units);

/*
 * The quota of the part. Its limit is at least 1. The rate of a bucket is exact, unless its numbers
 * would become too large to be kept; then it is a little lower.
 */
struct quota share_of_quota(struct ratio share, const struct quota *quota);

/* A log that balance_share writes, whose entries stand here. */
#define SHARED_LOG_MAX 4
struct shared_log {
	struct window_entry entries[SHARED_LOG_MAX];
};

/* What the function of an algorithm's row gets. */
struct sharing {
	const struct quota *quota, *part;
	struct ratio share;
	int64_t left; /* units of the part */
	struct shared_log *log;
};

/*
 * Makes of a balance by `quota`, which was looked at, one by `part`, as share_of_quota makes it. If
 * all is left, all of the part is; else the share of what is left. What leaves the window later, or
 * refills, is the same share of that. A log gets `log`, which lives as long as the balance.
 */
void balance_share(struct balance *b, const struct quota *quota, const struct quota *part,
		   struct ratio share, struct shared_log *log);

#endif
