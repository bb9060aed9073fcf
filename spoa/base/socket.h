/*
 * socket.h - what the kernel does about the other side of a connection: it notices when the host of
 * the other side is gone, and it holds little for one that does not read.
 *
 * Both work on Unix sockets too, as far as they have a meaning there. A setting that fails is left
 * as the kernel has it: the connection works all the same.
 */
#ifndef BASE_SOCKET_H
#define BASE_SOCKET_H

/*
 * A host that lost its power or its network sends no end of a connection. From this call on, the
 * connection fails with an error at most SOCKET_DEAD_SECONDS after the last that came from it:
 *
 * - while nothing is sent: 60 s without a segment, then three probes that are 10 s apart;
 * - while something is sent: what is not acknowledged for SOCKET_DEAD_SECONDS ends the connection
 *   (TCP_USER_TIMEOUT). So does a side that is alive and has not read for so long what was sent.
 */
#define SOCKET_DEAD_SECONDS 90

void socket_notice_dead_peer(int fd);

/*
 * Bounds what the kernel holds of a connection to 256 KiB, both directions together. Without it the
 * kernel's own bounds hold, which are 4 MiB for what is sent and 6 MiB for what has come.
 */
void socket_bound_buffers(int fd);

#endif
