/*
 * http_clients.h - who is connected over HTTP, since when, doing what; and who has to go.
 *
 *            a request begins         it is complete          its answer goes out
 *   IDLE -------------------> ASKING ---------------> WAITING --------------------> ANSWERING
 *     ^ since then                since then           (no limit: the engine has one)    | since
 *     `----------------------------------------------------------------------------------'
 *
 * Whoever takes longer in one of these than http_bounds.h allows is shown the door, and so is the
 * one that is in its state for longest when somebody comes and there is no room: a crowd of slow
 * clients pushes itself out, and not a health check. To show the door is to shut the socket down;
 * whoever owns it notices, and calls http_client_leave.
 *
 * The library tells of a request when its first line is there. That a line has begun and does not
 * end is seen when the clients are swept, twice a second, by how many bytes the kernel has
 * received.
 */
#ifndef NET_HTTP_CLIENTS_H
#define NET_HTTP_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

enum http_phase { HTTP_IDLE = 0, HTTP_ASKING, HTTP_WAITING, HTTP_ANSWERING };

struct http_client {
	int fd; /* not owned */
	uint8_t address[16];
	bool has_address; /* not over a Unix socket */
	bool is_local;    /* from this machine */
	enum http_phase phase;
	int64_t since_us;
	uint64_t taken;  /* bytes of complete requests */
	bool is_leaving; /* was shown the door */
	struct list link;
};

struct http_clients {
	struct list timed; /* by since_us, oldest first */
	struct list waiting;
	struct list leaving;
	size_t count; /* without those that leave */
	size_t busy;  /* of them, those that have a request on the way */
	uint64_t evicted;
	uint64_t timeouts;
};

void http_clients_init(struct http_clients *clients);
/* Sets what is known of the socket's other side. */
void http_client_init(struct http_client *client, int fd);
/* Makes room for it if it must; false when nobody can be sent away. */
bool http_clients_admit(struct http_clients *clients, struct http_client *client, int64_t now_us);
/* Whether there is room for anybody, or somebody to send away. */
bool http_clients_have_room(const struct http_clients *clients);
void http_client_leave(struct http_clients *clients, struct http_client *client);

void http_client_set_phase(struct http_clients *clients, struct http_client *client,
			   enum http_phase phase, int64_t now_us);
/* Something was received, and nothing sent. False over a Unix socket, where nobody knows. */
bool http_client_is_unanswered(const struct http_client *client);
/* All that was received so far belongs to requests that were complete. */
void http_client_took_all(struct http_client *client);
/* Sends away who takes too long. */
void http_clients_sweep(struct http_clients *clients, int64_t now_us);
/* Sends away who has nothing on the way. */
void http_clients_end_idle(struct http_clients *clients);

#endif
