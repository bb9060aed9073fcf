#include "limit/top_keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

static uint8_t tag_of(uint64_t hash)
{
	return (uint8_t)(hash >> 56);
}

/*
 * memchr looks at all tags in a few instructions, and one key in eight has the tag of another one
 * by chance. To compare the hashes one by one takes 190 instructions more, of 4,400 a check.
 */
static size_t find_hash(const struct top_keys *top, uint64_t hash)
{
	const uint8_t *tag = top->tags, *end = top->tags + top->count;

	while (tag < end && (tag = memchr(tag, tag_of(hash), (size_t)(end - tag))) != NULL) {
		size_t at = (size_t)(tag - top->tags);
		if (top->hashes[at] == hash)
			return at;
		tag++;
	}
	return top->count;
}

static uint64_t lowest_count(const struct top_keys *top)
{
	uint64_t lowest = top->keys[0].count;

	for (size_t i = 1; i < top->count; i++)
		if (top->keys[i].count < lowest)
			lowest = top->keys[i].count;
	return lowest;
}

/*
 * The place of a key with the lowest count. The hand goes on from where it stopped and needs one
 * round for each lowest count, so that most keys of a broad stream cost a step or two.
 */
static size_t find_least(struct top_keys *top)
{
	for (size_t steps = 0;; steps++) {
		size_t at = top->hand;
		if (steps == TOP_KEYS_MAX)
			top->least = lowest_count(top);
		top->hand = (at + 1) % TOP_KEYS_MAX;
		if (top->keys[at].count == top->least)
			return at;
		ASSERT(steps < 2 * TOP_KEYS_MAX);
	}
}

static void replace_key(struct top_keys *top, size_t at, struct bytes key, uint64_t hash)
{
	struct top_key *entry = &top->keys[at];
	size_t len = key.len < sizeof entry->text ? key.len : sizeof entry->text;

	entry->error = entry->count;
	entry->len = (uint8_t)len;
	memcpy(entry->text, key.data, len);
	top->tags[at] = tag_of(hash);
	top->hashes[at] = hash;
}

void top_keys_add(struct top_keys *top, struct bytes key, uint64_t hash, int64_t remaining)
{
	size_t at = find_hash(top, hash);

	if (at == top->count) {
		if (top->count < TOP_KEYS_MAX)
			top->keys[top->count++].count = 0;
		else
			at = find_least(top);
		replace_key(top, at, key, hash);
	}
	top->keys[at].count++;
	top->keys[at].remaining = remaining;
	top->total++;
}

static int compare_keys(const void *a, const void *b)
{
	const struct top_key *left = *(const struct top_key *const *)a;
	const struct top_key *right = *(const struct top_key *const *)b;

	if (top_key_certain(left) != top_key_certain(right))
		return top_key_certain(left) < top_key_certain(right) ? 1 : -1;
	if (left->count != right->count)
		return left->count < right->count ? 1 : -1;
	return left < right ? -1 : 1; /* of one array: the order does not depend on qsort */
}

size_t top_keys_sorted(const struct top_keys *top, const struct top_key *ret_keys[TOP_KEYS_MAX])
{
	for (size_t i = 0; i < top->count; i++)
		ret_keys[i] = &top->keys[i];
	qsort(ret_keys, top->count, sizeof ret_keys[0], compare_keys);
	return top->count;
}
