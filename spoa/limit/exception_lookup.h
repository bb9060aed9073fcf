/*
 * exception_lookup.h - the text that an exception is found by, and its hash.
 *
 * Of a check, and of a request for a set of names, the hash is made without writing the text: most
 * requests have no exception, and then no text is needed.
 */
#ifndef LIMIT_EXCEPTION_LOOKUP_H
#define LIMIT_EXCEPTION_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/writer.h"
#include "limit/exception_sets.h"
#include "limit/policies.h"

struct check;

/* Random numbers of the table. The factor is odd: a factor of 0 would make all hashes equal. */
struct exception_secret {
	uint64_t start;
	uint64_t factor;
};

/* Of an exception of a policy. False when it fits no policy: it is void. */
MUST_CHECK bool exception_lookup_put_policy(struct writer *w, const struct exception *exception,
					    const struct policies *policies);
void exception_lookup_put_check(struct writer *w, const struct check *check);
/* The hash of what one of the two has written, and of a check without writing anything. */
uint64_t exception_hash_of_lookup(const struct exception_secret *secret, struct bytes lookup);
uint64_t exception_hash_of_check(const struct exception_secret *secret, const struct check *check);

/* Of an exception without a policy: the set, then each part, whose value is cut already. */
void exception_lookup_put_set(struct writer *w, size_t at);
void exception_lookup_put_part(struct writer *w, struct exception_part part,
			       const struct value *value);
uint64_t exception_hash_begin(const struct exception_secret *secret, size_t at);
uint64_t exception_hash_part(const struct exception_secret *secret, uint64_t hash,
			     struct exception_part part, const struct value *value);

#endif
