#include "engine/counter.h"

#include <stdlib.h>
#include <string.h>

void counter_init(struct counter *counter)
{
	memset(&counter->stats, 0, sizeof counter->stats);
	randombytes_buf(counter->secret, sizeof counter->secret);
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

static void add_check(const struct counter *counter, const struct check *check, int64_t latency_us)
{
	struct tally *tally = check->policy->tally;
	struct bytes values = check_values(check);
	enum tally_result result = result_of(check);
	uint64_t hash;

	tally->checks[result]++;
	if (result == TALLY_SKIPPED)
		return;
	histogram_add(&tally->latency, latency_us);
	crypto_shorthash((unsigned char *)&hash, values.data, values.len, counter->secret);
	add_key(&tally->seen, check, hash);
	if (result == TALLY_DENIED)
		add_key(&tally->denied, check, hash);
	else if (result == TALLY_SHADOW_DENIED)
		add_key(&tally->shadow_denied, check, hash);
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
		 int64_t latency_us)
{
	struct engine_stats *stats = &counter->stats;

	add_request(stats, verdict, source);
	stats->reasons[source][verdict->reason]++;
	stats->degraded += verdict->degraded;
	stats->left_out += verdict->request->left_out;
	histogram_add(&stats->latency[source], latency_us);
	for (size_t i = 0; i < verdict->request->count; i++)
		add_check(counter, verdict->request->checks[i], latency_us);
}
