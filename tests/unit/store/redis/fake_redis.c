#include "fake_redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <ev.h>

#include "base/list.h"
#include "base/writer.h"
#include "support/test.h"

#define ROOM      (1 << 20)
#define WORDS_MAX 8192
#define LAST_MAX  1024
#define TIME      "1700000000000000"

struct connection {
	struct fake_redis *fake;
	struct list link;
	int fd;
	struct ev_io readable, writable;
	size_t in_len, sent;
	struct writer out;
	uint8_t in[ROOM], out_memory[ROOM];
};

struct fake_redis {
	struct ev_loop *loop;
	bool is_tcp;
	int fd; /* that listens, or -1 */
	struct ev_io acceptable;
	char directory[32];
	char path[64];
	int port;
	char url[96];
	struct list connections;
	const char *greeting;
	size_t pace;
	const char *says[FAKE_KINDS];
	int times[FAKE_KINDS];
	struct fake_counts counts;
	char last[FAKE_KINDS][LAST_MAX];
};

/* ---- connections ---- */

static void connection_close(struct connection *c)
{
	list_remove(&c->link);
	ev_io_stop(c->fake->loop, &c->readable);
	ev_io_stop(c->fake->loop, &c->writable);
	close(c->fd);
	free(c);
}

/* By writev, so that write and send are the store's alone (test_redis_store.c counts them). */
static void connection_flush(struct connection *c)
{
	size_t left = c->out.len - c->sent;
	size_t pace = c->fake->pace;
	struct iovec piece = {c->out.data + c->sent, pace > 0 && pace < left ? pace : left};

	ssize_t sent = left > 0 ? writev(c->fd, &piece, 1) : 0;
	if (sent > 0)
		c->sent += (size_t)sent;
	if (c->sent == c->out.len)
		c->sent = c->out.len = 0;
	if (c->out.len > 0)
		ev_io_start(c->fake->loop, &c->writable);
	else
		ev_io_stop(c->fake->loop, &c->writable);
}

static void connection_put(struct connection *c, const char *text)
{
	writer_put_text(&c->out, text);
	assert_false(c->out.full);
}

static void on_writable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	(void)loop, (void)events;
	connection_flush(CONTAINER_OF(watcher, struct connection, writable));
}

/* ---- commands: arrays of strings ---- */

/* "*3\r\n" or "$3\r\n"; false when it is not there whole. */
static bool next_len(struct bytes *from, char kind, size_t *ret_len)
{
	const uint8_t *end = from->len > 0 ? memchr(from->data, '\n', from->len) : NULL;

	if (end == NULL)
		return false;
	assert_int_equal(from->data[0], kind);
	*ret_len = (size_t)strtoul((const char *)from->data + 1, NULL, 10);
	*from = bytes_skip(*from, (size_t)(end - from->data) + 1);
	return true;
}

static bool next_command(struct bytes *from, struct bytes *words, size_t *ret_count)
{
	struct bytes rest = *from;
	size_t count, len;

	if (!next_len(&rest, '*', &count))
		return false;
	assert_in_range(count, 1, WORDS_MAX);
	for (size_t i = 0; i < count; i++) {
		if (!next_len(&rest, '$', &len) || rest.len < len + 2)
			return false;
		words[i] = bytes_from(rest.data, len);
		rest = bytes_skip(rest, len + 2);
	}
	*from = rest;
	*ret_count = count;
	return true;
}

static enum fake_kind kind_of(struct bytes word)
{
	static const char *const names[] = {"AUTH", "SELECT",  "INFO", "SCRIPT",
					    "PING", "EVALSHA", "PTTL", "SENTINEL"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (bytes_equal(word, bytes_from_text(names[i])))
			return (enum fake_kind)i;
	return FAKE_OTHER;
}

static size_t number_of(struct bytes word)
{
	return (size_t)strtoul((const char *)word.data, NULL, 10);
}

/* The state of a balance that is new, as lua/contract.lua has it; returns its arguments. */
static size_t put_new_state(struct writer *w, const struct bytes *words, size_t *items)
{
	char text[128];

	if (bytes_equal(words[0], BYTES("token_bucket"))) {
		snprintf(text, sizeof text, ":%zu\r\n:" TIME "\r\n",
			 number_of(words[2]) * number_of(words[4]));
		writer_put_text(w, text);
		*items += 2;
		return 5;
	}
	if (bytes_equal(words[0], BYTES("sliding_window"))) {
		writer_put_text(w, ":0\r\n:" TIME "\r\n:0\r\n:0\r\n:0\r\n");
		*items += 5;
	} else if (bytes_equal(words[0], BYTES("sliding_window_counter"))) {
		writer_put_text(w, ":0\r\n:0\r\n:" TIME "\r\n");
		*items += 3;
	} else {
		writer_put_text(w, ":0\r\n:" TIME "\r\n");
		*items += 2;
	}
	return 4;
}

static void put_charged(struct writer *w, const struct bytes *words, size_t count)
{
	static uint8_t memory[ROOM];
	struct writer body = writer_on(memory, sizeof memory);
	size_t at = 3 + number_of(words[2]) + 1, items = 1;

	writer_put_text(&body, ":" TIME "\r\n");
	while (at < count) {
		size_t checks = number_of(words[at]); /* none in shadow */
		at += 2;
		writer_put_text(&body, ":1\r\n");
		items++;
		for (size_t i = 0; i < checks; i++)
			at += put_new_state(&body, words + at, &items);
	}
	writer_put_u8(w, '*');
	writer_put_unsigned(w, items);
	writer_put_text(w, "\r\n");
	writer_put(w, writer_bytes(&body));
	assert_false(w->full || body.full);
}

static void put_good(struct connection *c, enum fake_kind kind, const struct bytes *words,
		     size_t count)
{
	static const char *const answers[FAKE_KINDS] = {
		[FAKE_AUTH] = "+OK\r\n",
		[FAKE_SELECT] = "+OK\r\n",
		[FAKE_INFO] = "$36\r\nredis_mode:standalone\r\nrole:master\r\n\r\n",
		[FAKE_SCRIPT] = "$40\r\n" FAKE_HASH "\r\n",
		[FAKE_PING] = "+PONG\r\n",
		[FAKE_PTTL] = ":-2\r\n",
		[FAKE_SENTINEL] = "-ERR unknown command 'SENTINEL'\r\n",
		[FAKE_OTHER] = "-ERR unknown command\r\n",
	};

	if (kind == FAKE_EVALSHA)
		put_charged(&c->out, words, count);
	else
		connection_put(c, answers[kind]);
}

static void write_down(struct fake_redis *fake, enum fake_kind kind, const struct bytes *words,
		       size_t count)
{
	struct writer w = writer_on(fake->last[kind], LAST_MAX);

	fake->counts.commands[kind]++;
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			writer_put_u8(&w, ' ');
		size_t room = w.max - w.len;
		writer_put(&w,
			   bytes_from(words[i].data, words[i].len < room ? words[i].len : room));
	}
	(void)writer_text(&w);
}

static void answer(struct connection *c, const struct bytes *words, size_t count)
{
	struct fake_redis *fake = c->fake;
	enum fake_kind kind = kind_of(words[0]);

	write_down(fake, kind, words, count);
	if (fake->times[kind] == 0) {
		put_good(c, kind, words, count);
		return;
	}
	if (fake->times[kind] > 0)
		fake->times[kind]--;
	connection_put(c, fake->says[kind]);
}

static void take_commands(struct connection *c)
{
	static struct bytes words[WORDS_MAX];
	struct bytes from = bytes_from(c->in, c->in_len);
	size_t count, before = from.len;

	while (next_command(&from, words, &count)) {
		if (bytes_equal(words[0], BYTES("EVALSHA")) &&
		    before - from.len > c->fake->counts.longest)
			c->fake->counts.longest = before - from.len;
		before = from.len;
		answer(c, words, count);
	}
	memmove(c->in, from.data, from.len);
	c->in_len = from.len;
}

static void on_readable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct connection *c = CONTAINER_OF(watcher, struct connection, readable);

	(void)loop, (void)events;
	ssize_t len = read(c->fd, c->in + c->in_len, sizeof c->in - c->in_len);
	if (len <= 0) {
		connection_close(c);
		return;
	}
	c->fake->counts.reads++;
	c->in_len += (size_t)len;
	assert_true(c->in_len < sizeof c->in);
	take_commands(c);
	connection_flush(c);
}

/* ---- listening ---- */

static void on_acceptable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct fake_redis *fake = CONTAINER_OF(watcher, struct fake_redis, acceptable);
	struct connection *c = calloc(1, sizeof *c);

	(void)events;
	assert_non_null(c);
	c->fake = fake;
	c->fd = accept4(fake->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(c->fd >= 0);
	c->out = writer_on(c->out_memory, sizeof c->out_memory);
	list_init(&c->link);
	list_append(&fake->connections, &c->link);
	ev_io_init(&c->readable, on_readable, c->fd, EV_READ);
	ev_io_init(&c->writable, on_writable, c->fd, EV_WRITE);
	ev_io_start(loop, &c->readable);
	fake->counts.connections++;
	if (fake->greeting != NULL) {
		connection_put(c, fake->greeting);
		connection_flush(c);
	}
}

static void listen_unix(struct fake_redis *fake)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, fake->path);
	fake->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fake->fd, (struct sockaddr *)&address, sizeof address), 0);
	snprintf(fake->url, sizeof fake->url, "redis+unix://%s", fake->path);
}

/* The port stays the same. */
static void listen_tcp(struct fake_redis *fake)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)fake->port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;

	fake->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	(void)setsockopt(fake->fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	assert_int_equal(bind(fake->fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(getsockname(fake->fd, (struct sockaddr *)&address, &len), 0);
	fake->port = ntohs(address.sin_port);
	snprintf(fake->url, sizeof fake->url, "redis://127.0.0.1:%d", fake->port);
}

void fake_redis_set_listening(struct fake_redis *fake, bool is_listening)
{
	if (!is_listening) {
		ev_io_stop(fake->loop, &fake->acceptable);
		close(fake->fd);
		(void)unlink(fake->path);
		fake->fd = -1;
		return;
	}
	if (fake->is_tcp)
		listen_tcp(fake);
	else
		listen_unix(fake);
	assert_int_equal(listen(fake->fd, 16), 0);
	ev_io_init(&fake->acceptable, on_acceptable, fake->fd, EV_READ);
	ev_io_start(fake->loop, &fake->acceptable);
}

struct fake_redis *fake_redis_new(struct ev_loop *loop, bool is_tcp)
{
	struct fake_redis *fake = calloc(1, sizeof *fake);

	assert_non_null(fake);
	fake->loop = loop;
	fake->is_tcp = is_tcp;
	list_init(&fake->connections);
	strcpy(fake->directory, "/tmp/fake_redis.XXXXXX");
	assert_non_null(mkdtemp(fake->directory));
	snprintf(fake->path, sizeof fake->path, "%s/socket", fake->directory);
	fake_redis_set_listening(fake, true);
	return fake;
}

void fake_redis_free(struct fake_redis *fake)
{
	fake_redis_hang_up(fake);
	if (fake->fd >= 0)
		fake_redis_set_listening(fake, false);
	assert_int_equal(rmdir(fake->directory), 0);
	free(fake);
}

const char *fake_redis_url(const struct fake_redis *fake)
{
	return fake->url;
}

void fake_redis_hang_up(struct fake_redis *fake)
{
	while (!list_is_empty(&fake->connections))
		connection_close(CONTAINER_OF(fake->connections.next, struct connection, link));
}

/* ---- what it is told, and what it tells ---- */

void fake_redis_say(struct fake_redis *fake, enum fake_kind kind, const char *text, int times)
{
	fake->says[kind] = text;
	fake->times[kind] = times;
}

void fake_redis_greet(struct fake_redis *fake, const char *text)
{
	fake->greeting = text;
}

void fake_redis_send(struct fake_redis *fake, const char *text)
{
	for (struct list *link = fake->connections.next; link != &fake->connections;
	     link = link->next) {
		struct connection *c = CONTAINER_OF(link, struct connection, link);
		connection_put(c, text);
		connection_flush(c);
	}
}

void fake_redis_set_pace(struct fake_redis *fake, size_t bytes)
{
	fake->pace = bytes;
}

const struct fake_counts *fake_redis_counts(const struct fake_redis *fake)
{
	return &fake->counts;
}

const char *fake_redis_last(const struct fake_redis *fake, enum fake_kind kind)
{
	return fake->last[kind];
}
