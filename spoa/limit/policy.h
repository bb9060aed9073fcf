/*
 * policy.h - the named limits of a policy file, whole and unchanging once they are in use.
 *
 * A reload makes a new set and swaps the pointer; whoever still works by the old one holds a
 * reference. The policies stand in file order.
 */
#ifndef LIMIT_POLICY_H
#define LIMIT_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/compiler.h"
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

struct policy {
	char name[POLICY_NAME_MAX + 1];
	size_t position; /* in the file */
	struct quota quota;
	enum on_error on_error;
	size_t key_count;
	struct bytes key[POLICY_KEY_MAX]; /* names of attributes; owned */
	unsigned ipv4_prefix;
	unsigned ipv6_prefix;
	/* A balance is this policy's own while this text is the same: what it counts and by what.
	 */
	char generation[POLICY_GENERATION_MAX + 1];
	bool hash_keys;      /* what it counts by is nowhere to be read, only its hash */
	struct tally *tally; /* a reference; what the engine counts of it */
};

struct policies;

/* An empty set with one reference, or NULL when memory is short. `on_error` is for inline ones. */
struct policies *policies_new(enum on_error on_error);
struct policies *policies_ref(struct policies *policies);
void policies_unref(struct policies *policies);

MUST_CHECK bool policy_name_is_good(struct bytes name);
MUST_CHECK bool attribute_name_is_reserved(struct bytes name);
/*
 * Copies `policy`, whose key names are views, to the end of the set; position and generation are
 * filled in. False when memory is short. Only for a set that is not in use yet.
 */
MUST_CHECK bool policies_add(struct policies *policies, const struct policy *policy);

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
