/*
 * exception.h - what an operator said of one client while the agent runs (docs/reference.md,
 * section Operating): it is denied, it is not checked, or it has other numbers.
 *
 * An exception is of one policy, for one key; or it is of no policy: then it holds for whatever
 * policies there are, for the requests that have all of its attributes.
 */
#ifndef LIMIT_EXCEPTION_H
#define LIMIT_EXCEPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/parse.h"
#include "limit/quota.h"

enum exception_kind { EXCEPTION_BLOCK = 0, EXCEPTION_ALLOW, EXCEPTION_RAISE };

#define EXCEPTION_ID_MAX    16
#define EXCEPTION_NAMES_MAX 16

/* An attribute and its value, in the text form of value.h; of a network "10.0.0.0/8". */
struct exception_name {
	struct bytes name;
	struct bytes text;
};

struct exception {
	char id[EXCEPTION_ID_MAX + 1];
	enum exception_kind kind;
	struct bytes policy; /* empty: it is of no policy */
	/*
	 * What the policy was when the exception was made: its algorithm, and the attributes that
	 * it counts by. While the policy is another one, the exception is void. An inline policy's
	 * are among `names`.
	 */
	enum algorithm algorithm;
	const struct bytes *key;
	size_t key_count;
	/* Sorted by name. Of a policy: its key, or the name `key` in place of several attributes.
	 */
	const struct exception_name *names;
	size_t count;
	/*
	 * With --hash-keys each text in `names` is the SHA-256 of the value, and `hash` is what
	 * check.h writes for the values of the policy's key; else it is empty.
	 */
	bool is_hashed;
	struct bytes hash;
	/* Of EXCEPTION_RAISE: 0, and a `num` of 0, leave the number of the terms as it is. */
	int64_t units;
	struct ratio tokens_per_us;
	uint64_t changed_ms;
	uint64_t until_ms; /* 0: for ever */
	struct bytes text; /* all of it, as its maker wrote it: nothing here reads it */
};

/*
 * The quota of a check that would have had `quota`, which is reduced by a lease of `*lease_us`
 * (quota.h); so is the new one, or `*lease_us` becomes 0 when its numbers are too small for the
 * lease. False, with the reason, when the numbers are none that this algorithm has, or can't be
 * kept exactly together with the others.
 */
MUST_CHECK bool exception_quota(const struct exception *exception, const struct quota *quota,
				int64_t *lease_us, struct quota *ret_quota, struct err *err);

#endif
