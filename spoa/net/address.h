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

#define ADDRESS_TEXT_MAX 320 /* a host name of 255, or a path, and what stands around it */

struct address {
	struct sockaddr_storage socket;
	socklen_t len;
	bool has_mode; /* unix: */
	mode_t mode;
	char text[ADDRESS_TEXT_MAX]; /* as it was given */
};

/* Looks names up, which may block: for start and probe only. */
MUST_CHECK bool address_parse(struct bytes text, struct address *ret_address, struct err *err);
/* The loopback address in place of a wildcard; others stay. */
void address_make_reachable(struct address *address);
/* Only this machine reaches it: loopback, or a Unix socket. */
bool address_is_local(const struct address *address);
/* What a bound socket really listens on: the port that was chosen for port 0. */
void address_update_text(struct address *address, int fd);

#endif
