/*
 * redis_server.h - starts an empty Redis for one test, on a Unix socket in a new folder.
 *
 * The command is `redis-server`, or TEST_REDIS of the environment, whose words are separated by
 * spaces. A test that can't start Redis fails. Redis ends with the test, even when the test
 * crashes.
 */
#ifndef SUPPORT_REDIS_SERVER_H
#define SUPPORT_REDIS_SERVER_H

#include <stdint.h>

struct redisReply;
struct redis_server;

/* Redis answers when this returns. */
struct redis_server *redis_server_start(void);
/* The same, for a node of a cluster, which listens at two ports of 127.0.0.1 too. */
struct redis_server *redis_server_start_node(void);
/* That of its clients, and that of the other nodes. */
int redis_server_port(const struct redis_server *server);
int redis_server_bus_port(const struct redis_server *server);
/* Ends Redis, waits for its end, and removes the folder. */
void redis_server_stop(struct redis_server *server);

/* The path of the Unix socket. */
const char *redis_server_path(const struct redis_server *server);

/*
 * Sends a command, in the notation of hiredis' redisCommand, and returns the reply, which is good
 * until the next command. An error reply is returned like any other.
 */
const struct redisReply *redis_server_ask(struct redis_server *server, const char *format, ...);
/* Returns the number that the reply must be. The reply OK counts as 0. */
int64_t redis_server_ask_number(struct redis_server *server, const char *format, ...);
/*
 * Asks again and again until the number is at most `most`: Redis tells nobody that a key has
 * ended. Fails the test after 20 s.
 */
void redis_server_await_number(struct redis_server *server, const char *command, int64_t most);

#endif
