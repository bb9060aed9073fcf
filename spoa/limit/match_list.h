/*
 * match_list.h - a list of matches, of which one must fit a request: `allow` and `block` of the
 * policy file (docs/reference.md, section Policy file).
 *
 * A list is filled, compiled once, and not changed any more. To look costs no memory.
 */
#ifndef LIMIT_MATCH_LIST_H
#define LIMIT_MATCH_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "limit/conditions.h"
#include "limit/policy_index.h"

struct match_list {
	struct conditions *matches;
	size_t count;
	struct policy_index *index; /* NULL: the patterns are few, or not compiled */
	uint64_t fingerprint; /* of all that the file says of it: for telling what a reload changed
			       */
};

/* Another match at the end, which the caller fills; NULL when memory is short. */
struct conditions *match_list_add(struct match_list *list);
/* Called once, when all matches are in the list. False when memory is short. */
MUST_CHECK bool match_list_compile(struct match_list *list);
void match_list_release(struct match_list *list);
/* Frees a piece of a list that nobody uses any more; false when nothing was left to free. */
MUST_CHECK bool match_list_release_some(struct match_list *list);

/* `instead`, or NULL, is an attribute that takes the place of those of its name. */
/* The position of the first match that fits; at least the count when none does. */
size_t match_list_find(const struct match_list *list, const struct attributes *attributes,
		       const struct attribute *instead);
bool match_list_fits(const struct match_list *list, const struct attributes *attributes,
		     const struct attribute *instead);

#endif
