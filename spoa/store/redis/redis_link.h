/*
 * redis_link.h - a connection to Redis that is made again whenever it is lost. Of a target with
 * Sentinels it leads to the master that they name.
 *
 *   PAUSED --> LOOKUP --> CONNECTING --> GREETING --> GREETED
 *     ^          |            |             |           |
 *     `----------+------------+-------------+-----------'   after any failure
 *
 * Commands can be sent while the link is up: when it is GREETED, and its health (redis_health.h)
 * says that Redis answers in time. In every other state redis_link_is_up is false, and nobody waits
 * for the link: this is the circuit breaker of the Redis store.
 *
 * Replies come in the order of the commands. All commands of one turn of the loop leave in one
 * write. Each command is answered exactly once: by its reply, or by NULL when the connection was
 * lost before the reply came. No command is sent a second time.
 */
#ifndef STORE_REDIS_LINK_H
#define STORE_REDIS_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/writer.h"
#include "store/redis/redis_connection.h"
#include "store/redis/redis_credentials.h"
#include "store/redis/redis_health.h"
#include "store/redis/redis_target.h"
#include "store/store_error.h"

struct ev_loop;
struct redis_link;
struct redis_sentinels;

struct redis_link_config {
	const struct redis_target *target;     /* lives as long as the link */
	struct redis_credentials *credentials; /* the same; other links may have it too */
	struct redis_tls *tls;       /* if the target has TLS; other links may have it too */
	struct bytes script, prefix; /* constants; the prefix is that of the keys */
	int64_t timeout_us;          /* of a request: a PING is not given more */
	uint32_t window_max;         /* of redis_health.h */
	int64_t silence_us;          /* store_config.silence_us */
	/*
	 * Called before the loop waits, in every state. The owner sends its commands here, since
	 * they are written right after it.
	 */
	void (*flush)(void *owner);
	/*
	 * Called when the link has been UP for one heartbeat, and when it has gone down. While it
	 * is down, called again for an error of another name, and, at most once a minute, for
	 * another text of an error whose name was told before.
	 */
	void (*changed)(void *owner, bool is_up, enum store_error error, const char *why);
	/*
	 * Called once a connection, when it has been UP for one heartbeat, if its server forgets
	 * exhausted clients when it is full: what redis_greeting_forgets says. May be NULL.
	 */
	void (*forgets)(void *owner, const char *policy, const char *hint);
	/* Called once a connection, at the same time: store_config.lacks_right. May be NULL. */
	void (*lacks_right)(void *owner, const char *command, const char *hint);
	void (*regained_right)(void *owner, const char *hint);
	/* The same of store_config.told_eviction. */
	void (*told_eviction)(void *owner, const char *policy);
	/*
	 * The server took a password that was set while the agent runs, or refused it: called once
	 * for each of the two and each password. After a refusal the link serves on and tries again
	 * every 5 s. May be NULL.
	 */
	void (*authenticated)(void *owner, bool is_taken, struct bytes why);
	/* With Sentinels: what store_config.master_named and sentinel_changed say. May be NULL. */
	void (*master_named)(void *owner, const char *master, uint64_t epoch, bool is_reset);
	void (*sentinel_changed)(void *owner, const char *sentinel, bool is_up, const char *why);
	/* redis_greeting.told_slots: NULL, or the server is a node of a cluster. */
	const char *(*told_slots)(void *owner, const struct redis_reply *reply);
	void *owner;
};

/* The loop makes the connection. NULL when memory is short. */
struct redis_link *redis_link_new(struct ev_loop *loop, const struct redis_link_config *config);
/* Commands that still wait for a reply are answered by NULL. */
void redis_link_free(struct redis_link *link);

bool redis_link_is_up(const struct redis_link *link);
/* Why the link is not up, or was not when it was last down; the text is empty at first. */
enum store_error redis_link_error(const struct redis_link *link);
const char *redis_link_why(const struct redis_link *link);
/* Since when it is up, or is not, by clock_mono_us. */
int64_t redis_link_since_us(const struct redis_link *link);
/* How often the link came up. */
uint64_t redis_link_connects(const struct redis_link *link);
/* Which connection to Redis there is: each that came up has another number. 0 while there is none.
 */
uint64_t redis_link_connection(const struct redis_link *link);

/* The Sentinels that say where the link leads; NULL: the target has none. */
const struct redis_sentinels *redis_link_sentinels(const struct redis_link *link);
/* Another password for the Sentinels, for connections that are made from now on. */
void redis_link_set_sentinel_password(struct redis_link *link, const char *password);

/* How much Redis may be asked. The store admits its requests there, and withdraws them. */
struct redis_health *redis_link_health(struct redis_link *link);
const struct redis_health *redis_link_health_seen(const struct redis_link *link);
/* A call of so many admitted checks was answered, as redis_health_add_call says. */
void redis_link_add_call(struct redis_link *link, uint32_t checks, int64_t sent_us, bool is_late);
/* Puts "answered after 3.2 ms; --store-timeout is 2ms", of the last late answer. */
void redis_link_put_slowness(const struct redis_link *link, struct writer *w);
/* What the last PING took. */
int64_t redis_link_heartbeat_us(const struct redis_link *link);
/* Takes the replies that have come, without waiting for the loop. */
void redis_link_read_all(struct redis_link *link);

/* Only while the link is up. redis_connection.h has the rules for what is sent. */
void redis_link_send(struct redis_link *link, struct bytes command, struct redis_asked *asked);
void redis_link_ask(struct redis_link *link, struct redis_asked *asked, const struct bytes *words,
		    size_t count);
/* The hash of the script, for EVALSHA. */
const char *redis_link_hash(const struct redis_link *link);
/* Redis has forgotten the script: loads it, before the next command. */
void redis_link_load_script(struct redis_link *link);
/* The link fails, for this reason; the connection is closed before the loop waits. */
void redis_link_drop(struct redis_link *link, enum store_error error, struct bytes why);

#endif
