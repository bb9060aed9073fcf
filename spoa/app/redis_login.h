/*
 * redis_login.h - user and password for Redis from the environment, apart from the URL:
 * RATELIMIT_REDIS_USER, RATELIMIT_REDIS_PASSWORD, or RATELIMIT_REDIS_PASSWORD_FILE, whose first
 * line it is. They have no flags, since those are seen by everybody on the machine.
 */
#ifndef APP_REDIS_LOGIN_H
#define APP_REDIS_LOGIN_H

#include <stdbool.h>

#include "base/err.h"
#include "store/redis/redis_target.h"

struct redis_login {
	const char *user; /* NULL: not given */
	const char *password;
	const char *password_file;
};

/* `name` is without RATELIMIT_. False when it is none of them; empty values are none. */
MUST_CHECK bool redis_login_take(struct redis_login *login, struct bytes name, const char *value);
/* Reads the file, and completes the target. What is given twice, or in part, is an error. */
MUST_CHECK bool redis_login_apply(const struct redis_login *login, struct redis_target *target,
				  struct err *err);

#endif
