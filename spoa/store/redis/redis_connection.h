/*
 * redis_connection.h - one connection to Redis, from its opening to its end. Only this module knows
 * hiredis' context.
 *
 * Replies come in the order of the commands. Each command is answered exactly once: by its reply,
 * or by NULL when the connection ended before the reply came. Commands are collected and leave in
 * one write when the owner calls redis_connection_flush. This module looks up no name and tries
 * nothing a second time.
 */
#ifndef STORE_REDIS_CONNECTION_H
#define STORE_REDIS_CONNECTION_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "store/redis/redis_reply.h"
#include "store/redis/redis_tls.h"
#include "store/store_error.h"

struct ev_loop;
struct redis_connection;

/* A command that waits for its reply. Embedded in the object that wants the reply. */
struct redis_asked {
	/* When `reply` is NULL the connection has ended: nothing may be sent on it from here. */
	void (*replied)(struct redis_asked *asked, const struct redis_reply *reply);
};

struct redis_connection_config {
	/* From now on commands can be sent. */
	void (*connected)(void *owner);
	/*
	 * The connection was refused or lost, or what came on it is unusable. The owner has to
	 * close it, but not from here. May be called again; the first call has the reason.
	 */
	void (*failed)(void *owner, enum store_error error, struct bytes why);
	void *owner;
	struct redis_tls *tls; /* for TCP; NULL: without TLS */
	/* That the server's certificate must have. The text may change while it is closed. */
	const char *tls_name;
	bool is_of_cluster; /* there is room for a reply to CLUSTER SLOTS */
	/* How --store begins for the same with TLS, for a hint; NULL: rediss:// */
	const char *tls_scheme;
};

/* It is closed at first. NULL when memory is short. */
struct redis_connection *redis_connection_new(struct ev_loop *loop,
					      const struct redis_connection_config *config);
void redis_connection_free(struct redis_connection *connection);

/* It must be closed. `failed` may run inside the call. The address is numeric. */
void redis_connection_open_tcp(struct redis_connection *connection, const char *address, int port);
void redis_connection_open_unix(struct redis_connection *connection, const char *path);
/* Commands that still wait are answered by NULL. Does nothing when it is closed already. */
void redis_connection_close(struct redis_connection *connection);

/*
 * The next connection leads to another server, so it can't take up the session of TLS. It must be
 * closed.
 */
void redis_connection_forget_session(struct redis_connection *connection);

/* `command` is text of Redis' protocol; it is copied. */
void redis_connection_send(struct redis_connection *connection, struct bytes command,
			   struct redis_asked *asked);
/* Sends a command of at most 5 words, which are put into Redis' protocol here. */
void redis_connection_ask(struct redis_connection *connection, struct redis_asked *asked,
			  const struct bytes *words, size_t count);
/* Writes what was sent since the last time; to be called before the loop waits. */
void redis_connection_flush(struct redis_connection *connection);

/* Whether commands leave: with TLS, not before the server is verified. */
bool redis_connection_is_verified(const struct redis_connection *connection);
/* Takes the replies that lie in the socket already, without waiting for the loop. */
void redis_connection_read_all(struct redis_connection *connection);
/* How many commands wait for a reply on this connection, and how many replies came in all. */
size_t redis_connection_outstanding(const struct redis_connection *connection);
uint64_t redis_connection_replies(const struct redis_connection *connection);

#define REDIS_ASK(connection, asked, ...)                                            \
	redis_connection_ask(connection, asked, (const struct bytes[]){__VA_ARGS__}, \
			     sizeof((const struct bytes[]){__VA_ARGS__}) / sizeof(struct bytes))

#endif
