/*
 * bare_http.c - what HTTP costs without a rate limiter: the library as net/http/http_port.c runs
 * it, which answers every request, once it is complete, with the same response, as large as a
 * verdict.
 *
 *     bare-http ADDRESS    listens there, says so on standard error, and ends by a signal
 */
#include <stdlib.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <ev.h>
#include <microhttpd.h>

#include "base/compiler.h"
#include "base/log.h"
#include "net/http/http_bounds.h"
#include "net/listener.h"

#define ONE_THREAD (1U << 19) /* net/http/http_port.c says what that is */
#define FLAGS                                                                                   \
	((MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_TURBO | \
	  MHD_USE_ERROR_LOG | ONE_THREAD) &                                                     \
	 ~(unsigned)MHD_USE_ITC)

struct bare {
	struct ev_loop *loop;
	struct MHD_Daemon *daemon;
	struct MHD_Response *response;
	struct listener *listener;
	struct ev_io ready;
	struct ev_idle again;
};

static enum MHD_Result answer(void *owner, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *len, void **request)
{
	const struct bare *bare = owner;

	(void)url, (void)method, (void)version, (void)data;
	if (*request != NULL && *len == 0)
		return MHD_queue_response(connection, MHD_HTTP_OK, bare->response);
	*request = owner;
	*len = 0;
	return MHD_YES;
}

static void run(struct bare *bare)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	(void)MHD_run(bare->daemon);
	if (MHD_get_timeout(bare->daemon, &timeout_ms) == MHD_YES && timeout_ms == 0)
		ev_idle_start(bare->loop, &bare->again);
	else
		ev_idle_stop(bare->loop, &bare->again);
}

static void on_ready(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	(void)loop, (void)events;
	run(CONTAINER_OF(watcher, struct bare, ready));
}

static void on_again(struct ev_loop *loop, struct ev_idle *watcher, int events)
{
	struct bare *bare = CONTAINER_OF(watcher, struct bare, again);

	(void)events;
	(void)ev_clear_pending(loop, &bare->ready);
	run(bare);
}

static void on_accept(void *owner, int fd)
{
	const struct sockaddr_in peer = {.sin_family = AF_INET};
	struct bare *bare = owner;
	int yes = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	(void)MHD_add_connection(bare->daemon, fd, (const struct sockaddr *)&peer, sizeof peer);
	ev_idle_start(bare->loop, &bare->again);
}

static bool is_full(void *owner)
{
	(void)owner;
	return false;
}

/* A verdict and its fields. */
static struct MHD_Response *new_response(void)
{
	static char text[] =
		"{\"allowed\":true,\"reason\":\"ok\",\"degraded\":false,\"policy\":\"per-ip\","
		"\"limit\":1000000,\"remaining\":999998,\"retry_after_ms\":0,\"reset_ms\":119843,"
		"\"policies\":[{\"policy\":\"per-ip\",\"allowed\":true,\"limit\":1000000,"
		"\"remaining\":999998,\"retry_after_ms\":0,\"reset_ms\":119843}]}";
	struct MHD_Response *response =
		MHD_create_response_from_buffer(sizeof text - 1, text, MHD_RESPMEM_PERSISTENT);

	MHD_add_response_header(response, "Content-Type", "application/json");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	MHD_add_response_header(response, "RateLimit", "\"per-ip\";r=999998;t=60");
	MHD_add_response_header(response, "RateLimit-Policy", "\"per-ip\";q=1000000;w=60000000");
	return response;
}

static bool start(struct bare *bare, const char *where, struct err *err)
{
	const struct listener_owner owner = {on_accept, is_full, bare};
	struct address address;

	bare->loop = ev_default_loop(0);
	bare->response = new_response();
	bare->daemon = MHD_start_daemon(FLAGS, 0, NULL, NULL, answer, bare,
					MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_POOL_BYTES,
					MHD_OPTION_CONNECTION_LIMIT, 2U * HTTP_CONNECTIONS_MAX,
					MHD_OPTION_END);
	if (bare->daemon == NULL)
		return err_set(err, "the library does not start");
	ev_idle_init(&bare->again, on_again);
	ev_set_priority(&bare->again, EV_MAXPRI);
	ev_io_init(&bare->ready, on_ready,
		   MHD_get_daemon_info(bare->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, EV_READ);
	ev_io_start(bare->loop, &bare->ready);
	if (!address_parse(bytes_from_text(where), &address, err))
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
