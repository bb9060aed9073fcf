/* Windows are aligned to the epoch: one of a minute starts when the second hand is at 12. */
#include "limit/balance.h"
#include "limit/share.h"

#include "base/least.h"

static int64_t start_us(int64_t time_us, const struct quota *quota)
{
	return time_us - time_us % quota->window_us;
}

static int64_t full_us(const struct quota *quota)
{
	return quota->window_us;
}

static void look(struct balance *b, const struct quota *quota, int64_t now_us)
{
	struct fixed_window *window = &b->plain.fixed;

	if (b->is_new)
		*window = (struct fixed_window){0, now_us};
	int64_t time_us = balance_time(window->last_us, now_us, full_us(quota), &b->mended);

	if (!b->mended && start_us(time_us, quota) != start_us(window->last_us, quota))
		window->used = 0;
	window->last_us = time_us;
}

static int64_t remaining(const struct balance *b, const struct quota *quota)
{
	/* More than the limit is used when the limit was lowered. */
	return b->plain.fixed.used < quota->limit ? quota->limit - b->plain.fixed.used : 0;
}

static int64_t wait_us(const struct balance *b, const struct quota *quota, int64_t now_us,
		       int64_t units)
{
	(void)units; /* all of them are back when the next window begins */
	return start_us(b->plain.fixed.last_us, quota) + quota->window_us - now_us;
}

static void take(struct balance *b, int64_t units)
{
	b->plain.fixed.used += units;
}

/* In a later window nothing of that counts. */
static void give_back(struct balance *b, const struct quota *quota, int64_t taken_us, int64_t units)
{
	struct fixed_window *window = &b->plain.fixed;

	if (taken_us >= start_us(window->last_us, quota))
		window->used -= least_i64(units, window->used);
}

static void share(struct balance *b, const struct sharing *sharing)
{
	b->plain.fixed.used = sharing->part->limit - sharing->left;
}

/* used, last */
static bool read_reply(struct balance *b, const struct quota *quota,
		       const struct state_reply *reply)
{
	b->plain.fixed = (struct fixed_window){reply->numbers[0], reply->numbers[1]};
	/* The limit may have been lowered, from the largest that there is. */
	return reply->numbers[0] <= QUOTA_EXACT_MAX / 2 &&
	       reply_time_is_sane(reply, quota, reply->numbers[1]);
}

static bool is_state(const union plain_state *state)
{
	return state_number_is_sane(state->fixed.used, QUOTA_EXACT_MAX / 2) &&
	       state_number_is_sane(state->fixed.last_us, QUOTA_EXACT_MAX);
}

const struct algorithm_traits fixed_window_traits = {
	.name = "fixed_window",
	.letter = 'f',
	.format = 1,
	.state_count = 2,
	.is_state = is_state,
	.can_be_leased = true,
	.full_us = full_us,
	.look = look,
	.remaining = remaining,
	.wait_us = wait_us,
	.take = take,
	.give_back = give_back,
	.share = share,
	.reply_count = 2,
	.read_reply = read_reply,
};
