/*
 * redis_server.h - a Redis of the test's own, empty, on a Unix socket in a new folder.
 *
 * It is `redis-server`, or the command in the environment's TEST_REDIS, whose words are separated
 * by spaces. A test that can't start it fails. It ends with the test, however that ends.
 */
#ifndef SUPPORT_REDIS_SERVER_H
#define SUPPORT_REDIS_SERVER_H

#include <stdint.h>

struct redisReply;
struct redis_server;

/* It answers by now. */
struct redis_server *redis_server_start(void);
/* Ends it, waits for that, and removes the folder. */
void redis_server_stop(struct redis_server *server);

/* Of its Unix socket. */
const char *redis_server_path(const struct redis_server *server);

/*
 * A command, as hiredis' redisCommand takes it, and its reply, which is good until the next one. An
 * error reply is a reply.
 */
const struct redisReply *redis_server_ask(struct redis_server *server, const char *format, ...);
/* The reply must be a number; or the text OK, which is 0. */
int64_t redis_server_ask_number(struct redis_server *server, const char *format, ...);

#endif
