/*
 * load.h - the policies that the options ask for, at start and again at each reload.
 */
#ifndef APP_LOAD_H
#define APP_LOAD_H

#include "app/options.h"
#include "app/policies/problems.h"
#include "base/err.h"
#include "limit/policies.h"

/*
 * The set of the file, or an empty one without --policies, with one reference, which is the
 * caller's; NULL, and the reasons, when it is not good.
 */
struct policies *load_policies_or_problems(const struct options *options,
					   struct problems *ret_problems);
/* The same with the reasons in one line: the first, and how many more there are. */
struct policies *load_policies(const struct options *options, struct err *err);

#endif
