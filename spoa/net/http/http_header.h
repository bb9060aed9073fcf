/*
 * http_header.h - whether the header of a request says one thing only about where the request ends.
 *
 * Two readers that see the end in different places take a part of one request for another (request
 * smuggling). So what is repeated, contradicts itself, or might be read in two ways is refused, and
 * its connection closed (RFC 9112, sections 3.2, 5 and 6; RFC 9110, section 5).
 */
#ifndef NET_HTTP_HEADER_H
#define NET_HTTP_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"

struct http_header {
	bool is_http_1_0;
	bool has_host;
	bool has_length;
	bool is_chunked;
	uint64_t length; /* with has_length */
	const char *why; /* NULL, or what is wrong: it sticks */
};

/* False when something is wrong. */
MUST_CHECK bool http_header_add(struct http_header *head, struct bytes name, struct bytes value);

#endif
