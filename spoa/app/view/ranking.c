#include "app/view/ranking.h"

#include <string.h>

static uint64_t checks_of(const struct policy *policy)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < TALLY_RESULT_COUNT; i++)
		sum += policy->tally->checks[i];
	return sum;
}

/* The place after all policies with at least so many checks. */
static size_t find_place(const struct ranking *ranking, uint64_t checks)
{
	size_t low = 0, high = ranking->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (ranking->checks[middle] >= checks)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void insert_policy(struct ranking *ranking, const struct policy *policy)
{
	uint64_t checks = checks_of(policy);
	size_t at = find_place(ranking, checks);

	if (ranking->count == RANKING_MAX)
		ranking->left_out++;
	else
		ranking->count++;
	if (at == RANKING_MAX)
		return;
	size_t moved = ranking->count - at - 1;
	memmove(ranking->policies + at + 1, ranking->policies + at,
		moved * sizeof(struct policy *));
	memmove(ranking->checks + at + 1, ranking->checks + at, moved * sizeof(uint64_t));
	ranking->policies[at] = policy;
	ranking->checks[at] = checks;
}

struct ranking ranking_of(const struct policies *policies)
{
	size_t count = policies_count(policies);
	struct ranking ranking;

	ranking.count = ranking.left_out = 0;
	for (size_t i = 0; i < policies_row_count(policies); i++) {
		const struct policy *policy = policies_at_row(policies, i);
		if (i < count || checks_of(policy) > 0)
			insert_policy(&ranking, policy);
	}
	return ranking;
}
