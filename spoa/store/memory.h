/*
 * memory.h - balances in this process, in no more memory than was promised.
 *
 * It answers at once (STORE_DONE). A balance costs 64 bytes and 4 of the index; the log of a
 * sliding_window costs 16 bytes an entry more. balances.h says what is forgotten when memory is
 * short. A log that would need all of it is an error (STORE_OOM): nothing is counted anew.
 */
#ifndef STORE_MEMORY_H
#define STORE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#define MEMORY_LIMIT_MIN (UINT64_C(64) << 10)
#define MEMORY_LIMIT_MAX (UINT64_C(128) << 30) /* the index stays below 2^31 places */

/* NULL when so much address space is not to be had. */
struct store *memory_store_new(uint64_t memory_limit);
/*
 * How long a balance that is full again is remembered still, while there is memory; 0 at first. A
 * clock that steps back by less finds it as it was: a step back refills nothing.
 */
void memory_store_keep_full(struct store *store, int64_t us);

struct memory_store_stats {
	uint64_t balances;
	uint64_t evicted; /* that were not full: forgotten before their time */
	uint64_t bytes;   /* in use, of the limit */
};

struct memory_store_stats memory_store_stats(const struct store *store);

#endif
