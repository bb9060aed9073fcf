/* Windows are aligned to the epoch: one of a minute starts when the second hand is at 12. */
#include "limit/algorithms.h"

static int64_t start_us(int64_t time_us, const struct quota *quota)
{
	return time_us - time_us % quota->window_us;
}

void fixed_window_look(struct balance *b, const struct quota *quota, int64_t now_us)
{
	struct fixed_window *window = &b->fixed;

	if (b->is_new)
		*window = (struct fixed_window){0, now_us};
	int64_t time_us = balance_time(window->last_us, now_us, quota_full_us(quota), &b->mended);

	if (!b->mended && start_us(time_us, quota) != start_us(window->last_us, quota))
		window->used = 0;
	if (window->used > quota->limit) /* it was lowered */
		window->used = quota->limit;
	window->last_us = time_us;
}

int64_t fixed_window_remaining(const struct fixed_window *window, const struct quota *quota)
{
	return quota->limit - window->used;
}

int64_t fixed_window_wait_us(const struct fixed_window *window, const struct quota *quota,
			     int64_t now_us)
{
	return start_us(window->last_us, quota) + quota->window_us - now_us;
}
