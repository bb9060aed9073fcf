/*
 * policy.h - a named limit of a policy file. Once it is in use it does not change.
 *
 * A policy has terms: its numbers, and what else an override replaces for the requests that it is
 * for (docs/reference.md, section Policy file). A check is made by the terms that hold for its
 * request.
 */
#ifndef LIMIT_POLICY_H
#define LIMIT_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "limit/conditions.h"
#include "limit/key_hash.h"
#include "limit/quota.h"
#include "limit/reserved.h"
#include "limit/tally.h"

/* What a check gets when the store can't answer. */
enum on_error { ON_ERROR_ALLOW = 0, ON_ERROR_DENY, ON_ERROR_LOCAL };

#define POLICY_NAME_MAX       64
#define POLICY_KEY_MAX        16 /* attributes in a key */
#define POLICY_GENERATION_MAX 12
#define POLICY_KEY_START_MAX  (POLICY_NAME_MAX + 1 + POLICY_GENERATION_MAX + 1)
#define POLICY_IPV4_PREFIX    32
#define POLICY_IPV6_PREFIX    64
#define SHADOW_SHARE_ALL      1000000

struct terms {
	struct quota quota; /* of a bucket with a lease: reduced by quota_lease_units */
	int64_t lease_us;   /* 0: none */
	enum on_error on_error;
	bool is_shadow; /* decided and reported, never denied */
	/* The same for a part of the keys: so many of SHADOW_SHARE_ALL (check.h). 0: for none. */
	unsigned shadow_share;
	bool is_unlimited; /* not checked at all */
	bool is_blocked;   /* always denied */
	/* What a request costs: the number, or without one what the attribute says, or without
	 * that what the request says of itself. */
	int64_t cost;                /* 0: none */
	struct bytes cost_attribute; /* no data: none */
	/* A balance is of these terms while this text is the same: what is counted and by what. */
	char generation[POLICY_GENERATION_MAX + 1];
	/* `<policy>:<generation>:`, with which the key of each balance begins. */
	uint8_t key_start_len;
	char key_start[POLICY_KEY_START_MAX];
	struct key_hash key_start_hash;
	/* The parameters of RateLimit-Policy, `;q=100;w=60` (verdict.h); 0 bytes: not made. */
	uint8_t header_len;
	uint8_t header[QUOTA_HEADER_MAX];
};

struct override {
	struct conditions match;
	struct terms terms;
	bool has_own_balances; /* it changes numbers */
};

struct policy {
	char name[POLICY_NAME_MAX + 1];
	uint8_t name_len;
	size_t position; /* in the file */
	struct terms terms;
	size_t key_count;
	struct bytes key[POLICY_KEY_MAX]; /* names of attributes */
	/*
	 * The attribute whose value stands in braces in the key of each balance, as 1 + its place
	 * in `key`; 0: none. In a Redis Cluster balances with the same value there share a slot.
	 */
	size_t hash_tag;
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

MUST_CHECK bool policy_name_is_good(struct bytes name);

/* Another override at the end, by the terms that the policy has; NULL when memory is short. */
struct override *policy_add_override(struct policy *policy);
/* For a policy that comes into no set after all: frees `match` and `overrides`. */
void policy_drop(struct policy *policy);

/*
 * A copy of `policy`, in which the names of attributes are views; the name's length, position,
 * generations and tally are filled in. `match` and `overrides` are taken over, also on failure:
 * when memory is short.
 */
struct policy *policy_new(const struct policy *policy, size_t position);
void policy_free(struct policy *policy);
/* Frees a piece of a policy that nobody uses any more; false when that was the last piece. */
MUST_CHECK bool policy_free_some(struct policy *policy);
/* Makes the index by which policy_terms finds an override when there are many. False when memory is
 * short. */
MUST_CHECK bool policy_compile(struct policy *policy);

/* The terms for a request with these attributes; `key`, or NULL, stands for the one of its key. */
const struct terms *policy_terms(const struct policy *policy, const struct attributes *attributes,
				 const struct value *key);

#endif
