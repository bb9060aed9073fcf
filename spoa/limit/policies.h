/*
 * policies.h - the policies of a file as a set, in file order.
 *
 * A set is made, filled, and then handed out as `const`: from then on nothing in it changes but its
 * number of references, and what is counted in the policies' tallies. A reload makes a new set and
 * swaps the pointer; whoever still works by the old set holds a reference to it.
 */
#ifndef LIMIT_POLICIES_H
#define LIMIT_POLICIES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "limit/match_list.h"
#include "limit/policy.h"
#include "limit/policy_index.h"

#define POLICIES_MAX POLICY_FOUND_MAX

struct policies;

/* What the lists at the top of the file say of a message; of two messages the higher one holds. */
enum listed { LISTED_NOT = 0, LISTED_BLOCK, LISTED_ALLOW, LISTED_COUNT };

/*
 * An empty set with one reference, or NULL when memory is short. Inline policies belong to every
 * set; `on_error` is theirs.
 */
struct policies *policies_new(enum on_error on_error);
const struct policies *policies_ref(const struct policies *policies);
void policies_unref(const struct policies *policies);
/* Whether nobody but the caller has a reference. */
bool policies_are_last_reference(const struct policies *policies);
/*
 * Frees a piece of the set, which only the caller has a reference to, and whose policies nobody may
 * look at any more. False when that was the last piece: then the reference is gone too.
 */
MUST_CHECK bool policies_unref_some(const struct policies *policies);

/* Puts policy_new's copy of `policy` at the end, as one of at most POLICIES_MAX. False when memory
 * is short. */
MUST_CHECK bool policies_add(struct policies *policies, const struct policy *policy);
/* The list `allow` or `block`, to be filled before policies_compile. */
struct match_list *policies_list(struct policies *policies, enum listed which);
/*
 * Called once, when all policies and lists are in the set: makes the indexes by which
 * policy_search, policy_terms and policies_find_listed find; without them they look at every match.
 * A set in which no policy has a `match` needs no index for policy_search.
 * False when memory is short.
 */
MUST_CHECK bool policies_compile(struct policies *policies);
/*
 * The set stands for policies that nobody knows yet: each request gets on_error. Only for an empty
 * set that is not in use.
 */
void policies_set_unknown(struct policies *policies);
bool policies_are_unknown(const struct policies *policies);
/* Keys are hashed from now on, those of inline policies too. Only for a set that is not in use. */
void policies_hash_keys(struct policies *policies);
/* After key_hash_set_secrets. Only for a set that is not in use. */
void policies_hash_starts(struct policies *policies);
/*
 * Every policy is in shadow from now on, inline ones and overrides too. Only for a set that is not
 * in use.
 */
void policies_shadow_all(struct policies *policies);

/*
 * A set that takes the place of another goes on counting where that one has counted for policies of
 * the same names. This is done policy by policy, because 10,000 of them at once would keep the loop
 * for too long. Positions are the rows of `policies` (policies_row_count).
 *
 * First each policy inherits; then `policies` come into use; then the keys that the tallies have
 * seen are forgotten where a policy now counts by other ones. They are forgotten last because until
 * then the old policies go on adding theirs.
 */
void policies_inherit_at(struct policies *policies, const struct policies *before, size_t position);
void policies_forget_keys_at(struct policies *policies, const struct policies *before,
			     size_t position);

/*
 * The policies whose `match` fits a request, in file order. The set, the attributes and the search
 * are the caller's and live until the end of the search:
 *
 *     policy_search_begin(&search, policies, attributes);
 *     while ((policy = policy_search_next(&search)) != NULL)
 *             ...
 */
struct policy_search {
	const struct policies *policies;
	const struct attributes *attributes;
	size_t next; /* the position from which on the search goes on */
	struct policy_found found;
};

void policy_search_begin(struct policy_search *search, const struct policies *policies,
			 const struct attributes *attributes);
const struct policy *policy_search_next(struct policy_search *search);

/* Whether a check of some policy may be one that on_error `local` decides. */
bool policies_have_local(const struct policies *policies);
size_t policies_count(const struct policies *policies);
const struct policy *policies_at(const struct policies *policies, size_t position);
const struct policy *policies_find(const struct policies *policies, struct bytes name);
/* The policy that stands for all inline ones: the defaults, named `inline`, and no quota. */
const struct policy *policies_inline(const struct policies *policies);
/* The policy that stands for the list `block`: named `blocked`, and no quota. */
const struct policy *policies_blocked(const struct policies *policies);

/* For what is kept of each: the policies in file order, then the inline one, then `blocked`. */
size_t policies_row_count(const struct policies *policies);
size_t policies_row_of(const struct policies *policies, const struct policy *policy);
const struct policy *policies_at_row(const struct policies *policies, size_t row);

/* Whether a look at the lists is worth it. */
bool policies_have_lists(const struct policies *policies);
/* What the list says; to be read only. */
const struct match_list *policies_get_list(const struct policies *policies, enum listed which);
/* `instead`, or NULL, is an attribute that takes the place of those of its name. */
enum listed policies_find_listed(const struct policies *policies,
				 const struct attributes *attributes,
				 const struct attribute *instead);

#endif
