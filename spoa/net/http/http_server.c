/*
 * Who a request is for, and who may ask it: listeners and connections come from here, a request
 * goes to /check (http_check.h), to /auth (http_auth.h) or to a page.
 *
 * When all connections are taken, one that is idle, or slow, is closed for a newcomer. A proxy
 * opens hundreds of connections at once, and each brings its question: so what the kernel has of a
 * connection is read before the connection is taken for idle, READS_A_TURN of them in a turn. When
 * all connections wait for their verdict, nobody can be closed. Then the listeners are paused,
 * newcomers wait in the backlog, and the listeners go on when a request has its answer.
 */
#include "net/http/http_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include <ev.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/socket.h"
#include "net/address_list.h"
#include "net/http/http_auth.h"
#include "net/http/http_check.h"
#include "net/http/http_peer.h"
#include "net/listener.h"

#define DOORS_MAX     (2 * ADDRESS_LIST_MAX) /* of --http-listen and --admin-listen */
#define SWEEP_SECONDS 0.5
/* Connections that are read before they are taken for idle: in a turn, and for one newcomer. */
#define READS_A_TURN     64
#define READS_BY_ADDRESS 8

/* A listener, and what is behind it. */
struct http_door {
	struct http_server *server;
	struct listener *listener;
	unsigned number;
};

struct http_server {
	struct ev_loop *loop;
	struct http_server_config config;
	struct http_peer_config peer_config;
	struct http_crowd crowd;
	struct http_server_stats stats;
	struct http_checks *checks;
	struct http_pages *pages;
	struct http_door doors[DOORS_MAX];
	size_t door_count;
	struct ev_timer sweep; /* while somebody is connected */
	bool is_paused;        /* a listener found no room */
	size_t reads;          /* in this turn */
	size_t chances;        /* reads that are left until somebody is closed */
	struct ev_timer next_turn;
};

static void refuse_method(struct http_exchange *exchange, const char *accepted)
{
	http_answer_problem_with(exchange, 405, "the method is not one of those in Allow",
				 (struct http_field){"Allow", accepted});
}

/* ---- pages ---- */

/* Whoever asks for health may ask anywhere. */
static bool is_served(const struct http_page *page, unsigned door)
{
	unsigned needed = page->is_admin ? DOOR_ADMIN : DOOR_MAIN;

	return (door & needed) != 0 || (page->access == ACCESS_PUBLIC && !page->is_admin);
}

static const struct http_page *find_page(const struct http_server *server,
					 const struct http_exchange *exchange)
{
	for (size_t i = 0; i < server->config.page_count; i++) {
		const struct http_page *page = &server->config.pages[i];
		if (bytes_equal(exchange->head.path, bytes_from_text(page->path)) &&
		    is_served(page, exchange->door))
			return page;
	}
	return NULL;
}

/* ---- routes ---- */

static bool is_route_of(const struct http_route *route, const struct http_head *head)
{
	struct bytes of_route = bytes_from_text(route->path), path = head->path;

	if (route->has_query && head->query.len == 0)
		return false;
	return route->is_prefix ? bytes_begin_with(path, of_route) : bytes_equal(path, of_route);
}

/* They are where the admin's pages are. */
static const struct http_route *find_route(const struct http_server *server,
					   const struct http_exchange *exchange)
{
	for (size_t i = 0; i < server->config.route_count; i++)
		if ((exchange->door & DOOR_ADMIN) != 0 &&
		    is_route_of(&server->config.routes[i], &exchange->head))
			return &server->config.routes[i];
	return NULL;
}

static void begin_route(const struct http_server *server, struct http_exchange *exchange,
			const struct http_route *route)
{
	enum http_method method = exchange->head.method;
	const struct http_operation *operation =
		method == METHOD_OTHER
			? NULL
			: &route->operations[method == METHOD_HEAD ? METHOD_GET : method];
	bool is_known = operation != NULL && operation->answer != NULL;

	if (!http_access_check(&server->config.access, exchange,
			       is_known ? operation->access : ACCESS_PRIVATE))
		return;
	if (!is_known)
		refuse_method(exchange, route->allow);
	else if (http_access_is_for_another_site(&exchange->head))
		http_answer_problem(exchange, 403, HTTP_FOR_ANOTHER_SITE);
	else if (operation->takes_json && !http_check_is_json(&exchange->head))
		http_check_refuse_type(exchange);
	else
		exchange->operation = operation;
}

static void answer_route(const struct http_server *server, struct http_exchange *exchange)
{
	const struct http_operation *operation = exchange->operation;

	operation->answer(server->config.route_owner, exchange);
}

static void forget_operation(struct http_exchange *exchange)
{
	const struct http_operation *operation = exchange->operation;

	if (operation->forget != NULL) {
		operation->forget(exchange);
		return;
	}
	engine_abandon(&exchange->open);
	free(exchange->data);
	exchange->data = NULL;
}

/* ---- requests ---- */

/* A request for /auth, which is answered by its head alone. */
static bool on_ignores_body(void *owner, const struct http_exchange *exchange)
{
	(void)owner;
	return (exchange->door & DOOR_MAIN) != 0 && http_auth_is_asked(&exchange->head);
}

static bool on_takes_large_body(void *owner, const struct http_exchange *exchange)
{
	const struct http_route *route = find_route(owner, exchange);
	enum http_method method = exchange->head.method;

	return route != NULL && method != METHOD_OTHER &&
	       route->operations[method].takes_large_body;
}

/* Answers what is refused before the body has come. */
static void begin_check(const struct http_server *server, struct http_exchange *exchange)
{
	if (!http_access_check(&server->config.access, exchange, ACCESS_TOKEN))
		return;
	switch (exchange->head.method) {
	case METHOD_GET:
		http_check_begin_get(exchange);
		break;
	case METHOD_POST:
		http_check_begin_post(exchange);
		break;
	case METHOD_HEAD:
	case METHOD_PUT:
	case METHOD_DELETE:
	case METHOD_OTHER:
		refuse_method(exchange, "GET, POST");
		break;
	}
}

static void begin_page(const struct http_server *server, struct http_exchange *exchange,
		       const struct http_page *page)
{
	enum http_method method = exchange->head.method;

	exchange->route = page;
	if (http_access_check(&server->config.access, exchange, page->access) &&
	    method != METHOD_GET && method != METHOD_HEAD)
		refuse_method(exchange, "GET, HEAD");
}

static void on_begun(void *owner, struct http_exchange *exchange)
{
	struct http_server *server = owner;
	const struct http_page *page;
	const struct http_route *route;

	server->stats.requests++;
	if (exchange->ignores_body)
		return; /* who may ask /auth is --http-listen's matter: a token in it is a visitor's
			 */
	if ((exchange->door & DOOR_MAIN) != 0 &&
	    bytes_equal(exchange->head.path, BYTES("/check"))) {
		begin_check(server, exchange);
		return;
	}
	route = find_route(server, exchange);
	page = find_page(server, exchange);
	if (route != NULL)
		begin_route(server, exchange, route);
	else if (page != NULL)
		begin_page(server, exchange, page);
	else
		http_answer_problem(exchange, 404, "there is no such path");
}

static void on_requested(void *owner, struct http_exchange *exchange)
{
	struct http_server *server = owner;

	if (exchange->ignores_body)
		http_auth_ask(server->checks, exchange);
	else if (exchange->operation != NULL)
		answer_route(server, exchange);
	else if (exchange->route != NULL)
		http_pages_answer(server->pages, exchange);
	else if (exchange->head.method == METHOD_GET)
		http_check_get(server->checks, exchange);
	else
		http_check_post(server->checks, exchange);
}

/* The exchange waits for no verdict and no page any more. */
static void forget(struct http_exchange *exchange)
{
	if (exchange->operation != NULL)
		forget_operation(exchange);
	else if (exchange->route != NULL)
		http_pages_forget(exchange);
	else
		http_check_forget(exchange);
}

static void on_refused(void *owner, struct http_exchange *exchange, unsigned status,
		       const char *why)
{
	struct http_server *server = owner;

	forget(exchange);
	if (exchange->head.status != 0 && (exchange->door & DOOR_MAIN) != 0)
		status = http_auth_status_of_refused(server->checks, &exchange->head);
	http_answer_problem(exchange, status, why);
}

static void resume_listeners(struct http_server *server)
{
	server->is_paused = false;
	for (size_t i = 0; i < server->door_count; i++)
		listener_resume(server->doors[i].listener);
}

/* Who waited for its verdict can be pushed out from here on. */
static void on_ended(void *owner, struct http_exchange *exchange)
{
	struct http_server *server = owner;

	forget(exchange);
	if (server->is_paused)
		resume_listeners(server);
}

/* ---- connections ---- */

static void on_sweep(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct http_server *server = CONTAINER_OF(timer, struct http_server, sweep);
	int64_t mono_us = server->peer_config.mono_us();
	struct http_guest *late;

	(void)events;
	while ((late = http_crowd_find_late(&server->crowd, mono_us)) != NULL) {
		server->stats.timeouts += late->phase != PHASE_IDLE;
		http_peer_close(late);
	}
	if (http_crowd_count(&server->crowd) == 0)
		ev_timer_stop(loop, timer);
}

static void on_next_turn(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct http_server *server = CONTAINER_OF(timer, struct http_server, next_turn);

	(void)loop;
	(void)events;
	server->reads = 0;
	resume_listeners(server);
}

/* Returns whether there was something to read, so that the guest may be idle no more. */
static bool read_guest(struct http_server *server, struct http_guest *guest)
{
	if (!http_peer_read_now(guest))
		return false;
	streams_flush(server->peer_config.streams); /* who has the answer is idle again */
	server->reads++;
	if (!ev_is_active(&server->next_turn)) {
		ev_timer_set(&server->next_turn, 0., 0.);
		ev_timer_start(server->loop, &server->next_turn);
	}
	return true;
}

/*
 * Asked before each accept. Nobody is closed here, since there may be no newcomer; but guests are
 * read until the first to go is one that may go. Guests that send without end gain nothing: they
 * are read `chances` times until one is closed.
 */
static bool pause_if_full(void *owner)
{
	const struct http_door *door = owner;
	struct http_server *server = door->server;
	struct http_guest *first;

	if (http_crowd_count(&server->crowd) < server->config.max_connections) {
		server->chances = server->config.max_connections;
		return false;
	}
	streams_flush(server->peer_config.streams);
	while ((first = http_crowd_find_victim(&server->crowd, NULL)) != NULL) {
		if (server->reads >= READS_A_TURN)
			return true; /* on_next_turn resumes */
		if (server->chances == 0 || !read_guest(server, first))
			return false;
		server->chances--;
	}
	server->is_paused = true;
	return true;
}

/* Closes whom the crowd names. An address that has too many is given some reads as well. */
static void make_room_for(struct http_server *server, const struct address *newcomer)
{
	struct http_guest *victim;

	for (size_t i = 0; (victim = http_crowd_find_victim(&server->crowd, newcomer)) != NULL;
	     i++) {
		if (i < READS_BY_ADDRESS && server->chances > 0 && read_guest(server, victim))
			continue;
		server->stats.evicted++;
		server->chances = server->config.max_connections;
		http_peer_close(victim);
	}
}

static void on_accept(void *owner, int fd)
{
	const struct http_door *door = owner;
	struct http_server *server = door->server;
	struct address peer = {.len = sizeof peer.socket};
	int yes = 1;

	if (getpeername(fd, (struct sockaddr *)&peer.socket, &peer.len) != 0) {
		close(fd); /* it has gone already */
		return;
	}
	/* On a Unix socket this fails, which is fine. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	socket_notice_dead_peer(fd);
	socket_bound_buffers(fd);
	make_room_for(server, &peer);
	server->stats.accepted++;
	if (!http_peer_open(&server->peer_config, fd, &peer, door->number))
		server->stats.refused++;
	else if (!ev_is_active(&server->sweep))
		ev_timer_again(server->loop, &server->sweep);
}

/* ---- the server ---- */

static void set_peer_config(struct http_server *server)
{
	server->peer_config = (struct http_peer_config){
		.streams = streams_new_small(server->loop, HTTP_PEER_INPUT_MAX),
		.crowd = &server->crowd,
		.stats = &server->stats,
		.handler =
			{
				.ignores_body = on_ignores_body,
				.takes_large_body = on_takes_large_body,
				.begun = on_begun,
				.requested = on_requested,
				.refused = on_refused,
				.ended = on_ended,
				.owner = server,
			},
		.mono_us = clock_mono_us,
		.now_us = clock_now_us,
	};
}

struct http_server *http_server_new(struct ev_loop *loop, const struct http_server_config *config)
{
	struct http_server *server = calloc(1, sizeof *server);

	if (server == NULL)
		return NULL;
	server->loop = loop;
	server->config = *config;
	http_crowd_init(&server->crowd, config->max_connections, config->max_per_address);
	ev_init(&server->sweep, on_sweep);
	ev_init(&server->next_turn, on_next_turn);
	server->sweep.repeat = SWEEP_SECONDS;
	server->checks = http_checks_new(config->engine);
	set_peer_config(server);
	server->pages = http_pages_new(loop, config->pages, config->page_count, config->owner,
				       server->peer_config.mono_us);
	if (server->checks == NULL || server->pages == NULL ||
	    server->peer_config.streams == NULL) {
		http_server_free(server);
		return NULL;
	}
	return server;
}

bool http_server_listen(struct http_server *server, const struct address *address, bool is_main,
			bool is_admin, struct err *err)
{
	struct http_door *door = &server->doors[server->door_count];
	const struct listener_owner owner = {on_accept, pause_if_full, door};

	if (server->door_count == DOORS_MAX)
		return err_set(err, "more than %d addresses", DOORS_MAX);
	*door = (struct http_door){
		.server = server,
		.number = (is_main ? DOOR_MAIN : 0U) | (is_admin ? DOOR_ADMIN : 0U),
	};
	door->listener = listener_new(server->loop, address, &owner, err);
	if (door->listener == NULL)
		return false;
	server->door_count++;
	log_event(LOG_INFO, "listening", LOG_TEXT("address", listener_address(door->listener)),
		  LOG_TEXT("protocol", "http"), LOG_BOOL("inherited", address->is_inherited));
	return true;
}

struct http_server_stats http_server_stats(const struct http_server *server)
{
	struct http_server_stats stats = server->stats;

	stats.connections = http_crowd_count(&server->crowd);
	return stats;
}

void http_server_begin_drain(struct http_server *server)
{
	server->peer_config.is_draining = true;
}

static void close_all(struct http_server *server, enum http_phase phase)
{
	struct http_guest *guest;

	while ((guest = http_crowd_first(&server->crowd, phase)) != NULL)
		http_peer_close(guest);
}

void http_server_close_listeners(struct http_server *server)
{
	http_server_begin_drain(server);
	while (server->door_count > 0)
		listener_free(server->doors[--server->door_count].listener);
	close_all(server, PHASE_IDLE);
}

size_t http_server_unanswered(const struct http_server *server)
{
	return server->crowd.counts[PHASE_WAITING] + server->crowd.counts[PHASE_ANSWERING];
}

void http_server_free(struct http_server *server)
{
	struct http_guest *waiting;

	if (server == NULL)
		return;
	http_server_close_listeners(server);
	while ((waiting = http_crowd_first(&server->crowd, PHASE_WAITING)) != NULL)
		http_peer_refuse_waiting(waiting);
	if (server->peer_config.streams != NULL)
		streams_flush(server->peer_config.streams);
	for (int phase = 0; phase < PHASE_COUNT; phase++)
		close_all(server, (enum http_phase)phase);
	streams_free(server->peer_config.streams);
	ev_timer_stop(server->loop, &server->sweep);
	ev_timer_stop(server->loop, &server->next_turn);
	http_checks_free(server->checks);
	http_pages_free(server->pages);
	free(server);
}
