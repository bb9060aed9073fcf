/*
 * policy_numbers.h - the numbers of a policy in the file, as a quota: `algorithm`, `capacity`,
 * `refill_rate`, `limit` and `window`. An override has its policy's and replaces some.
 */
#ifndef APP_POLICY_NUMBERS_H
#define APP_POLICY_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "app/policies/policy_fields.h"
#include "base/parse.h"
#include "limit/quota.h"

struct policy_numbers {
	bool has_algorithm;
	bool is_whole; /* none is missing and none was refused */
	enum algorithm algorithm;
	int64_t units;
	struct ratio tokens_per_us;
	int64_t window_us;
};

/* Both leave the quota as it is when something is refused. */
void policy_numbers_read(const struct policy_fields *policy, struct quota *quota,
			 struct policy_numbers *ret_numbers);
/* `numbers` are those of the policy. */
void policy_numbers_override(const struct policy_numbers *numbers,
			     const struct policy_fields *override, struct quota *quota);

/* Whether there are any, good or not. */
bool policy_numbers_are_given(const struct policy_fields *fields);

#endif
