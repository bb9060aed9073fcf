/*
 *     SERVING -------------------------------.
 *       |                                    |  spop_server_hand_over
 *       |  spop_server_begin_drain:          v
 *       |  health checks fail             HANDING OVER
 *       v                                    |  all is served as before, and each
 *     DRAINING                               |  connection ends with its next answer
 *       |  connections are accepted and      |
 *       |  NOTIFYs answered as before        |  the connections that there were have
 *       |                                    |  ended: newcomers wait for the next agent
 *       |  spop_server_end_connections:      |
 *       |  the listeners close, and every    |
 *       |  10 ms a share is asked to end     |
 *       v  with an answer                    |
 *     ENDING <-------------------------------'
 *       over when no connection is left; the agent then calls spop_server_free
 *
 * Why the connections in use don't end at once: HAProxy up to 3.0 goes on using the connections
 * that it has. A NOTIFY that crosses our DISCONNECT is lost, and when the last connection of a
 * thread ends, so is all that waits in that thread. Ending with an answer makes a crossing
 * unlikely, because HAProxy prefers connections that owe it no answer; ending one after the other
 * leaves each thread time to connect to another agent. A connection that is not in use has nothing
 * to lose.
 *
 * Why a hand-over needs no such spread: HAProxy connects again at once, since somebody listens all
 * the time, and the connection is served here or waits for the next agent. It accepts until the old
 * connections have ended, however long the slowest of them takes. It does not accept for longer,
 * because under load there would always be a newcomer, and the end would never come.
 *
 * Above --max-connections there are up to 64 extras (spop_peer.h), because HAProxy's health check
 * is a connection as any other: if it waited in the backlog, HAProxy would take the agent for dead,
 * and nobody would be limited. When all 64 are there, a newcomer displaces one of them, so that
 * neither silent connections nor those that said HELLO and then nothing keep a health check out. An
 * extra is spared for 20 ms after it came and after each of its frames: else a burst of newcomers
 * would displace it before its HELLO or NOTIFY can be there. While all are spared, newcomers wait
 * in the backlog. When a connection ends, the oldest extra takes its place and is served as the
 * others are.
 */
#include "net/spop/spop_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <ev.h>

#include "base/clock.h"
#include "base/least.h"
#include "base/log.h"
#include "base/socket.h"
#include "net/address_list.h"
#include "net/listener.h"
#include "net/spop/spop_peer.h"
#include "wire/spop_frame.h"

#define LISTENERS_MAX ADDRESS_LIST_MAX
#define ENDING_US     (10 * US_PER_MS) /* from one share of the connections to the next */
#define SPARED_US     (20 * US_PER_MS) /* so long an extra is not displaced after a sign of it */
#define HAND_OVER_US \
	(1 * US_PER_MS) /* in a hand-over: from one look at the connections to the next */
/* In a hand-over: so long after its last frame a connection counts as not in use. */
#define SILENT_US (4 * US_PER_MS)
/* The same for one that has not said HELLO, which HAProxy does at once when it connects. */
#define MUTE_US (100 * US_PER_MS)

struct spop_server {
	struct ev_loop *loop;
	struct spop_peer_config peer_config;
	size_t max_connections;
	size_t max_open;
	struct spop_server_stats stats;
	struct list peers;
	struct list extras; /* oldest first */
	size_t extra_count;
	struct ev_timer look_again; /* runs while no newcomer is accepted */
	struct listener *listeners[LISTENERS_MAX];
	size_t listener_count;
	struct ev_timer ending; /* runs from spop_server_end_connections or .._hand_over on */
	size_t ending_share;    /* how many connections in use are chosen at a time */
	int64_t quiet_us;       /* a connection without a frame for so long is not in use */
	int64_t patience_us;    /* until then a connection may wait for its last answer; in a
				   hand-over, how long it may wait */
	int64_t handed_over_us; /* when spop_server_hand_over was called, or 0 */
	size_t old_connections; /* those that are older than that */
};

static void resume_listeners(struct spop_server *server)
{
	for (size_t i = 0; i < server->listener_count; i++)
		listener_resume(server->listeners[i]);
}

static bool is_at_limit(const struct spop_server *server)
{
	return server->stats.connections - server->extra_count >= server->max_connections;
}

static void make_usual(struct spop_server *server, struct list *extra)
{
	spop_peer_set_extra(extra, false);
	list_remove(extra);
	list_append(&server->peers, extra);
	server->extra_count--;
}

static void on_ended(void *owner, struct list *link)
{
	struct spop_server *server = owner;

	server->extra_count -= spop_peer_is_extra(link);
	if (server->old_connections > 0 && spop_peer_opened_us(link) <= server->handed_over_us)
		server->old_connections--;
	list_remove(link);
	server->stats.connections--;
	while (server->extra_count > 0 && !is_at_limit(server))
		make_usual(server, server->extras.next);
	resume_listeners(server);
}

/* At most once a minute. */
static void log_at_limit(const struct spop_server *server)
{
	static struct log_limit limit = {.period_us = 60 * US_PER_SECOND};

	log_limited(&limit, LOG_WARN, "spop_connections_full",
		    LOG_INT("max_connections", server->max_connections));
}

static struct list *find_extra_to_displace(struct spop_server *server)
{
	return spop_peer_find_least_missed(&server->extras, clock_mono_us() - SPARED_US);
}

/* Whether no newcomer is accepted for now. The listeners then pause until `look_again` ends that.
 */
static bool pause_if_full(void *owner)
{
	struct spop_server *server = owner;

	if (server->handed_over_us > 0 && server->old_connections == 0)
		return true;
	if (server->max_open > 0 && server->extra_count < SPOP_SERVER_EXTRAS_MAX &&
	    server->stats.connections >= server->max_open) {
		log_at_limit(server);
		return true;
	}
	if (!is_at_limit(server) || server->extra_count < SPOP_SERVER_EXTRAS_MAX ||
	    find_extra_to_displace(server) != NULL)
		return false;
	ev_timer_again(server->loop, &server->look_again);
	return true;
}

static void on_look_again(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	(void)events;
	ev_timer_stop(loop, timer);
	resume_listeners(CONTAINER_OF(timer, struct spop_server, look_again));
}

/* The displaced one is closed, and is no extra any more while the loop has not told its end. */
static void displace_extra(struct spop_server *server)
{
	struct list *extra = find_extra_to_displace(server);

	if (extra == NULL)
		return;
	spop_peer_displace(extra);
	make_usual(server, extra);
}

static void on_accept(void *owner, int fd)
{
	struct spop_server *server = owner;
	bool is_extra = is_at_limit(server);
	struct list *list = is_extra ? &server->extras : &server->peers;
	int yes = 1;

	/* On a Unix socket this fails, and nothing is lost by that. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	socket_notice_dead_peer(fd);
	socket_bound_buffers(fd);
	if (is_extra) {
		log_at_limit(server);
		if (server->extra_count == SPOP_SERVER_EXTRAS_MAX)
			displace_extra(server);
	}
	if (!spop_peer_open(&server->peer_config, fd, list))
		return;
	spop_peer_set_extra(list->prev, is_extra);
	server->extra_count += is_extra;
	server->stats.connections++;
	server->stats.accepted++;
}

static void end_some(struct spop_server *server)
{
	int64_t mono_us = clock_mono_us();
	size_t left = server->ending_share;

	/* A peer leaves the list only when the loop goes on. */
	for (struct list *link = server->peers.next; link != &server->peers; link = link->next)
		if (mono_us > server->patience_us)
			spop_peer_take_no_more(link);
		else if (!spop_peer_end_if_quiet(link, mono_us - server->quiet_us) && left > 0)
			left -= spop_peer_end_with_answer(link);
}

/* Ends those that are not in use, and those for which there is no patience left. */
static void hand_over_some(const struct spop_server *server, struct list *peers)
{
	int64_t mono_us = clock_mono_us();

	for (struct list *link = peers->next; link != peers; link = link->next) {
		int64_t silent_us = mono_us - spop_peer_last_sign_us(link);
		int64_t opened_us = spop_peer_opened_us(link);
		int64_t since_us = greatest_i64(opened_us, server->handed_over_us);
		if (mono_us - since_us > server->patience_us)
			spop_peer_take_no_more(link);
		else if (silent_us >= (spop_peer_awaits_hello(link) ? MUTE_US : SILENT_US))
			(void)spop_peer_end_if_quiet(link, mono_us);
	}
}

static void on_ending(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct spop_server *server = CONTAINER_OF(timer, struct spop_server, ending);

	(void)loop, (void)events;
	if (server->handed_over_us == 0) {
		end_some(server);
		return;
	}
	hand_over_some(server, &server->peers);
	hand_over_some(server, &server->extras);
}

struct spop_server *spop_server_new(struct ev_loop *loop, const struct spop_server_config *config)
{
	struct spop_server *server = calloc(1, sizeof *server);

	if (server == NULL)
		return NULL;
	list_init(&server->peers);
	list_init(&server->extras);
	server->loop = loop;
	ev_timer_init(&server->ending, on_ending, 0., (double)ENDING_US / 1e6);
	ev_set_priority(&server->ending, EV_MINPRI); /* what has come is read first */
	ev_init(&server->look_again, on_look_again);
	server->look_again.repeat = (double)SPARED_US / 1e6;
	server->max_connections = config->max_connections;
	server->max_open = config->max_open;
	server->peer_config = (struct spop_peer_config){
		.engine = config->engine,
		.streams = streams_new(loop, config->max_frame_size + SPOP_LENGTH_BYTES),
		.max_frame_size = config->max_frame_size,
		.stats = &server->stats,
		.vars = config->vars,
		.ended = on_ended,
		.owner = server,
	};
	if (server->peer_config.streams == NULL) {
		free(server);
		return NULL;
	}
	return server;
}

bool spop_server_listen(struct spop_server *server, const struct address *address, struct err *err)
{
	const struct listener_owner owner = {on_accept, pause_if_full, server};

	if (server->listener_count == LISTENERS_MAX)
		return err_set(err, "more than %d addresses", LISTENERS_MAX);
	struct listener *listener = listener_new(server->loop, address, &owner, err);
	if (listener == NULL)
		return false;
	server->listeners[server->listener_count++] = listener;
	log_event(LOG_INFO, "listening", LOG_TEXT("address", listener_address(listener)),
		  LOG_TEXT("protocol", "spop"), LOG_BOOL("inherited", address->is_inherited));
	return true;
}

void spop_server_begin_drain(struct spop_server *server)
{
	server->peer_config.is_draining = true;
}

/* No newcomer comes any more: the extras end as the others do. */
static void close_listeners(struct spop_server *server)
{
	ev_timer_stop(server->loop, &server->look_again);
	while (server->extra_count > 0)
		make_usual(server, server->extras.next);
	while (server->listener_count > 0)
		listener_free(server->listeners[--server->listener_count]);
}

void spop_server_end_connections(struct spop_server *server, int64_t spread_us)
{
	size_t shares = (size_t)(spread_us / ENDING_US) + 1;

	close_listeners(server);
	server->ending_share = (server->stats.connections + shares - 1) / shares;
	server->quiet_us = spread_us / 10;
	server->patience_us = clock_mono_us() + spread_us + server->quiet_us;
	ev_timer_again(server->loop, &server->ending);
	end_some(server);
}

void spop_server_hand_over(struct spop_server *server, int64_t patience_us)
{
	server->handed_over_us = clock_mono_us();
	server->old_connections = server->stats.connections;
	server->patience_us = patience_us;
	server->peer_config.ends_with_answer = true;
	server->ending.repeat = (double)HAND_OVER_US / 1e6;
	ev_timer_again(server->loop, &server->ending);
	ev_feed_event(server->loop, &server->ending, EV_TIMER);
}

size_t spop_server_connections(const struct spop_server *server)
{
	return server->stats.connections;
}

struct spop_server_stats spop_server_stats(const struct spop_server *server)
{
	return server->stats;
}

void spop_server_free(struct spop_server *server)
{
	if (server == NULL)
		return;
	close_listeners(server);
	ev_timer_stop(server->loop, &server->ending);
	for (struct list *link = server->peers.next; link != &server->peers; link = link->next)
		spop_peer_end(link);
	streams_flush(server->peer_config.streams);
	for (struct list *link = server->peers.next; link != &server->peers; link = link->next)
		spop_peer_close(link);
	streams_free(server->peer_config.streams);
	free(server);
}
