/*
 * fake_redis.h - a server in the test's own loop that answers as the test says.
 *
 * It listens on a Unix socket in a folder of its own, or on a free port of 127.0.0.1. Until it is
 * told otherwise it does what a good server does: EVALSHA charges everything, of balances that are
 * new. What it is asked it writes down.
 */
#ifndef UNIT_STORE_FAKE_REDIS_H
#define UNIT_STORE_FAKE_REDIS_H

#include <stdbool.h>
#include <stddef.h>

struct ev_loop;
struct fake_redis;

enum fake_kind {
	FAKE_AUTH = 0,
	FAKE_SELECT,
	FAKE_INFO,
	FAKE_SCRIPT,
	FAKE_PING,
	FAKE_EVALSHA,
	FAKE_PTTL,
	FAKE_SENTINEL, /* unless it is told otherwise it is none, and knows no such command */
	FAKE_OTHER,
	FAKE_KINDS
};

#define FAKE_HASH    "0123456789abcdef0123456789abcdef01234567"
#define FAKE_SILENCE ""
#define FAKE_ALWAYS  (-1)

struct fake_redis *fake_redis_new(struct ev_loop *loop, bool is_tcp);
void fake_redis_free(struct fake_redis *fake);
/* For --store. */
const char *fake_redis_url(const struct fake_redis *fake);

/* The next `times` commands of the kind are answered by this text, which is a constant. */
void fake_redis_say(struct fake_redis *fake, enum fake_kind kind, const char *text, int times);
/* Unasked: to whoever connects from now on, NULL for nothing; and to those that are connected. */
void fake_redis_greet(struct fake_redis *fake, const char *text);
void fake_redis_send(struct fake_redis *fake, const char *text);
/* So many bytes leave in a turn of the loop; 0: all. */
void fake_redis_set_pace(struct fake_redis *fake, size_t bytes);
/* Closes what is connected. */
void fake_redis_hang_up(struct fake_redis *fake);
/* Whether somebody who connects is taken, or refused. */
void fake_redis_set_listening(struct fake_redis *fake, bool is_listening);

struct fake_counts {
	size_t connections;
	size_t reads; /* that brought something */
	size_t commands[FAKE_KINDS];
	size_t longest; /* EVALSHA, in bytes */
};

const struct fake_counts *fake_redis_counts(const struct fake_redis *fake);
/* The words of the last command of the kind, with spaces between; long ones are cut. */
const char *fake_redis_last(const struct fake_redis *fake, enum fake_kind kind);

#endif
