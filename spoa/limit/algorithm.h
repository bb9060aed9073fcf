/*
 * algorithm.h - all that makes an algorithm different from another one, in one row.
 *
 * The row stands at the end of the algorithm's C file, and all other code asks the row: nothing
 * compares with TOKEN_BUCKET. To add an algorithm, write
 *
 *     a line of ALGORITHMS below
 *     limit/NAME.c               its functions and its row
 *     balance.h                  its state, in union plain_state
 *     lua/NAME.lua               the same functions for Redis (lua/contract.lua, CMakeLists.txt)
 *     tests/unit/limit/model.c   the same once more, slow and exact
 *     docs/                      policies.schema.json, openapi.json, algorithms.md, redis.md
 *
 * Without the C file the agent does not link; test_algorithm names the others.
 */
#ifndef LIMIT_ALGORITHM_H
#define LIMIT_ALGORITHM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"

/* The name in enum algorithm, and that of the row: fixed_window is `fixed_window_traits`. */
#define ALGORITHMS(X)                                     \
	X(TOKEN_BUCKET, token_bucket)                     \
	X(SLIDING_WINDOW, sliding_window)                 \
	X(SLIDING_WINDOW_COUNTER, sliding_window_counter) \
	X(FIXED_WINDOW, fixed_window)

#define ALGORITHM_VALUE(value, row) value,
enum algorithm { ALGORITHMS(ALGORITHM_VALUE) ALGORITHM_COUNT };

#define ALGORITHM_REPLY_MAX 5 /* numbers of a state in a reply of Redis */

struct balance;
union plain_state;
struct quota;
struct sharing;
struct state_reply;

struct algorithm_traits {
	const char *name; /* in policy files, requests, logs, and of its file and table in lua/ */
	char letter;      /* in the keys of inline policies (docs/redis.md) */
	/* A part of the keys of all balances of the algorithm. A new one makes each of them start
	 * anew: raise it only when a state changes its meaning and the old one can't be read. */
	int format;
	/* Its numbers are `capacity` and `refill_rate`; else they are `limit` and `window`. */
	bool is_by_rate;
	/* Its state is a log that the store keeps (struct window_log); else a union plain_state. */
	bool is_log;
	/* Of how many whole numbers a union plain_state has as a state of this algorithm, and
	 * whether such numbers can be one, of whatever quota. 0 and NULL for a log. */
	size_t state_count;
	bool (*is_state)(const union plain_state *state);
	/* Units can be taken ahead of need, and what is unspent given back exactly. */
	bool can_be_leased;
	/* The largest limit, and which algorithm takes a larger one; 0 and NULL: what is exact. */
	int64_t limit_max;
	const char *above_limit_max;
	/* Into how many parts a window divides a unit; NULL: it counts in whole units. */
	int64_t (*parts)(const struct quota *quota);

	/* What quota_full_us and the functions of balance.h say; balance.h checks before it asks:
	 * `units` of `wait_us` is at most the limit and more than what remains; that of `take` is
	 * from 1 to what remains, and that of `give_back` from 1 to the limit. */
	int64_t (*full_us)(const struct quota *quota);
	void (*look)(struct balance *b, const struct quota *quota, int64_t now_us);
	int64_t (*remaining)(const struct balance *b, const struct quota *quota);
	int64_t (*wait_us)(const struct balance *b, const struct quota *quota, int64_t now_us,
			   int64_t units);
	void (*take)(struct balance *b, int64_t units);
	void (*give_back)(struct balance *b, const struct quota *quota, int64_t taken_us,
			  int64_t units);
	/* What balance_share says (share.h): `left` units are left then, at most the part's limit.
	 */
	void (*share)(struct balance *b, const struct sharing *sharing);

	/* How many numbers a reply of Redis has of a state (lua/contract.lua), and what makes a
	 * balance of them; false when they can't be a state that the script found. */
	size_t reply_count;
	bool (*read_reply)(struct balance *b, const struct quota *quota,
			   const struct state_reply *reply);
};

#define ALGORITHM_ROW(value, row) extern const struct algorithm_traits row##_traits;
ALGORITHMS(ALGORITHM_ROW)

extern const struct algorithm_traits *const algorithm_rows[ALGORITHM_COUNT];

static inline const struct algorithm_traits *algorithm_traits(enum algorithm algorithm)
{
	return algorithm_rows[algorithm];
}

static inline const char *algorithm_name(enum algorithm algorithm)
{
	return algorithm_rows[algorithm]->name;
}

MUST_CHECK bool algorithm_find(struct bytes name, enum algorithm *ret_algorithm);

/*
 * The time that a balance counts by: the clock's, or the balance's own when the clock stepped back;
 * *ret_mended when the balance's own is too far ahead to be believed.
 */
static inline int64_t balance_time(int64_t last_us, int64_t now_us, int64_t full_us,
				   bool *ret_mended)
{
	*ret_mended = last_us > now_us && last_us - now_us > full_us;
	return last_us > now_us && !*ret_mended ? last_us : now_us;
}

#endif
