/*
 * redis_greeting.h - what is said first on a connection to Redis: AUTH, INFO (can this server keep
 * balances?), SELECT and SCRIPT LOAD, all in one write.
 */
#ifndef STORE_REDIS_GREETING_H
#define STORE_REDIS_GREETING_H

#include <stdbool.h>

#include "base/bytes.h"
#include "store/redis/redis_connection.h"
#include "store/redis/redis_target.h"
#include "store/store_error.h"

#define REDIS_HASH_LEN 40 /* of a script, in hex */

/* Embedded where the connection is used; it stays where it is until all is replied. */
struct redis_greeting {
	/*
	 * Once a greeting: STORE_OK, and `hash` is the script's, or what is wrong. Not when the
	 * connection is lost, which tells that itself.
	 */
	void (*ended)(struct redis_greeting *greeting, enum store_error error, struct bytes why);
	char hash[REDIS_HASH_LEN + 1];
	bool is_over;
	struct redis_asked auth, select, info, script;
};

void redis_greeting_begin(struct redis_greeting *greeting, struct redis_connection *connection,
			  const struct redis_target *target, struct bytes script);

#endif
