#include "limit/share.h"

#include <string.h>

bool share_parse(struct bytes text, struct ratio *ret_share)
{
	const uint8_t *slash = text.len > 0 ? memchr(text.data, '/', text.len) : NULL;
	uint64_t parts, whole;
	struct ratio share;

	if (slash != NULL) {
		size_t at = (size_t)(slash - text.data);
		if (!parse_whole(bytes_from(text.data, at), SHARE_WHOLE_MAX, &parts) ||
		    !parse_whole(bytes_skip(text, at + 1), SHARE_WHOLE_MAX, &whole) || parts == 0 ||
		    whole == 0 ||
		    !ratio_multiply((struct ratio){(int64_t)parts, 1},
				    (struct ratio){1, (int64_t)whole}, &share))
			return false;
	} else if (!parse_decimal(text, &share)) {
		return false;
	}
	if (share.num > share.den || share.den > SHARE_WHOLE_MAX)
		return false;
	*ret_share = share;
	return true;
}

/* Below 2^53 times at most 10^6, which needs more than 64 bits. */
int64_t share_of_units(struct ratio share, int64_t units)
{
	return (int64_t)((__int128)units * share.num / share.den);
}

/*
 * The level of a bucket is kept in 1/refill_us tokens, and twice the full one has to stay below
 * 2^53 (quota.h). A smaller capacity leaves room for a larger refill_us, but one of a token or two,
 * rounded up, may not: then both numbers are divided, and the rate is rounded down.
 */
static void share_rate(struct ratio share, struct quota *part)
{
	__int128 tokens = (__int128)part->refill_tokens * share.num;
	__int128 us = (__int128)part->refill_us * share.den;
	int64_t us_max = (int64_t)(QUOTA_EXACT_MAX / (2 * part->limit + tokens / us + 1));
	struct ratio rate;

	if (ratio_multiply((struct ratio){part->refill_tokens, part->refill_us}, share, &rate) &&
	    rate.den <= us_max) {
		part->refill_tokens = rate.num;
		part->refill_us = rate.den;
		return;
	}
	/* As many tokens as can be kept, in the time that they take, rounded up. */
	int64_t kept = (int64_t)(tokens * us_max / us);
	part->refill_tokens = kept > 0 ? kept : 1;
	__int128 kept_us = (part->refill_tokens * us + tokens - 1) / tokens;
	part->refill_us = kept_us < us_max ? (int64_t)kept_us : us_max;
}

struct quota share_of_quota(struct ratio share, const struct quota *quota)
{
	struct quota part = *quota;

	if (share_is_all(share))
		return part;
	part.limit = share_of_units(share, quota->limit);
	if (part.limit == 0)
		part.limit = 1;
	if (algorithm_traits(quota->algorithm)->is_by_rate)
		share_rate(share, &part);
	return part;
}

/* The rows have the functions, since each of them has a state of its own. */
void balance_share(struct balance *b, const struct quota *quota, const struct quota *part,
		   struct ratio share, struct shared_log *log)
{
	const struct algorithm_traits *traits = algorithm_traits(quota->algorithm);
	int64_t remaining = balance_remaining(b, quota);
	int64_t left = remaining == quota->limit ? part->limit : share_of_units(share, remaining);

	traits->share(b, &(struct sharing){
				 .quota = quota,
				 .part = part,
				 .share = share,
				 .left = left < part->limit ? left : part->limit,
				 .log = log,
			 });
}
