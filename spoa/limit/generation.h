/*
 * generation.h - the text by which balances are told apart that one name of a policy has had over
 * time: a hash of the state's format, of the algorithm and its window, and of what is counted by.
 * An override that changes numbers has its own, of its `match` besides.
 *
 * It is a part of every key (docs/redis.md): all agents come to the same one, after restarts too.
 */
#ifndef LIMIT_GENERATION_H
#define LIMIT_GENERATION_H

#include "limit/policy.h"

/* Of the policy's terms, and of those of its overrides. */
void generations_set(struct policy *policy);

#endif
