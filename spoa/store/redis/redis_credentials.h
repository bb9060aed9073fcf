/*
 * redis_credentials.h - user and password for Redis, of which the password may change while the
 * agent runs.
 *
 * A password changes in two places, the server and the agent's file, and nobody knows which of them
 * changes first. So the agent keeps two passwords: the one that was set last, and the last one that
 * the server took. A new connection tries both, in this order. When a password is set, the agent
 * sends it on connections that work already, too; if the server refuses it, they go on as they are.
 *
 * All links of a store share one such object: when one of them finds that the server takes a
 * password, the others know it too.
 */
#ifndef STORE_REDIS_CREDENTIALS_H
#define STORE_REDIS_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/redis/redis_connection.h"
#include "store/redis/redis_target.h"

struct redis_credentials {
	char user[REDIS_USER_MAX];         /* empty: the default user */
	char password[REDIS_PASSWORD_MAX]; /* that was set last; empty: there is none */
	char good[REDIS_PASSWORD_MAX];     /* that the server took last; empty: none yet */
	uint64_t generation;               /* how often a password was set, the first one too */
};

/* A password that was sent to the server. Another one may be set before the server replies. */
struct redis_password_try {
	uint64_t generation;
	char password[REDIS_PASSWORD_MAX];
};

/* With these; each may be empty, and fits in its place of `credentials`. */
void redis_credentials_init(struct redis_credentials *credentials, const char *user,
			    const char *password);
/* Shorter than REDIS_PASSWORD_MAX. The password that is set already changes nothing. */
void redis_credentials_set(struct redis_credentials *credentials, const char *password);

/* Whether there is a password, so that connections have to be authenticated. */
bool redis_credentials_are_given(const struct redis_credentials *credentials);
/* Whether the server took another password than the one that was set last. */
bool redis_credentials_have_other(const struct redis_credentials *credentials);

/* Sends AUTH with the password that was set last, and notes it in *ret_try. */
void redis_credentials_send(const struct redis_credentials *credentials,
			    struct redis_connection *connection, struct redis_asked *asked,
			    struct redis_password_try *ret_try);
/* Sends AUTH with the password that the server took last. */
void redis_credentials_send_good(const struct redis_credentials *credentials,
				 struct redis_connection *connection, struct redis_asked *asked);
/* The server took it. */
void redis_credentials_took(struct redis_credentials *credentials,
			    const struct redis_password_try *try);

#endif
