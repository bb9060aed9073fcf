#include "base/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define IDLE_SECONDS  60 /* then the first probe is sent */
#define PROBE_SECONDS 10
#define PROBES        3

/*
 * For each direction. The kernel doubles the number, for its own overhead, and may take one segment
 * of up to 64 KiB more: 2 * 40 + 64 KiB for what is sent, 2 * 40 KiB for what has come.
 */
#define BUFFER_BYTES 40960

static void set_option(int fd, int level, int name, int value)
{
	(void)setsockopt(fd, level, name, &value, sizeof value);
}

void socket_notice_dead_peer(int fd)
{
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, IDLE_SECONDS);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_SECONDS);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, SOCKET_DEAD_SECONDS * 1000);
}

void socket_bound_buffers(int fd)
{
	set_option(fd, SOL_SOCKET, SO_SNDBUF, BUFFER_BYTES);
	set_option(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_BYTES);
}
