/*
 * tally.h - the counters of a policy. A tally lives as long as there is a policy of its name, over
 * reloads, so that its counters only grow.
 */
#ifndef LIMIT_TALLY_H
#define LIMIT_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/histogram.h"
#include "limit/top_keys.h"

/* Who asked. */
enum source { SOURCE_SPOP = 0, SOURCE_HTTP, SOURCE_COUNT };

/* As the metrics and the log name it. */
const char *source_name(enum source source);

/* The result of one check, whatever became of the request. */
enum tally_result {
	TALLY_ALLOWED = 0,
	TALLY_DENIED,
	TALLY_SHADOW_DENIED,
	TALLY_ERROR,
	TALLY_SKIPPED, /* not asked about, since another check was known to deny the request */
	TALLY_RESULT_COUNT,
};

struct tally {
	unsigned references;
	uint64_t checks[TALLY_RESULT_COUNT];
	uint64_t
		bad_costs; /* requests whose cost attribute was absent or no whole number above 0 */
	/* Requests that the policy is for, and that lacked an attribute that it counts by. */
	uint64_t keys_absent;
	uint64_t keys_absent_before; /* what it was when the policy began to count by this key */
	bool has_key_come;           /* a request had all of them since then */
	bool is_absence_told;        /* that none had them */
	/* Requests whose verdict names this policy. */
	uint64_t requests_allowed[SOURCE_COUNT];
	uint64_t requests_blocked[SOURCE_COUNT];
	struct histogram latency;
	/* NULL until the first key; allocated once each, or not at all when memory is short. */
	struct top_keys *seen;
	struct top_keys *denied;
	struct top_keys *shadow_denied;
};

/* NULL when memory is short. */
struct tally *tally_new(void);
struct tally *tally_ref(struct tally *tally);
void tally_unref(struct tally *tally);
/* Called when the policy will count by other keys than before. */
void tally_forget_keys(struct tally *tally);

#endif
