/*
 * sliding_window: strict. What was taken at t counts in (now - window, now], that is until
 * t + window, so in no stretch of a window's length do more than `limit` units pass.
 */
#include "base/least.h"
#include "limit/balance.h"
#include "limit/share.h"

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

static int64_t full_us(const struct quota *quota)
{
	return quota->window_us;
}

static void look(struct balance *b, const struct quota *quota, int64_t now_us)
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
	int64_t time_us = balance_time(newest_us, now_us, full_us(quota), &b->mended);
	int64_t counted_us = b->mended ? newest_us : time_us;

	log->expired = count_until(log, counted_us - quota->window_us);
	log->used = entry(log, log->count - 1).total - total_before(log, log->expired);
	log->last_us = time_us;
	log->mended = b->mended;
}

static int64_t remaining(const struct balance *b, const struct quota *quota)
{
	const struct window_log *log = &b->log;

	return log->used < quota->limit ? quota->limit - log->used : 0;
}

/* Of what is used, what the log holds; the rest was just taken and is not in it yet. */
static int64_t logged_units(const struct window_log *log)
{
	if (log->mended || log->count == 0)
		return 0;
	return entry(log, log->count - 1).total - total_before(log, log->expired);
}

/* Something is used: `units` is more than what remains and at most the limit. */
static int64_t wait_us(const struct balance *b, const struct quota *quota, int64_t now_us,
		       int64_t units)
{
	const struct window_log *log = &b->log;
	int64_t must_leave = log->used + units - quota->limit;
	int64_t logged = logged_units(log);

	if (must_leave > logged)
		return log->last_us + quota->window_us - now_us;
	int64_t total = total_before(log, log->expired) + must_leave;
	return entry(log, find_total(log, total)).time_us + quota->window_us - now_us;
}

static void take(struct balance *b, int64_t units)
{
	b->log.used += units;
}

/*
 * The oldest units leave the log in place of those that were taken then, since the log has no room
 * for a hole. So the others count no shorter than they should.
 */
static void give_back(struct balance *b, const struct quota *quota, int64_t taken_us, int64_t units)
{
	struct window_log *log = &b->log;

	if (taken_us <= log->last_us - quota->window_us)
		return;
	log->used -= least_i64(units, log->used);
	if (log->used == 0)
		log->expired = log->count;
	else if (!log->mended)
		log->expired = find_total(log, entry(log, log->count - 1).total - log->used + 1);
}

static struct window_entry entry_of_shared(const void *state, size_t index)
{
	return ((const struct shared_log *)state)->entries[index];
}

/* Where the `n`th of `kept` entries is in the log: the first of those that count, and the last. */
static size_t place_of_kept(const struct window_log *log, size_t n, size_t kept)
{
	return n + 1 == kept ? log->count - 1 : log->expired + n;
}

/*
 * The entries have the share of what leaves with them, as sums from the oldest on: so no rounding
 * lets more leave than the share. The last entry has the rest. Units above the limit, which was
 * lowered then, leave without making room, and have no share.
 */
static void share(struct balance *b, const struct sharing *sharing)
{
	struct window_log *log = &b->log;
	int64_t used = sharing->part->limit - sharing->left;
	int64_t above = greatest_i64(log->used - sharing->quota->limit, 0);
	size_t counted = log->count - log->expired;
	size_t kept = counted < SHARED_LOG_MAX ? counted : SHARED_LOG_MAX;

	if (log->mended || (kept == 0 && used > 0)) {
		kept = 1;
		sharing->log->entries[0] = (struct window_entry){log->last_us, used};
	}
	for (size_t n = 0; n < kept && !log->mended; n++) {
		size_t at = place_of_kept(log, n, kept);
		int64_t sum = entry(log, at).total - total_before(log, log->expired);
		int64_t leaves = share_of_units(sharing->share, greatest_i64(sum - above, 0));
		sharing->log->entries[n] = (struct window_entry){
			entry(log, at).time_us, n + 1 == kept || leaves > used ? used : leaves};
	}
	*log = (struct window_log){
		.count = kept,
		.entry = entry_of_shared,
		.state = sharing->log,
		.used = used,
		.last_us = log->last_us,
		.mended = log->mended,
	};
}

static struct window_entry entry_of_excerpt(const void *state, size_t index)
{
	return ((const struct log_excerpt *)state)->entries[index];
}

/* used, last, and the times of three entries: the newest, that for `remaining` to grow, and that
 * for the cost to pass */
static bool read_reply(struct balance *b, const struct quota *quota,
		       const struct state_reply *reply)
{
	int64_t used = reply->numbers[0], last_us = reply->numbers[1];
	int64_t newest_us = reply->numbers[2], grows_us = reply->numbers[3],
		passes_us = reply->numbers[4];

	if (!reply_time_is_sane(reply, quota, last_us) || newest_us > last_us ||
	    grows_us > newest_us || passes_us > newest_us)
		return false;
	if (used > 0 && grows_us <= last_us - quota->window_us) /* it has left */
		return false;
	int64_t to_grow = greatest_i64(used - quota->limit + 1, 1);
	int64_t to_pass = reply->cost <= quota->limit
				  ? greatest_i64(used + reply->cost - quota->limit, to_grow)
				  : used;
	*reply->excerpt = (struct log_excerpt){{
		{grows_us, to_grow},
		{greatest_i64(passes_us, grows_us), to_pass},
		{newest_us, used},
	}};
	b->log = (struct window_log){
		.count = used > 0 ? ARRAY_SIZE(reply->excerpt->entries) : 0,
		.entry = entry_of_excerpt,
		.state = reply->excerpt,
		.used = used,
		.last_us = last_us,
	};
	return true;
}

const struct algorithm_traits sliding_window_traits = {
	.name = "sliding_window",
	.letter = 's',
	.format = 1,
	.is_log = true,
	.limit_max = QUOTA_LOG_LIMIT_MAX,
	.above_limit_max = "sliding_window_counter",
	.full_us = full_us,
	.look = look,
	.remaining = remaining,
	.wait_us = wait_us,
	.take = take,
	.give_back = give_back,
	.share = share,
	.reply_count = 5,
	.read_reply = read_reply,
};
