/*
 * balance.h - what is left of a quota for one key; how the quota's algorithm counts, its row in
 * algorithm.h knows.
 *
 * A balance is looked at, asked, and perhaps taken from:
 *
 *     balance_look(&b, &quota, now_us);            brings a copy of the state up to now
 *     balance_remaining(&b, &quota)                whole units that would pass now
 *     balance_wait_us(&b, &quota, now_us, units)   how long until so many would pass
 *     balance_take(&b, &quota, units);             only what remains
 *
 * The store keeps the state and decides what is written back: a request that is denied writes
 * nothing, so a look works on a copy. There is one exception. A state whose time lies further ahead
 * of the clock than a balance takes from empty to full can only come from a clock that was wrong.
 * balance_look brings this state back to now and keeps its level (`mended`). The store writes it
 * also when the request is denied, since the wait in the answer would not come true otherwise.
 *
 * The numbers of the quota may be others than at the last write, since a reload keeps balances. A
 * bucket keeps its level then, no more than its capacity, and a window what was used, which may be
 * above the limit. A bucket that was full before the reload is full after it: who keeps the state
 * knows that, and says `is_new`.
 *
 * A clock that stepped back by less than that refills nothing: the balance stays at its own time
 * until the clock has reached it, and waits are counted from the clock's time.
 */
#ifndef LIMIT_BALANCE_H
#define LIMIT_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limit/algorithm.h"
#include "limit/quota.h"

/*
 * token_bucket: the level in 1/unit_us tokens, `unit_us` being the quota's refill_us when it was
 * written. After a reload with another rate the level is converted, and rounded down.
 */
struct token_bucket {
	int64_t level;
	int64_t unit_us;
	int64_t last_us;
};

/* fixed_window: what was used in the window, aligned to the epoch, that `last_us` is in. */
struct fixed_window {
	int64_t used;
	int64_t last_us;
};

/* sliding_window_counter: what was used in the window of `last_us`, and in the one before. */
struct window_counter {
	int64_t previous;
	int64_t current;
	int64_t last_us;
};

/*
 * sliding_window: a log of what was taken and when, oldest first, which the store keeps. Its times
 * only grow; `total` is the running sum of the units up to and with the entry, so that the units
 * between any two entries are one subtraction and "when will so many have left?" a binary search.
 */
struct window_entry {
	int64_t time_us;
	int64_t total;
};

struct window_log {
	/* From the store: how many entries there are, how to read one, the sum before the first. */
	size_t count;
	struct window_entry (*entry)(const void *state, size_t index);
	const void *state;
	int64_t total_before;
	/*
	 * From the functions below. Taking appends (last_us, used) to the log, merged
	 * with its last entry if the times are equal; `expired` entries are no longer needed. When
	 * units were given back, `used` is less than what the entries after these have together,
	 * and the first of them has less. When `mended` the whole log is to be one entry,
	 * (last_us, used).
	 */
	size_t expired;
	int64_t used;
	int64_t last_us;
	bool mended;
};

/* The states that a store keeps as they are, without a look into them. Each is whole numbers only.
 */
#define PLAIN_STATE_NUMBERS 3
union plain_state {
	int64_t numbers[PLAIN_STATE_NUMBERS];
	struct token_bucket bucket;
	struct fixed_window fixed;
	struct window_counter counter;
};

struct balance {
	/*
	 * Set by the store: there is no state, or the bucket was full again by the terms of its
	 * last write, which may have been others than those of today; balance_look fills in the
	 * rest. A window is empty by itself by then, whatever the limit.
	 */
	bool is_new;
	bool mended; /* set by balance_look: write it back even if nothing is taken */
	union {
		union plain_state plain;
		struct window_log log; /* of an algorithm whose row says `is_log` */
	};
};

void balance_look(struct balance *b, const struct quota *quota, int64_t now_us);
int64_t balance_remaining(const struct balance *b, const struct quota *quota);
/* 0 when `units` would pass at `now_us`; -1 when they never will: above the limit. */
int64_t balance_wait_us(const struct balance *b, const struct quota *quota, int64_t now_us,
			int64_t units);
/* `units` is at most what remains. */
void balance_take(struct balance *b, const struct quota *quota, int64_t units);
/*
 * Undoes a take of so many units at `taken_us`, as far as they certainly count still: no unit that
 * was taken later comes back in their place. `units` is at most the limit. Before the balance is
 * asked for a wait it has to be written and looked at again.
 */
void balance_give_back(struct balance *b, const struct quota *quota, int64_t taken_us,
		       int64_t units);

/* What a check came to. Times are from now; retry_after_us is 0 if allowed, -1 for never. */
struct outcome {
	bool allowed;
	int64_t remaining;      /* after this request */
	int64_t retry_after_us; /* until the same request could pass */
	int64_t reset_us;       /* until the full quota is back; 0 when it is there */
	int64_t grows_us;       /* until `remaining` grows; 0 when it is full */
};

/* After the taking if the request was `charged`, else as it was seen. */
struct outcome balance_outcome(const struct balance *b, const struct quota *quota, int64_t now_us,
			       int64_t cost, bool charged);

/*
 * What Redis replies of a sliding window: not its log, but the three entries that are needed, those
 * with which so many units have left that `remaining` grows, that the cost passes, and all.
 */
struct log_excerpt {
	struct window_entry entries[3];
};

/* What Redis replied of a state (lua/contract.lua), at `now_us` by its clock. */
struct state_reply {
	/* As many as the algorithm's row says, each from 0 to 2^53. */
	int64_t numbers[ALGORITHM_REPLY_MAX];
	int64_t now_us;
	int64_t cost;                /* of the check */
	struct log_excerpt *excerpt; /* memory for the entries; lives as long as the balance */
};

static inline bool state_number_is_sane(int64_t number, int64_t most)
{
	return number >= 0 && number <= most;
}

/* The time of a balance is now, or ahead of it by no more than from empty to full. */
static inline bool reply_time_is_sane(const struct state_reply *reply, const struct quota *quota,
				      int64_t time_us)
{
	return time_us >= reply->now_us && time_us <= reply->now_us + quota_full_us(quota);
}

/* Makes of a reply what balance_look made in Redis. False when it can't be a state. */
MUST_CHECK bool balance_read_reply(struct balance *b, const struct quota *quota,
				   const struct state_reply *reply);

#endif
