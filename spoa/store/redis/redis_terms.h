/*
 * redis_terms.h - the words by which a call tells Redis the terms of a check: the name of the
 * algorithm, the cost, and the numbers of the quota (lua/contract.lua).
 *
 * All checks of a policy have the same words, but for the cost. To write them took 490 of the 6,020
 * instructions of a check, so they are written once and copied from then on. The place of a quota's
 * words follows from its numbers alone: so a policy that is loaded anew, an override, an exception
 * and an inline policy are no cases of their own, and nothing needs to be told that a policy is
 * gone. Quotas that share a place write their words anew whenever they take turns.
 */
#ifndef STORE_REDIS_TERMS_H
#define STORE_REDIS_TERMS_H

#include <stddef.h>
#include <stdint.h>

#include "base/writer.h"
#include "limit/quota.h"

/*
 * The most bytes: the longest name, "$22\r\nsliding_window_counter\r\n", a cost of one digit, and
 * three numbers of at most 16 digits.
 */
#define REDIS_TERMS_MAX    (29 + 7 + 3 * 23)
#define REDIS_TERMS_PLACES 64

struct redis_terms {
	struct quota quota;   /* of which the words are; a limit of 0: the place is empty */
	uint8_t len, cost_at; /* where the word of the cost begins, "$1\r\n0\r\n" */
	uint8_t words[REDIS_TERMS_MAX];
};

/* Zeros before the first use. */
struct redis_terms_memory {
	struct redis_terms places[REDIS_TERMS_PLACES];
};

/* `cost` is a number of at most 16 digits, which may have a minus. */
void redis_terms_put(struct writer *w, struct redis_terms_memory *memory, const struct quota *quota,
		     int64_t cost);
/* How many words redis_terms_put puts. */
size_t redis_terms_words(const struct quota *quota);

#endif
