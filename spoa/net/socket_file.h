/*
 * socket_file.h - the file of a Unix socket: who may replace it, and who may remove it.
 *
 * A file is replaced when nobody listens on it (an agent that was killed leaves its file behind),
 * and removed by the agent that made it. Both look first and act then, and another agent could make
 * its own file in between. So agents lock the directory meanwhile: at a start from the look until
 * the socket listens, at an end from the look until the file is gone. Who does not get the lock
 * within 0.1 s removes nothing.
 */
#ifndef NET_SOCKET_FILE_H
#define NET_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "net/address.h"

/* Which file it is: no other file has both numbers as long as the socket is open. */
struct socket_file {
	dev_t device;
	ino_t inode;
};

/*
 * Makes the file of `address`, with the mode, user and group that the address asks for, and has the
 * socket `fd` listen on it. False, with errno and without a file of ours, when that fails.
 */
MUST_CHECK bool socket_file_listen(const struct address *address, int fd, int backlog,
				   struct socket_file *ret_file);
/* Before the socket is closed. Leaves what is not `file`. */
void socket_file_remove(const struct address *address, const struct socket_file *file);

#endif
