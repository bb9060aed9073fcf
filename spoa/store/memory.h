/*
 * memory.h - a store that keeps balances in this process, in bounded memory.
 *
 * For on_error=local this store stands in for another store (`keep` in store.h). It then holds each
 * balance as the other store said last, and grants a share of that (limit/share.h), less the units
 * that this store has granted itself since then.
 *
 * It answers at once (STORE_DONE). A balance takes 76 bytes: a cell of 64, 4 in the index, and 8 in
 * the heap; each entry of a sliding_window's log takes 16 bytes more. When memory is short the
 * store forgets balances; balances.h says which. When that does not make enough room, because the
 * balances of this very request fill the memory, the request gets STORE_OOM and nothing is charged.
 */
#ifndef STORE_MEMORY_H
#define STORE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/parse.h"
#include "store/balances_handover.h"
#include "store/balances_image.h"
#include "store/store.h"

#define MEMORY_LIMIT_MIN (UINT64_C(64) << 10)
#define MEMORY_LIMIT_MAX (UINT64_C(128) << 30) /* the index stays below 2^31 places */

/* NULL when there is not so much address space. */
struct store *memory_store_new(uint64_t memory_limit);
/*
 * The same, with the balances in memory that can be handed over to another process
 * (balances_handover.h). NULL, with errno, when there is none.
 */
struct store *memory_store_new_shared(uint64_t memory_limit);
/*
 * The part of what another store has left, and of each limit, that this store grants in place of
 * it; at first all. A change counts for what is kept from then on, and for the limits at once.
 */
void memory_store_set_share(struct store *store, struct ratio share);
/*
 * For how long a balance is kept after it is full again, while there is memory; 0 at first. If the
 * clock steps back by less than that, the balance is still there, so the step refills nothing.
 */
void memory_store_keep_full(struct store *store, int64_t us);

/* The balance of this key (check_key) becomes full, as by an op that is_reset. */
void memory_store_forget(struct store *store, struct bytes key);

/*
 * For the next process (balances_image.h): writes the balances of this store, without those that
 * are full. False when a piece could not be written.
 */
MUST_CHECK bool memory_store_write_image(const struct store *store, int64_t now_us,
					 balances_image_write_fn *write, void *owner,
					 struct balances_image_counts *ret_counts);
/*
 * Takes the balances of an image that was checked before into a store that has none, and its
 * secrets for key hashes: policies_hash_starts is to be called then. Takes what fits.
 */
void memory_store_read_image(struct store *store, int64_t now_us, balances_image_read_fn *read,
			     void *owner, struct balances_image_counts *ret_counts);

/* The descriptor of the shared memory, which is the store's; -1 when the store has no such memory.
 */
int memory_store_descriptor(const struct store *store);
struct balances *memory_store_balances(struct store *store);
/*
 * From now on each balance that is asked for is taken from there first, if it is there. NULL: there
 * is nothing left. `from` is not owned.
 */
void memory_store_inherit(struct store *store, struct balances_handover *from);

struct memory_store_stats {
	uint64_t balances;
	/*
	 * Balances that were forgotten though they were not full; but not those that another store
	 * still has, when they made room for its next reply.
	 */
	uint64_t evicted;
	uint64_t bytes; /* in use */
};

struct memory_store_stats memory_store_stats(const struct store *store);

#endif
