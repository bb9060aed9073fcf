/*
 * redis_auth.h - sends another password on a connection that works already.
 *
 * The greeting authenticates a new connection. When another password is set later
 * (redis_credentials.h), it is sent on the connection that there is. The server may not know that
 * password yet. Then the connection goes on as it is, and the password is sent again every 5 s,
 * until the server takes it or yet another one is set.
 *
 * The owner of the connection embeds the struct, which must not move. After redis_auth_end the
 * owner is told no more, whatever replies still come.
 */
#ifndef STORE_REDIS_AUTH_H
#define STORE_REDIS_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "store/redis/redis_connection.h"
#include "store/redis/redis_credentials.h"
#include "store/redis/redis_greeting.h"

struct redis_auth;

/*
 * The server took a password that was set after redis_auth_init, or refused it for this reason.
 * Called at most once for each of the two and each password.
 */
typedef void redis_auth_told_fn(struct redis_auth *auth, bool is_taken, struct bytes why);

struct redis_auth {
	struct redis_credentials *credentials;
	struct redis_connection *connection;
	redis_auth_told_fn *told;
	bool is_begun;
	/* Generations of the credentials: what the connection has, and what was told. */
	uint64_t authenticated, told_taken, told_refused;
	struct redis_password_try tried; /* the last one on this connection */
	int64_t tried_us;                /* when the server answered it, by clock_mono_us */
	struct redis_asked asked;
	bool is_authenticating; /* its AUTH is on its way */
};

/* Credentials and connection outlive the struct. Other connections may have the credentials too. */
void redis_auth_init(struct redis_auth *auth, struct redis_credentials *credentials,
		     struct redis_connection *connection, redis_auth_told_fn *told);
/* The greeting has authenticated the connection, by one of the two passwords. */
void redis_auth_begin(struct redis_auth *auth, const struct redis_greeting *greeting);
/* The connection has failed. May be called when nothing has begun. */
void redis_auth_end(struct redis_auth *auth);
/*
 * Sends the password that was set last, if the connection has another one and it is time. To be
 * called several times a second, between begin and end.
 */
void redis_auth_follow(struct redis_auth *auth);

#endif
