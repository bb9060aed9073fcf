/*
 * ranking.h - the RANKING_MAX policies that were checked most, for pages that can't show ten
 * thousand policies.
 */
#ifndef APP_RANKING_H
#define APP_RANKING_H

#include <stddef.h>
#include <stdint.h>

#include "limit/policies.h"

#define RANKING_MAX 200

struct ranking {
	const struct policy *policies[RANKING_MAX]; /* the policy with the most checks first */
	uint64_t checks[RANKING_MAX];
	size_t count;
	size_t left_out; /* how many policies there are besides */
};

/* Equal policies are in file order. All inline policies count as one, and so does the list `block`
 * as `blocked`; each of these two is left out if unused. */
struct ranking ranking_of(const struct policies *policies);

#endif
