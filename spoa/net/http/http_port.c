#include "net/http/http_port.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>
#include <microhttpd.h>

#include "base/log.h"
#include "net/http/http_bounds.h"
#include "net/http/http_visit.h"
#include "net/linger.h"
#include "net/listener.h"

#define DOORS_MAX     32
#define SWEEP_SECONDS 0.5

/* A listener, and what is behind it. */
struct door {
	struct http_port *port;
	struct listener *listener;
	unsigned number;
};

struct http_port {
	struct ev_loop *loop;
	struct MHD_Daemon *daemon;
	struct http_visits visits;
	struct ev_io ready;    /* the library's epoll descriptor */
	struct ev_idle again;  /* active: the library has something to do, so do not wait */
	struct ev_timer sweep; /* while somebody is connected */
	struct lingerers *lingerers;
	struct door doors[DOORS_MAX];
	size_t door_count;
	struct http_visit *arriving; /* on its way through MHD_add_connection */
	uint64_t accepted;
	uint64_t refused;
};

/* ---- the library's turn ---- */

static void look_again(struct http_port *port)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	if (MHD_get_timeout(port->daemon, &timeout_ms) == MHD_YES && timeout_ms == 0)
		ev_idle_start(port->loop, &port->again);
	else
		ev_idle_stop(port->loop, &port->again);
}

static void run(struct http_port *port)
{
	port->visits.now_us = clock_mono_us();
	(void)MHD_run(port->daemon);
	look_again(port);
}

static void on_ready(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	(void)loop, (void)events;
	run(CONTAINER_OF(watcher, struct http_port, ready));
}

static void on_again(struct ev_loop *loop, struct ev_idle *watcher, int events)
{
	struct http_port *port = CONTAINER_OF(watcher, struct http_port, again);

	(void)events;
	(void)ev_clear_pending(loop, &port->ready); /* it is looked at here */
	run(port);
}

/* Not at once: the store still reads its replies, and what is asked now has to meet its flush. */
static void on_resumed(struct http_visits *visits)
{
	struct http_port *port = CONTAINER_OF(visits, struct http_port, visits);

	ev_idle_start(port->loop, &port->again);
}

static void on_sweep(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct http_port *port = CONTAINER_OF(timer, struct http_port, sweep);

	(void)loop, (void)events;
	http_clients_sweep(&port->visits.clients, clock_mono_us());
}

static void on_log(void *owner, const char *format, va_list args)
{
	static struct log_limit limit;
	struct http_visits *visits = owner;
	int64_t suppressed;
	char text[256];

	if (visits->is_lax)
		http_visits_take_complaint(visits);
	if (!log_is_due(&limit, LOG_DEBUG, &suppressed))
		return;
	vsnprintf(text, sizeof text, format, args);
	log_event(LOG_DEBUG, "http_library", LOG_TEXT("message", text),
		  LOG_INT("suppressed", suppressed));
}

/* ---- connections ---- */

static void end_visit(struct http_visit *visit)
{
	struct http_port *port = CONTAINER_OF(visit->visits, struct http_port, visits);

	http_visit_free(visit);
	for (size_t i = 0; i < port->door_count; i++)
		listener_resume(port->doors[i].listener);
	if (port->visits.clients.count == 0)
		ev_timer_stop(port->loop, &port->sweep);
}

/* Keeps the socket open when its client may not have read yet what was written. */
static void linger(struct http_visit *visit, bool is_unread)
{
	struct http_port *port = CONTAINER_OF(visit->visits, struct http_port, visits);

	if (!is_unread && !visit->is_cut)
		return;
	int fd = fcntl(visit->client.fd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0)
		lingerers_add(port->lingerers, fd);
}

/* The library has closed it, and is about to close its descriptor. */
static void on_closed(struct http_visit *visit)
{
	char byte;
	ssize_t unread = recv(visit->client.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	bool is_gone = unread == 0 || (unread < 0 && errno != EAGAIN);

	if (!is_gone && !visit->client.is_leaving) {
		if (http_visit_is_unanswered(visit))
			http_visit_refuse_past(visit, 400, "this is no HTTP/1.1");
		linger(visit, unread > 0);
	}
	end_visit(visit);
}

static void on_connection(void *owner, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http_port *port = owner;

	switch (code) {
	case MHD_CONNECTION_NOTIFY_STARTED:
		*context = port->arriving;
		port->arriving->connection = connection;
		port->arriving = NULL;
		break;
	case MHD_CONNECTION_NOTIFY_CLOSED:
		on_closed(*context);
		break;
	}
}

/* The library's from here on: it closes the descriptor also when it does not take it. */
static void add_visit(struct http_port *port, struct http_visit *visit)
{
	const struct sockaddr_in peer = {.sin_family = AF_INET}; /* nobody asks the library */
	int yes = 1;

	(void)setsockopt(visit->client.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	if (!ev_is_active(&port->sweep))
		ev_timer_again(port->loop, &port->sweep);
	port->arriving = visit;
	(void)MHD_add_connection(port->daemon, visit->client.fd, (const struct sockaddr *)&peer,
				 sizeof peer);
	if (port->arriving != NULL)
		end_visit(port->arriving);
	port->arriving = NULL;
	ev_idle_start(port->loop, &port->again);
}

static void on_accept(void *owner, int fd)
{
	const struct door *door = owner;
	struct http_port *port = door->port;
	struct http_visit *visit = http_visit_new(&port->visits, fd, door->number);

	port->accepted++;
	if (visit != NULL &&
	    http_clients_admit(&port->visits.clients, &visit->client, clock_mono_us())) {
		add_visit(port, visit);
		return;
	}
	port->refused++;
	if (visit != NULL)
		http_visit_free(visit);
	close(fd);
}

static bool is_full(void *owner)
{
	const struct door *door = owner;

	return !http_clients_have_room(&door->port->visits.clients);
}

/* ---- the port ---- */

/* What the library would decode nobody reads. */
static size_t keep_escapes(void *owner, struct MHD_Connection *connection, char *text)
{
	(void)owner, (void)connection;
	return strlen(text);
}

/*
 * There is one thread, so nobody has to be woken through a descriptor (ITC): who was resumed is run
 * from `again`. Libraries before 0.9.77 do not know the flag, and do as it says.
 */
#define ONE_THREAD (1U << 19) /* MHD_USE_NO_THREAD_SAFETY */
#define FLAGS                                                                                   \
	((MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_TURBO | \
	  MHD_USE_ERROR_LOG | ONE_THREAD) &                                                     \
	 ~(unsigned)MHD_USE_ITC)

static struct MHD_Daemon *start_library(struct http_port *port)
{
	struct http_visits *visits = &port->visits;

	return MHD_start_daemon(
		FLAGS, 0, NULL, NULL, http_visit_on_request, visits,
		/* First: what follows may have something to say. */
		MHD_OPTION_EXTERNAL_LOGGER, on_log, visits,
		/* Where it is lax it closes without an answer, so we refuse: http_visit.c. */
		MHD_OPTION_STRICT_FOR_CLIENT, visits->is_lax ? 0 : 1,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_POOL_BYTES,
		/* Those that were shown the door are among them for a moment. */
		MHD_OPTION_CONNECTION_LIMIT, 2U * HTTP_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
		MHD_OPTION_URI_LOG_CALLBACK, http_visit_on_first_line, visits,
		MHD_OPTION_NOTIFY_COMPLETED, http_visit_on_completed, visits,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, port, MHD_OPTION_END);
}

static void watch(struct http_port *port)
{
	int fd = MHD_get_daemon_info(port->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;

	ev_io_init(&port->ready, on_ready, fd, EV_READ);
	ev_io_start(port->loop, &port->ready);
	/* At any lower priority a busy neighbour would keep it from running. */
	ev_idle_init(&port->again, on_again);
	ev_set_priority(&port->again, EV_MAXPRI);
	ev_init(&port->sweep, on_sweep);
	port->sweep.repeat = SWEEP_SECONDS;
}

struct http_port *http_port_new(struct ev_loop *loop, const struct http_handler *handler)
{
	struct http_port *port = calloc(1, sizeof *port);

	if (port == NULL)
		return NULL;
	port->loop = loop;
	port->visits.handler = *handler;
	port->visits.resumed = on_resumed;
	port->visits.is_lax = strncmp(MHD_get_version(), "0.", 2) == 0;
	http_clients_init(&port->visits.clients);
	port->lingerers = lingerers_new(loop);
	port->daemon = port->lingerers == NULL ? NULL : start_library(port);
	if (port->daemon == NULL) {
		lingerers_free(port->lingerers);
		free(port);
		return NULL;
	}
	watch(port);
	return port;
}

bool http_port_listen(struct http_port *port, const struct address *address, unsigned number,
		      struct err *err)
{
	struct door *door = &port->doors[port->door_count];
	const struct listener_owner owner = {on_accept, is_full, door};

	if (port->door_count == DOORS_MAX)
		return err_set(err, "more than %d addresses", DOORS_MAX);
	*door = (struct door){.port = port, .number = number};
	door->listener = listener_new(port->loop, address, &owner, err);
	if (door->listener == NULL)
		return false;
	port->door_count++;
	log_event(LOG_INFO, "listening", LOG_TEXT("address", listener_address(door->listener)),
		  LOG_TEXT("protocol", "http"));
	return true;
}

struct http_port_stats http_port_stats(const struct http_port *port)
{
	const struct http_clients *clients = &port->visits.clients;

	return (struct http_port_stats){
		.connections = clients->count,
		.accepted = port->accepted,
		.evicted = clients->evicted,
		.timeouts = clients->timeouts,
		.refused = port->refused,
	};
}

void http_port_close_listeners(struct http_port *port)
{
	port->visits.is_closing = true;
	while (port->door_count > 0)
		listener_free(port->doors[--port->door_count].listener);
	http_clients_end_idle(&port->visits.clients);
}

bool http_port_is_idle(const struct http_port *port)
{
	return port->visits.clients.busy == 0;
}

/* Each of them has to be resumed before the library may be stopped. */
static void refuse_suspended(struct http_port *port)
{
	const struct http_handler *handler = &port->visits.handler;
	struct list *waiting = &port->visits.clients.waiting;

	for (struct list *link = waiting->next; link != waiting; link = link->next) {
		struct http_client *client = CONTAINER_OF(link, struct http_client, link);
		struct http_visit *visit = CONTAINER_OF(client, struct http_visit, client);
		if (visit->is_suspended)
			handler->refused(handler->owner, &visit->exchange, 503, "the agent ends");
	}
}

void http_port_free(struct http_port *port)
{
	if (port == NULL)
		return;
	http_port_close_listeners(port);
	refuse_suspended(port);
	run(port);
	ev_io_stop(port->loop, &port->ready);
	MHD_stop_daemon(port->daemon);
	ev_idle_stop(port->loop, &port->again);
	ev_timer_stop(port->loop, &port->sweep);
	lingerers_free(port->lingerers);
	free(port);
}
