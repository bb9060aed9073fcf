/*
 * replay_changes.h - what a second policy file decides otherwise (--against): how many requests it
 * denies that the first file allows, and the reverse; and the same for each policy, by its name,
 * with the keys that change sides most often.
 *
 * A check counts as denied when it stops the request, so not in shadow. A policy that one of the
 * files has not, or that does not apply there, denies nothing there. Memory is bounded by the
 * number of policies; keys are those of the balances, hashed where --hash-keys says so.
 */
#ifndef APP_REPLAY_CHANGES_H
#define APP_REPLAY_CHANGES_H

#include "base/compiler.h"
#include "limit/verdict.h"

/* What outlives a verdict. */
struct replay_decision {
	const struct policy *policy;
	bool is_denied;
	size_t key_len;
	char key[TOP_KEY_TEXT_MAX];
};

struct replay_decisions {
	bool allowed;
	size_t count;
	struct replay_decision items[REQUEST_CHECKS_MAX];
};

void replay_decisions_set(struct replay_decisions *decisions, const struct verdict *verdict);

/* What one of the two files denies, and the other does not. */
struct replay_denials {
	uint64_t count;
	struct top_keys *keys; /* NULL until the first */
};

struct replay_change {
	const struct policy *first, *second; /* of one name; NULL when a file has no such policy */
	struct replay_denials by_first, by_second;
};

struct replay_changes {
	const struct policies *first, *second; /* not owned */
	/* The rows of `first` (policies_row_of), and one for each policy of `second` alone. */
	struct replay_change *rows;
	size_t row_count, first_count;
	size_t *rows_of_second;                     /* by the position in `second` */
	uint64_t denied_by_first, denied_by_second; /* requests that the other file allows */
	uint64_t second_denied;                     /* requests that `second` denies */
};

/* False when memory is short; the caller releases `changes` in any case. */
MUST_CHECK bool replay_changes_init(struct replay_changes *changes, const struct policies *first,
				    const struct policies *second);
void replay_changes_release(struct replay_changes *changes);
/* What changes for a policy of `first`. */
const struct replay_change *replay_changes_of(const struct replay_changes *changes,
					      const struct policy *policy);
/* False when memory is short; what was counted until then stays. */
MUST_CHECK bool replay_changes_add(struct replay_changes *changes,
				   const struct replay_decisions *first,
				   const struct replay_decisions *second);

#endif
