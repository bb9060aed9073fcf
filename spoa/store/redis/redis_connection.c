/*
 * A hiredis context in the hands of libev.
 *
 *     closed ---open---> connecting ---on_connect---> connected
 *        ^                   |                            |
 *        `--- on_cleanup ----+----------------------------'   refused | lost | closed by us
 *
 * hiredis ends a context in three ways: the connection is refused, it is lost, or we free it. In
 * each of them hiredis calls on_cleanup, and frees the context itself after that; so on_cleanup is
 * the one place where the pointer to it is dropped. Commands that wait get NULL before on_cleanup
 * or, from hiredis 1.0 on, some of them after it, in the same call of hiredis.
 *
 * While the socket connects, libev watches whether it is writable, as usual. Once it is connected,
 * hiredis' wish to write is only noted (wants_write), and redis_connection_flush writes at the end
 * of the turn: so all commands of a turn leave in one write. The socket is watched again only when
 * it did not take all.
 *
 * With TLS the handshake begins when the socket is connected, and the owner is told that the
 * connection is open. Commands that the owner sends wait: hiredis' reads and writes drive the
 * handshake, and the first command leaves after the server was verified.
 *
 * hiredis hands out each reply as an object of its own. redis_reply.h collects replies without
 * allocating; what hiredis has for a reply is a placeholder, of which only NULL means something.
 */
#include "store/redis/redis_connection.h"

#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>

#include <ev.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include "base/compiler.h"
#include "base/socket.h"
#include "base/writer.h"
#include "store/redis/redis_slots.h"

#define UNFINISHED_MAX                                                             \
	(1024 * 1024) /* bytes of one reply; the longest, of INFO, has some 10,000 \
		       */
#define WORDS_MAX  5
#define READS_MAX  64 /* of at most 16 KiB each */
#define REASON_MAX 200
#define NO_MEMORY  "out of memory"

struct redis_connection {
	struct redis_connection_config config;
	struct ev_loop *loop;
	redisAsyncContext *context; /* NULL: closed */
	struct ev_io readable, writable;
	bool is_tcp;
	bool is_connected;
	bool wants_write;
	struct ssl_st *ssl; /* of the context; NULL: there is no TLS, or not yet */
	struct redis_tls_session session;
	bool has_replied; /* the server, on this connection */
	struct redis_replies *collected;
	size_t outstanding;
	uint64_t replies;
};

static void report_failure(struct redis_connection *connection, enum store_error error,
			   const char *why)
{
	connection->config.failed(connection->config.owner, error, bytes_from_text(why));
}

/* ---- hiredis' context and the loop ---- */

/*
 * hiredis itself has no bound: it keeps an unfinished reply of any length, and reads as fast as the
 * bytes come.
 */
static bool is_reply_too_long(const struct redis_connection *connection)
{
	const redisReader *reader = connection->context->c.reader;

	return reader->len - reader->pos > UNFINISHED_MAX ||
	       redis_replies_is_too_long(connection->collected);
}

static void on_readable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct redis_connection *connection =
		CONTAINER_OF(watcher, struct redis_connection, readable);

	(void)loop, (void)events;
	redisAsyncHandleRead(connection->context);
	if (connection->context != NULL && is_reply_too_long(connection))
		report_failure(connection, STORE_OTHER, "a reply is too long");
}

void redis_connection_read_all(struct redis_connection *connection)
{
	struct pollfd socket = {.fd = connection->readable.fd, .events = POLLIN};

	for (int i = 0; i < READS_MAX && connection->context != NULL; i++) {
		if (poll(&socket, 1, 0) != 1)
			return;
		on_readable(connection->loop, &connection->readable, EV_READ);
	}
}

static void on_writable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	(void)loop, (void)events;
	redisAsyncHandleWrite(CONTAINER_OF(watcher, struct redis_connection, writable)->context);
}

static void add_read(void *owner)
{
	struct redis_connection *connection = owner;

	ev_io_start(connection->loop, &connection->readable);
}

static void del_read(void *owner)
{
	struct redis_connection *connection = owner;

	ev_io_stop(connection->loop, &connection->readable);
}

static void add_write(void *owner)
{
	struct redis_connection *connection = owner;

	if (connection->is_connected)
		connection->wants_write = true;
	else
		ev_io_start(connection->loop, &connection->writable);
}

static void del_write(void *owner)
{
	struct redis_connection *connection = owner;

	ev_io_stop(connection->loop, &connection->writable);
	connection->wants_write = false;
}

/* The server said something wrong, or there is no way to the server. */
static enum store_error kind_of(int error)
{
	return error == REDIS_ERR_PROTOCOL || error == REDIS_ERR_OTHER ? STORE_OTHER
								       : STORE_CONNECTION;
}

/*
 * What a server may have wanted that ends a connection before its first reply: TLS, or with TLS 1.3
 * a certificate, whose alert may get lost behind a reset.
 */
static void put_what_it_may_want(const struct redis_connection *connection, struct writer *w)
{
	const char *scheme = connection->config.tls_scheme;
	int error = connection->context->err;

	if (!connection->is_tcp || !connection->is_connected || connection->has_replied ||
	    (error != REDIS_ERR_EOF && error != REDIS_ERR_IO))
		return;
	writer_put_text(w, " before its first reply; ");
	if (connection->ssl == NULL) {
		writer_put_text(w, "if it wants TLS, that is ");
		writer_put_text(w, scheme == NULL ? "rediss://" : scheme);
	} else {
		writer_put_text(w,
				"it may want a certificate, or not trust ours: --redis-cert-file");
	}
}

static void report_end(struct redis_connection *connection)
{
	const redisAsyncContext *context = connection->context;
	char why[REASON_MAX];
	struct writer w = writer_on(why, sizeof why);

	if (connection->ssl != NULL &&
	    redis_tls_put_failure(connection->ssl, connection->config.tls_name, &w)) {
		connection->config.failed(connection->config.owner, STORE_OTHER, writer_bytes(&w));
		return;
	}
	writer_put_text(&w, context->errstr);
	put_what_it_may_want(connection, &w);
	connection->config.failed(connection->config.owner, kind_of(context->err),
				  writer_bytes(&w));
}

static void on_cleanup(void *owner)
{
	struct redis_connection *connection = owner;

	del_read(connection);
	del_write(connection);
	if (connection->context->err != 0)
		report_end(connection);
	if (connection->ssl != NULL)
		redis_tls_end(connection->ssl);
	connection->context = NULL;
	connection->ssl = NULL;
}

static bool begin_tls(struct redis_connection *connection)
{
	struct err err;

	connection->ssl = redis_tls_begin(connection->config.tls, &connection->context->c,
					  connection->config.tls_name, &connection->session, &err);
	if (connection->ssl != NULL)
		return true;
	report_failure(connection, STORE_OTHER, err.text);
	return false;
}

static void on_connect(const redisAsyncContext *context, int status)
{
	struct redis_connection *connection = context->data;

	if (status != REDIS_OK)
		return; /* on_cleanup follows */
	connection->is_connected = true;
	if (connection->config.tls != NULL && connection->is_tcp && !begin_tls(connection))
		return;
	connection->config.connected(connection->config.owner);
}

#if HIREDIS_MAJOR >= 1
/*
 * A push of RESP3 comes only to who has asked for one, and the agent never does, so what sends it
 * is no server for us. Without this hiredis would drop it in silence and the connection would end
 * by a timeout, which says nothing; hiredis 0.14 calls it a protocol error by itself.
 */
static void on_push(redisAsyncContext *context, void *object)
{
	(void)object;
	report_failure(context->data, STORE_OTHER,
		       "the server sent a push, which the agent never asks for");
}
#endif

/* ---- opening and closing ---- */

static void open_context(struct redis_connection *connection, redisAsyncContext *context)
{
	if (context == NULL || context->err != 0) {
		report_failure(connection, STORE_CONNECTION,
			       context == NULL ? NO_MEMORY : context->errstr);
		if (context != NULL)
			redisAsyncFree(context);
		return;
	}
	connection->context = context;
	connection->is_connected = false;
	connection->has_replied = false;
	connection->outstanding = 0;
	context->data = connection;
	context->ev.addRead = add_read;
	context->ev.delRead = del_read;
	context->ev.addWrite = add_write;
	context->ev.delWrite = del_write;
	context->ev.cleanup = on_cleanup;
	context->ev.data = connection;
	socket_notice_dead_peer(context->c.fd);
	ev_io_set(&connection->readable, context->c.fd, EV_READ);
	ev_io_set(&connection->writable, context->c.fd, EV_WRITE);
	redis_replies_collect(connection->collected, context->c.reader);
#if HIREDIS_MAJOR >= 1
	(void)redisAsyncSetPushCallback(context, on_push);
#endif
	redisAsyncSetConnectCallback(context, on_connect); /* which makes hiredis call add_write */
}

void redis_connection_open_tcp(struct redis_connection *connection, const char *address, int port)
{
	connection->is_tcp = true;
	open_context(connection, redisAsyncConnect(address, port));
}

void redis_connection_open_unix(struct redis_connection *connection, const char *path)
{
	connection->is_tcp = false;
	open_context(connection, redisAsyncConnectUnix(path));
}

void redis_connection_close(struct redis_connection *connection)
{
	if (connection->context != NULL)
		redisAsyncFree(connection->context);
}

void redis_connection_forget_session(struct redis_connection *connection)
{
	redis_tls_session_release(&connection->session);
	connection->session = (struct redis_tls_session){.session = NULL};
}

struct redis_connection *redis_connection_new(struct ev_loop *loop,
					      const struct redis_connection_config *config)
{
	struct redis_connection *connection = calloc(1, sizeof *connection);

	if (connection == NULL)
		return NULL;
	connection->config = *config;
	connection->loop = loop;
	connection->collected =
		config->is_of_cluster ? redis_replies_new_with(REDIS_SLOTS_ITEMS, REDIS_SLOTS_TEXT)
				      : redis_replies_new();
	if (connection->collected == NULL) {
		free(connection);
		return NULL;
	}
	redis_replies_expect(connection->collected, &connection->outstanding);
	ev_init(&connection->readable, on_readable);
	ev_init(&connection->writable, on_writable);
	return connection;
}

void redis_connection_free(struct redis_connection *connection)
{
	if (connection == NULL)
		return;
	redis_connection_close(connection);
	redis_tls_session_release(&connection->session);
	redis_replies_free(connection->collected);
	free(connection);
}

/* ---- commands and replies ---- */

static void on_reply(redisAsyncContext *context, void *object, void *owner)
{
	struct redis_connection *connection = context->data;
	struct redis_asked *asked = owner;

	connection->outstanding--;
	if (object == NULL) {
		asked->replied(asked, NULL);
		return;
	}
	struct redis_reply reply = redis_replies_last(connection->collected);
	connection->has_replied = true;
	connection->replies++;
	asked->replied(asked, &reply);
}

void redis_connection_send(struct redis_connection *connection, struct bytes command,
			   struct redis_asked *asked)
{
	const redisCallbackList *callbacks = &connection->context->replies;
	const redisCallback *last = callbacks->tail;

	connection->outstanding++;
	if (redisAsyncFormattedCommand(connection->context, on_reply, asked,
				       (const char *)command.data, command.len) == REDIS_OK &&
	    callbacks->tail != last)
		return;
	/*
	 * Memory is short. If only the callback did not get any, hiredis 0.14 still queues the
	 * command and returns REDIS_OK; then every later reply would go to the wrong callback. The
	 * unchanged tail of the callbacks shows that, and the connection is given up.
	 */
	connection->outstanding--;
	report_failure(connection, STORE_OTHER, NO_MEMORY);
	asked->replied(asked, NULL);
}

void redis_connection_ask(struct redis_connection *connection, struct redis_asked *asked,
			  const struct bytes *words, size_t count)
{
	const char *texts[WORDS_MAX];
	size_t lens[WORDS_MAX];
	char *command;

	ASSERT(count <= WORDS_MAX);
	for (size_t i = 0; i < count; i++) {
		texts[i] = (const char *)words[i].data;
		lens[i] = words[i].len;
	}
	/* hiredis 0.14 returns an int, later ones a long long. */
	long long len = redisFormatCommandArgv(&command, (int)count, texts, lens);
	if (len < 0) {
		report_failure(connection, STORE_OTHER, NO_MEMORY);
		asked->replied(asked, NULL);
		return;
	}
	redis_connection_send(connection, bytes_from(command, (size_t)len), asked);
	redisFreeCommand(command);
}

void redis_connection_flush(struct redis_connection *connection)
{
	if (!connection->wants_write || ev_is_active(&connection->writable))
		return;
	redisAsyncHandleWrite(connection->context); /* calls del_write, or add_write for the rest */
	if (connection->wants_write)                /* the socket did not take all */
		ev_io_start(connection->loop, &connection->writable);
}

bool redis_connection_is_verified(const struct redis_connection *connection)
{
	return connection->ssl == NULL || redis_tls_is_verified(connection->ssl);
}

size_t redis_connection_outstanding(const struct redis_connection *connection)
{
	return connection->outstanding;
}

uint64_t redis_connection_replies(const struct redis_connection *connection)
{
	return connection->replies;
}
