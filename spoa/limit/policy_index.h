/*
 * policy_index.h - which of many policies may fit a request, without looking at each; and which of
 * many overrides of one policy.
 *
 * Of each policy's `match` one attribute is chosen, and the policy is found by what the request's
 * value of it must be: a text, the beginning of one up to the first `*`, or a network. The choice
 * falls on the attribute whose patterns the fewest other policies share. A policy without such an
 * attribute is always found. So what is found may fit, and what is not found can't; conditions_fit
 * has the last word.
 *
 *     match                                         found by
 *     {"method": "POST", "path": "/login"}          path is `/login`, since many have POST
 *     {"path": ["/a/b*", "/c"]}                      path begins with `/a/b`, or is `/c`
 *     {"src": "10.0.0.0/8", "path": "*.css"}        src in 10.0.0.0/8
 */
#ifndef LIMIT_POLICY_INDEX_H
#define LIMIT_POLICY_INDEX_H

#include <stddef.h>

#include "limit/conditions.h"
#include "limit/value.h"

struct policy_index;

/* Of the `match` of each; they must outlive it. NULL when memory is short. */
struct policy_index *policy_index_new(const struct conditions *const *matches, size_t count);
void policy_index_free(struct policy_index *index);

/* `instead` as of conditions_fit. */
void policy_index_search(struct policy_index *index, const struct attributes *attributes,
			 const struct attribute *instead);
/*
 * The first position found that is not below `from`; at least the count when there is none. Without
 * an index (NULL) all are found.
 */
size_t policy_index_next(const struct policy_index *index, size_t from);

#endif
