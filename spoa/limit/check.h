/*
 * check.h - one policy applied to one request: the question to the store, and its answer.
 */
#ifndef LIMIT_CHECK_H
#define LIMIT_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limit/balance.h"
#include "limit/exception.h"
#include "limit/key_hash.h"
#include "limit/policy.h"
#include "limit/value.h"

#define CHECK_VALUES_MAX 128 /* what is longer is replaced by its SHA-256 */
#define CHECK_TAG_MAX    64  /* of a hash tag that stands there as it is */
#define CHECK_KEY_MAX    (POLICY_NAME_MAX + 96 + CHECK_VALUES_MAX)

struct check {
	const struct policy *policy; /* lives as long as the request's set of policies */
	const struct terms *terms;   /* the policy's, those of an override, or `own_terms` */
	const struct quota *quota;   /* the terms', or `own_quota` */
	struct quota own_quota;
	/*
	 * Of a check that has an exception: the terms, with what the exception changes in them. The
	 * exception itself may be removed while the check waits. `exception` is its id, else empty.
	 */
	struct terms own_terms;
	char exception[EXCEPTION_ID_MAX + 1];
	bool is_shadow; /* as the terms say, for this key */
	int64_t cost;
	/* The name of the balance: two checks count by one balance if and only if their keys are
	 * equal. Printable ASCII. */
	char key[CHECK_KEY_MAX];
	size_t key_len;
	size_t values_at;            /* where in `key` the values begin */
	struct key_hash hash;        /* of the key */
	struct key_hash values_hash; /* of the values alone */

	/* The answer: an outcome, or an error and what on_error made of it. */
	unsigned error;  /* 0: none; else one of the store's, which only store/ and those above know
			  */
	bool is_decided; /* `outcome` is set: by the store, or by the local one after an error */
	/* Nobody was asked, since another check denies the request: neither decided nor an error.
	 */
	bool is_skipped;
	bool is_remembered; /* `outcome` is a denial that the agent remembered */
	struct outcome outcome;
};

/*
 * The balance's key is `<policy>:<generation>:<value>|<value>...`, and for an inline policy
 * `inline:<its numbers>:<value>`. In a value everything but letters, digits and a few signs that
 * mean nothing here is escaped as %XX, so that no two different requests can write the same key.
 * What is too long, or of a policy with hash_keys, is `#` and a SHA-256 of the values instead.
 *
 * Of a policy with a hash tag that value stands in braces, which Redis Cluster makes the slot of:
 * `<policy>:<generation>:{192.0.2.1}|POST`. How the value stands there must not depend on the other
 * values of the policy, or balances of two policies would be in different slots. So the value is
 * hashed alone, `{#<SHA-256>}`, when it is empty or longer than CHECK_TAG_MAX or the policy has
 * hash_keys. If then the whole is too long, the hash of all values follows the tag and stands for
 * them: `{192.0.2.1}#<SHA-256>`. A key that is given in place of several attributes has no tag.
 */
void check_set_key(struct check *check, const struct value *values, size_t count, bool is_explicit);

/* Sets both hashes; for a check whose key was not made by check_set_key, which calls this. */
void check_set_hash(struct check *check);

/*
 * Whether the check is in shadow by its terms; of a check that has its key. With a share, the place
 * of the key among SHADOW_SHARE_ALL decides: SipHash-2-4 of `<policy>:<values>`, keyed by 16 bytes
 * 0, modulo SHADOW_SHARE_ALL. So all agents choose the same keys, and a larger share chooses them
 * too.
 */
bool check_is_to_be_in_shadow(const struct check *check);

/* Whether the check is denied: by its outcome, or by on_error when the store gave none. */
static inline bool check_is_denied(const struct check *check)
{
	return check->is_decided ? !check->outcome.allowed
				 : check->terms->on_error == ON_ERROR_DENY;
}

/* Whether the check stops the request; one in shadow never does. */
static inline bool check_denies(const struct check *check)
{
	return check_is_denied(check) && !check->is_shadow;
}

/* The limit that clients and logs are told; a blocked check has none. */
static inline int64_t check_limit(const struct check *check)
{
	return check->terms->is_blocked ? 0 : check->quota->limit;
}

/* The part of the key that people look at: the values that the policy counts by. */
static inline struct bytes check_values(const struct check *check)
{
	return bytes_from(check->key + check->values_at, check->key_len - check->values_at);
}

static inline struct bytes check_key(const struct check *check)
{
	return bytes_from(check->key, check->key_len);
}

#endif
