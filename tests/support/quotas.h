/*
 * quotas.h - quotas for fuzz harnesses: of each algorithm a usual one, and one as large as it gets.
 */
#ifndef SUPPORT_QUOTAS_H
#define SUPPORT_QUOTAS_H

#include "limit/quota.h"

static const struct quota quotas[] = {
	{.algorithm = TOKEN_BUCKET, .limit = 10, .refill_tokens = 1, .refill_us = 1000000},
	{.algorithm = SLIDING_WINDOW, .limit = 5, .window_us = 60000000},
	{.algorithm = SLIDING_WINDOW_COUNTER, .limit = 10, .window_us = 60000000},
	{.algorithm = FIXED_WINDOW, .limit = 5, .window_us = 60000000},
	{.algorithm = TOKEN_BUCKET,
	 .limit = QUOTA_EXACT_MAX / 2 - 1,
	 .refill_tokens = 1,
	 .refill_us = 1},
	{.algorithm = SLIDING_WINDOW, .limit = 1000000, .window_us = QUOTA_WINDOW_MAX_US},
	{.algorithm = SLIDING_WINDOW_COUNTER,
	 .limit = QUOTA_EXACT_MAX / 2 / 1000000,
	 .window_us = QUOTA_WINDOW_MAX_US},
	{.algorithm = FIXED_WINDOW, .limit = QUOTA_EXACT_MAX / 2, .window_us = QUOTA_WINDOW_MAX_US},
	{.algorithm = SLIDING_WINDOW_COUNTER,
	 .limit = QUOTA_EXACT_MAX / 2 / 1000,
	 .window_us = QUOTA_WINDOW_MIN_US},
};

#endif
