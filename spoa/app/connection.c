#include "app/connection.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

/* True when the descriptor is ready; false, with errno, when the time is over. */
static bool wait_for(int fd, short events, int64_t until_us)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};
	int64_t left_us = until_us - clock_mono_us();
	int ready = left_us <= 0 ? 0 : poll(&poll_fd, 1, (int)(left_us / US_PER_MS) + 1);

	if (ready == 0)
		errno = ETIMEDOUT;
	return ready > 0;
}

static bool finish_connecting(int fd, int64_t until_us)
{
	int error = 0;
	socklen_t len = sizeof error;

	/* A Unix socket whose backlog is full says EAGAIN. */
	if (errno != EINPROGRESS || !wait_for(fd, POLLOUT, until_us))
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		return false;
	errno = error;
	return error == 0;
}

int connection_open(const struct address *address, int64_t until_us)
{
	int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&address->socket, address->len) != 0 &&
	    !finish_connecting(fd, until_us)) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

size_t connection_receive(int fd, void *memory, size_t max, int64_t until_us)
{
	ssize_t got = wait_for(fd, POLLIN, until_us) ? recv(fd, memory, max, 0) : 0;

	return got > 0 ? (size_t)got : 0;
}

bool connection_send(int fd, const void *data, size_t len, int64_t until_us)
{
	const char *rest = data;

	while (len > 0) {
		ssize_t sent =
			wait_for(fd, POLLOUT, until_us) ? send(fd, rest, len, MSG_NOSIGNAL) : -1;
		if (sent < 0)
			return false;
		rest += sent;
		len -= (size_t)sent;
	}
	return true;
}
