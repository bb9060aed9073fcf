/*
 * load_connect.h - connects to an agent and does the handshake, in the part of HAProxy.
 *
 * The connections are made one after the other. Each step may block, for two seconds at most.
 */
#ifndef BENCH_LOAD_CONNECT_H
#define BENCH_LOAD_CONNECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/compiler.h"
#include "base/err.h"

struct load_address {
	struct sockaddr_storage socket;
	socklen_t len;
};

/* `text` is host:port, [v6]:port or unix:/path. The name of a host is looked up. */
MUST_CHECK bool load_address_find(const char *text, struct load_address *ret_address,
				  struct err *err);

/* What both sides agreed on in the handshake. */
struct load_agreement {
	uint32_t max_frame_size;
	bool pipelining;
};

/* Returns a descriptor that does not block, or -1. */
MUST_CHECK int load_connect(const struct load_address *address,
			    struct load_agreement *ret_agreement, struct err *err);

#endif
