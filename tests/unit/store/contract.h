/*
 * contract.h - tests of what every store must do (store/store.h). Each store runs this suite.
 */
#ifndef UNIT_STORE_CONTRACT_H
#define UNIT_STORE_CONTRACT_H

#include "store/store.h"

/* How the suite makes a store, and how it waits for the answer to an op. */
struct store_under_test {
	struct store *(*make)(void);
	/* Waits until a PENDING op is answered. Not called for a store that always answers at once.
	 */
	void (*await)(struct store *store, struct store_op *op);
};

/* Adds the suite to the tests of the binary. Called from a TEST_CONSTRUCTOR. */
void store_contract_add(const struct store_under_test *under_test);

/* ---- for the tests of a store ---- */

struct check *check_make(struct check *check, const char *key, const struct quota *quota,
			 int64_t cost);
struct quota bucket_of(int64_t capacity, const char *rate);
struct quota window_of(enum algorithm algorithm, int64_t limit, int64_t window_us);
/* Of any algorithm: a window of `full_us`, or a bucket that is full after so long. */
struct quota quota_of(enum algorithm algorithm, int64_t limit, int64_t full_us);
/* Asks for `count` checks together at `now_us` and waits for the answer. */
void ask(struct store *store, struct check *const *checks, size_t count, int64_t now_us);

#endif
