/* A probe of a server that says what the test wants: one connection, in a thread of its own. */
#include "app/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/address_list.h"
#include "support/spop_frames.h"
#include "support/test.h"
#include "support/vector.h"

#define PATIENCE_US (10 * US_PER_SECOND)

/* ---- the server ---- */

static struct {
	int listener;
	unsigned port;
	pthread_t thread;
	struct bytes answer;
	char asked[2048];
	size_t asked_len;
} server;

/* A frame, whose LENGTH begins with a zero byte, or the head of an HTTP request. */
static bool is_all_asked(void)
{
	if (server.asked_len < 4)
		return false;
	if (server.asked[0] == '\0')
		return server.asked_len == 4 + (size_t)(uint8_t)server.asked[3];
	return memcmp(server.asked + server.asked_len - 4, "\r\n\r\n", 4) == 0;
}

static void *serve_one(void *unused)
{
	int fd = accept(server.listener, NULL, NULL);

	(void)unused;
	while (fd >= 0 && !is_all_asked()) {
		ssize_t got = recv(fd, server.asked + server.asked_len,
				   sizeof server.asked - 1 - server.asked_len, 0);
		if (got <= 0)
			break;
		server.asked_len += (size_t)got;
	}
	(void)!send(fd, server.answer.data, server.answer.len, MSG_NOSIGNAL);
	close(fd);
	return NULL;
}

static void serve(struct bytes answer)
{
	memset(server.asked, 0, sizeof server.asked);
	server.asked_len = 0;
	server.answer = answer;
	assert_int_equal(pthread_create(&server.thread, NULL, serve_one, NULL), 0);
}

static void await_end(void)
{
	assert_int_equal(pthread_join(server.thread, NULL), 0);
}

BEFORE_EACH
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval patience = {.tv_sec = 10};
	socklen_t len = sizeof address;

	server.listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(server.listener >= 0);
	setsockopt(server.listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	assert_int_equal(bind(server.listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(server.listener, 1), 0);
	getsockname(server.listener, (struct sockaddr *)&address, &len);
	server.port = ntohs(address.sin_port);
}

AFTER_EACH
{
	close(server.listener);
}

/* The address is named before what is wrong there. */
static void assert_refusal(const struct err *err, const char *expected)
{
	char text[ERR_TEXT_MAX];

	snprintf(text, sizeof text, "127.0.0.1:%u: %s", server.port, expected);
	assert_string_equal(err->text, text);
}

/* ---- over HTTP ---- */

static bool ask_http(const char *path, struct err *err)
{
	char url[1200];

	snprintf(url, sizeof url, PROBE_HTTP "127.0.0.1:%u%s", server.port, path);
	return probe_http(url, clock_mono_us() + PATIENCE_US, err);
}

TEST(probe_http_asks_for_the_path_and_200_is_good)
{
	char expected[200];
	struct err err;

	serve(BYTES("HTTP/1.1 200 OK\r\n\r\n"));
	bool is_good = ask_http("/ready?a=b", &err);
	await_end();

	assert_true(is_good);
	snprintf(expected, sizeof expected,
		 "GET /ready?a=b HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n\r\n",
		 server.port);
	assert_string_equal(server.asked, expected);
}

TEST(probe_http_without_a_path_asks_for_the_root)
{
	struct err err;

	serve(BYTES("HTTP/1.1 200 OK\r\n\r\n"));
	bool is_good = ask_http("", &err);
	await_end();

	assert_true(is_good);
	assert_memory_equal(server.asked, "GET / HTTP/1.1\r\n", 16);
}

static const struct {
	const char *name, *answer, *error;
} http_refusals[] = {
	{"another status", "HTTP/1.1 503 Service Unavailable\r\n\r\n",
	 "the answer is \"HTTP/1.1 503\", not 200"},
	{"no HTTP", "SSH-2.0-OpenSSH_9.2", "the answer is \"SSH-2.0-Open\", not 200"},
	{"too short", "HTTP/1.1 20", "no answer"},
	{"nothing", "", "no answer"},
};

TEST_ROWS(http_refusals)
{
	struct err err;

	serve(bytes_from_text(row->answer));
	bool is_good = ask_http("/", &err);
	await_end();

	assert_false(is_good);
	assert_refusal(&err, row->error);
}

static const struct {
	const char *name; /* the URL */
	bool is_good;
} urls[] = {
	{"http://127.0.0.1", true},
	{"http://127.0.0.1:1/health", true},
	{"http://[::1]:65535/", true},
	{"http://host.test/a?b=c#d", true},
	{"http://", false},
	{"http:///health", false},
	{"http://:1/", false},
	{"http://a:/", false},
	{"http://a:0/", false},
	{"http://a:65536/", false},
	{"http://a:1x/", false},
	{"http://[::1/", false},
	{"http://[]/", false},
	{"http://a/b c", false},
	{"http://a/\r\nX: y", false},
	{"http://a b/", false},
};

TEST_ROWS(urls)
{
	struct err err = {""};

	assert_int_equal(probe_check_url(row->name, &err), row->is_good);
	assert_int_equal(strstr(err.text, "accepted is http://host[:port]/path") != NULL,
			 !row->is_good);
}

TEST(probe_http_a_request_that_is_too_long_is_not_sent)
{
	char path[1100];
	struct err err;

	memset(path, 'x', sizeof path);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	serve(BYTES("HTTP/1.1 200 OK\r\n\r\n"));
	bool is_good = ask_http(path, &err);
	await_end();

	assert_false(is_good);
	assert_refusal(&err, "can't send the request");
	assert_int_equal(server.asked_len, 0);
}

TEST(probe_http_nobody_listens)
{
	struct err err;

	close(server.listener);
	assert_false(ask_http("/", &err));

	assert_refusal(&err, "can't connect: Connection refused");
}

/* ---- over SPOP ---- */

static bool ask_spop(struct err *err)
{
	struct address_list addresses = {.count = 1};
	char text[32];

	snprintf(text, sizeof text, "127.0.0.1:%u", server.port);
	assert_int_equal(address_parse(bytes_from_text(text), addresses.items, 1, err), 1);
	return probe_spop(&addresses, clock_mono_us() + PATIENCE_US, err);
}

static const struct {
	const char *name, *answer, *error; /* no error: it is good */
} spop_answers[] = {
	{"an AGENT-HELLO", FRAME_AGENT_HELLO, NULL},
	{"a DISCONNECT", FRAME_AGENT_DISCONNECT_NORMAL,
	 "the agent disconnects: status 0, \"normal\""},
	{"another frame", FRAME_ACK_EMPTY, "the answer is not an AGENT-HELLO"},
	{"half a frame", "00000007 67", "no answer"},
	{"a frame of 4 GB", "ffffffff 67", "no answer"},
	{"nothing", "", "no answer"},
};

TEST_ROWS(spop_answers)
{
	struct vector answer = vector_of(row->answer);
	struct err err;

	serve(bytes_from(answer.data, answer.len));
	bool is_good = ask_spop(&err);
	await_end();

	assert_int_equal(is_good, row->error == NULL);
	if (row->error != NULL)
		assert_refusal(&err, row->error);
	assert_int_equal(server.asked[4], 1); /* HAPROXY-HELLO */
	assert_non_null(memmem(server.asked, server.asked_len, "healthcheck", 11));
}

TEST(probe_spop_nobody_listens)
{
	struct err err;

	close(server.listener);
	assert_false(ask_spop(&err));

	assert_refusal(&err, "can't connect: Connection refused");
}
