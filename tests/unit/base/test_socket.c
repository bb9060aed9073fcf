/* What the kernel is told about connections. */
#include "base/socket.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/test.h"

static int buffer_of(int fd, int name)
{
	int bytes;
	socklen_t len = sizeof bytes;

	assert_int_equal(getsockopt(fd, SOL_SOCKET, name, &bytes, &len), 0);
	return bytes;
}

/* The kernel has offered half of it to the other side by then. */
TEST(socket_bound_buffers_leaves_a_connection_what_was_offered_to_the_other_side)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	int before = buffer_of(fd, SO_RCVBUF);

	socket_bound_buffers(fd);

	assert_true(buffer_of(fd, SO_RCVBUF) >= before);
	close(fd);
}

TEST(socket_bound_buffers_are_256_kib_with_a_segment_of_64)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);

	socket_bound_buffers(fd);

	assert_true(buffer_of(fd, SO_RCVBUF) + buffer_of(fd, SO_SNDBUF) + (64 << 10) <= 256 << 10);
	close(fd);
}
