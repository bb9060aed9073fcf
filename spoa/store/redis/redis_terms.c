#include "store/redis/redis_terms.h"

#include <stdbool.h>
#include <string.h>

#include "base/compiler.h"
#include "store/redis/redis_command.h"

#define COST_LEN 7 /* of "$1\r\n0\r\n" */

_Static_assert(REDIS_TERMS_MAX <= UINT8_MAX, "len is a byte");

size_t redis_terms_words(const struct quota *quota)
{
	return algorithm_traits(quota->algorithm)->is_by_rate ? 5 : 4;
}

static bool are_quotas_equal(const struct quota *a, const struct quota *b)
{
	return a->limit == b->limit && a->refill_us == b->refill_us &&
	       a->refill_tokens == b->refill_tokens && a->window_us == b->window_us &&
	       a->algorithm == b->algorithm;
}

/* By the upper bits of a product with 2^64 divided by the golden ratio, to which all bits of the
 * sum add. Equal quotas of two algorithms are rare, and so not told apart. */
static size_t place_of_quota(const struct quota *quota)
{
	uint64_t sum = (uint64_t)quota->limit + 31 * (uint64_t)quota->refill_tokens +
		       1009 * (uint64_t)(quota->refill_us + quota->window_us);

	return (size_t)(sum * UINT64_C(0x9e3779b97f4a7c15) >> 58);
}
_Static_assert(REDIS_TERMS_PLACES == UINT64_C(1) << (64 - 58), "place_of_quota has 6 bits");

static void write_words(struct redis_terms *terms, const struct quota *quota)
{
	const struct algorithm_traits *traits = algorithm_traits(quota->algorithm);
	struct writer w = writer_on(terms->words, sizeof terms->words);

	redis_command_put(&w, bytes_from_text(traits->name));
	terms->cost_at = (uint8_t)w.len;
	redis_command_put_number(&w, 0);
	redis_command_put_number(&w, quota->limit);
	if (traits->is_by_rate) {
		redis_command_put_number(&w, quota->refill_tokens);
		redis_command_put_number(&w, quota->refill_us);
	} else {
		redis_command_put_number(&w, quota->window_us);
	}
	ASSERT(!w.full);
	terms->len = (uint8_t)w.len;
	terms->quota = *quota;
}

void redis_terms_put(struct writer *w, struct redis_terms_memory *memory, const struct quota *quota,
		     int64_t cost)
{
	struct redis_terms *terms = &memory->places[place_of_quota(quota)];

	if (!are_quotas_equal(&terms->quota, quota))
		write_words(terms, quota);
	if (cost < 0 || cost > 9) {
		size_t rest_at = (size_t)terms->cost_at + COST_LEN;
		writer_put(w, bytes_from(terms->words, terms->cost_at));
		redis_command_put_number(w, cost);
		writer_put(w, bytes_from(terms->words + rest_at, terms->len - rest_at));
		return;
	}
	uint8_t *at = writer_take(w, terms->len);
	if (at == NULL)
		return;
	memcpy(at, terms->words, terms->len);
	at[terms->cost_at + 4] = (uint8_t)('0' + cost);
}
