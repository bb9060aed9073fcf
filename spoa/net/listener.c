/*
 *                   accept fails for want of descriptors or memory, or the owner is full
 *     ACCEPTING ----------------------------------------------------------------------> PAUSED
 *         ^                                                                               |
 *         `------------------- listener_resume, or 1 s later -----------------------------'
 *
 * ACCEPTING is when the watcher `readable` is active, PAUSED when the timer `pause` is.
 *
 * Why it pauses: a listening socket stays readable while connections wait in its backlog, so the
 * loop would call again at once, without end, and use all of a core. Why it goes on by itself after
 * a second: a descriptor may become free in a part of the process that does not know of listeners.
 *
 * A turn accepts at most ACCEPTS_A_TURN connections, so that a flood of new ones does not keep the
 * others waiting.
 */
#include "net/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/socket_file.h"

#define BACKLOG        4096
#define ACCEPTS_A_TURN 64
#define PAUSE_SECONDS  1.0

struct listener {
	struct ev_loop *loop;
	struct ev_io readable;
	struct ev_timer pause;
	struct address address;
	struct socket_file file; /* of a Unix socket */
	struct listener_owner owner;
	bool pause_was_logged; /* and its end was not */
};

static void pause_accepting(struct listener *listener)
{
	ev_io_stop(listener->loop, &listener->readable);
	ev_timer_again(listener->loop, &listener->pause);
}

void listener_resume(struct listener *listener)
{
	if (ev_is_active(&listener->readable))
		return;
	ev_timer_stop(listener->loop, &listener->pause);
	ev_io_start(listener->loop, &listener->readable);
}

static void on_pause_over(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	(void)loop, (void)events;
	listener_resume(CONTAINER_OF(timer, struct listener, pause));
}

/* At most once a minute, however often clients come and go at the limit of descriptors. */
static void log_pause(struct listener *listener, int error)
{
	static struct log_limit limit = {.period_us = 60 * US_PER_SECOND};
	int64_t suppressed;

	if (!log_is_due(&limit, LOG_WARN, &suppressed))
		return;
	log_event(LOG_WARN, "listener_paused", LOG_TEXT("address", listener->address.text),
		  LOG_TEXT("reason", strerror(error)), LOG_INT("suppressed", suppressed));
	listener->pause_was_logged = true;
}

static void log_end_of_pause(struct listener *listener)
{
	if (listener->pause_was_logged)
		log_event(LOG_INFO, "listener_resumed",
			  LOG_TEXT("address", listener->address.text));
	listener->pause_was_logged = false;
}

/* Returns whether there may be another connection to accept in this turn. */
static bool accept_one(struct listener *listener)
{
	if (listener->owner.pause_if_full(listener->owner.owner)) {
		pause_accepting(listener);
		return false;
	}
	int fd = accept4(listener->readable.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		log_end_of_pause(listener);
		listener->owner.accept(listener->owner.owner, fd);
		return true;
	}
	switch (errno) {
	case EAGAIN:
		return false;
	case ECONNABORTED: /* accept(2): from here on, errors of a connection that is gone */
	case EINTR:
	case EPERM:
	case EPROTO:
	case ENETDOWN:
	case ENETUNREACH:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case EOPNOTSUPP:
		return true;
	default: /* EMFILE, ENFILE, ENOBUFS, ENOMEM: the next accept would fail as well */
		log_pause(listener, errno);
		pause_accepting(listener);
		return false;
	}
}

static void on_connection(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct listener *listener = CONTAINER_OF(watcher, struct listener, readable);

	(void)loop, (void)events;
	for (int i = 0; i < ACCEPTS_A_TURN; i++)
		if (!accept_one(listener))
			return;
}

static bool listen_on_inet(const struct address *address, int fd)
{
	int yes = 1, v6_only = address->is_v6_only;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (address->socket.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
	return bind(fd, (const struct sockaddr *)&address->socket, address->len) == 0 &&
	       listen(fd, BACKLOG) == 0;
}

static int open_socket(const struct address *address, struct socket_file *ret_file)
{
	if (address->is_inherited)
		return address->fd;
	int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	bool listens = address->socket.ss_family == AF_UNIX
			       ? socket_file_listen(address, fd, BACKLOG, ret_file)
			       : listen_on_inet(address, fd);
	if (!listens) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

struct listener *listener_new(struct ev_loop *loop, const struct address *address,
			      const struct listener_owner *owner, struct err *err)
{
	struct listener *listener = calloc(1, sizeof *listener);
	int fd = listener == NULL ? -1 : open_socket(address, &listener->file);

	if (fd < 0) {
		(void)err_set(err, "can't listen on %s: %s", address->text, strerror(errno));
		free(listener);
		return NULL;
	}
	listener->loop = loop;
	listener->address = *address;
	listener->owner = *owner;
	address_update_text(&listener->address, fd);
	ev_io_init(&listener->readable, on_connection, fd, EV_READ);
	ev_io_start(loop, &listener->readable);
	ev_timer_init(&listener->pause, on_pause_over, 0., PAUSE_SECONDS);
	return listener;
}

void listener_free(struct listener *listener)
{
	if (listener == NULL)
		return;
	ev_io_stop(listener->loop, &listener->readable);
	ev_timer_stop(listener->loop, &listener->pause);
	/* In this order: once the socket is closed, its inode's number may become another file's.
	 */
	if (listener->address.socket.ss_family == AF_UNIX && !listener->address.is_inherited)
		socket_file_remove(&listener->address, &listener->file);
	close(listener->readable.fd);
	free(listener);
}

const char *listener_address(const struct listener *listener)
{
	return listener->address.text;
}
