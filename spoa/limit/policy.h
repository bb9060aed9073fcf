/*
 * policy.h - the named limits of a policy file, whole and unchanging once they are in use.
 *
 * A reload makes a new set and swaps the pointer; whoever still works by the old one holds a
 * reference. The policies stand in file order.
 *
 * A policy has terms: its numbers, and what else an override replaces for the requests that it is
 * for (INTERFACE.md section 2). A check is made by the terms that hold for its request.
 */
#ifndef LIMIT_POLICY_H
#define LIMIT_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "limit/conditions.h"
#include "limit/quota.h"
#include "limit/tally.h"

/* What a check gets when the store can't answer. */
enum on_error { ON_ERROR_ALLOW = 0, ON_ERROR_DENY, ON_ERROR_LOCAL };

#define POLICIES_MAX          10000
#define POLICY_NAME_MAX       64
#define POLICY_KEY_MAX        16 /* attributes in a key */
#define POLICY_GENERATION_MAX 12
#define POLICY_IPV4_PREFIX    32
#define POLICY_IPV6_PREFIX    64

struct terms {
	struct quota quota;
	enum on_error on_error;
	bool is_shadow;    /* decided and reported, never denied */
	bool is_unlimited; /* not checked at all */
	bool is_blocked;   /* always denied */
	/* What a request costs: the number, or without one what the attribute says, or without
	 * that what the request says of itself. */
	int64_t cost;                /* 0: none */
	struct bytes cost_attribute; /* no data: none */
	/* A balance is of these terms while this text is the same: what is counted and by what. */
	char generation[POLICY_GENERATION_MAX + 1];
};

struct override {
	struct conditions match;
	struct terms terms;
	bool has_own_balances; /* it changes numbers */
};

struct policy {
	char name[POLICY_NAME_MAX + 1];
	size_t position; /* in the file */
	struct terms terms;
	size_t key_count;
	struct bytes key[POLICY_KEY_MAX]; /* names of attributes */
	unsigned ipv4_prefix;
	unsigned ipv6_prefix;
	struct conditions match;
	struct override *overrides; /* in order: the first that fits holds */
	size_t override_count;
	struct policy_index *override_index; /* NULL: they are few, or not compiled */
	uint64_t fingerprint; /* of all that the file says of it: for telling what a reload changed
			       */
	bool hash_keys;       /* what it counts by is nowhere to be read, only its hash */
	struct tally *tally;  /* a reference; what the engine counts of it */
};

struct policies;

/* An empty set with one reference, or NULL when memory is short. `on_error` is for inline ones. */
struct policies *policies_new(enum on_error on_error);
struct policies *policies_ref(struct policies *policies);
void policies_unref(struct policies *policies);

MUST_CHECK bool policy_name_is_good(struct bytes name);
MUST_CHECK bool attribute_name_is_reserved(struct bytes name);
/*
 * Copies `policy`, in which the names of attributes are views, to the end of the set; position,
 * generations and tally are filled in. `match` and `overrides` are taken over, also on failure:
 * when memory is short. Only for a set that is not in use yet.
 */
MUST_CHECK bool policies_add(struct policies *policies, const struct policy *policy);
/* Another override at the end, by the terms that the policy has; NULL when memory is short. */
struct override *policy_add_override(struct policy *policy);
/* For a policy that comes into no set after all. */
void policy_drop(struct policy *policy);

/*
 * Makes what policies_search finds the policies by, and policy_terms many overrides; without it all
 * of them are looked at. False when memory is short. When all policies are there.
 */
MUST_CHECK bool policies_compile(struct policies *policies);
/*
 * The policies whose `match` fits, in file order:
 *
 *     policies_search(policies, attributes);
 *     for (size_t at = 0; (policy = policies_next_found(policies, attributes, &at)) != NULL;)
 */
void policies_search(struct policies *policies, const struct attributes *attributes);
const struct policy *policies_next_found(const struct policies *policies,
					 const struct attributes *attributes, size_t *at);

/* The terms for a request with these attributes; `key`, or NULL, stands for the one of its key. */
const struct terms *policy_terms(const struct policy *policy, const struct attributes *attributes,
				 const struct value *key);

/* Keys are hashed from now on, those of inline policies too. Only for a set not in use yet. */
void policies_hash_keys(struct policies *policies);

/* Counts on where the set before it has counted policies of the same names. */
void policies_inherit(struct policies *policies, const struct policies *before);

size_t policies_count(const struct policies *policies);
const struct policy *policies_at(const struct policies *policies, size_t position);
const struct policy *policies_find(const struct policies *policies, struct bytes name);
/* The policy that stands for all inline ones: the defaults, named `inline`, and no quota. */
const struct policy *policies_inline(const struct policies *policies);

#endif
