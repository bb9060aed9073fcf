/*
 * explain_lists.h - of an explained request: the entry of `allow` or `block` that decided, and the
 * lines of list files that it fits.
 *
 * A list file is not read for that: the agent keeps the number of each line (pattern_set.h). So the
 * lines are those of the file as it was when the agent read it, and `changed` says whether the file
 * has been written or replaced since.
 */
#ifndef APP_OPERATE_EXPLAIN_LISTS_H
#define APP_OPERATE_EXPLAIN_LISTS_H

#include <stdio.h>

#include "limit/request.h"
#include "limit/reserved.h"

/* Whom the questions are about. Nothing of it is owned. */
struct explain_lists {
	FILE *to;
	const char *policy_file; /* NULL: the policies came from elsewhere, and name no files */
	const struct attributes *attributes;
	const struct reserved *reserved; /* of these attributes */
	bool has_failed;                 /* memory was short: what was written is no JSON */
};

/* `,"list":{"name":"block","entry":0,…,"fits":[…]}`, or nothing when no list has decided. */
void explain_lists_put_entry(struct explain_lists *lists, const struct request *request);
/*
 * `,"fits":[…]`: the lines of files in the policy's `match`, which counts only when the request
 * does not name the policy, and in that of an override, or NULL. Nothing when there are none.
 */
void explain_lists_put_files(struct explain_lists *lists, const struct policy *policy,
			     const struct override *override);

#endif
