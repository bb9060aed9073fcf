/*
 * http_peer.h - one connection of the HTTP port: requests in, answers out, one after the other.
 *
 * The twin of spop_peer.h. A request is handed to the handler (http_answer.h) when its head is
 * complete and again when its body is; it is answered inside the call, or later, when its verdict
 * comes. Requests that a client sends without waiting (pipelining) are answered in their order.
 * http_peer.c opens with the states. Who is closed when is decided by http_crowd.h and by the
 * server.
 */
#ifndef NET_HTTP_PEER_H
#define NET_HTTP_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"
#include "net/address.h"
#include "net/http/http_answer.h"
#include "net/http/http_crowd.h"
#include "net/http/http_stats.h"
#include "net/stream.h"

/* A peer leaves at most an unfinished header of /auth (64 KiB and line ends) in its stream. */
#define HTTP_PEER_INPUT_MAX (65 * 1024)

struct http_peer;

/* What the peers of a server share. */
struct http_peer_config {
	struct streams *streams; /* of HTTP_PEER_INPUT_MAX */
	struct http_crowd *crowd;
	struct http_server_stats *stats; /* counted into */
	struct http_handler handler;
	int64_t (*mono_us)(void);
	int64_t (*now_us)(void); /* for Date */
	bool is_draining;        /* every answer is the last one of its connection */
	/* The field's value, and until when, by mono_us, it is right. */
	char date[32];
	int64_t date_until_us;
};

/*
 * Takes the descriptor. The peer frees itself when its connection is over, and is a guest of the
 * crowd until then. `client` is the other side's address, `door` what exchanges will say. False,
 * with the descriptor closed, when memory is short.
 */
MUST_CHECK bool http_peer_open(struct http_peer_config *config, int fd,
			       const struct address *client, unsigned door);
/* Closes it at once; a request that is under way is not answered. */
void http_peer_close(struct http_guest *guest);
/* Handles what it has sent and nobody has read yet. Returns false when there is nothing. */
MUST_CHECK bool http_peer_read_now(struct http_guest *guest);
/* Answers 503 to the request that waits for its verdict. */
void http_peer_refuse_waiting(struct http_guest *guest);

#endif
