/*
 * top_keys.h - which keys come most often, in a memory that does not grow: Space-Saving (Metwally,
 * Agrawal, El Abbadi, 2005).
 *
 * A key that is not among those that are remembered takes the place of the least one and inherits
 * its count, which is then the most by which the new one's count is too high: `error`. So no count
 * is ever too low; a key that makes up more than 1/TOP_KEYS_MAX of all is in here for certain; and
 * error is at most total / TOP_KEYS_MAX.
 */
#ifndef LIMIT_TOP_KEYS_H
#define LIMIT_TOP_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define TOP_KEYS_MAX     32
#define TOP_KEY_TEXT_MAX 132 /* what a balance's key has of the values (check.h), and a little */

struct top_key {
	uint64_t count; /* the key came at most so often */
	uint64_t error; /* it came at least count - error times */
	int64_t remaining;
	uint8_t len;
	char text[TOP_KEY_TEXT_MAX];
};

struct top_keys {
	/* Apart, so that they are searched fast: first a byte of each hash, for all in one go. */
	uint8_t tags[TOP_KEYS_MAX];
	uint64_t hashes[TOP_KEYS_MAX];
	struct top_key keys[TOP_KEYS_MAX];
	size_t count;
	uint64_t total;
	/* For the time when all places are taken: no count is below `least`, and the search for a
	 * key of that count goes on at `hand`. */
	uint64_t least;
	size_t hand;
};

/* How often the key came at least. */
static inline uint64_t top_key_certain(const struct top_key *key)
{
	return key->count - key->error;
}

/* `remaining` is what the last answer said. */
void top_keys_add(struct top_keys *top, struct bytes key, uint64_t hash, int64_t remaining);
/*
 * The keys in order of how often they came for certain, count - error: a key that has just taken a
 * place has a high count and says nothing. Returns how many.
 */
size_t top_keys_sorted(const struct top_keys *top, const struct top_key *ret_keys[TOP_KEYS_MAX]);

#endif
