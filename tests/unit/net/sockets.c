#include "unit/net/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/test.h"

struct faults faults;

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	faults.sends++;
	if (faults.send_error != 0) {
		errno = faults.send_error;
		return -1;
	}
	if (faults.send_max > 0 && len > faults.send_max)
		len = faults.send_max;
	return syscall(SYS_sendto, fd, data, len, flags, NULL, 0);
}

ssize_t read(int fd, void *data, size_t len)
{
	if (faults.read_error != 0) {
		errno = faults.read_error;
		return -1;
	}
	return syscall(SYS_read, fd, data, len);
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	faults.accepts++;
	if (faults.accept_error != 0) {
		errno = faults.accept_error;
		if (faults.accept_errors > 0 && --faults.accept_errors == 0)
			faults.accept_error = 0;
		return -1;
	}
	return (int)syscall(SYS_accept4, fd, address, len, flags);
}

int socket(int family, int type, int protocol)
{
	if (family == AF_INET6 && faults.has_no_ipv6) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	return (int)syscall(SYS_socket, family, type, protocol);
}

int listen(int fd, int backlog)
{
	if (faults.before_listen != NULL)
		faults.before_listen();
	return (int)syscall(SYS_listen, fd, backlog);
}

struct pair pair_unix(void)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	return (struct pair){fds[0], fds[1]};
}

int connect_to_port(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	/* What is sent arrives at once, also behind bytes that are not acknowledged yet. */
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

struct pair pair_tcp(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listening, 1), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &len), 0);
	int theirs = connect_to_port(ntohs(address.sin_port));
	int ours = (int)syscall(SYS_accept4, listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(ours >= 0 && theirs >= 0);
	close(listening);
	return (struct pair){ours, theirs};
}

void send_bytes(int fd, struct bytes bytes)
{
	ssize_t sent = syscall(SYS_sendto, fd, bytes.data, bytes.len, MSG_NOSIGNAL, NULL, 0);

	assert_int_equal(sent, bytes.len);
}

void send_text(int fd, const char *text)
{
	send_bytes(fd, bytes_from_text(text));
}

enum received receive(int fd, void *data, size_t max, size_t *ret_len)
{
	size_t len = 0;

	while (len < max) {
		ssize_t got = recv(fd, (char *)data + len, max - len, MSG_DONTWAIT);
		if (got <= 0) {
			*ret_len = len;
			if (got < 0 && errno != EAGAIN)
				return RECEIVED_RESET;
			return got == 0 ? RECEIVED_END : RECEIVED_SOME;
		}
		len += (size_t)got;
	}
	*ret_len = len;
	return RECEIVED_SOME;
}

void assert_receives(int fd, const char *text)
{
	char data[4096];
	size_t len;

	(void)receive(fd, data, sizeof data, &len);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(data, text, len);
}

void assert_receives_nothing(int fd)
{
	char data[1];
	size_t len;

	assert_int_equal(receive(fd, data, sizeof data, &len), RECEIVED_SOME);
	assert_int_equal(len, 0);
}

void assert_receives_end(int fd)
{
	char data[1];
	size_t len;

	assert_int_equal(receive(fd, data, sizeof data, &len), RECEIVED_END);
	assert_int_equal(len, 0);
}

void make_buffers_small(struct pair pair)
{
	int size = 1;

	assert_int_equal(setsockopt(pair.ours, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
	assert_int_equal(setsockopt(pair.theirs, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
}

void close_by_reset(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
	close(fd);
}

bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}
