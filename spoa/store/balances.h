/*
 * balances.h - what the memory store remembers: a balance a cell, found by the hash of its key
 * (limit/key_hash.h: nobody can choose keys that meet, in one balance or in one place of the
 * index), and forgotten when there is no more room.
 *
 * A balance that is full again is forgotten first, since a forgotten balance is a full one: a heap
 * has the balances by the time at which they are full. When none is full and memory is short, a
 * balance has to go that is not full, which forgives a client. An attacker must not choose whom. So
 * balances are classed by the share of their limit that was used at their last use, in sixteenths.
 * The lowest class that fills more than 1/32 of the memory loses its least recently used balance:
 *
 *     many new keys         are in class 0: each pushes out another, and no exhausted client
 *     many exhausted keys   are in class 15: each pushes out another, and nobody who just came
 *
 * Beside the balance of a key there may be another one, of what was granted in place of another
 * store (a grant): memory.c has the reasons.
 *
 * While a request is decided, its balances are held: they are in no class, so that none of them is
 * forgotten to make room for another one.
 *
 * All balances are in one block of memory, in which they name one another by numbers and never by
 * addresses. So another process can map the block and find them (balances_handover.h):
 *
 *     0                    a page that this module leaves alone
 *     BALANCES_HEAD_BYTES  the cells, the places of the index, and those of the heap, each from the
 *                          begin of a page
 */
#ifndef STORE_BALANCES_H
#define STORE_BALANCES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "limit/balance.h"
#include "limit/key_hash.h"
#include "store/cell_log.h"
#include "store/cells.h"

/* A balance in its cell. The fields before `full_us` are this module's own. */
struct balance_cell {
	struct key_hash id;
	uint32_t chain;  /* the next in the same place of the index */
	uint32_t newer;  /* the one of its class that was used after it; 0: none was */
	uint32_t older;  /* the one that was used before it */
	uint32_t due_at; /* its place in the heap */
	/* In one word, so that a balance is a cache line. Times are below 2^53. */
	int64_t full_us : 54;   /* from then on a new one would be the same */
	uint64_t algorithm : 2; /* whose state it has */
	uint64_t share : 4;     /* its class */
	uint64_t is_held : 1;   /* in no class: it is being decided */
	uint64_t is_log : 1;    /* it has `log`, which is more cells */
	uint64_t is_grant : 1;  /* what was granted in place of another store */
	uint64_t is_kept : 1;   /* it is as another store said; else as this store has written it */
	union {
		union plain_state plain;
		struct {
			int64_t total_before;
			struct cell_log log;
		};
	};
};

#define BALANCE_CLASSES 16

/* In the order of use. */
struct balance_class {
	uint32_t newest, oldest;
	uint32_t cells; /* with those of their logs */
};

/*
 * The balance is not full before `when`. It is looked at then: if it was used in between, it is
 * full later than that.
 */
struct balance_due {
	uint32_t cell;
	uint32_t when; /* in units of 2^16 us, some 66 ms */
};

#define BALANCES_HEAD_BYTES  4096
#define BALANCES_INDEX_START 64 /* places of the index, at first */

/* What a balance takes of the memory limit: its cell, a place of the index, and of the heap. */
#define BALANCE_BYTES (CELL_BYTES + sizeof(uint32_t) + sizeof(struct balance_due))

struct balances {
	uint8_t *memory; /* of so many bytes */
	size_t memory_bytes;
	struct cells cells;
	/*
	 * Linear hashing: with each balance the index grows by one place, which takes its share of
	 * the chain of one other place. So no check ever waits until all balances are hashed anew.
	 * `index_size` places are in use.
	 */
	uint32_t *index;
	uint32_t index_size;
	uint32_t count;
	struct balance_class classes[BALANCE_CLASSES];
	struct balance_due *due; /* the heap: count items from 1 on, the earliest first */
	uint32_t due_count;
	int64_t due_base_us; /* what `when` is counted from */
	uint32_t looks_due;  /* how many balances_forget_due may forget */
	uint64_t evicted;    /* forgotten though not full */
	uint32_t grants;     /* how many of `count` are grants */
};

/* Where in the block everything begins, when it has room for so many cells. */
struct balances_places {
	size_t cells, index, due, end;
};
struct balances_places balances_places(uint32_t cells_max);
/* How many cells `memory_limit` bytes have room for. */
uint32_t balances_cells_max(uint64_t memory_limit);

/* Never takes more than `memory_limit` bytes; false when there is not so much address space. */
MUST_CHECK bool balances_init(struct balances *b, uint64_t memory_limit);
/* The same on a block of zeros, as large as balances_places says, which is the caller's. */
void balances_init_on(struct balances *b, uint8_t *memory, uint32_t cells_max);
/* Frees the block that balances_init reserved. */
void balances_release(struct balances *b);

/* So many are about to come, of which there are none yet: the index is made for them. */
void balances_expect(struct balances *b, uint64_t count);
/* One with this id is looked for soon: so the memory is read by then. */
void balances_prefetch(const struct balances *b, struct key_hash id);
/* 0 when it is not remembered. */
uint32_t balances_find(const struct balances *b, struct key_hash id);
/* A new cell of zeros, held; there must be one unused. */
uint32_t balances_remember(struct balances *b, struct key_hash id);
/* The id of the grant beside the balance that has `id`. */
struct key_hash balances_grant_id(struct key_hash id);
/* The same as balances_remember, for a grant. */
uint32_t balances_remember_grant(struct balances *b, struct key_hash id);
/* From now on no other balance pushes it out; may be called again. */
void balances_hold(struct balances *b, uint32_t cell);
/* Sets the class of a held one, of which `remaining` units of `limit` are left. */
void balances_set_share(struct balances *b, uint32_t cell, int64_t remaining, int64_t limit);
/* It is the most recently used of its class, and may be pushed out. */
void balances_let_go(struct balances *b, uint32_t cell);
/* It is the least recently used of its class. */
void balances_let_go_as_oldest(struct balances *b, uint32_t cell);
/* Says when a held one will be full; to be called after each write. */
void balances_set_full(struct balances *b, uint32_t cell, int64_t full_us);

/* Forgets balances that are full, at most 4 for each that was remembered since the last time. */
void balances_forget_due(struct balances *b, int64_t now_us);
/* Forgets at most `max` of those that are full, also held ones. */
void balances_forget_full(struct balances *b, int64_t now_us, unsigned max);
/* Forgets one that is not held; false when there is none. */
bool balances_forget_one(struct balances *b, int64_t now_us);

/* The class of the balance that balances_forget_one would forget; -1 when there is none. */
int balances_class_to_forget(const struct balances *b);

/* Forgets this one, held or not. */
void balances_forget(struct balances *b, uint32_t cell);

/* Bytes in use, with the index and the heap. */
uint64_t balances_bytes(const struct balances *b);

/* In which place of an index of so many places the balance is. */
static inline uint32_t balances_place_of(uint32_t index_size, struct key_hash id)
{
	uint32_t rounded_up = UINT32_C(1) << (32 - __builtin_clz(index_size - 1));
	uint32_t place = (uint32_t)id.low & (rounded_up - 1);

	return place < index_size ? place : place & (rounded_up / 2 - 1);
}

static inline struct balance_cell *balances_at(const struct balances *b, uint32_t cell)
{
	return cells_at(&b->cells, cell);
}

#endif
