/*
 * redis_login.h - user and password for Redis that the environment gives apart from the URL:
 * RATELIMIT_REDIS_USER, and RATELIMIT_REDIS_PASSWORD or RATELIMIT_REDIS_PASSWORD_FILE, a file whose
 * first line is the password. RATELIMIT_SENTINEL_... are the same for Sentinels, which have users
 * of their own. They have no flags, because everybody on the machine can read a command line.
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

/*
 * Reads the file, if there is one, and completes the target. It is an error when user or password
 * are given twice, or a user without a password.
 */
MUST_CHECK bool redis_login_apply(const struct redis_login *login, struct redis_target *target,
				  struct err *err);
/* The same for the Sentinels of the target. Of a target without Sentinels nothing is read. */
MUST_CHECK bool redis_login_apply_to_sentinels(const struct redis_login *login,
					       struct redis_target *target, struct err *err);

#endif
