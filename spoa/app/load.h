/*
 * load.h - the policies that the options ask for, at start and again at each reload.
 */
#ifndef APP_LOAD_H
#define APP_LOAD_H

#include "app/options.h"
#include "app/policies/list_files.h"
#include "app/policies/problems.h"
#include "limit/policies.h"

/*
 * Returns the policies of the file, or an empty set without --policies, with one reference that is
 * the caller's. With --policies store: they are unknown (policies_set_unknown). When the file is
 * not good it returns NULL and the reasons.
 */
struct policies *load_policies(const struct options *options, struct problems *ret_problems);
/* The same; ret_files, for the caller to release, has the list files that the policies name. */
struct policies *load_policies_with(const struct options *options, struct list_files *ret_files,
				    struct problems *ret_problems);
/* The same, of the text of a policy file that is in the store. */
struct policies *load_policies_of_text(const struct options *options, struct bytes text,
				       struct problems *ret_problems);

#endif
