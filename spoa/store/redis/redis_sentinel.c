/*
 *     state        in a round of half a second               then
 *     ----------   ---------------------------------------   ----------------------------------
 *     CLOSED       looks up the name, if it is one           CONNECTING, as soon as there is an
 *                                                            address
 *     CONNECTING   waits for the socket                      OPEN
 *     OPEN         asks SENTINEL MASTER                      OPEN
 *     FAILED       waits for the end of the turn             CONNECTING to the next address, or
 *                                                            CLOSED when there is none
 *
 * CONNECTING and OPEN end in FAILED also when nothing came for a whole round. A Sentinel that gave
 * no usable answer for a while is tried in each fourth round only, and one that refuses the
 * question is so from the first refusal on: a password or a right that is missing comes by
 * somebody's hand, and each try would be a new connection. As in redis_link.c, a failure is noted
 * where it is found, deep in hiredis' callbacks, and acted on at the end of the turn.
 *
 * A new connection tries the password that was set last, then the one that a Sentinel took last
 * (redis_credentials.h). A refusal ends nothing by itself: a Sentinel may have no password, while
 * the others have one. When SENTINEL MASTER is refused as well, the refusal is the reason.
 */
#include "store/redis/redis_sentinel.h"

#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "base/compiler.h"
#include "base/writer.h"
#include "store/redis/redis_connection.h"
#include "store/redis/redis_route.h"

#define ROUND_SECONDS  0.5
#define SILENT_ROUNDS  2  /* so many ticks without an answer, and the connection is given up */
#define QUICK_FAILURES 20 /* after so many in a row only each fourth round tries */
#define WHY_MAX        200

#define NO_SENTINEL                                                                          \
	"there is no Sentinel at this port: it does not know the command SENTINEL. --store " \
	"needs the ports of the Sentinels, usually 26379"

enum sentinel_state { SENTINEL_CLOSED = 0, SENTINEL_CONNECTING, SENTINEL_OPEN, SENTINEL_FAILED };

struct redis_sentinel {
	struct redis_sentinel_config config;
	size_t index;
	struct ev_loop *loop;
	struct ev_timer timer;
	enum sentinel_state state;
	struct redis_route route;
	bool is_looking_up;
	struct redis_connection *connection;
	struct redis_asked auth, auth_good, question;
	bool is_asked;          /* the question is on its way */
	unsigned silent_rounds; /* while something is waited for */
	unsigned failures;      /* rounds in a row without a usable answer */
	struct redis_password_try tried;
	char refusal[WHY_MAX]; /* of the password; empty: none */
};

static void tell_failure(struct redis_sentinel *sentinel, bool is_unknown, struct bytes why)
{
	sentinel->config.failed(sentinel->config.owner, sentinel->index, is_unknown, why);
}

/* The first failure counts. */
static void fail_sentinel(struct redis_sentinel *sentinel, struct bytes why)
{
	if (sentinel->state == SENTINEL_CLOSED || sentinel->state == SENTINEL_FAILED)
		return;
	sentinel->state = SENTINEL_FAILED;
	tell_failure(sentinel, false, why);
}

/* ---- the connection to a Sentinel ---- */

static void on_auth(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_sentinel *sentinel = CONTAINER_OF(asked, struct redis_sentinel, auth);
	struct writer w = writer_on(sentinel->refusal, sizeof sentinel->refusal);

	if (reply == NULL)
		return;
	if (!redis_reply_is_error(reply)) {
		redis_credentials_took(sentinel->config.credentials, &sentinel->tried);
		return;
	}
	struct bytes why = reply->items[0].text;
	writer_put(&w, bytes_from(why.data, why.len < w.max - 1 ? why.len : w.max - 1));
	(void)writer_text(&w);
}

static void on_auth_good(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_sentinel *sentinel = CONTAINER_OF(asked, struct redis_sentinel, auth_good);

	if (reply != NULL && !redis_reply_is_error(reply))
		*sentinel->refusal = '\0';
}

static void refuse_error(struct redis_sentinel *sentinel, struct bytes error)
{
	char why[WHY_MAX + 128];
	struct writer w = writer_on(why, sizeof why);

	if (bytes_begin_with(error, BYTES("ERR No such master"))) {
		sentinel->failures = 0;
		tell_failure(sentinel, true, error);
		return;
	}
	if (sentinel->failures <= QUICK_FAILURES)
		sentinel->failures = QUICK_FAILURES + 1;
	if (bytes_begin_with(error, BYTES("ERR unknown command"))) {
		fail_sentinel(sentinel, BYTES(NO_SENTINEL));
		return;
	}
	if (!bytes_begin_with(error, BYTES("NOAUTH"))) {
		fail_sentinel(sentinel, error);
		return;
	}
	if (*sentinel->refusal != '\0') {
		writer_put_text(&w, "the password is refused: ");
		writer_put_text(&w, sentinel->refusal);
	} else {
		writer_put_text(&w, "it wants a password: RATELIMIT_SENTINEL_PASSWORD, or "
				    "RATELIMIT_SENTINEL_PASSWORD_FILE");
	}
	fail_sentinel(sentinel, writer_bytes(&w));
}

static void on_answer(struct redis_asked *asked, const struct redis_reply *reply)
{
	struct redis_sentinel *sentinel = CONTAINER_OF(asked, struct redis_sentinel, question);
	struct redis_named named;

	sentinel->is_asked = false;
	if (reply == NULL || sentinel->state != SENTINEL_OPEN)
		return;
	sentinel->silent_rounds = 0;
	if (redis_reply_is_error(reply)) {
		refuse_error(sentinel, reply->items[0].text);
	} else if (redis_master_read(reply, &named)) {
		sentinel->failures = 0;
		sentinel->config.named(sentinel->config.owner, sentinel->index, &named);
	} else {
		fail_sentinel(sentinel, BYTES("SENTINEL MASTER was not answered by an address, a "
					      "port and a config-epoch"));
	}
}

static void ask(struct redis_sentinel *sentinel)
{
	if (sentinel->is_asked)
		return;
	sentinel->is_asked = true;
	REDIS_ASK(sentinel->connection, &sentinel->question, BYTES("SENTINEL"), BYTES("MASTER"),
		  bytes_from_text(sentinel->config.master));
}

static void on_connected(void *owner)
{
	struct redis_sentinel *sentinel = owner;
	const struct redis_credentials *credentials = sentinel->config.credentials;

	if (sentinel->state != SENTINEL_CONNECTING)
		return;
	sentinel->state = SENTINEL_OPEN;
	*sentinel->refusal = '\0';
	redis_route_set_good(&sentinel->route);
	if (redis_credentials_are_given(credentials))
		redis_credentials_send(credentials, sentinel->connection, &sentinel->auth,
				       &sentinel->tried);
	if (redis_credentials_have_other(credentials))
		redis_credentials_send_good(credentials, sentinel->connection,
					    &sentinel->auth_good);
	ask(sentinel);
}

/* ---- CLOSED and CONNECTING ---- */

static void on_failed(void *owner, enum store_error error, struct bytes why)
{
	(void)error;
	fail_sentinel(owner, why);
}

static void connect_next(struct redis_sentinel *sentinel)
{
	sentinel->state = SENTINEL_CONNECTING;
	sentinel->silent_rounds = 0;
	redis_route_open_next(&sentinel->route, sentinel->connection);
}

static void connect_if_possible(struct redis_sentinel *sentinel)
{
	sentinel->is_looking_up = false;
	if (redis_route_has_next(&sentinel->route)) {
		connect_next(sentinel);
		return;
	}
	sentinel->failures++;
	tell_failure(sentinel, false, bytes_from_text(redis_route_why(&sentinel->route)));
}

static void on_looked_up(void *owner)
{
	struct redis_sentinel *sentinel = owner;

	if (sentinel->state == SENTINEL_CLOSED && sentinel->is_looking_up)
		connect_if_possible(sentinel);
}

/*
 * When the look-up of the last round has not ended yet, the addresses that are known already are
 * tried in its place.
 */
static void begin_round(struct redis_sentinel *sentinel)
{
	bool is_rare = sentinel->failures > QUICK_FAILURES;

	if (sentinel->is_looking_up) {
		connect_if_possible(sentinel);
		return;
	}
	if (is_rare && sentinel->failures % 4 != 0) {
		sentinel->failures++;
		return;
	}
	if (redis_route_begin(&sentinel->route))
		connect_if_possible(sentinel);
	else
		sentinel->is_looking_up = true;
}

static void wait_for_answer(struct redis_sentinel *sentinel)
{
	if (++sentinel->silent_rounds < SILENT_ROUNDS)
		return;
	fail_sentinel(sentinel, redis_connection_is_verified(sentinel->connection)
					? BYTES("no answer in time")
					: BYTES("TLS: no handshake in time; the Sentinel may speak "
						"no TLS at this port"));
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct redis_sentinel *sentinel = CONTAINER_OF(timer, struct redis_sentinel, timer);

	(void)loop, (void)events;
	switch (sentinel->state) {
	case SENTINEL_CLOSED:
		begin_round(sentinel);
		break;
	case SENTINEL_CONNECTING:
		wait_for_answer(sentinel);
		break;
	case SENTINEL_OPEN:
		if (sentinel->is_asked)
			wait_for_answer(sentinel);
		else
			ask(sentinel);
		break;
	case SENTINEL_FAILED:
		break;
	}
}

/* ---- the turn ---- */

void redis_sentinel_flush(struct redis_sentinel *sentinel)
{
	redis_connection_flush(sentinel->connection);
	while (sentinel->state == SENTINEL_FAILED) {
		redis_connection_close(sentinel->connection);
		sentinel->is_asked = false;
		if (redis_route_has_next(&sentinel->route)) {
			connect_next(sentinel);
			continue;
		}
		sentinel->state = SENTINEL_CLOSED;
		sentinel->failures++;
	}
}

/* ---- start and end ---- */

struct redis_sentinel *redis_sentinel_new(struct ev_loop *loop,
					  const struct redis_sentinel_config *config, size_t index)
{
	struct redis_sentinel *sentinel = calloc(1, sizeof *sentinel);

	if (sentinel == NULL)
		return NULL;
	sentinel->config = *config;
	sentinel->index = index;
	sentinel->loop = loop;
	sentinel->route = (struct redis_route){
		.loop = loop,
		.host = config->place->host,
		.port = config->place->port,
		.looked_up = on_looked_up,
		.owner = sentinel,
	};
	sentinel->auth.replied = on_auth;
	sentinel->auth_good.replied = on_auth_good;
	sentinel->question.replied = on_answer;
	sentinel->connection =
		redis_connection_new(loop, &(struct redis_connection_config){
						   .connected = on_connected,
						   .failed = on_failed,
						   .owner = sentinel,
						   .tls = config->tls,
						   .tls_name = config->tls_name,
						   .tls_scheme = "rediss+sentinel://",
					   });
	if (sentinel->connection == NULL) {
		free(sentinel);
		return NULL;
	}
	ev_timer_init(&sentinel->timer, on_timer, 0, ROUND_SECONDS);
	ev_timer_start(loop, &sentinel->timer);
	return sentinel;
}

void redis_sentinel_free(struct redis_sentinel *sentinel)
{
	if (sentinel == NULL)
		return;
	sentinel->state = SENTINEL_FAILED; /* nothing is told any more */
	redis_connection_free(sentinel->connection);
	redis_route_release(&sentinel->route);
	ev_timer_stop(sentinel->loop, &sentinel->timer);
	free(sentinel);
}
