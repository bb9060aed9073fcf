/*
 * bare_http.c - what HTTP costs without a rate limiter: connections as net/http/http_peer.c runs
 * them on net/stream.c, whose handler answers every request, once it is complete, with the same
 * response, as large as a verdict.
 *
 *     bare-http ADDRESS    listens there, says so on standard error, and ends by a signal
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include <ev.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/http/http_peer.h"
#include "net/listener.h"

#define CONNECTIONS_MAX 1024

struct bare {
	struct ev_loop *loop;
	struct listener *listener;
	struct http_crowd crowd;
	struct http_server_stats stats;
	struct http_peer_config config;
};

static void on_begun(void *owner, struct http_exchange *exchange)
{
	(void)owner, (void)exchange;
}

/* A verdict and its fields. */
static void on_requested(void *owner, struct http_exchange *exchange)
{
	struct http_answer answer = {
		.status = 200,
		.body = BYTES("{\"allowed\":true,\"reason\":\"ok\",\"degraded\":false,"
			      "\"policy\":\"per-ip\",\"limit\":1000000,\"remaining\":999998,"
			      "\"retry_after_ms\":0,\"reset_ms\":119843,\"policies\":[{"
			      "\"policy\":\"per-ip\",\"allowed\":true,\"limit\":1000000,"
			      "\"remaining\":999998,\"retry_after_ms\":0,\"reset_ms\":119843}]}"),
	};

	(void)owner;
	http_answer_add(&answer, "Content-Type", "application/json");
	http_answer_add(&answer, "Cache-Control", "no-store");
	http_answer_add(&answer, "RateLimit", "\"per-ip\";r=999998;t=60");
	http_answer_add(&answer, "RateLimit-Policy", "\"per-ip\";q=1000000;w=60000000");
	http_answer_send(exchange, &answer);
}

static void on_refused(void *owner, struct http_exchange *exchange, unsigned status,
		       const char *why)
{
	(void)owner;
	http_answer_problem(exchange, status, why);
}

static void on_ended(void *owner, struct http_exchange *exchange)
{
	(void)owner, (void)exchange;
}

static void on_accept(void *owner, int fd)
{
	const struct address peer = {
		.socket = {.ss_family = AF_UNIX}}; /* nobody counts addresses */
	struct bare *bare = owner;
	int yes = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	if (!http_peer_open(&bare->config, fd, &peer, 0))
		log_event(LOG_WARN, "refused", LOG_TEXT("reason", "out of memory"));
}

static bool is_full(void *owner)
{
	(void)owner;
	return false;
}

static bool start(struct bare *bare, const char *where, struct err *err)
{
	const struct listener_owner owner = {on_accept, is_full, bare};
	struct address address;

	bare->loop = ev_default_loop(0);
	http_crowd_init(&bare->crowd, CONNECTIONS_MAX, CONNECTIONS_MAX);
	bare->config = (struct http_peer_config){
		.streams = streams_new_small(bare->loop, HTTP_PEER_INPUT_MAX),
		.crowd = &bare->crowd,
		.stats = &bare->stats,
		.handler = {.begun = on_begun,
			    .requested = on_requested,
			    .refused = on_refused,
			    .ended = on_ended,
			    .owner = bare},
		.mono_us = clock_mono_us,
		.now_us = clock_now_us,
	};
	if (bare->config.streams == NULL)
		return err_set(err, "out of memory");
	if (address_parse(bytes_from_text(where), &address, 1, err) == 0)
		return false;
	bare->listener = listener_new(bare->loop, &address, &owner, err);
	return bare->listener != NULL;
}

int main(int argc, char **argv)
{
	static struct bare bare;
	struct err err = {"usage: bare-http ADDRESS"};

	if (argc != 2 || !start(&bare, argv[1], &err)) {
		log_event(LOG_ERROR, "failed", LOG_TEXT("error", err.text));
		return EXIT_FAILURE;
	}
	log_event(LOG_INFO, "listening", LOG_TEXT("address", listener_address(bare.listener)),
		  LOG_TEXT("protocol", "http"));
	ev_run(bare.loop, 0);
	return EXIT_SUCCESS;
}
