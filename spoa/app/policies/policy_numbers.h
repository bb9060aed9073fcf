/*
 * policy_numbers.h - reads the numbers of a policy, `algorithm`, `capacity`, `refill_rate`, `limit`
 * and `window`, and makes a quota of them. An override begins with the numbers of its policy and
 * replaces some of them.
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
	bool is_whole; /* no number is missing and none was refused */
	enum algorithm algorithm;
	int64_t units;
	struct ratio tokens_per_us;
	int64_t window_us;
};

/* Both leave the quota as it is when they refuse something. */
void policy_numbers_read(const struct policy_fields *policy, struct quota *quota,
			 struct policy_numbers *ret_numbers);
/* `numbers` are those of the policy that the override belongs to. */
void policy_numbers_override(const struct policy_numbers *numbers,
			     const struct policy_fields *override, struct quota *quota);

/* Whether the file gives any number here, good or not. */
bool policy_numbers_are_given(const struct policy_fields *fields);

#endif
