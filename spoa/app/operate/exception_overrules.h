/*
 * exception_overrules.h - says why an exception has no effect: an exception without a policy, or a
 * list of the policy file, comes before it.
 */
#ifndef APP_OPERATE_EXCEPTION_OVERRULES_H
#define APP_OPERATE_EXCEPTION_OVERRULES_H

#include <stdio.h>

#include "limit/exceptions.h"

#define OVERRULES_MAX 8 /* that are named */

struct overrules {
	bool is_allowed, is_blocked; /* by the list of that name */
	size_t count;
	char ids[OVERRULES_MAX][EXCEPTION_ID_MAX + 1];
};

/*
 * Finds what overrules the exception for its client, or for a part of its clients. `attributes` are
 * those of which it was made. Of many exceptions without a policy only the first ones are looked
 * at.
 */
void overrules_find(struct overrules *ret_overrules, const struct exceptions *exceptions,
		    const struct policies *policies, const struct exception *exception,
		    const struct attributes *attributes);
/* `,"overruled_by":["allow list","exception 1f0c…"]` */
void overrules_put(const struct overrules *overrules, FILE *to);

/* Whether the value is that of `name`, or in its network. */
bool exception_name_holds(const struct exception_name *name, const struct exception_name *value);

#endif
