/*
 * top_panes.h - which keys came most and were denied most in the last minute, in the last five, and
 * since the start, over all policies, in a memory that does not grow (3 MB).
 *
 * Time is cut into panes. Each check is counted in the pane of the current 10 s, and nowhere else:
 *
 *     six panes of 10 s     the current one and the five before     together "1m", 50 to 60 s
 *     five of a minute      what panes of 10 s were when they ended together "5m", 4 to 5 minutes
 *     one for ever                                                  "all"
 *
 * A pane is a sketch of TOP_PANE_KEYS keys: Space-Saving, as in top_keys.h. When a pane of 10 s
 * ends, its sketch is merged into those of its minute and of ever (Agarwal et al., Mergeable
 * Summaries, 2012), which takes some 50 us. A count is never too low, and too high by at most the
 * `error` beside it; a key that is in no list came at most as often as the list's `floor`.
 */
#ifndef LIMIT_TOP_PANES_H
#define LIMIT_TOP_PANES_H

#include <stddef.h>
#include <stdint.h>

#include "limit/check.h"

#define TOP_PANE_KEYS  512
#define TOP_PANE_US    INT64_C(10000000)
#define TOP_MINUTE     6 /* panes of 10 s in a minute */
#define TOP_MINUTES    5
#define TOP_KEY_MAX    CHECK_VALUES_MAX
#define TOP_PANE_SLOTS 1024

enum top_by { TOP_BY_DENIED = 0, TOP_BY_ASKED, TOP_BY_COUNT };
enum top_last { TOP_LAST_MINUTE = 0, TOP_LAST_MINUTES, TOP_LAST_EVER };

struct top_entry {
	uint64_t count, error; /* the key came count - error to count times */
	uint64_t hash;
	/* Of the last request. */
	int64_t limit;
	int64_t remaining; /* -1: the store did not answer */
	int64_t retry_after_us;
	uint16_t next; /* in its slot, plus 1 */
	uint8_t key_len;
	char policy[POLICY_NAME_MAX + 1];
	char key[TOP_KEY_MAX];
};

struct top_sketch {
	size_t count;
	uint64_t floor; /* a key that is not here came at most so often */
	uint64_t total;
	size_t hand;                    /* where the search for the least one goes on */
	uint16_t slots[TOP_PANE_SLOTS]; /* by hash: the first entry, plus 1 */
	struct top_entry entries[TOP_PANE_KEYS];
};

struct top_panes;

/* NULL when memory is short. */
struct top_panes *top_panes_new(int64_t mono_us);
void top_panes_free(struct top_panes *panes);
/* `hash` is the one of the check's policy and key. */
void top_panes_add(struct top_panes *panes, enum top_by by, const struct check *check,
		   uint64_t hash, int64_t mono_us);
/*
 * What the panes of the last time have together, in entries 0 to count - 1, the key first that came
 * most often for certain. *ret_us: the time that they are of. The sketch is the panes' own, until
 * the next call.
 */
const struct top_sketch *top_panes_sum(struct top_panes *panes, enum top_by by, enum top_last last,
				       int64_t mono_us, int64_t *ret_us);

/* ---- for top_panes.c and its test ---- */

void top_sketch_add(struct top_sketch *sketch, const struct check *check, uint64_t hash);
const struct top_entry *top_sketch_find(const struct top_sketch *sketch, uint64_t hash);
/* Adds what `from` has counted. `scratch` has room for 2 * TOP_PANE_KEYS. */
void top_sketch_merge(struct top_sketch *into, const struct top_sketch *from,
		      struct top_entry *scratch);

#endif
