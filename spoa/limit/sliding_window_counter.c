/*
 * The last window slides out as this one goes on: of `previous`, the share of the window that is
 * still to come counts. With 8 in the last minute and a quarter of this one gone, 6 of them count.
 *
 * The share is kept in ticks, W a window and e of them gone, so that it is exact:
 *
 *     previous * (W - e) + (current + units) * W <= limit * W
 *
 * When the limit was lowered, both counts may be above it, and all of them counts still.
 */
#include "base/clock.h"
#include "base/least.h"
#include "limit/balance.h"
#include "limit/share.h"

static int64_t start_us(const struct window_counter *counter, const struct quota *quota)
{
	return counter->last_us - counter->last_us % quota->window_us;
}

/* Brings the two counts from the window of counter->last_us to that of `time_us`. */
static void roll(struct window_counter *counter, const struct quota *quota, int64_t time_us)
{
	int64_t passed_us = time_us - start_us(counter, quota);

	if (passed_us < quota->window_us)
		return;
	counter->previous = passed_us < 2 * quota->window_us ? counter->current : 0;
	counter->current = 0;
}

static int64_t full_us(const struct quota *quota)
{
	return 2 * quota->window_us;
}

static void look(struct balance *b, const struct quota *quota, int64_t now_us)
{
	struct window_counter *counter = &b->plain.counter;

	if (b->is_new)
		*counter = (struct window_counter){0, 0, now_us};
	int64_t time_us = balance_time(counter->last_us, now_us, full_us(quota), &b->mended);

	if (!b->mended)
		roll(counter, quota, time_us);
	counter->last_us = time_us;
}

static int64_t remaining(const struct balance *b, const struct quota *quota)
{
	const struct window_counter *counter = &b->plain.counter;
	int64_t ticks = quota_ticks(quota);
	int64_t gone = counter->last_us % quota->window_us / quota_tick_us(quota);
	int64_t weighed = divide_up(counter->previous * (ticks - gone), ticks);
	int64_t used = counter->current + weighed;

	return used < quota->limit ? quota->limit - used : 0;
}

/*
 * The first tick of a window with `before` in the one before it at which `room` units of the limit
 * are free of it: before * (W - e) <= room * W. That is W, the next window's first, if none is.
 */
static int64_t tick_with_room(int64_t before, int64_t room, int64_t ticks)
{
	return before <= room ? 0 : ticks - room * ticks / before;
}

static int64_t wait_us(const struct balance *b, const struct quota *quota, int64_t now_us,
		       int64_t units)
{
	const struct window_counter *counter = &b->plain.counter;
	int64_t ticks = quota_ticks(quota);
	int64_t before = counter->previous;
	int64_t room = quota->limit - units - counter->current;
	int64_t from_us = start_us(counter, quota);

	/* If it can't be in this window, it is in the next one, where `current` slides out. */
	if (room < 0) {
		before = counter->current;
		room = quota->limit - units;
		from_us += quota->window_us;
	}
	int64_t offset_us = tick_with_room(before, room, ticks) * quota_tick_us(quota);
	return from_us + least_i64(offset_us, quota->window_us) - now_us;
}

static void take(struct balance *b, int64_t units)
{
	b->plain.counter.current += units;
}

/* Each of the two counts has what was taken in its window. */
static void give_back(struct balance *b, const struct quota *quota, int64_t taken_us, int64_t units)
{
	struct window_counter *counter = &b->plain.counter;
	int64_t from_us = start_us(counter, quota);

	if (taken_us >= from_us)
		counter->current -= least_i64(units, counter->current);
	else if (taken_us >= from_us - quota->window_us)
		counter->previous -= least_i64(units, counter->previous);
}

/*
 * Of what slides out in this window the share, if so much is used; the rest counts in `current`,
 * and slides out in the next one.
 */
static void share(struct balance *b, const struct sharing *sharing)
{
	struct window_counter *counter = &b->plain.counter;
	int64_t ticks = quota_ticks(sharing->part);
	int64_t to_come =
		ticks - counter->last_us % sharing->part->window_us / quota_tick_us(sharing->part);
	int64_t used = sharing->part->limit - sharing->left;

	counter->previous = least_i64(share_of_units(sharing->share, counter->previous),
				      used * ticks / to_come);
	counter->current = used - divide_up(counter->previous * to_come, ticks);
}

/* previous, current, last */
static bool read_reply(struct balance *b, const struct quota *quota,
		       const struct state_reply *reply)
{
	const int64_t *numbers = reply->numbers;
	int64_t largest = QUOTA_EXACT_MAX / 2 / quota_ticks(quota); /* limit of such a window */

	b->plain.counter = (struct window_counter){numbers[0], numbers[1], numbers[2]};
	return numbers[0] <= largest && numbers[1] <= largest &&
	       reply_time_is_sane(reply, quota, numbers[2]);
}

/*
 * A limit times the ticks of its window is at most 2^52, and a window has 1000 ticks at least. So
 * what a count of another window comes to with the most ticks, 10^6, is below 2^63.
 */
static bool is_state(const union plain_state *state)
{
	const int64_t most = QUOTA_EXACT_MAX / 2 / QUOTA_WINDOW_MIN_US;

	return state_number_is_sane(state->counter.previous, most) &&
	       state_number_is_sane(state->counter.current, most) &&
	       state_number_is_sane(state->counter.last_us, QUOTA_EXACT_MAX);
}

const struct algorithm_traits sliding_window_counter_traits = {
	.name = "sliding_window_counter",
	.letter = 'c',
	.format = 1,
	.state_count = 3,
	.is_state = is_state,
	.can_be_leased = true,
	.parts = quota_ticks,
	.full_us = full_us,
	.look = look,
	.remaining = remaining,
	.wait_us = wait_us,
	.take = take,
	.give_back = give_back,
	.share = share,
	.reply_count = 3,
	.read_reply = read_reply,
};
