/*
 * redis_link.h - a connection to Redis that comes back.
 *
 *   PAUSED --> LOOKUP --> CONNECTING --> GREETING --> PROBING --> UP
 *     ^ a while  |            |             |            |         |
 *     `----------+------------+-------------+------------+---------'   anything that goes wrong
 *
 * GREETING is AUTH, INFO (is it one that can be used?), SELECT and SCRIPT LOAD; PROBING is a PING
 * that must be answered within the time that a request has. So the link is a circuit breaker too:
 * while it is not UP nobody waits for it, one try at a time finds out whether Redis is well, and
 * the pauses between them grow, with jitter, to less than a second. Every address of a name is
 * tried before a pause.
 *
 * Commands and their replies are in order; what is asked in one turn of the loop leaves in one
 * write. Everything is answered once: with NULL when the connection was lost before the reply.
 */
#ifndef STORE_REDIS_LINK_H
#define STORE_REDIS_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "store/redis/redis_connection.h"
#include "store/redis/redis_target.h"
#include "store/store_error.h"

struct ev_loop;
struct redis_link;

struct redis_link_config {
	const struct redis_target *target; /* lives as long as the link */
	struct bytes script;               /* a constant */
	int64_t timeout_us;                /* that a request has */
	int64_t silence_us;                /* store_config.silence_us */
	/* Before the loop waits, whatever the state: what is to be sent is sent now. */
	void (*flush)(void *owner);
	/*
	 * It is UP and has stayed so for a moment; or it is not, and why. Once a change; and while
	 * it is down for each other kind of reason, but what is news within a kind once a minute.
	 */
	void (*changed)(void *owner, bool is_up, enum store_error error, const char *why);
	void *owner;
};

/* Connects from the loop. NULL when memory is short. */
struct redis_link *redis_link_new(struct ev_loop *loop, const struct redis_link_config *config);
/* Answers what waits. */
void redis_link_free(struct redis_link *link);

bool redis_link_is_up(const struct redis_link *link);
/* Why it is not, or was not before. */
enum store_error redis_link_error(const struct redis_link *link);
const char *redis_link_why(const struct redis_link *link);
/* Since when it is up, or is not, by clock_mono_us. */
int64_t redis_link_since_us(const struct redis_link *link);
/* How often it came up. */
uint64_t redis_link_connects(const struct redis_link *link);

/* While it is up; as redis_connection.h says. */
void redis_link_send(struct redis_link *link, struct bytes command, struct redis_asked *asked);
void redis_link_ask(struct redis_link *link, struct redis_asked *asked, const struct bytes *words,
		    size_t count);
/* Of the script, for EVALSHA. */
const char *redis_link_hash(const struct redis_link *link);
/* Loads it again, before what is sent next: Redis has forgotten it. */
void redis_link_load_script(struct redis_link *link);
/* Gives the connection up, before the loop waits. */
void redis_link_drop(struct redis_link *link, enum store_error error, struct bytes why);

#endif
