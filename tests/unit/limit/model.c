#include "model.h"

#include <string.h>

static __int128 floor_divide(__int128 a, __int128 b)
{
	return a / b;
}

/* ---- token_bucket: level(t) = min(capacity, level(last) + (t - last) * rate) ---- */

static void set_tokens(struct model *m, __int128 num, __int128 den, int64_t capacity)
{
	bool is_more = num > capacity * den;

	m->tokens_num = is_more ? capacity : num;
	m->tokens_den = is_more ? 1 : den;
}

/*
 * After a change of the rate the tokens stay, rounded down to what the new rate adds in a
 * microsecond; after a lower capacity as many as fit.
 */
static void bucket_adopt(struct model *m, const struct quota *quota)
{
	if (m->refill_us != quota->refill_us)
		set_tokens(m, floor_divide(m->tokens_num * quota->refill_us, m->tokens_den),
			   quota->refill_us, quota->limit);
	else
		set_tokens(m, m->tokens_num, m->tokens_den, quota->limit);
	m->refill_us = quota->refill_us;
}

static void bucket_refill(struct model *m, const struct quota *quota, int64_t elapsed_us)
{
	/* tokens + elapsed * refill_tokens / refill_us, over one denominator */
	__int128 scale = quota->refill_us / m->tokens_den;

	set_tokens(m, m->tokens_num * scale + (__int128)elapsed_us * quota->refill_tokens,
		   quota->refill_us, quota->limit);
}

static int64_t bucket_remaining(const struct model *m, const struct quota *quota, int64_t time_us)
{
	static struct model then; /* static since it is large */

	then.tokens_num = m->tokens_num;
	then.tokens_den = m->tokens_den;
	bucket_refill(&then, quota, time_us - m->last_us);
	return (int64_t)floor_divide(then.tokens_num, then.tokens_den);
}

/* ---- the windows ---- */

static int64_t window_number(const struct quota *quota, int64_t time_us)
{
	return time_us / quota->window_us;
}

static int64_t fixed_remaining(const struct model *m, const struct quota *quota, int64_t time_us)
{
	bool is_same = window_number(quota, time_us) == window_number(quota, m->last_us);
	int64_t used = is_same ? m->current : 0;

	return used < quota->limit ? quota->limit - used : 0;
}

/* The largest n with previous * (W - e) / W + current + n <= limit, or 0. */
static int64_t counter_remaining(const struct model *m, const struct quota *quota, int64_t time_us)
{
	int64_t tick_us = (quota->window_us + 999999) / 1000000;
	int64_t ticks = (quota->window_us + tick_us - 1) / tick_us;
	int64_t gone = time_us % quota->window_us / tick_us;
	int64_t windows = window_number(quota, time_us) - window_number(quota, m->last_us);
	int64_t previous = windows == 0 ? m->previous : windows == 1 ? m->current : 0;
	int64_t current = windows == 0 ? m->current : 0;
	__int128 room =
		(__int128)(quota->limit - current) * ticks - (__int128)previous * (ticks - gone);

	return room <= 0 ? 0 : (int64_t)floor_divide(room, ticks);
}

static int64_t log_used(const struct model *m, const struct quota *quota, int64_t time_us)
{
	int64_t used = 0;

	for (size_t i = 0; i < m->take_count; i++)
		if (m->takes[i].time_us > time_us - quota->window_us)
			used += m->takes[i].units;
	return used;
}

static int64_t log_remaining(const struct model *m, const struct quota *quota, int64_t time_us)
{
	int64_t used = log_used(m, quota, time_us);

	return used < quota->limit ? quota->limit - used : 0;
}

/* ---- all ---- */

/* At `time_us` of the clock. While the clock is behind the balance's own time, nothing is refilled.
 */
static int64_t remaining_at(const struct model *m, const struct quota *quota, int64_t time_us)
{
	if (time_us < m->last_us)
		time_us = m->last_us;
	switch (quota->algorithm) {
	case TOKEN_BUCKET:
		return bucket_remaining(m, quota, time_us);
	case SLIDING_WINDOW:
		return log_remaining(m, quota, time_us);
	case SLIDING_WINDOW_COUNTER:
		return counter_remaining(m, quota, time_us);
	case FIXED_WINDOW:
		return fixed_remaining(m, quota, time_us);
	case ALGORITHM_COUNT:
		break;
	}
	return 0;
}

/* The time from empty to full. A balance's time can't be further ahead of the clock than that. */
static int64_t full_us(const struct quota *quota)
{
	if (quota->algorithm == TOKEN_BUCKET)
		return (int64_t)floor_divide((__int128)quota->limit * quota->refill_us +
						     quota->refill_tokens - 1,
					     quota->refill_tokens);
	return quota->algorithm == SLIDING_WINDOW_COUNTER ? 2 * quota->window_us : quota->window_us;
}

static int64_t wait_us(const struct model *m, const struct quota *quota, int64_t now_us,
		       int64_t units)
{
	int64_t low = now_us, high = now_us + full_us(quota);

	if (units > quota->limit)
		return -1;
	if (m->last_us > now_us)
		high += m->last_us - now_us;
	while (low < high) {
		int64_t middle = low + (high - low) / 2;
		if (remaining_at(m, quota, middle) >= units)
			high = middle;
		else
			low = middle + 1;
	}
	return low - now_us;
}

static void begin(struct model *m, const struct quota *quota, int64_t now_us)
{
	m->last_us = now_us;
	m->tokens_num = quota->limit;
	m->tokens_den = 1;
	m->refill_us = quota->refill_us;
	m->current = m->previous = 0;
	m->take_count = 0;
}

/* Of a window all that was used counts, also when the limit was lowered. */
static void adopt(struct model *m, const struct quota *quota)
{
	if (quota->algorithm == TOKEN_BUCKET)
		bucket_adopt(m, quota);
}

static bool mend(struct model *m, const struct quota *quota, int64_t now_us)
{
	if (m->last_us <= now_us || m->last_us - now_us <= full_us(quota))
		return false;
	int64_t used = log_used(m, quota, m->last_us);
	m->take_count = 1;
	m->takes[0].time_us = now_us;
	m->takes[0].units = used;
	m->last_us = now_us;
	return true;
}

/* Brings the state to `time_us`. A limiter writes that state when it takes something. */
static void advance(struct model *m, const struct quota *quota, int64_t time_us)
{
	int64_t windows;

	if (time_us < m->last_us)
		time_us = m->last_us;
	switch (quota->algorithm) {
	case TOKEN_BUCKET:
		bucket_refill(m, quota, time_us - m->last_us);
		break;
	case SLIDING_WINDOW:
		break;
	case SLIDING_WINDOW_COUNTER:
	case FIXED_WINDOW:
		windows = window_number(quota, time_us) - window_number(quota, m->last_us);
		m->previous = windows == 0 ? m->previous : windows == 1 ? m->current : 0;
		m->current = windows == 0 ? m->current : 0;
		break;
	case ALGORITHM_COUNT:
		break;
	}
	m->last_us = time_us;
}

/* Units that have left the window never come back, since the balance's time does not go back. */
static void forget_takes(struct model *m, const struct quota *quota)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->take_count; i++)
		if (m->takes[i].time_us > m->last_us - quota->window_us)
			m->takes[kept++] = m->takes[i];
	m->take_count = kept;
}

static void take(struct model *m, const struct quota *quota, int64_t units)
{
	m->tokens_num -= units * m->tokens_den;
	m->current += units;
	if (quota->algorithm != SLIDING_WINDOW)
		return;
	forget_takes(m, quota);
	ASSERT(m->take_count < MODEL_TAKES_MAX);
	m->takes[m->take_count].time_us = m->last_us;
	m->takes[m->take_count].units = units;
	m->take_count++;
}

static struct outcome outcome_of(const struct model *m, const struct quota *quota, int64_t now_us,
				 int64_t cost, bool charged)
{
	int64_t remaining = remaining_at(m, quota, now_us);
	struct outcome outcome = {
		.remaining = remaining,
		.retry_after_us = charged ? 0 : wait_us(m, quota, now_us, cost),
		.reset_us = wait_us(m, quota, now_us, quota->limit),
		.grows_us =
			remaining == quota->limit ? 0 : wait_us(m, quota, now_us, remaining + 1),
	};

	outcome.allowed = outcome.retry_after_us == 0;
	return outcome;
}

struct outcome model_ask(struct model *m, const struct quota *quota, int64_t now_us, int64_t cost,
			 bool vetoed)
{
	static struct model copy;
	bool mended = false;

	memcpy(&copy, m, sizeof copy);
	/* What was full by the terms of its last write is full by those of today. */
	if (copy.exists && now_us < copy.full_us)
		mended = mend(&copy, quota, now_us);
	else
		begin(&copy, quota, now_us);
	adopt(&copy, quota);
	bool charged = !vetoed && cost <= remaining_at(&copy, quota, now_us);
	if (charged && cost > 0) {
		advance(&copy, quota, now_us);
		take(&copy, quota, cost);
		copy.exists = true;
	}
	copy.full_us = now_us + wait_us(&copy, quota, now_us, quota->limit);
	/* A denied request writes nothing, except that it mends a time that can't be right. */
	if ((charged && cost > 0) || mended)
		memcpy(m, &copy, sizeof copy);
	return outcome_of(&copy, quota, now_us, cost, charged);
}
