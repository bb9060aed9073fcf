/*
 * http_port.h - HTTP/1.1 in the loop: whole requests in, answers out. Only http_port.c and
 * http_visit.c know the HTTP library (libmicrohttpd).
 *
 * A request is handed over once, when all of it is there, and answered once: inside the call or any
 * time later. Until then its connection is suspended, and what it was asked with stays where it is.
 *
 *     requested()  -- http_port_answer() inside --> the answer goes out ------------> ended()
 *                  `- returns -> suspended -- http_port_answer() --> goes out -------^
 *
 * ended() comes once for each request that requested() or refused() was called with, also when the
 * client goes away or the port is freed. What breaks the bounds (http_bounds.h) or the framing
 * (http_header.h) is given to refused() instead, to be answered at once, and its connection is closed
 * after that. What is no HTTP the library answers by itself.
 */
#ifndef NET_HTTP_PORT_H
#define NET_HTTP_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/list.h"
#include "net/address.h"
#include "net/http/http_answer.h"

struct ev_loop;
struct http_port;

enum http_method { HTTP_GET = 0, HTTP_HEAD, HTTP_POST, HTTP_OTHER };

/* A request; the views live until it is answered. */
struct http_exchange {
	enum http_method method;
	struct bytes path;  /* as it was sent: %XX is not decoded */
	struct bytes query; /* behind the `?` */
	struct bytes body;
	unsigned door; /* what its listener was opened with */
	bool is_local; /* the client is on this machine */
	/* The handler's own: an empty list and NULL at first. */
	struct list open;
	void *data;
};

struct http_handler {
	void (*requested)(void *owner, struct http_exchange *exchange);
	void (*refused)(void *owner, struct http_exchange *exchange, unsigned status,
			const char *why);
	void (*ended)(void *owner, struct http_exchange *exchange);
	void *owner;
};

struct http_port_stats {
	size_t connections;
	uint64_t accepted;
	uint64_t evicted;
	uint64_t timeouts;
	uint64_t refused; /* connections for which no room could be made */
};

/* NULL when memory is short. */
struct http_port *http_port_new(struct ev_loop *loop, const struct http_handler *handler);
/* `door` is what exchanges over it will say. */
MUST_CHECK bool http_port_listen(struct http_port *port, const struct address *address,
				 unsigned door, struct err *err);
struct http_port_stats http_port_stats(const struct http_port *port);
/* No more connections, no more idle ones; each that is left ends with its answer. */
void http_port_close_listeners(struct http_port *port);
/* Nothing is on the way. */
bool http_port_is_idle(const struct http_port *port);
/* What is suspended is refused with 503, and what has an answer is not waited for. */
void http_port_free(struct http_port *port);

/* Once for each exchange. */
void http_port_answer(struct http_exchange *exchange, const struct http_answer *answer);

/* The field's value, of a repeated one the first. Only inside requested(). */
bool http_exchange_field(const struct http_exchange *exchange, const char *name,
			 struct bytes *ret_value);
/* All of them, until `take` says false. Only inside requested(). */
void http_exchange_fields(const struct http_exchange *exchange,
			  bool (*take)(void *context, struct bytes name, struct bytes value),
			  void *context);

#endif
