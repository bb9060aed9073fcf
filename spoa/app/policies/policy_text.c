#include "app/policies/policy_text.h"

#include "base/clock.h"
#include "base/parse.h"

#define DECIMALS 3 /* of tokens per second, at most */

const char *const on_error_names[] = {
	[ON_ERROR_ALLOW] = "allow", [ON_ERROR_DENY] = "deny", [ON_ERROR_LOCAL] = "local", NULL};

void policy_text_put_duration(struct writer *w, int64_t us)
{
	for (size_t i = 0; i < DURATION_UNITS; i++) {
		if (us % duration_units[i].us != 0)
			continue;
		writer_put_decimal(w, us / duration_units[i].us);
		writer_put_text(w, duration_units[i].name);
		return;
	}
	writer_put_fraction(w, (uint64_t)us, 3);
	writer_put_text(w, "ms");
}

/* How many tokens are refilled in a time; false when that is no whole number. */
static bool count_tokens_in(const struct quota *quota, int64_t us, int64_t *ret_tokens)
{
	int64_t product;

	if (__builtin_mul_overflow(quota->refill_tokens, us, &product) ||
	    product % quota->refill_us != 0)
		return false;
	*ret_tokens = product / quota->refill_us;
	return true;
}

void policy_text_put_refill_rate(struct writer *w, const struct quota *quota)
{
	int64_t tokens;

	if (count_tokens_in(quota, 1000 * US_PER_SECOND, &tokens)) {
		writer_put_fraction(w, (uint64_t)tokens, DECIMALS);
		return;
	}
	/* The shortest unit that has a whole number of tokens; a second has none. */
	for (size_t i = DURATION_UNITS; i-- > 0;) {
		if (duration_units[i].us <= US_PER_SECOND ||
		    !count_tokens_in(quota, duration_units[i].us, &tokens))
			continue;
		writer_put_decimal(w, tokens);
		writer_put_text(w, "/1");
		writer_put_text(w, duration_units[i].name);
		return;
	}
	writer_put_decimal(w, quota->refill_tokens);
	writer_put_u8(w, '/');
	policy_text_put_duration(w, quota->refill_us);
}

void policy_text_put_share(struct writer *w, unsigned share)
{
	writer_put_fraction(w, share, 4);
	writer_put_u8(w, '%');
}
