/*
 * unusable.h - values under our keys that no limiter writes: each must spoil its own request only.
 */
#ifndef LUA_UNUSABLE_H
#define LUA_UNUSABLE_H

#include <stddef.h>
#include <stdint.h>

#include "limit/quota.h"
#include "support/redis_server.h"

#define UNUSABLE_TIME_US INT64_C(1700000000000000) /* of the logs among them */

struct unusable {
	const char *key; /* says what is wrong, too; without the store's prefix */
	enum algorithm algorithm;
};

size_t unusable_count(void);
struct unusable unusable_at(size_t index);
/* 0; or the one cost that meets what is wrong, while others are answered. */
int64_t unusable_cost(size_t index);

/* Writes all of them; `prefix` is the store's. They stay as long as nobody writes to them. */
void unusable_write(struct redis_server *server, const char *prefix);
/* The test fails when one of them is no longer what was written. */
void unusable_assert_untouched(struct redis_server *server, const char *prefix);

#endif
