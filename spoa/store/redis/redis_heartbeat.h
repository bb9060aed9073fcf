/*
 * redis_heartbeat.h - asks the server of a connection, beat by beat, whether it still answers and
 * whether it is still a master.
 *
 * The owner has the timer, and embeds the heartbeat, which must not move. From begin to end the
 * heartbeat has at most one PING and one INFO on their way. It ends nothing itself: it says what is
 * wrong, and the owner ends the connection. After redis_heartbeat_end it says no more, whatever
 * replies still come.
 *
 * All times are microseconds of clock_mono_us.
 */
#ifndef STORE_REDIS_HEARTBEAT_H
#define STORE_REDIS_HEARTBEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "store/redis/redis_connection.h"
#include "store/store_error.h"

#define REDIS_NO_ANSWER BYTES("no answer in time")

struct redis_heartbeat;

struct redis_heartbeat_config {
	struct redis_connection *connection; /* outlives the heartbeat */
	int64_t silence_us; /* without any reply, while one is awaited: the server is silent */
	/* A PING was answered, after so long. */
	void (*ponged)(struct redis_heartbeat *heartbeat, int64_t took_us);
	/*
	 * The server is silent, answers something else than what it was asked, or can't keep
	 * balances any more (redis_greeting_accepts). Called from redis_heartbeat_beat or from a
	 * callback of the connection.
	 */
	void (*failed)(struct redis_heartbeat *heartbeat, enum store_error error, struct bytes why);
};

struct redis_heartbeat {
	struct redis_heartbeat_config config;
	bool is_begun, takes_cluster;
	struct redis_asked ping, role;
	bool is_pinged; /* a PING is on its way */
	int64_t pinged_us;
	int64_t took_us;    /* what the last PING took, also that of an earlier connection */
	bool is_role_asked; /* the question is on its way, or the user may not ask it */
	int64_t role_us;    /* when the role was asked for, or told in the greeting */
	uint64_t replies;   /* how many had come at the last beat */
	int64_t silent_us;  /* since a beat that found a new one, or none awaited */
};

void redis_heartbeat_init(struct redis_heartbeat *heartbeat,
			  const struct redis_heartbeat_config *config);
/* The server has just greeted, and so told its role. Sends the first PING. */
void redis_heartbeat_begin(struct redis_heartbeat *heartbeat, bool takes_cluster);
/* The connection has failed. May be called when nothing has begun. */
void redis_heartbeat_end(struct redis_heartbeat *heartbeat);
/* The owner's timer ran; `beat_us` is the time from beat to beat. Between begin and end only. */
void redis_heartbeat_beat(struct redis_heartbeat *heartbeat, int64_t beat_us);

#endif
