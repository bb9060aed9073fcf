/*
 * redis_connection.h - one connection to Redis, from its opening to its end: the only place that
 * knows hiredis' context.
 *
 * Commands and their replies are in order, and each command is answered once: by its reply, or by
 * NULL when the connection ended before that. What is asked in a turn of the loop leaves in one
 * write, when its owner says so. No name is looked up here, and nothing is tried again.
 */
#ifndef STORE_REDIS_CONNECTION_H
#define STORE_REDIS_CONNECTION_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "store/redis/redis_reply.h"
#include "store/store_error.h"

struct ev_loop;
struct redis_connection;

/* A command that waits for its reply; embedded in what it is for. */
struct redis_asked {
	/* Nothing may be sent from it when `reply` is NULL. */
	void (*replied)(struct redis_asked *asked, const struct redis_reply *reply);
};

struct redis_connection_config {
	/* It can be asked now. */
	void (*connected)(void *owner);
	/* Refused, lost, or of no use: to be closed, but not from here. The first time says why. */
	void (*failed)(void *owner, enum store_error error, struct bytes why);
	void *owner;
};

/* Closed at first, and NULL when memory is short. */
struct redis_connection *redis_connection_new(struct ev_loop *loop,
					      const struct redis_connection_config *config);
void redis_connection_free(struct redis_connection *connection);

/* One that is closed; `failed` may run in the call. The address is numeric. */
void redis_connection_open_tcp(struct redis_connection *connection, const char *address, int port);
void redis_connection_open_unix(struct redis_connection *connection, const char *path);
/* Answers what waits. One that is closed stays so. */
void redis_connection_close(struct redis_connection *connection);

/* `command` is in Redis' protocol and is copied. */
void redis_connection_send(struct redis_connection *connection, struct bytes command,
			   struct redis_asked *asked);
/* At most 5 words, of which the protocol is made here. */
void redis_connection_ask(struct redis_connection *connection, struct redis_asked *asked,
			  const struct bytes *words, size_t count);
/* Before the loop waits: writes what was put together since. */
void redis_connection_flush(struct redis_connection *connection);

/* Commands without a reply, and all the replies that came. */
size_t redis_connection_outstanding(const struct redis_connection *connection);
uint64_t redis_connection_replies(const struct redis_connection *connection);

#define REDIS_ASK(connection, asked, ...)                                            \
	redis_connection_ask(connection, asked, (const struct bytes[]){__VA_ARGS__}, \
			     sizeof((const struct bytes[]){__VA_ARGS__}) / sizeof(struct bytes))

#endif
