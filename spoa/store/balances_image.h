/*
 * balances_image.h - the balances of a memory store as bytes, for the next process: in a file, or
 * in memory that outlives this process.
 *
 * The module does no I/O: whoever calls it gives the functions that write a piece and read one. An
 * image is read strictly. What is read may come from anybody, so nothing of it is believed: a state
 * is one that its algorithm can have, and an image that is cut, or has another byte, is refused.
 *
 * An image has no keys, only their hashes, since the store has no more. It has the secrets of these
 * hashes too (limit/key_hash.h), and so it is for its owner alone.
 */
#ifndef STORE_BALANCES_IMAGE_H
#define STORE_BALANCES_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "limit/key_hash.h"
#include "store/balances.h"

/* False when the piece can't be written; then nothing more is. */
typedef bool balances_image_write_fn(void *owner, struct bytes piece);
/* How many bytes were read, at most `max`; 0 at the end, and when no more can be read. */
typedef size_t balances_image_read_fn(void *owner, uint8_t *to, size_t max);

struct balances_image_head {
	uint8_t secrets[KEY_HASH_SECRETS_BYTES];
	int64_t written_us; /* by the clock of the balances */
};

struct balances_image_counts {
	uint64_t balances; /* that were written, or taken */
	uint64_t full;     /* that were left out because they are full again */
	uint64_t dropped;  /* that were left out because there is no room for them */
	uint64_t bytes;
};

enum balances_image_state {
	BALANCES_IMAGE_DAMAGED = 0,
	BALANCES_IMAGE_OF_ANOTHER_VERSION,
	BALANCES_IMAGE_GOOD,
};

/* Those that were full at `full_us` are left out. False when a piece could not be written. */
MUST_CHECK bool balances_image_write(const struct balances *b,
				     const struct balances_image_head *head, int64_t full_us,
				     balances_image_write_fn *write, void *owner,
				     struct balances_image_counts *ret_counts);

struct balances_image_reader {
	balances_image_read_fn *read;
	void *owner;
	/* Whether an image is good is known at its end only, so it is read twice: first with NULL,
	 * to check it, and then into balances, of which there are none yet. */
	struct balances *to;
	int64_t now_us;
	int64_t full_us; /* those that were full at that time are left out */
	struct balances_image_head head;
	struct balances_image_counts counts;
};

/* Fills in `head` and `counts`. An image ends where there is nothing more to read. */
MUST_CHECK enum balances_image_state balances_image_read(struct balances_image_reader *reader);

#endif
