/*
 * The states, what each waits for, and what ends it:
 *
 *     state        waits for                                then          at most
 *     ----------   --------------------------------------   -----------   ---------------------
 *     PAUSED       the timer                                LOOKUP        10 ms to 0.8 s
 *     LOOKUP       addresses of the name                    CONNECTING    0.5 s; 1 s for the
 *                                                                         Sentinels' first word
 *     CONNECTING   the socket                               GREETING      0.5 s, with the next
 *     GREETING     AUTH, INFO, SELECT, SCRIPT LOAD          GREETED         state
 *     GREETED      an error, silence, or another role       FAILED
 *     FAILED       the end of the turn                      CONNECTING to the next address, or
 *                                                           PAUSED when there is none
 *
 * LOOKUP is left out when there is nothing to look up. A look-up that takes longer does not hold
 * up the link if addresses of an earlier one are known (redis_route.h).
 *
 * With Sentinels the link leads to the master that they name (redis_sentinels.h). Before they have
 * named one, LOOKUP waits for that. When they name another one, the connection is given up and the
 * next one leads there; nothing else of a link is different. A master that is lost is tried again
 * and again meanwhile, since the Sentinels may never name another one.
 *
 * A link that is GREETED is up when its health says so (redis_health.h has that picture): a server
 * that hangs still accepts connections, and only a PING that comes back in the time that a request
 * has shows that requests would be answered. A server that is slow counts as down, but keeps its
 * connection: a new one would not be faster.
 *
 * Why pauses grow, and have chance in them: one agent must not keep a dead server busy, nor a
 * hundred agents come back to it in the same millisecond. They are reset by the first heartbeat and
 * not by the first PING, so that a server which greets well and then hangs up is not asked in a
 * circle. All addresses of a name are tried before there is a pause.
 *
 * Why FAILED is a state: failures are found deep in hiredis' callbacks, where the connection must
 * not be freed. So a failure is noted, the first one with its reason, and acted on when the loop
 * is about to wait and no callback runs.
 *
 * While the link is GREETED a timer beats, four times a second when it is up, else ten times. At
 * each beat redis_heartbeat asks whether the server still answers as a master, and redis_auth
 * sends another password if one was set.
 */
#include "store/redis/redis_link.h"

#include <stdlib.h>
#include <string.h>

#include <ev.h>
#include <sodium.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/writer.h"
#include "store/redis/redis_auth.h"
#include "store/redis/redis_greeting.h"
#include "store/redis/redis_heartbeat.h"
#include "store/redis/redis_link_news.h"
#include "store/redis/redis_route.h"
#include "store/redis/redis_sentinels.h"

#define GIVE_UP_SECONDS 0.5 /* for each state on the way to GREETED */
#define NAMED_SECONDS   1.0 /* for the Sentinels to name a master */
#define LOST_FAILURES   2   /* so many rounds in a row have failed: the server is lost */
#define HEARTBEAT_US    INT64_C(250000)
#define SILENCE_US      (2 * HEARTBEAT_US)
#define PAUSE_MIN_MS    20
#define PAUSE_MAX_MS    800
#define STILL_NAMED                                                                     \
	BYTES("it is a replica, though the Sentinels name it as the master; the agent " \
	      "waits until they name another one")
#define NO_HANDSHAKE BYTES("TLS: no handshake in time; the server may speak no TLS at this port")

enum link_state {
	LINK_PAUSED = 0,
	LINK_LOOKUP,
	LINK_CONNECTING,
	LINK_GREETING,
	LINK_GREETED, /* its health says whether it is up */
	LINK_FAILED,
};

struct redis_link {
	struct redis_link_config config;
	struct ev_loop *loop;
	enum link_state state;
	struct ev_prepare before_wait;
	struct ev_timer timer; /* ends the pause, gives up, or beats: as the state says */

	struct redis_sentinels *sentinels; /* NULL: the target has none */
	struct redis_place master;         /* that they name; an empty host: none yet */
	bool has_moved;                    /* and nothing was opened since then */

	struct redis_route route;
	unsigned failures; /* rounds in a row in which no address worked */
	uint64_t connects;
	int64_t since_us; /* when it last came up or failed; at first, when it was made */

	struct redis_connection *connection;
	struct redis_greeting greeting;
	struct redis_health health;
	bool has_been_up; /* this connection */
	struct redis_heartbeat heartbeat;
	struct redis_auth auth;
	struct redis_asked reload;

	/* Why it is not up, or was not when it was last down. */
	enum store_error error;
	char why[REDIS_LINK_WHY_MAX];
	struct redis_link_news news;
};

static void set_timer(struct redis_link *link, double seconds)
{
	link->timer.repeat = seconds;
	ev_timer_again(link->loop, &link->timer);
}

/* ---- FAILED and PAUSED ---- */

static void set_reason(struct redis_link *link, enum store_error error, struct bytes why)
{
	struct writer w = writer_on(link->why, sizeof link->why);

	link->error = error;
	writer_put(&w, bytes_from(why.data, why.len < w.max - 1 ? why.len : w.max - 1));
	(void)writer_text(&w);
}

/* The first failure counts; what follows from it before the turn ends does not. */
static void fail_link(struct redis_link *link, enum store_error error, struct bytes why)
{
	if (link->state == LINK_FAILED)
		return;
	if (redis_link_is_up(link))
		link->since_us = clock_mono_us();
	link->state = LINK_FAILED;
	redis_heartbeat_end(&link->heartbeat);
	redis_auth_end(&link->auth);
	set_reason(link, error, why);
}

/* Between half of the pause and all of it, by chance. */
static double pause_seconds(unsigned failures)
{
	uint32_t pause_ms = (uint32_t)PAUSE_MIN_MS << (failures < 6 ? failures : 6);

	if (pause_ms > PAUSE_MAX_MS)
		pause_ms = PAUSE_MAX_MS;
	return (pause_ms / 2 + randombytes_uniform(pause_ms / 2)) / 1e3;
}

static void begin_pause(struct redis_link *link)
{
	link->state = LINK_PAUSED;
	set_timer(link, pause_seconds(link->failures));
	link->failures++;
	redis_link_news_down(&link->news, link->error, link->why);
}

/* ---- slowness ---- */

/* To a tenth of a millisecond. */
static void put_milliseconds(struct writer *w, int64_t us)
{
	writer_put_fraction(w, (uint64_t)us / (US_PER_MS / 10), 1);
}

void redis_link_put_slowness(const struct redis_link *link, struct writer *w)
{
	writer_put_text(w, "answered after ");
	put_milliseconds(w, link->health.took_us);
	writer_put_text(w, " ms");
	writer_put_text(w, "; --store-timeout is ");
	put_milliseconds(w, link->config.timeout_us);
	writer_put_text(w, "ms");
	if (link->health.took_us < link->config.timeout_us)
		writer_put_text(w, ", and the request had waited in the agent before");
}

/* The connection stays: PINGs find out when Redis is fast enough again. */
static void be_down_for_slowness(struct redis_link *link)
{
	char why[REDIS_LINK_WHY_MAX];
	struct writer w = writer_on(why, sizeof why);

	redis_link_put_slowness(link, &w);
	set_reason(link, STORE_TIMEOUT, writer_bytes(&w));
	redis_link_news_down(&link->news, link->error, link->why);
}

/* ---- GREETING and GREETED ---- */

static void on_connected(void *owner)
{
	struct redis_link *link = owner;

	if (link->state != LINK_CONNECTING)
		return;
	link->state = LINK_GREETING;
	redis_greeting_begin(&link->greeting, link->connection, link->config.credentials,
			     link->config.target->db, link->config.prefix, link->config.script);
}

static const char *on_slots(struct redis_greeting *greeting, const struct redis_reply *reply)
{
	struct redis_link *link = CONTAINER_OF(greeting, struct redis_link, greeting);

	return link->config.told_slots(link->config.owner, reply);
}

/* The server itself says, in `why`, that it can't be used: in the greeting, or later. */
static void fail_server(struct redis_link *link, enum store_error error, struct bytes why)
{
	bool is_replica = error == STORE_READONLY && link->sentinels != NULL;

	fail_link(link, error, is_replica ? STILL_NAMED : why);
}

static void on_greeted(struct redis_greeting *greeting, enum store_error error, struct bytes why)
{
	struct redis_link *link = CONTAINER_OF(greeting, struct redis_link, greeting);

	if (error != STORE_OK) {
		fail_server(link, error, why);
	} else if (link->state == LINK_GREETING) {
		link->state = LINK_GREETED;
		redis_health_restart(&link->health);
		link->has_been_up = false;
		redis_link_news_begin(&link->news);
		redis_auth_begin(&link->auth, &link->greeting);
		redis_heartbeat_begin(&link->heartbeat, link->greeting.takes_cluster);
		set_timer(link, REDIS_HEALTH_PING_US / 1e6);
	}
}

static void come_up(struct redis_link *link)
{
	link->connects += !link->has_been_up;
	link->has_been_up = true;
	redis_route_set_good(&link->route);
	link->since_us = clock_mono_us();
	set_timer(link, HEARTBEAT_US / 1e6);
}

/* What a PING or a call said may have made the link up or down. */
static void follow_health(struct redis_link *link, bool was_up)
{
	bool is_up = redis_link_is_up(link);

	if (is_up && !was_up) {
		come_up(link);
	} else if (!is_up && was_up) {
		link->since_us = clock_mono_us();
		be_down_for_slowness(link);
		set_timer(link, REDIS_HEALTH_PING_US / 1e6);
	}
}

static void on_ponged(struct redis_heartbeat *heartbeat, int64_t took_us)
{
	struct redis_link *link = CONTAINER_OF(heartbeat, struct redis_link, heartbeat);
	bool was_up = redis_link_is_up(link);

	redis_health_add_ping(&link->health, took_us);
	follow_health(link, was_up);
	if (!was_up && took_us > link->config.timeout_us)
		be_down_for_slowness(link);
}

static void on_heartbeat_failed(struct redis_heartbeat *heartbeat, enum store_error error,
				struct bytes why)
{
	fail_server(CONTAINER_OF(heartbeat, struct redis_link, heartbeat), error, why);
}

static void on_authenticated(struct redis_auth *auth, bool is_taken, struct bytes why)
{
	const struct redis_link *link = CONTAINER_OF(auth, struct redis_link, auth);

	if (link->config.authenticated != NULL)
		link->config.authenticated(link->config.owner, is_taken, why);
}

/* ---- while it is greeted ---- */

void redis_link_add_call(struct redis_link *link, uint32_t checks, int64_t sent_us, bool is_late)
{
	bool was_up = redis_link_is_up(link);

	redis_health_add_call(&link->health, checks, sent_us, is_late, clock_mono_us());
	follow_health(link, was_up);
}

static void beat(struct redis_link *link)
{
	redis_heartbeat_beat(&link->heartbeat,
			     redis_link_is_up(link) ? HEARTBEAT_US : REDIS_HEALTH_PING_US);
	if (link->state != LINK_GREETED)
		return;
	redis_auth_follow(&link->auth);
	if (!redis_link_is_up(link))
		return;
	link->failures = 0;
	redis_link_news_up(&link->news, &link->greeting);
}

static void on_reload(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_link *link = CONTAINER_OF(asked, struct redis_link, reload);

	if (reply != NULL && link->state == LINK_GREETED && redis_reply_is_error(reply))
		fail_link(link, redis_error_kind(reply->items[0].text), reply->items[0].text);
}

void redis_link_send(struct redis_link *link, struct bytes command, struct redis_asked *asked)
{
	redis_connection_send(link->connection, command, asked);
}

void redis_link_ask(struct redis_link *link, struct redis_asked *asked, const struct bytes *words,
		    size_t count)
{
	redis_connection_ask(link->connection, asked, words, count);
}

void redis_link_load_script(struct redis_link *link)
{
	REDIS_ASK(link->connection, &link->reload, BYTES("SCRIPT"), BYTES("LOAD"),
		  link->config.script);
}

void redis_link_drop(struct redis_link *link, enum store_error error, struct bytes why)
{
	if (link->state == LINK_GREETED)
		fail_link(link, error, why);
}

/* ---- LOOKUP and CONNECTING ---- */

static void on_failed(void *owner, enum store_error error, struct bytes why)
{
	fail_link(owner, error, why);
}

static void try_next_address(struct redis_link *link)
{
	if (link->has_moved)
		redis_connection_forget_session(link->connection);
	link->has_moved = false;
	link->state = LINK_CONNECTING;
	set_timer(link, GIVE_UP_SECONDS);
	redis_route_open_next(&link->route, link->connection);
}

static bool is_master_named(const struct redis_link *link)
{
	return link->sentinels == NULL || *link->master.host != '\0';
}

static void fail_without_master(struct redis_link *link)
{
	char why[REDIS_LINK_WHY_MAX];
	struct writer w = writer_on(why, sizeof why);

	redis_sentinels_put_why(link->sentinels, &w);
	fail_link(link, STORE_CONNECTION, writer_bytes(&w));
}

static void connect_if_possible(struct redis_link *link)
{
	if (!is_master_named(link))
		fail_without_master(link);
	else if (redis_route_has_next(&link->route))
		try_next_address(link);
	else
		fail_link(link, STORE_CONNECTION, bytes_from_text(redis_route_why(&link->route)));
}

static void on_looked_up(void *owner)
{
	struct redis_link *link = owner;

	if (link->state == LINK_LOOKUP)
		connect_if_possible(link);
}

static void begin_round(struct redis_link *link)
{
	if (!is_master_named(link)) {
		link->state = LINK_LOOKUP;
		set_timer(link, NAMED_SECONDS);
		return;
	}
	if (redis_route_begin(&link->route)) {
		connect_if_possible(link);
		return;
	}
	link->state = LINK_LOOKUP;
	set_timer(link, GIVE_UP_SECONDS);
}

/* ---- Sentinels ---- */

static bool is_lost(const void *owner)
{
	const struct redis_link *link = owner;

	return link->state != LINK_GREETED && link->failures >= LOST_FAILURES;
}

static void leave_server(struct redis_link *link)
{
	char why[REDIS_LINK_WHY_MAX];
	struct writer w = writer_on(why, sizeof why);

	writer_put_text(&w, "the Sentinels name another master: ");
	redis_place_put(&link->master, &w);
	fail_link(link, STORE_CONNECTION, writer_bytes(&w));
}

static void go_to_master(struct redis_link *link, const struct redis_place *place)
{
	link->master = *place;
	link->has_moved = true;
	link->failures = 0;
	redis_route_restart(&link->route);
	switch (link->state) {
	case LINK_PAUSED:
	case LINK_LOOKUP:
		begin_round(link);
		break;
	case LINK_CONNECTING:
	case LINK_GREETING:
	case LINK_GREETED:
		leave_server(link);
		break;
	case LINK_FAILED:
		break;
	}
}

static void on_moved(void *owner, const struct redis_place *place, uint64_t epoch, bool is_reset)
{
	struct redis_link *link = owner;
	uint64_t same_epoch;

	if (link->config.master_named != NULL)
		link->config.master_named(link->config.owner,
					  redis_sentinels_master(link->sentinels, &same_epoch),
					  epoch, is_reset);
	if (!redis_place_equal(place, &link->master))
		go_to_master(link, place);
}

static void on_sentinel_changed(void *owner, const char *sentinel, bool is_up, const char *why)
{
	const struct redis_link *link = owner;

	if (link->config.sentinel_changed != NULL)
		link->config.sentinel_changed(link->config.owner, sentinel, is_up, why);
}

static bool add_sentinels(struct redis_link *link)
{
	if (link->config.target->topology != REDIS_SENTINEL)
		return true;
	link->sentinels = redis_sentinels_new(link->loop, &(struct redis_sentinels_config){
								  .target = link->config.target,
								  .tls = link->config.tls,
								  .is_lost = is_lost,
								  .moved = on_moved,
								  .changed = on_sentinel_changed,
								  .owner = link,
							  });
	return link->sentinels != NULL;
}

/* ---- the timer ---- */

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct redis_link *link = CONTAINER_OF(timer, struct redis_link, timer);

	(void)loop, (void)events;
	switch (link->state) {
	case LINK_PAUSED:
		begin_round(link);
		break;
	case LINK_LOOKUP:
		connect_if_possible(link);
		break;
	case LINK_CONNECTING:
		fail_link(link, STORE_CONNECTION, BYTES("no connection in time"));
		break;
	case LINK_GREETING:
		fail_link(link, STORE_TIMEOUT,
			  redis_connection_is_verified(link->connection) ? REDIS_NO_ANSWER
									 : NO_HANDSHAKE);
		break;
	case LINK_GREETED:
		beat(link);
		break;
	case LINK_FAILED:
		break;
	}
}

/* ---- the turn ---- */

static void go_on_after_failure(struct redis_link *link)
{
	redis_connection_close(link->connection);
	if (redis_route_has_next(&link->route))
		try_next_address(link);
	else
		begin_pause(link);
}

static void before_wait(struct ev_loop *loop, struct ev_prepare *watcher, int events)
{
	struct redis_link *link = CONTAINER_OF(watcher, struct redis_link, before_wait);

	(void)loop, (void)events;
	link->config.flush(link->config.owner);
	redis_connection_flush(link->connection);
	while (link->state == LINK_FAILED)
		go_on_after_failure(link);
}

struct redis_health *redis_link_health(struct redis_link *link)
{
	return &link->health;
}

const struct redis_health *redis_link_health_seen(const struct redis_link *link)
{
	return &link->health;
}

int64_t redis_link_heartbeat_us(const struct redis_link *link)
{
	return link->heartbeat.took_us;
}

void redis_link_read_all(struct redis_link *link)
{
	redis_connection_read_all(link->connection);
}

/* ---- start and end ---- */

/* Where the link leads: to the target, or to the master, whose place changes. */
static void set_route(struct redis_link *link)
{
	const struct redis_target *target = link->config.target;
	bool has_sentinels = target->topology == REDIS_SENTINEL;

	link->route = (struct redis_route){
		.loop = link->loop,
		.host = has_sentinels ? link->master.host : target->host,
		.port = has_sentinels ? link->master.port : target->port,
		.path = target->is_unix ? target->path : NULL,
		.looked_up = on_looked_up,
		.owner = link,
	};
}

static const char *tls_scheme(const struct redis_link_config *config)
{
	if (config->told_slots != NULL)
		return "rediss+cluster://";
	return config->target->topology == REDIS_SENTINEL ? "rediss+sentinel://" : "rediss://";
}

struct redis_link *redis_link_new(struct ev_loop *loop, const struct redis_link_config *config)
{
	struct redis_link *link = calloc(1, sizeof *link);

	if (link == NULL)
		return NULL;
	link->config = *config;
	link->loop = loop;
	link->error = STORE_CONNECTION;
	link->since_us = clock_mono_us();
	set_route(link);
	link->greeting.ended = on_greeted;
	link->greeting.told_slots = config->told_slots == NULL ? NULL : on_slots;
	redis_health_init(&link->health, config->timeout_us, config->window_max);
	link->reload.replied = on_reload;
	link->connection =
		redis_connection_new(loop, &(struct redis_connection_config){
						   .connected = on_connected,
						   .failed = on_failed,
						   .owner = link,
						   .tls = config->tls,
						   .tls_name = config->target->tls.name != NULL
								       ? config->target->tls.name
								       : link->route.host,
						   .is_of_cluster = config->told_slots != NULL,
						   .tls_scheme = tls_scheme(config),
					   });
	if (link->connection == NULL || !add_sentinels(link)) {
		redis_connection_free(link->connection);
		free(link);
		return NULL;
	}
	redis_heartbeat_init(
		&link->heartbeat,
		&(struct redis_heartbeat_config){
			.connection = link->connection,
			.silence_us = config->silence_us > 0 ? config->silence_us : SILENCE_US,
			.ponged = on_ponged,
			.failed = on_heartbeat_failed,
		});
	redis_auth_init(&link->auth, config->credentials, link->connection, on_authenticated);
	redis_link_news_init(&link->news, &link->config);
	ev_init(&link->timer, on_timer);
	ev_prepare_init(&link->before_wait, before_wait);
	/* Before the streams: what is answered here leaves in their write of the same turn. */
	ev_set_priority(&link->before_wait, EV_MAXPRI);
	ev_prepare_start(loop, &link->before_wait);
	begin_round(link);
	return link;
}

void redis_link_free(struct redis_link *link)
{
	if (link == NULL)
		return;
	link->state = LINK_FAILED;
	redis_sentinels_free(link->sentinels);
	redis_connection_free(link->connection);
	redis_route_release(&link->route);
	ev_timer_stop(link->loop, &link->timer);
	ev_prepare_stop(link->loop, &link->before_wait);
	free(link);
}

const struct redis_sentinels *redis_link_sentinels(const struct redis_link *link)
{
	return link->sentinels;
}

void redis_link_set_sentinel_password(struct redis_link *link, const char *password)
{
	if (link->sentinels != NULL)
		redis_sentinels_set_password(link->sentinels, password);
}

bool redis_link_is_up(const struct redis_link *link)
{
	return link->state == LINK_GREETED && redis_health_is_up(&link->health);
}

enum store_error redis_link_error(const struct redis_link *link)
{
	return link->error;
}

const char *redis_link_why(const struct redis_link *link)
{
	return link->why;
}

uint64_t redis_link_connects(const struct redis_link *link)
{
	return link->connects;
}

uint64_t redis_link_connection(const struct redis_link *link)
{
	return link->state == LINK_GREETED && link->has_been_up ? link->connects : 0;
}

int64_t redis_link_since_us(const struct redis_link *link)
{
	return link->since_us;
}

const char *redis_link_hash(const struct redis_link *link)
{
	return link->greeting.hash;
}
