/*
 * ranking.h - the policies in the order of their use, for pages that can't show ten thousand.
 */
#ifndef APP_RANKING_H
#define APP_RANKING_H

#include <stddef.h>
#include <stdint.h>

#include "limit/policies.h"

#define RANKING_MAX 200

struct ranking {
	const struct policy *policies[RANKING_MAX]; /* the one with the most checks first */
	uint64_t checks[RANKING_MAX];
	size_t count;
	size_t left_out;
};

/* Of equal ones in file order. What stands for all inline policies is among them once it was used.
 */
struct ranking ranking_of(const struct policies *policies);

#endif
