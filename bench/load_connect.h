/*
 * load_connect.h - a connection to an agent, up to the end of the handshake, in HAProxy's part.
 *
 * This is done one connection after the other and may wait, two seconds at most for each step.
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

/* Of host:port, [v6]:port or unix:/path. A host is looked up. */
MUST_CHECK bool load_address_find(const char *text, struct load_address *ret_address,
				  struct err *err);

/* What came of the handshake. */
struct load_agreement {
	uint32_t max_frame_size;
	bool pipelining;
};

/* A descriptor that no longer waits, or -1. */
MUST_CHECK int load_connect(const struct load_address *address,
			    struct load_agreement *ret_agreement, struct err *err);

#endif
