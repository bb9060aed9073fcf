/*
 * script_calls.h - what tests of the script's calls and replies share: replies in words, and cases
 * whose outcomes were worked by hand.
 */
#ifndef UNIT_STORE_SCRIPT_CALLS_H
#define UNIT_STORE_SCRIPT_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/redis/redis_script.h"
#include "unit/store/contract.h"

/* 20 s into a minute. */
#define NOW_US INT64_C(1700000000000000)
#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define EXACT  QUOTA_EXACT_MAX

#define BUCKET  bucket_of(10, "1")
#define LOG     window_of(SLIDING_WINDOW, 5, MINUTE)
#define COUNTER window_of(SLIDING_WINDOW_COUNTER, 10, MINUTE)
#define FIXED   window_of(FIXED_WINDOW, 5, MINUTE)
#define NEVER   (-1)

/* The same numbers in every run. */
uint64_t random_below(uint64_t max);

/* Makes `op` of the checks, as one of `ops`. */
struct store_op *op_in(struct store_op *op, struct list *ops, struct check *const *checks,
		       size_t count);

/* ---- replies in words: numbers, T for the time, T-10 in seconds, !ERROR, 'text, nil, *2 ---- */

#define ITEMS_MAX 128

struct words {
	struct redis_item items[ITEMS_MAX];
	struct redis_reply reply;
};

int64_t microseconds(const char *seconds, char **ret_end);
struct redis_item item_of(const char *word);
/* One array of all that; `text` is changed. */
void words_read(struct words *words, char *text);

#define WORDS(words, ...)                  \
	char words##_text[] = __VA_ARGS__; \
	static struct words words;         \
	words_read(&words, words##_text)

/* False when it is not a reply to such an op, to the end. */
bool read_op(const struct redis_reply *reply, struct store_op *op);
bool read_check(const struct redis_reply *reply, struct check *check);

/* ---- worked by hand ---- */

struct worked {
	struct quota quota;
	int64_t cost;
	const char *reply;   /* behind the time */
	const char *outcome; /* allowed?, remaining; in seconds: retry after, reset, grows */
	/* The same for the memory store: what was taken when, in seconds from now; by what limit.
	 */
	const char *priors;
	int64_t prior_limit; /* 0: the same */
};

size_t worked_cases(const struct worked **ret_cases);
void read_worked(const struct worked *worked, struct words *words);

#endif
