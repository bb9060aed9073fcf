#include "base/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define IDLE_SECONDS  60 /* then the first probe is sent */
#define PROBE_SECONDS 10
#define PROBES        3

/*
 * The kernel doubles both numbers, for its own overhead, and may take one segment of up to 64 KiB
 * more for what is sent: 2 * 28 + 64 KiB for what is sent, 2 * 64 KiB for what has come.
 *
 * The second one is not smaller because a new connection has 128 KiB (net.ipv4.tcp_rmem), and the
 * kernel has offered the other side half of that. With a buffer below this offer, the other side
 * may send more than fits. Linux from 6.17 on throws away what is beyond the window,
 * acknowledgements too. So when a client fills the buffer faster than the agent reads, neither side
 * learns any more that the other one has read, and the connection stands still until
 * TCP_USER_TIMEOUT.
 */
#define SEND_BYTES    28672
#define RECEIVE_BYTES 65536

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
	set_option(fd, SOL_SOCKET, SO_SNDBUF, SEND_BYTES);
	set_option(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BYTES);
}
