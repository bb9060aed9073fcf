/*
 * balances.h - what the memory store remembers: a balance a cell, found by a keyed hash of its key,
 * in the order of use, and forgotten when there is no more room.
 *
 * The hash has 128 bits and a secret that is new with every start (SipHash), so that nobody can
 * choose keys that meet, in one balance or in one place of the index.
 *
 * When memory is short, balances that are full again are forgotten first, since a forgotten balance
 * is a full one, then the least recently used. Full ones are looked for a few steps of the index at
 * each new balance, so the oldest ways go first but not in strict order.
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

/* A balance in its cell. What stands before `full_us` is this module's. */
struct balance_cell {
	struct balance_id id;
	uint32_t chain; /* the next in the same place of the index */
	uint32_t newer; /* used after this one, and before it: 0 at the ends */
	uint32_t older;
	uint32_t is_log; /* it has `log`, which is more cells */
	int64_t full_us; /* from then on a new one would be the same */
	union {
		struct token_bucket bucket;
		struct fixed_window fixed;
		struct window_counter counter;
		struct {
			int64_t total_before;
			struct cell_log log;
		};
	};
};

struct balances {
	struct cells cells;
	/*
	 * Linear hashing: one place more with each balance, made by splitting one, so that no
	 * check ever waits for the whole to be hashed anew. `index_size` places are in use.
	 */
	uint32_t *index;
	uint32_t index_size;
	uint32_t count;
	uint32_t newest, oldest;
	uint32_t hand;      /* where the sweep for full ones goes on */
	uint32_t steps_due; /* and how far, at the next balances_sweep */
	uint64_t evicted;   /* forgotten though not full */
	uint8_t secret[crypto_shorthash_siphashx24_KEYBYTES];
};

/* Never takes more than `memory_limit` bytes; false when so much address space is not to be had. */
MUST_CHECK bool balances_init(struct balances *b, uint64_t memory_limit);
void balances_release(struct balances *b);

struct balance_id balances_id(const struct balances *b, struct bytes key);
/* 0 when it is not remembered. */
uint32_t balances_find(const struct balances *b, struct balance_id id);
void balances_use(struct balances *b, uint32_t cell);
/* A new cell of zeros, as the most recently used; there must be one unused. */
uint32_t balances_remember(struct balances *b, struct balance_id id);

/* The share of looking for full ones that is due to the balances remembered since the last time. */
void balances_sweep(struct balances *b, int64_t now_us);
/* When memory is short: looks further. */
void balances_sweep_more(struct balances *b, int64_t now_us);
void balances_forget_oldest(struct balances *b);

/* What is in use, with the index. */
uint64_t balances_bytes(const struct balances *b);

static inline struct balance_cell *balances_at(const struct balances *b, uint32_t cell)
{
	return cells_at(&b->cells, cell);
}

#endif
