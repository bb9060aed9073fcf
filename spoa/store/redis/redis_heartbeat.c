/*
 * Each beat sends a PING, unless the last one is still on its way.
 *
 * Silence is counted in beats and not by the clock: when the agent itself stood still, the replies
 * of that time lie in the socket, and the loop reads them before the next beat.
 *
 * Once a second a beat also asks for the server's role, whatever else is on its way. A master that
 * was demoted would not tell it by itself to agents whose requests are all denied, since those
 * write nothing. The command is INFO, which every user for the agent may call already; a user
 * without it is asked no more on that connection.
 */
#include "store/redis/redis_heartbeat.h"

#include "base/clock.h"
#include "base/compiler.h"
#include "store/redis/redis_greeting.h"

#define ROLE_US US_PER_SECOND /* between two questions for the role */

/* ---- PING ---- */

static void send_ping(struct redis_heartbeat *heartbeat)
{
	if (heartbeat->is_pinged)
		return;
	heartbeat->is_pinged = true;
	heartbeat->pinged_us = clock_mono_us();
	REDIS_ASK(heartbeat->config.connection, &heartbeat->ping, BYTES("PING"));
}

/*
 * A reply that was lost, or came twice, shifts all that follow: each then answers another command
 * than the one that it came for. Only a new connection ends that, and no time-out would: replies
 * keep coming.
 */
static bool check_pong(struct redis_heartbeat *heartbeat, const struct redis_reply *reply)
{
	const struct redis_item *item = &reply->items[0];

	if (item->kind == REDIS_TEXT && bytes_equal(item->text, BYTES("PONG")))
		return true;
	if (redis_reply_is_error(reply))
		heartbeat->config.failed(heartbeat, redis_error_kind(item->text), item->text);
	else
		heartbeat->config.failed(heartbeat, STORE_OTHER,
					 BYTES("a PING was not answered by PONG"));
	return false;
}

static void on_ping(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_heartbeat *heartbeat = CONTAINER_OF(asked, struct redis_heartbeat, ping);

	heartbeat->is_pinged = false;
	if (reply == NULL || !heartbeat->is_begun || !check_pong(heartbeat, reply))
		return;
	heartbeat->took_us = clock_mono_us() - heartbeat->pinged_us;
	heartbeat->config.ponged(heartbeat, heartbeat->took_us);
}

/* ---- the role ---- */

static void on_role(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_heartbeat *heartbeat = CONTAINER_OF(asked, struct redis_heartbeat, role);
	enum store_error error;
	const char *why;

	if (reply == NULL || !heartbeat->is_begun || redis_reply_is_error(reply))
		return;
	heartbeat->is_role_asked = false;
	if (!redis_greeting_accepts(reply->items[0].text, heartbeat->takes_cluster, &error, &why))
		heartbeat->config.failed(heartbeat, error, bytes_from_text(why));
}

static void ask_for_role(struct redis_heartbeat *heartbeat)
{
	int64_t now_us = clock_mono_us();

	if (heartbeat->is_role_asked || now_us - heartbeat->role_us < ROLE_US)
		return;
	heartbeat->is_role_asked = true;
	heartbeat->role_us = now_us;
	REDIS_ASK(heartbeat->config.connection, &heartbeat->role, BYTES("INFO"),
		  BYTES("replication"));
}

/* ---- the beat ---- */

void redis_heartbeat_init(struct redis_heartbeat *heartbeat,
			  const struct redis_heartbeat_config *config)
{
	*heartbeat = (struct redis_heartbeat){
		.config = *config,
		.ping.replied = on_ping,
		.role.replied = on_role,
	};
}

void redis_heartbeat_begin(struct redis_heartbeat *heartbeat, bool takes_cluster)
{
	heartbeat->is_begun = true;
	heartbeat->takes_cluster = takes_cluster;
	heartbeat->silent_us = 0;
	heartbeat->is_role_asked = false;
	heartbeat->role_us = clock_mono_us();
	send_ping(heartbeat);
}

void redis_heartbeat_end(struct redis_heartbeat *heartbeat)
{
	heartbeat->is_begun = false;
}

static bool is_reply_missing(struct redis_heartbeat *heartbeat)
{
	return redis_connection_outstanding(heartbeat->config.connection) > 0 &&
	       redis_connection_replies(heartbeat->config.connection) == heartbeat->replies;
}

void redis_heartbeat_beat(struct redis_heartbeat *heartbeat, int64_t beat_us)
{
	bool is_missing = is_reply_missing(heartbeat);

	ASSERT(heartbeat->is_begun);
	heartbeat->silent_us = is_missing ? heartbeat->silent_us + beat_us : 0;
	if (heartbeat->silent_us >= heartbeat->config.silence_us) {
		heartbeat->config.failed(heartbeat, STORE_TIMEOUT, REDIS_NO_ANSWER);
		return;
	}
	heartbeat->replies = redis_connection_replies(heartbeat->config.connection);
	ask_for_role(heartbeat);
	send_ping(heartbeat);
}
