/*
 * policy_changes.h - which policies a reload added, changed and removed, for the log.
 *
 * A policy is known by its name, and changed when its fingerprint is another one. All are counted,
 * and the names of the first POLICIES_SHOWN of each kind are kept, so that a log line stays short.
 *
 * The names are views: they are good as long as both sets are.
 */
#ifndef LIMIT_POLICY_CHANGES_H
#define LIMIT_POLICY_CHANGES_H

#include <stdbool.h>
#include <stddef.h>

#include "limit/policies.h"

#define POLICIES_SHOWN 10

struct policy_names {
	size_t count;
	const char *shown[POLICIES_SHOWN];
};

struct policy_changes {
	struct policy_names added;   /* in the order of the set after */
	struct policy_names changed; /* the same */
	struct policy_names removed; /* in the order of the set before */
	bool is_reordered;           /* those in both stand in another order, which decides ties */
	bool is_allow_changed, is_block_changed; /* the lists */
};

struct policy_changes policies_compare(const struct policies *before, const struct policies *after);
MUST_CHECK bool policy_changes_are_none(const struct policy_changes *changes);

/* Ten names with their commas, and " and 9990 more". */
#define POLICY_NAMES_TEXT_MAX (POLICIES_SHOWN * (POLICY_NAME_MAX + 1) + 32)

struct policy_names_text {
	char text[POLICY_NAMES_TEXT_MAX];
};

/* "a,b", or "a,b,c,d,e,f,g,h,i,j and 7 more"; empty for none. */
struct policy_names_text policy_names_text(const struct policy_names *names);

#endif
