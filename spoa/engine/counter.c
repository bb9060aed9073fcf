#include "engine/counter.h"

#include <stdlib.h>
#include <string.h>

void counter_init(struct counter *counter, int64_t mono_us)
{
	counter->top = top_panes_new(mono_us);
	memset(&counter->stats, 0, sizeof counter->stats);
}

void counter_release(struct counter *counter)
{
	top_panes_free(counter->top);
	counter->top = NULL;
}

static enum tally_result result_of(const struct check *check)
{
	if (check->is_skipped)
		return TALLY_SKIPPED;
	if (!check->is_decided)
		return TALLY_ERROR;
	if (check->outcome.allowed)
		return TALLY_ALLOWED;
	return check->is_shadow ? TALLY_SHADOW_DENIED : TALLY_DENIED;
}

/* The list is allocated with its first key, since most of ten thousand policies may never be used.
 */
static void add_key(struct top_keys **top, const struct check *check, uint64_t hash)
{
	if (*top == NULL)
		*top = calloc(1, sizeof **top);
	if (*top != NULL)
		top_keys_add(*top, check_values(check), hash, check->outcome.remaining);
}

/* A policy keeps its tally over reloads, so the tally's address stands for its name. */
static void add_to_panes(struct top_panes *top, const struct check *check, uint64_t hash,
			 enum tally_result result, int64_t mono_us)
{
	uint64_t of_policy = (uint64_t)(uintptr_t)check->policy->tally;

	if (top == NULL)
		return;
	hash ^= of_policy * UINT64_C(0x9e3779b97f4a7c15);
	top_panes_add(top, TOP_BY_ASKED, check, hash, mono_us);
	if (result == TALLY_DENIED)
		top_panes_add(top, TOP_BY_DENIED, check, hash, mono_us);
}

/* How long a request took, and the bucket of its histograms that this is. */
struct latency {
	int64_t us;
	size_t bucket;
};

static void add_check(const struct counter *counter, const struct check *check,
		      struct latency latency, int64_t mono_us)
{
	struct tally *tally = check->policy->tally;
	enum tally_result result = result_of(check);
	uint64_t hash = check->values_hash.low;

	tally->checks[result]++;
	if (result == TALLY_SKIPPED)
		return;
	histogram_add_to_bucket(&tally->latency, latency.bucket, latency.us);
	add_key(&tally->seen, check, hash);
	if (result == TALLY_DENIED)
		add_key(&tally->denied, check, hash);
	else if (result == TALLY_SHADOW_DENIED)
		add_key(&tally->shadow_denied, check, hash);
	add_to_panes(counter->top, check, hash, result, mono_us);
}

static void add_request(struct engine_stats *stats, const struct verdict *verdict,
			enum source source)
{
	uint64_t *allowed = &stats->none_allowed[source], *blocked = &stats->none_blocked[source];

	if (verdict->lead != NULL && verdict->reason != REASON_INVALID) {
		allowed = &verdict->lead->policy->tally->requests_allowed[source];
		blocked = &verdict->lead->policy->tally->requests_blocked[source];
	}
	++*(verdict->allowed ? allowed : blocked);
	stats->allowed += verdict->allowed;
	stats->blocked += !verdict->allowed;
}

void counter_add(struct counter *counter, const struct verdict *verdict, enum source source,
		 int64_t latency_us, int64_t mono_us)
{
	struct engine_stats *stats = &counter->stats;
	struct latency latency = {latency_us, histogram_bucket(latency_us)};

	add_request(stats, verdict, source);
	stats->reasons[source][verdict->reason]++;
	stats->degraded += verdict->degraded;
	stats->left_out += verdict->request->left_out;
	histogram_add_to_bucket(&stats->latency[source], latency.bucket, latency.us);
	for (size_t i = 0; i < verdict->request->count; i++)
		add_check(counter, verdict->request->checks[i], latency, mono_us);
}
