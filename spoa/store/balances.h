/*
 * balances.h - the balances that the memory store remembers: one in each cell, found by a hash of
 * its key, and linked in the order of use.
 *
 * The hash is SipHash of 128 bits, with a secret that is new at every start. So nobody can choose
 * keys that share a balance, or that all stand in one place of the index.
 *
 * When memory is short, balances are forgotten. First go those that are full again: nothing is lost
 * by that, since a balance that is not remembered counts as full. A sweep looks for them, a few
 * places of the index for each new balance. When it does not find enough, the least recently used
 * balances go, though they are not full.
 */
#ifndef STORE_BALANCES_H
#define STORE_BALANCES_H

#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "limit/balance.h"
#include "store/cell_log.h"
#include "store/cells.h"

struct balance_id {
	uint64_t low;
	uint64_t high;
};

/* A balance in its cell. The fields before `full_us` are this module's own. */
struct balance_cell {
	struct balance_id id;
	uint32_t chain;  /* the next in the same place of the index */
	uint32_t newer;  /* the balance that was used next after this one; 0: none */
	uint32_t older;  /* the one that was used last before it; 0: none */
	uint32_t is_log; /* it has a `log`, which owns more cells */
	int64_t full_us; /* from then on it is as full as a new one */
	union {
		union plain_state plain;
		struct {
			int64_t total_before;
			struct cell_log log;
		};
	};
};

struct balances {
	struct cells cells;
	/*
	 * Linear hashing: with each balance the index grows by one place, which takes its share of
	 * the chain of one other place. So no check ever waits until all balances are hashed anew.
	 * `index_size` places are in use.
	 */
	uint32_t *index;
	uint32_t index_size;
	uint32_t count;
	uint32_t newest, oldest;
	uint32_t hand;      /* the place of the index where the sweep goes on */
	uint32_t steps_due; /* how many places balances_sweep looks through next time */
	uint64_t evicted;   /* balances that were forgotten though they were not full */
	uint8_t secret[crypto_shorthash_siphashx24_KEYBYTES];
};

/* Never takes more than `memory_limit` bytes; false when there is not so much address space. */
MUST_CHECK bool balances_init(struct balances *b, uint64_t memory_limit);
void balances_release(struct balances *b);

struct balance_id balances_id(const struct balances *b, struct bytes key);
/* 0 when it is not remembered. */
uint32_t balances_find(const struct balances *b, struct balance_id id);
void balances_use(struct balances *b, uint32_t cell);
/* A new balance, of zeros and the most recently used. There must be an unused cell. */
uint32_t balances_remember(struct balances *b, struct balance_id id);

/* Forgets balances that are full at `now_us`, in 4 places of the index for each new balance. */
void balances_sweep(struct balances *b, int64_t now_us);
/* The same in 32 places more; for when memory is short. */
void balances_sweep_more(struct balances *b, int64_t now_us);
/* Counts it in `evicted` unless it is full at `now_us`. */
void balances_forget_oldest(struct balances *b, int64_t now_us);

/* Bytes in use, with the index. */
uint64_t balances_bytes(const struct balances *b);

static inline struct balance_cell *balances_at(const struct balances *b, uint32_t cell)
{
	return cells_at(&b->cells, cell);
}

#endif
