/*
 * connection.h - a connection to an agent for commands, which may wait: each function ends at
 * `until_us` by clock_mono_us() at the latest.
 */
#ifndef APP_CONNECTION_H
#define APP_CONNECTION_H

#include <stddef.h>
#include <stdint.h>

#include "net/address.h"

/* A descriptor, or -1 with errno. */
int connection_open(const struct address *address, int64_t until_us);
/* Receives some bytes; 0 when the other side ends or the time does. */
size_t connection_receive(int fd, void *memory, size_t max, int64_t until_us);
/* Sends all of it; false when the other side ends or the time does. */
MUST_CHECK bool connection_send(int fd, const void *data, size_t len, int64_t until_us);

#endif
