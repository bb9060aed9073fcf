/*
 * balances_handover.h - the balances of a memory store as they are in memory, for the next process:
 * it maps the block of the process before it (balances.h), and takes a balance when it is first
 * asked for, and the others a few at a time. So its first answer waits for none of them.
 *
 * The block has a head, which is written at a clean end only. The head says what the block is: the
 * layout, the sizes, the secrets of the key hashes (limit/key_hash.h), and the mark of a clean end.
 * A block without the mark is not used: the process before may have been killed while it changed
 * the block.
 *
 * Nothing of the block is believed. The head is checked when the block is opened, and each balance
 * when it is taken: that it lies in the block, and that its state is one that its algorithm can
 * have. What is no balance is left out and counted. The balances of this process are in a block of
 * its own: nothing is ever written into the old one but that its mark is removed.
 */
#ifndef STORE_BALANCES_HANDOVER_H
#define STORE_BALANCES_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/shared_memory.h"
#include "limit/key_hash.h"
#include "store/balances.h"

enum handover_state {
	HANDOVER_NO_MEMORY = 0,     /* the descriptor is none of balances, or can't be mapped */
	HANDOVER_WITHOUT_MARK,      /* the process before did not end cleanly */
	HANDOVER_OF_ANOTHER_LAYOUT, /* of another version of this program */
	HANDOVER_DAMAGED,           /* the head is not as it was written */
	HANDOVER_GOOD,
};

struct handover_counts {
	uint64_t balances; /* that were taken */
	uint64_t full;     /* that were left out because they are full again */
	uint64_t dropped;  /* that were left out because there is no room for them */
	uint64_t damaged;  /* that can't be balances */
};

/* What the head says, and each process believes of it only after balances_handover_open. */
struct handover_head {
	char magic[8];
	uint64_t layout;
	uint64_t mark;
	uint64_t bytes; /* of the block */
	uint8_t secrets[KEY_HASH_SECRETS_BYTES];
	int64_t ended_us; /* by the clock of the balances */
	uint32_t cells_max, cells_touched, index_size, count;
	uint32_t newest[BALANCE_CLASSES];
	uint8_t hash[24]; /* of all before it, but as if there were no mark */
};

struct balances_handover {
	struct shared_memory memory;
	struct handover_head head;
	struct balances_places places;
	int64_t keep_full_us; /* a balance is left out when it has been full for so long */
	uint8_t *seen;        /* a bit for each cell: it was looked at, and is not taken again */
	size_t class;         /* whose balances are taken next ... */
	uint32_t cell;        /* ... from this one on; 0: the class begins */
	uint64_t steps;       /* how many links were followed */
	struct handover_counts counts;
};

/* Of the process that ends: writes the head, with the mark. The block is as it is from then on. */
void balances_handover_leave(const struct balances *b, int64_t now_us);

/*
 * Maps the block that `fd` is, and checks its head. Takes `fd` over if the state is HANDOVER_GOOD;
 * the secrets in `head` are then to be used for key hashes before the first balance is taken.
 */
MUST_CHECK enum handover_state balances_handover_open(struct balances_handover *h, int fd,
						      int64_t keep_full_us);
/* Removes the mark: from now on no other process can take the same balances. */
MUST_CHECK bool balances_handover_claim(struct balances_handover *h);
/* `to` has no balances yet, and gets room in its index for those that may come. */
void balances_handover_begin(const struct balances_handover *h, struct balances *to);

/* Takes the balance of this id, if there is one. It may be pushed out like any other. */
void balances_handover_take(struct balances_handover *h, struct balances *to, struct key_hash id,
			    int64_t now_us);
/* Looks at some more balances and takes them; about `most`. False when there are no more. */
MUST_CHECK bool balances_handover_take_some(struct balances_handover *h, struct balances *to,
					    int64_t now_us, unsigned most);
/* Unmaps a part of the block. False when nothing of it is left, and all is released. */
MUST_CHECK bool balances_handover_release_some(struct balances_handover *h);
/* May be called at any time after balances_handover_open, and with zeros. */
void balances_handover_release(struct balances_handover *h);

#endif
