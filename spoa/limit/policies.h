/*
 * policies.h - the policies of a file as a set, whole and unchanging once it is in use.
 *
 * A reload makes a new set and swaps the pointer; whoever still works by the old one holds a
 * reference. The policies stand in file order.
 */
#ifndef LIMIT_POLICIES_H
#define LIMIT_POLICIES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "limit/policy.h"

#define POLICIES_MAX 10000

struct policies;

/* An empty set with one reference, or NULL when memory is short. `on_error` is for inline ones. */
struct policies *policies_new(enum on_error on_error);
struct policies *policies_ref(struct policies *policies);
void policies_unref(struct policies *policies);

/* Puts policy_new's copy of `policy` at the end. False when memory is short. */
MUST_CHECK bool policies_add(struct policies *policies, const struct policy *policy);
/*
 * Makes what policies_search finds the policies by, and policy_terms many overrides; without it all
 * of them are looked at. False when memory is short. When all policies are there.
 */
MUST_CHECK bool policies_compile(struct policies *policies);
/* Keys are hashed from now on, those of inline policies too. Only for a set not in use yet. */
void policies_hash_keys(struct policies *policies);
/* Counts on where the set before it has counted policies of the same names. */
void policies_inherit(struct policies *policies, const struct policies *before);

/*
 * The policies whose `match` fits, in file order:
 *
 *     policies_search(policies, attributes);
 *     for (size_t at = 0; (policy = policies_next_found(policies, attributes, &at)) != NULL;)
 */
void policies_search(struct policies *policies, const struct attributes *attributes);
const struct policy *policies_next_found(const struct policies *policies,
					 const struct attributes *attributes, size_t *at);

size_t policies_count(const struct policies *policies);
const struct policy *policies_at(const struct policies *policies, size_t position);
const struct policy *policies_find(const struct policies *policies, struct bytes name);
/* The policy that stands for all inline ones: the defaults, named `inline`, and no quota. */
const struct policy *policies_inline(const struct policies *policies);

#endif
