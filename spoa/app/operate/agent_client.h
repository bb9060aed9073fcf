/*
 * agent_client.h - asks a running agent one question over HTTP: over TCP (http://host[:port]) or a
 * Unix socket (unix:/path). Each question has a connection of its own, and 10 s.
 */
#ifndef APP_OPERATE_AGENT_CLIENT_H
#define APP_OPERATE_AGENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

#define AGENT_REPLY_MAX (64 << 20)

struct agent_request {
	const char *method;
	const char *target;   /* the path, and the query if there is one, both encoded */
	struct bytes body;    /* JSON; without data there is none */
	const char *if_match; /* NULL: none */
};

#define AGENT_ETAG_MAX 64

struct agent_reply {
	unsigned status;
	char *body; /* from malloc, with a NUL behind it */
	size_t len;
	char etag[AGENT_ETAG_MAX]; /* the field ETag, without its quotes; empty: none */
	bool is_stale;             /* the field Warning says so, for an answer that is no JSON */
};

/* Whether it is an address that an agent may have. No name is looked up. */
MUST_CHECK bool agent_client_check_address(const char *address, struct err *err);
/* `token` is NULL or goes with the request. The caller frees ret_reply->body. */
MUST_CHECK bool agent_client_ask(const char *address, const char *token,
				 const struct agent_request *request, struct agent_reply *ret_reply,
				 struct err *err);

#endif
