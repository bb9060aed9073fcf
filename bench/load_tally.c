#include "load_tally.h"

#include <stdlib.h>

#define LATENCIES_MAX (LOAD_WAIT_MAX_US + US_PER_SECOND)

bool load_tally_init(struct load_tally *tally)
{
	*tally = (struct load_tally){.latencies = calloc(LATENCIES_MAX, sizeof(uint32_t))};
	return tally->latencies != NULL;
}

void load_tally_release(struct load_tally *tally)
{
	free(tally->latencies);
	tally->latencies = NULL;
}

void load_tally_ask(struct load_tally *tally)
{
	tally->in_flight++;
}

void load_tally_add(struct load_tally *tally, const struct load_answer *answer, int64_t took_us)
{
	tally->in_flight--;
	if (!tally->is_on)
		return;
	tally->checks++;
	tally->undecided += !answer->has_allowed;
	tally->allowed += answer->has_allowed && answer->is_allowed;
	tally->denied += answer->has_allowed && !answer->is_allowed;
	tally->degraded += answer->is_degraded;
	tally->errors += answer->is_error;
	tally->latencies[took_us < LATENCIES_MAX ? took_us : LATENCIES_MAX - 1]++;
}

int64_t load_tally_latency_us(const struct load_tally *tally, unsigned per_mille)
{
	uint64_t wanted = (tally->checks * per_mille + 999) / 1000, seen = 0;
	int64_t latency = 0;

	while (latency < LATENCIES_MAX - 1) {
		seen += tally->latencies[latency];
		if (seen >= wanted)
			break;
		latency++;
	}
	return latency;
}
