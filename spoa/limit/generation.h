/*
 * generation.h - a short text in the key of every balance (docs/redis.md). It changes when a policy
 * keeps its name but counts something else, so that the policy then begins with new balances.
 *
 * It is a hash of the state's format, of the algorithm and its window, and of the attributes that
 * the policy counts by, with which of them is the hash tag; for an override that changes numbers,
 * of its `match` too. All agents compute the same text, also after a restart.
 */
#ifndef LIMIT_GENERATION_H
#define LIMIT_GENERATION_H

#include "limit/policy.h"

/* Of the policy's terms, and of those of its overrides; what their keys begin with, and what the
 * headers say. */
void generations_set(struct policy *policy);
/* The hashes of what their keys begin with, for secrets that are others now (key_hash.h). */
void generations_hash_starts(struct policy *policy);

#endif
