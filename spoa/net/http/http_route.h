/*
 * http_route.h - a path of the port whose answers the owner of the server makes himself: what shows
 * or changes something by its query or its body (docs/reference.md, section HTTP). Pages, which are
 * the same for everybody who asks, are http_pages.h.
 */
#ifndef NET_HTTP_ROUTE_H
#define NET_HTTP_ROUTE_H

#include <stdbool.h>

#include "net/http/http_access.h"
#include "net/http/http_answer.h"

struct http_operation {
	enum http_access access;
	bool takes_json;       /* the request has a body of JSON: else 415 */
	bool takes_large_body; /* up to HTTP_LARGE_BODY_MAX */
	/*
	 * Answers the exchange now, or later. Until then `open` may have inquiries, which are
	 * abandoned when the client goes away, and `data` may point to a block from malloc, which
	 * is freed when the exchange is over. NULL: the path does not have this method.
	 */
	void (*answer)(void *owner, struct http_exchange *exchange);
	/* NULL, or called in place of that when the exchange is over: whoever answers it later must
	 * know. */
	void (*forget)(struct http_exchange *exchange);
};

struct http_route {
	const char *path;
	bool is_prefix; /* the path goes on behind it */
	bool has_query; /* without a query the path is a page's */
	const char *allow;
	struct http_operation operations[METHOD_OTHER]; /* by method; HEAD is GET's */
};

#endif
