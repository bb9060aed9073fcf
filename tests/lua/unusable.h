/*
 * unusable.h - values under our keys that no limiter writes. Each may spoil only its own request.
 */
#ifndef LUA_UNUSABLE_H
#define LUA_UNUSABLE_H

#include <stddef.h>
#include <stdint.h>

#include "limit/quota.h"
#include "support/redis_server.h"

#define UNUSABLE_TIME_US INT64_C(1700000000000000) /* the time in the logs among the values */

struct unusable {
	const char *key; /* without the prefix of the store; it also says what is wrong */
	enum algorithm algorithm;
};

size_t unusable_count(void);
struct unusable unusable_at(size_t index);
/* 0, or the only cost whose check meets the fault; other costs are answered. */
int64_t unusable_cost(size_t index);

/* Writes all values; `prefix` is that of the store. The values do not expire. */
void unusable_write(struct redis_server *server, const char *prefix);
/* Fails the test when a value is no longer what was written. */
void unusable_assert_untouched(struct redis_server *server, const char *prefix);

#endif
