/*
 * address.h - where to listen or connect: `host:port`, `[v6]:port`, `unix:/path[?mode=0660]`.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/bytes.h"
#include "base/err.h"

#define ADDRESS_ACCEPTED "host:port, [v6]:port or unix:/path[?mode=0660]"
#define ADDRESS_TEXT_MAX 320 /* a host name of 255 or a path, its prefix and its port or mode */

struct address {
	struct sockaddr_storage socket;
	socklen_t len;
	bool has_mode; /* of a Unix socket: the text says which */
	mode_t mode;
	char text[ADDRESS_TEXT_MAX]; /* as it was given, or address_update_text made it */
};

/* Looks host names up, which may block: only for the start of the agent and for `probe`. */
MUST_CHECK bool address_parse(struct bytes text, struct address *ret_address, struct err *err);
/* Puts the loopback address in place of the wildcard (0.0.0.0, [::]), to connect to. */
void address_make_reachable(struct address *address);
/* Whether only this machine can connect to it: a loopback address or a Unix socket. */
bool address_is_local(const struct address *address);
/* Makes `text` what the socket `fd` is bound to: the kernel chose the port when 0 was given. */
void address_update_text(struct address *address, int fd);

#endif
