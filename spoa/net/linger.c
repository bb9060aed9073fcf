#include "net/linger.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>

#include "base/compiler.h"
#include "base/list.h"

#define LINGER_SECONDS 1.0
#define LINGER_MAX     64
#define READ_MAX       65536
#define THROWN_MAX     (4 << 20) /* bytes of one connection */

struct lingerers {
	struct ev_loop *loop;
	struct list all;
	unsigned count;
	char thrown[READ_MAX];
};

struct lingerer {
	struct lingerers *lingerers;
	struct ev_io readable;
	struct ev_timer timer;
	size_t thrown;
	struct list link;
};

static void end(struct lingerer *lingerer)
{
	struct lingerers *lingerers = lingerer->lingerers;

	ev_io_stop(lingerers->loop, &lingerer->readable);
	ev_timer_stop(lingerers->loop, &lingerer->timer);
	close(lingerer->readable.fd);
	list_remove(&lingerer->link);
	lingerers->count--;
	free(lingerer);
}

static void on_readable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct lingerer *lingerer = CONTAINER_OF(watcher, struct lingerer, readable);
	char *thrown = lingerer->lingerers->thrown;
	ssize_t len = recv(watcher->fd, thrown, READ_MAX, MSG_DONTWAIT);

	(void)loop, (void)events;
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len > 0)
		lingerer->thrown += (size_t)len;
	if (len <= 0 || lingerer->thrown > THROWN_MAX)
		end(lingerer);
}

static void on_timeout(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	(void)loop, (void)events;
	end(CONTAINER_OF(timer, struct lingerer, timer));
}

struct lingerers *lingerers_new(struct ev_loop *loop)
{
	struct lingerers *lingerers = calloc(1, sizeof *lingerers);

	if (lingerers == NULL)
		return NULL;
	lingerers->loop = loop;
	list_init(&lingerers->all);
	return lingerers;
}

void lingerers_add(struct lingerers *lingerers, int fd)
{
	struct lingerer *lingerer =
		lingerers->count == LINGER_MAX ? NULL : calloc(1, sizeof *lingerer);

	if (lingerer == NULL) {
		close(fd);
		return;
	}
	lingerer->lingerers = lingerers;
	lingerers->count++;
	list_init(&lingerer->link);
	list_append(&lingerers->all, &lingerer->link);
	(void)shutdown(fd, SHUT_WR);
	ev_io_init(&lingerer->readable, on_readable, fd, EV_READ);
	ev_io_start(lingerers->loop, &lingerer->readable);
	ev_timer_init(&lingerer->timer, on_timeout, LINGER_SECONDS, 0.);
	ev_timer_start(lingerers->loop, &lingerer->timer);
}

void lingerers_free(struct lingerers *lingerers)
{
	if (lingerers == NULL)
		return;
	while (!list_is_empty(&lingerers->all))
		end(CONTAINER_OF(lingerers->all.next, struct lingerer, link));
	free(lingerers);
}
