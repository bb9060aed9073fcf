/*
 * policy_index.h - finds the policies that may fit a request without a look at each of them; and
 * the first of many overrides that fits.
 *
 * The index chooses one attribute of each policy's `match` and finds the policy by what a request's
 * value of this attribute must be: a text, the beginning of a text up to the first `*`, or a
 * network. It chooses the attribute whose patterns the fewest other policies share. A policy whose
 * `match` has no such attribute is always found. So a policy that is found may fit, one that is not
 * found can't fit, and conditions_fit has the last word.
 *
 *     match                                         found by
 *     {"method": "POST", "path": "/login"}          path is `/login`, since many have POST
 *     {"path": ["/a/b*", "/c"]}                     path begins with `/a/b`, or is `/c`
 *     {"src": "10.0.0.0/8", "path": "*.css"}        src in 10.0.0.0/8
 *
 * A search changes nothing in the index: what it found lies in the caller's memory.
 */
#ifndef LIMIT_POLICY_INDEX_H
#define LIMIT_POLICY_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "limit/conditions.h"
#include "limit/value.h"

struct policy_index;

/* The index of `count` matches, which must outlive it. NULL when memory is short. */
struct policy_index *policy_index_new(const struct conditions *const *matches, size_t count);
void policy_index_free(struct policy_index *index);
/* Frees a piece of an index that nobody uses any more. False when that was the last piece. */
MUST_CHECK bool policy_index_free_some(struct policy_index *index);

#define POLICY_FOUND_MAX 10000 /* the most matches that policy_index_search works for */

/* The positions that a search found: bit n of word w is position 64 * w + n. */
struct policy_found {
	uint64_t words[POLICY_FOUND_MAX / 64 + 1];
};

/* Writes the positions that may fit; words above the index's last one are left as they are. */
void policy_index_search(const struct policy_index *index, const struct attributes *attributes,
			 struct policy_found *ret_found);
/* The first position found that is not below `from`; SIZE_MAX when there is none. */
size_t policy_index_next(const struct policy_index *index, const struct policy_found *found,
			 size_t from);

/* The first position that fits, by conditions_fit; SIZE_MAX when none does. */
size_t policy_index_first(const struct policy_index *index, const struct attributes *attributes,
			  const struct attribute *instead);

#endif
