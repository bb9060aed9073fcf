/*
 * sliding_window: strict. What was taken at t counts in (now - window, now], that is until
 * t + window, so in no stretch of a window's length do more than `limit` units pass.
 */
#include "limit/algorithms.h"

static struct window_entry entry(const struct window_log *log, size_t index)
{
	return log->entry(log->state, index);
}

static int64_t total_before(const struct window_log *log, size_t index)
{
	return index == 0 ? log->total_before : entry(log, index - 1).total;
}

/* How many entries, from the oldest, are at or before `time_us`. */
static size_t count_until(const struct window_log *log, int64_t time_us)
{
	size_t low = 0, high = log->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (entry(log, middle).time_us <= time_us)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The first entry with which `total` is reached. */
static size_t find_total(const struct window_log *log, int64_t total)
{
	size_t low = log->expired, high = log->count - 1;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (entry(log, middle).total < total)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void window_log_look(struct balance *b, const struct quota *quota, int64_t now_us)
{
	struct window_log *log = &b->log;

	if (b->is_new)
		*log = (struct window_log){0};
	log->expired = 0;
	log->used = 0;
	log->last_us = now_us;
	log->mended = false;
	if (log->count == 0)
		return;
	int64_t newest_us = entry(log, log->count - 1).time_us;
	int64_t time_us = balance_time(newest_us, now_us, quota_full_us(quota), &b->mended);
	int64_t counted_us = b->mended ? newest_us : time_us;

	log->expired = count_until(log, counted_us - quota->window_us);
	log->used = entry(log, log->count - 1).total - total_before(log, log->expired);
	log->last_us = time_us;
	log->mended = b->mended;
}

int64_t window_log_remaining(const struct window_log *log, const struct quota *quota)
{
	return log->used < quota->limit ? quota->limit - log->used : 0;
}

/* Of what is used, what the log holds; the rest was just taken and is not in it yet. */
static int64_t logged_units(const struct window_log *log)
{
	if (log->mended || log->count == 0)
		return 0;
	return entry(log, log->count - 1).total - total_before(log, log->expired);
}

/* Called when something is used: `units` is more than what remains and at most the limit. */
int64_t window_log_wait_us(const struct window_log *log, const struct quota *quota, int64_t now_us,
			   int64_t units)
{
	int64_t must_leave = log->used + units - quota->limit;
	int64_t logged = logged_units(log);

	if (must_leave > logged)
		return log->last_us + quota->window_us - now_us;
	int64_t total = total_before(log, log->expired) + must_leave;
	return entry(log, find_total(log, total)).time_us + quota->window_us - now_us;
}
