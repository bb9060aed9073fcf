#include "limit/balance.h"

static const struct algorithm_traits *traits_of(const struct quota *quota)
{
	return algorithm_traits(quota->algorithm);
}

void balance_look(struct balance *b, const struct quota *quota, int64_t now_us)
{
	b->mended = false;
	traits_of(quota)->look(b, quota, now_us);
}

int64_t balance_remaining(const struct balance *b, const struct quota *quota)
{
	return traits_of(quota)->remaining(b, quota);
}

/* `remaining` is what balance_remaining says; a division less for those who know it. */
static int64_t wait_us(const struct balance *b, const struct quota *quota, int64_t now_us,
		       int64_t units, int64_t remaining)
{
	if (units <= remaining)
		return 0;
	if (units > quota->limit)
		return -1;
	return traits_of(quota)->wait_us(b, quota, now_us, units);
}

int64_t balance_wait_us(const struct balance *b, const struct quota *quota, int64_t now_us,
			int64_t units)
{
	return wait_us(b, quota, now_us, units, balance_remaining(b, quota));
}

void balance_take(struct balance *b, const struct quota *quota, int64_t units)
{
	traits_of(quota)->take(b, units);
}

void balance_give_back(struct balance *b, const struct quota *quota, int64_t taken_us,
		       int64_t units)
{
	traits_of(quota)->give_back(b, quota, taken_us, units);
}

struct outcome balance_outcome(const struct balance *b, const struct quota *quota, int64_t now_us,
			       int64_t cost, bool charged)
{
	int64_t remaining = balance_remaining(b, quota);
	int64_t retry_after_us = charged ? 0 : wait_us(b, quota, now_us, cost, remaining);

	return (struct outcome){
		.allowed = retry_after_us == 0,
		.remaining = remaining,
		.retry_after_us = retry_after_us,
		.reset_us = wait_us(b, quota, now_us, quota->limit, remaining),
		.grows_us = remaining == quota->limit
				    ? 0
				    : wait_us(b, quota, now_us, remaining + 1, remaining),
	};
}

bool balance_read_reply(struct balance *b, const struct quota *quota,
			const struct state_reply *reply)
{
	*b = (struct balance){0};
	return traits_of(quota)->read_reply(b, quota, reply);
}
