/*
 * http_server.h - the HTTP port (docs/reference.md, section HTTP): listeners and connections from
 * start to drain, /check, and pages that the owner of the server writes.
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "engine/engine.h"
#include "net/address.h"
#include "net/http/http_access.h"
#include "net/http/http_pages.h"
#include "net/http/http_route.h"
#include "net/http/http_stats.h"

struct ev_loop;
struct http_server;

struct http_server_config {
	struct engine *engine; /* not owned */
	const struct http_page *pages;
	size_t page_count;
	const void *owner; /* of the pages */
	const struct http_route *routes;
	size_t route_count;
	void *route_owner;
	struct http_access_rules access;
	size_t max_connections;
	size_t max_per_address;
};

/* NULL when memory is short. */
struct http_server *http_server_new(struct ev_loop *loop, const struct http_server_config *config);
/*
 * `is_main`: the listener serves /check and the pages that are not the admin's; `is_admin`: it
 * serves the admin pages. Without --admin-listen every listener serves both.
 */
MUST_CHECK bool http_server_listen(struct http_server *server, const struct address *address,
				   bool is_main, bool is_admin, struct err *err);
struct http_server_stats http_server_stats(const struct http_server *server);
/* From now on every answer is the last one of its connection. */
void http_server_begin_drain(struct http_server *server);
/* No more connections. Those that are idle end now, the others with their answer. */
void http_server_close_listeners(struct http_server *server);
/* How many requests wait for their verdict or have an answer that is not written yet. */
size_t http_server_unanswered(const struct http_server *server);
/* Requests that wait for their verdict are answered by 503, and all connections are closed. */
void http_server_free(struct http_server *server);

#endif
