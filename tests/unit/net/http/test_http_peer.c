#include "net/http/http_peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>

#include "base/clock.h"
#include "net/http/http_bounds.h"
#include "support/test.h"
#include "unit/net/loop_time.h"
#include "unit/net/sockets.h"

#define HOST    "Host: a\r\n"
#define GET     "GET /a HTTP/1.1\r\n" HOST "\r\n"
#define POST    "POST /a HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

/* ---- a handler that notes what it is told and answers as the test says ---- */

enum when { AT_ONCE = 0, AT_BEGUN, LATER };

static struct {
	enum when when;
	bool ignores_body;
	size_t large; /* answers with a body of so many bytes */
	struct stream_body *shared;
	unsigned begun, requested, refused, ended;
	unsigned status; /* of the last refusal */
	char path[64], body[256];
	size_t body_len;
	struct http_exchange *waiting;
} handler;

static struct ev_loop *loop;
static struct http_crowd crowd;
static struct http_server_stats stats;
static struct http_peer_config config;
static const struct address client = {.socket = {.ss_family = AF_UNIX}};

static void *filled(size_t len)
{
	char *data = malloc(len);

	assert_non_null(data);
	for (size_t i = 0; i < len; i++)
		data[i] = (char)('a' + i * 7 % 26);
	return data;
}

static void answer(struct http_exchange *exchange)
{
	struct http_answer answer = {.status = 200, .body = bytes_from_text(handler.path)};

	if (handler.shared != NULL)
		answer.large = stream_body_ref(handler.shared);
	else if (handler.large > 0)
		answer.large =
			stream_body_new(config.streams, filled(handler.large), handler.large);
	http_answer_send(exchange, &answer);
}

static bool on_ignores_body(void *owner, const struct http_exchange *exchange)
{
	(void)owner, (void)exchange;
	return handler.ignores_body;
}

static void on_begun(void *owner, struct http_exchange *exchange)
{
	(void)owner;
	handler.begun++;
	snprintf(handler.path, sizeof handler.path, "%.*s", (int)exchange->head.path.len,
		 (const char *)exchange->head.path.data);
	if (handler.when == AT_BEGUN)
		answer(exchange);
}

static void on_requested(void *owner, struct http_exchange *exchange)
{
	struct bytes host;

	(void)owner;
	handler.requested++;
	assert_true(http_head_find(&exchange->head, BYTES("host"), &host));
	assert_true(bytes_equal(exchange->head.path, bytes_from_text(handler.path)));
	handler.body_len = exchange->body.len;
	snprintf(handler.body, sizeof handler.body, "%.*s", (int)exchange->body.len,
		 (const char *)exchange->body.data);
	if (handler.when == LATER)
		handler.waiting = exchange;
	else
		answer(exchange);
}

static void on_refused(void *owner, struct http_exchange *exchange, unsigned status,
		       const char *why)
{
	(void)owner;
	handler.refused++;
	handler.status = status;
	http_answer_problem(exchange, status, why);
}

static void on_ended(void *owner, struct http_exchange *exchange)
{
	(void)owner;
	handler.ended++;
	if (handler.waiting == exchange)
		handler.waiting = NULL;
}

static void turns(int count)
{
	while (count-- > 0)
		loop_turn(loop);
}

static int open_on(struct pair pair)
{
	assert_true(http_peer_open(&config, pair.ours, &client, 1));
	return pair.theirs;
}

static int open_peer(void)
{
	return open_on(pair_unix());
}

static void verdict_comes(void)
{
	assert_non_null(handler.waiting);
	answer(handler.waiting);
	assert_null(handler.waiting);
}

BEFORE_EACH
{
	memset(&faults, 0, sizeof faults);
	memset(&handler, 0, sizeof handler);
	memset(&stats, 0, sizeof stats);
	loop = ev_loop_new(EVFLAG_NOENV);
	http_crowd_init(&crowd, 1000, 1000);
	config = (struct http_peer_config){
		.streams = streams_new_small(loop, HTTP_PEER_INPUT_MAX),
		.crowd = &crowd,
		.stats = &stats,
		.handler = {.ignores_body = on_ignores_body,
			    .begun = on_begun,
			    .requested = on_requested,
			    .refused = on_refused,
			    .ended = on_ended,
			    .owner = NULL},
		.mono_us = clock_mono_us,
		.now_us = clock_now_us,
	};
}

AFTER_EACH
{
	struct http_guest *guest;

	for (int phase = 0; phase < PHASE_COUNT; phase++)
		while ((guest = http_crowd_first(&crowd, (enum http_phase)phase)) != NULL)
			http_peer_close(guest);
	streams_free(config.streams);
	ev_loop_destroy(loop);
	assert_int_equal(http_crowd_count(&crowd), 0);
}

/* ---- what the client gets ---- */

static char got[1 << 20];
static size_t got_len;

static enum received receive_all(int fd)
{
	enum received end = receive(fd, got, sizeof got - 1, &got_len);

	got[got_len] = '\0';
	return end;
}

/* Each answer as "STATUS", then its `Connection` if it has one: "200, 400 close, end". */
static void assert_gets(int fd, const char *expected)
{
	char text[512] = "", *at = got;
	enum received end = receive_all(fd);

	while ((at = strstr(at, "HTTP/1.1 ")) != NULL) {
		char *behind = strstr(at, "\r\n\r\n"), *connection = strstr(at, "\r\nConnection: ");
		assert_non_null(behind);
		if (*text != '\0')
			strcat(text, ", ");
		strncat(text, at + strlen("HTTP/1.1 "), 3);
		if (connection != NULL && connection < behind) {
			connection += strlen("\r\nConnection: ");
			strcat(text, " ");
			strncat(text, connection, strcspn(connection, "\r"));
		}
		at = behind;
	}
	if (end != RECEIVED_SOME)
		strcat(text, *text == '\0' ? "end" : ", end");
	assert_string_equal(text, expected);
}

static void assert_phase(enum http_phase phase)
{
	for (int i = 0; i < PHASE_COUNT; i++)
		assert_int_equal(crowd.counts[i], i == (int)phase);
}

static void assert_told(unsigned begun, unsigned requested, unsigned refused, unsigned ended)
{
	assert_int_equal(handler.begun, begun);
	assert_int_equal(handler.requested, requested);
	assert_int_equal(handler.refused, refused);
	assert_int_equal(handler.ended, ended);
}

/* ---- HEAD ---- */

TEST(http_peer_answers_and_goes_on)
{
	int fd = open_peer();

	assert_phase(PHASE_IDLE);
	for (unsigned i = 1; i <= 3; i++) {
		send_text(fd, GET);
		turns(2);
		assert_gets(fd, "200");
		assert_told(i, i, 0, i);
		assert_phase(PHASE_IDLE);
	}
	close(fd);
}

TEST(http_peer_an_answer_is_whole)
{
	int fd = open_peer();

	send_text(fd, GET);
	turns(2);
	(void)receive_all(fd);
	assert_non_null(strstr(got, "HTTP/1.1 200 OK\r\nDate: "));
	assert_non_null(strstr(got, " GMT\r\nContent-Length: 2\r\n\r\n/a"));
	close(fd);
}

TEST(http_peer_date_is_of_the_second)
{
	char first[40], second[40];
	int fd = open_peer();

	send_text(fd, GET);
	turns(2);
	(void)receive_all(fd);
	memcpy(first, strstr(got, "Date: "), sizeof first);
	loop_time_pass(1.0);
	send_text(fd, GET);
	turns(2);
	(void)receive_all(fd);
	memcpy(second, strstr(got, "Date: "), sizeof second);
	assert_memory_not_equal(first, second, sizeof first);
	close(fd);
}

TEST(http_peer_pipelined_requests_are_answered_in_order_by_one_send)
{
	int fd = open_peer();

	send_text(fd, "GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST
		      "\r\nGET /c HTTP/1.1\r\n" HOST "\r\nGET /");
	turns(2);
	assert_int_equal(faults.sends, 1);
	assert_gets(fd, "200, 200, 200");
	const char *a = strstr(got, "\r\n/a"), *b = strstr(got, "\r\n/b"),
		   *c = strstr(got, "\r\n/c");
	assert_true(a != NULL && b > a && c > b);
	assert_phase(PHASE_ASKING);
	close(fd);
}

TEST(http_peer_more_answers_than_fit_into_a_block_come_all)
{
	static char data[100 * sizeof GET];
	int fd = open_peer();

	for (int i = 0; i < 100; i++)
		strcat(data, GET);
	send_text(fd, data);
	turns(30);
	(void)receive_all(fd);
	assert_told(100, 100, 0, 100);
	assert_phase(PHASE_IDLE);
	close(fd);
}

TEST(http_peer_a_head_byte_by_byte)
{
	int fd = open_peer();

	for (const char *at = GET; *at != '\0'; at++) {
		send_bytes(fd, bytes_from(at, 1));
		turns(2);
		assert_phase(at[1] == '\0' ? PHASE_IDLE : PHASE_ASKING);
	}
	assert_gets(fd, "200");
	close(fd);
}

TEST(http_peer_http_1_0_ends_unless_it_asks_to_go_on)
{
	int fd = open_peer();

	send_text(fd, "GET /a HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n");
	turns(2);
	assert_gets(fd, "200 keep-alive");
	send_text(fd, "GET /a HTTP/1.0\r\n" HOST "\r\n" GET);
	turns(2);
	assert_gets(fd, "200 close, end");
	assert_told(2, 2, 0, 2);
	close(fd);
}

TEST(http_peer_head_has_no_body)
{
	int fd = open_peer();

	handler.large = 100000;
	send_text(fd, "HEAD /a HTTP/1.1\r\n" HOST "\r\n");
	turns(2);
	(void)receive_all(fd);
	assert_non_null(strstr(got, "Content-Length: 100000\r\n\r\n"));
	assert_int_equal(got[got_len - 1], '\n');
	assert_int_equal(streams_output(config.streams), 0);
	close(fd);
}

TEST(http_peer_a_broken_head_is_refused_and_nothing_behind_it_is_read)
{
	int fd = open_peer();

	send_text(fd, "GET /a HTTP/1.1\r\nHost : a\r\n\r\n" GET);
	turns(2);
	assert_gets(fd, "400 close, end");
	assert_non_null(strstr(got, "application/problem+json"));
	assert_told(0, 0, 1, 1);
	assert_int_equal(stats.problems[4], 1);
	assert_phase(PHASE_LEAVING);
	send_text(fd, GET);
	turns(2);
	assert_told(0, 0, 1, 1);
	close(fd);
	turns(2);
	assert_phase(PHASE_COUNT);
}

TEST(http_peer_half_a_head_and_the_end_is_no_request)
{
	int fd = open_peer();

	send_text(fd, "GET /a HT");
	shutdown(fd, SHUT_WR);
	turns(4);
	assert_gets(fd, "end");
	assert_told(0, 0, 0, 0);
	assert_phase(PHASE_COUNT);
	close(fd);
}

TEST(http_peer_a_reset_in_a_head_is_no_request)
{
	int fd = open_on(pair_tcp());

	send_text(fd, "GET /a HT");
	turns(2);
	close_by_reset(fd);
	turns(4);
	assert_told(0, 0, 0, 0);
	assert_phase(PHASE_COUNT);
}

TEST(http_peer_requests_and_the_end_are_answered_before_the_end)
{
	int fd = open_peer();

	send_text(fd, GET GET);
	shutdown(fd, SHUT_WR);
	turns(4);
	assert_gets(fd, "200, 200, end");
	assert_phase(PHASE_COUNT);
	close(fd);
}

TEST(http_peer_an_idle_client_that_ends)
{
	int fd = open_peer();

	send_text(fd, GET);
	turns(2);
	assert_gets(fd, "200");
	shutdown(fd, SHUT_WR);
	turns(4);
	assert_gets(fd, "end");
	assert_phase(PHASE_COUNT);
	close(fd);
}

/* ---- BODY ---- */

TEST(http_peer_a_body_that_is_here_with_its_head)
{
	int fd = open_peer();

	send_text(fd, POST "Content-Length: 5\r\n\r\nhello" GET);
	turns(2);
	assert_gets(fd, "200, 200");
	assert_told(2, 2, 0, 2);
	close(fd);
}

TEST(http_peer_a_body_in_parts)
{
	int fd = open_peer();

	send_text(fd, POST "Content-Length: 11\r\n\r\nhel");
	turns(2);
	assert_told(1, 0, 0, 0);
	assert_phase(PHASE_ASKING);
	send_text(fd, "lo wo");
	turns(2);
	send_text(fd, "rld" GET);
	handler.when = LATER;
	turns(2);
	assert_told(1, 1, 0, 0);
	assert_string_equal(handler.body, "hello world");
	verdict_comes();
	turns(4);
	verdict_comes();
	turns(2);
	assert_gets(fd, "200, 200");
	assert_phase(PHASE_IDLE);
	close(fd);
}

TEST(http_peer_a_body_of_the_largest_size)
{
	static char data[HTTP_BODY_MAX];
	int fd = open_peer();

	memset(data, 'x', sizeof data);
	send_text(fd, POST "Content-Length: 65536\r\n\r\n");
	for (size_t at = 0; at < sizeof data; at += 8192) {
		send_bytes(fd, bytes_from(data + at, 8192));
		turns(2);
	}
	assert_int_equal(handler.body_len, sizeof data);
	assert_gets(fd, "200");
	send_text(fd, POST "Content-Length: 65537\r\n\r\n");
	turns(2);
	assert_gets(fd, "413 close, end");
	close(fd);
}

TEST(http_peer_chunks_byte_by_byte)
{
	const char *text = CHUNKED "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n";
	int fd = open_peer();

	for (const char *at = text; *at != '\0'; at++) {
		send_bytes(fd, bytes_from(at, 1));
		turns(2);
	}
	assert_string_equal(handler.body, "hello!");
	assert_gets(fd, "200");
	assert_told(1, 1, 0, 1);
	assert_phase(PHASE_IDLE);
	close(fd);
}

TEST(http_peer_chunks_that_grow_above_the_first_memory)
{
	static char chunk[4096];
	int fd = open_peer();

	memset(chunk, 'x', sizeof chunk);
	send_text(fd, CHUNKED);
	for (int i = 0; i < 16; i++) {
		send_text(fd, "1000\r\n");
		send_bytes(fd, bytes_from(chunk, sizeof chunk));
		send_text(fd, "\r\n");
		turns(2);
	}
	send_text(fd, "0\r\n\r\n");
	turns(2);
	assert_int_equal(handler.body_len, HTTP_BODY_MAX);
	assert_gets(fd, "200");
	close(fd);
}

TEST(http_peer_broken_chunks_are_refused)
{
	int fd = open_peer();

	send_text(fd, CHUNKED "5\r\nhello\r\n");
	turns(2);
	send_text(fd, "x\r\n" GET);
	turns(2);
	assert_gets(fd, "400 close, end");
	assert_told(1, 0, 1, 1);
	close(fd);
}

TEST(http_peer_behind_extensions_and_trailers_nothing_is_read)
{
	static const char *const bodies[] = {"1;a=b\r\nx\r\n0\r\n\r\n",
					     "1\r\nx\r\n0\r\nA: b\r\n\r\n"};

	for (unsigned i = 0; i < 2; i++) {
		int fd = open_peer();
		send_text(fd, CHUNKED);
		send_text(fd, bodies[i]);
		send_text(fd, GET);
		turns(2);
		assert_gets(fd, "200 close, end");
		assert_told(i + 1, i + 1, 0, i + 1);
		close(fd);
	}
}

TEST(http_peer_what_is_refused_by_its_head_does_not_wait_for_the_body)
{
	int fd = open_peer();

	handler.when = AT_BEGUN;
	send_text(fd, POST "Content-Length: 5\r\n\r\nhel");
	turns(2);
	assert_gets(fd, "200 close, end");
	assert_told(1, 0, 0, 1);
	assert_phase(PHASE_LEAVING);
	close(fd);
}

TEST(http_peer_what_is_refused_by_its_head_goes_on_behind_a_body_that_is_here)
{
	int fd = open_peer();

	handler.when = AT_BEGUN;
	send_text(fd, POST "Content-Length: 5\r\n\r\nhello" CHUNKED "1\r\nx\r\n0\r\n\r\n" GET);
	turns(2);
	assert_gets(fd, "200, 200, 200");
	assert_told(3, 0, 0, 3);
	close(fd);
}

TEST(http_peer_ignored_body_that_is_not_here_ends_the_connection)
{
	int fd = open_peer();

	handler.ignores_body = true;
	handler.when = LATER;
	send_text(fd, POST "Expect: 100-continue\r\nContent-Length: 70000000\r\n\r\nhel");
	turns(2);
	assert_gets(fd, "");
	assert_phase(PHASE_WAITING);
	send_text(fd, "lo" GET);
	turns(2);
	verdict_comes();
	turns(2);
	assert_gets(fd, "200 close, end");
	assert_told(1, 1, 0, 1);
	assert_int_equal(handler.body_len, 0);
	assert_phase(PHASE_LEAVING);
	close(fd);
}

TEST(http_peer_ignored_body_that_is_here_is_skipped)
{
	int fd = open_peer();

	handler.ignores_body = true;
	send_text(fd, POST "Content-Length: 5\r\n\r\nhello" CHUNKED "1\r\nx\r\n0\r\n\r\n" GET);
	turns(2);
	assert_gets(fd, "200, 200, 200");
	assert_told(3, 3, 0, 3);
	assert_int_equal(handler.body_len, 0);
	close(fd);
}

TEST(http_peer_chunks_that_are_ignored_end_the_connection)
{
	int fd = open_peer();

	handler.ignores_body = true;
	send_text(fd, CHUNKED "1\r\nx\r\n");
	turns(2);
	assert_gets(fd, "200 close, end");
	assert_told(1, 1, 0, 1);
	close(fd);
}

TEST(http_peer_says_continue_when_the_body_is_awaited)
{
	static const char *const heads[] = {
		POST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n",
		"POST /a HTTP/1.0\r\n" HOST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n",
		POST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nx",
	};
	static const char *const first[] = {"100", "", ""};
	static const char *const second[] = {"200", "200 close, end", "200"};

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		int fd = open_peer();
		send_text(fd, heads[i]);
		turns(2);
		assert_gets(fd, first[i]);
		send_text(fd, "x");
		turns(2);
		assert_gets(fd, second[i]);
		close(fd);
	}
}

TEST(http_peer_the_end_or_a_reset_in_a_body_ends_the_request)
{
	int one = open_peer(), two = open_on(pair_tcp());

	send_text(one, POST "Content-Length: 5\r\n\r\nhel");
	send_text(two, CHUNKED "5\r\nhel");
	turns(2);
	assert_told(2, 0, 0, 0);
	shutdown(one, SHUT_WR);
	close_by_reset(two);
	turns(4);
	assert_gets(one, "end");
	assert_told(2, 0, 0, 2);
	assert_phase(PHASE_COUNT);
	close(one);
}

/* ---- WAITING ---- */

TEST(http_peer_a_late_answer_and_what_was_sent_meanwhile)
{
	int fd = open_peer();

	handler.when = LATER;
	send_text(fd, GET);
	turns(2);
	assert_phase(PHASE_WAITING);
	send_text(fd, GET);
	turns(4);
	assert_told(1, 1, 0, 0);
	assert_gets(fd, "");
	verdict_comes();
	assert_phase(PHASE_ANSWERING);
	turns(4);
	assert_gets(fd, "200");
	assert_told(2, 2, 0, 1);
	assert_phase(PHASE_WAITING);
	verdict_comes();
	turns(2);
	assert_gets(fd, "200");
	assert_phase(PHASE_IDLE);
	close(fd);
}

TEST(http_peer_an_early_answer_leaves_while_the_next_request_waits)
{
	int fd = open_peer();

	send_text(fd, GET);
	turns(2);
	(void)receive_all(fd);
	handler.when = LATER;
	send_text(fd, GET GET GET);
	turns(4);
	assert_told(2, 2, 0, 1);
	for (int i = 0; i < 3; i++) {
		verdict_comes();
		turns(4);
		assert_gets(fd, "200");
	}
	assert_phase(PHASE_IDLE);
	close(fd);
}

TEST(http_peer_who_ends_while_it_waits_gets_its_answers)
{
	int fd = open_peer();

	handler.when = LATER;
	send_text(fd, GET GET);
	shutdown(fd, SHUT_WR);
	turns(4);
	assert_phase(PHASE_WAITING);
	verdict_comes();
	turns(4);
	verdict_comes();
	turns(4);
	assert_gets(fd, "200, 200, end");
	assert_phase(PHASE_COUNT);
	close(fd);
}

TEST(http_peer_who_resets_while_it_waits_is_forgotten)
{
	int fd = open_on(pair_tcp());

	handler.when = LATER;
	send_text(fd, GET);
	turns(2);
	close_by_reset(fd);
	turns(4);
	assert_told(1, 1, 0, 1);
	assert_null(handler.waiting);
	assert_phase(PHASE_COUNT);
}

TEST(http_peer_refuse_waiting_answers_503)
{
	int fd = open_peer();

	handler.when = LATER;
	send_text(fd, GET);
	turns(2);
	http_peer_refuse_waiting(http_crowd_first(&crowd, PHASE_WAITING));
	turns(2);
	assert_gets(fd, "503 close, end");
	assert_told(1, 1, 1, 1);
	close(fd);
}

TEST(http_peer_close_while_it_waits)
{
	int fd = open_peer();

	handler.when = LATER;
	send_text(fd, GET);
	turns(2);
	http_peer_close(http_crowd_first(&crowd, PHASE_WAITING));
	assert_phase(PHASE_COUNT);
	turns(2);
	assert_gets(fd, "end");
	assert_told(1, 1, 0, 1);
	close(fd);
}

/* ---- answers that are not written at once ---- */

static void assert_filled(const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(data[i], 'a' + i * 7 % 26);
}

#define HEAD_LEN 80 /* of an answer of six digits without Connection */

/* Reads on until so many bytes have come in all. */
static void receive_slowly(int fd, size_t len)
{
	size_t at = 0, more;

	for (int i = 0; at < len && i < 1000; i++) {
		(void)receive(fd, got + at, 5000, &more);
		at += more;
		turns(2);
	}
	assert_int_equal(at, len);
}

TEST(http_peer_a_large_answer_to_a_slow_reader)
{
	struct pair pair = pair_unix();

	make_buffers_small(pair);
	int fd = open_on(pair);
	handler.large = 300000;
	send_text(fd, GET);
	turns(2);
	assert_phase(PHASE_ANSWERING);
	handler.large = 0;
	send_text(fd, GET); /* is not read before the first answer is written */
	turns(4);
	assert_told(1, 1, 0, 1);
	receive_slowly(fd, 300000 + HEAD_LEN);
	assert_filled(strstr(got, "\r\n\r\n") + 4, 300000);
	turns(4);
	assert_told(2, 2, 0, 2);
	assert_phase(PHASE_IDLE);
	assert_int_equal(streams_output(config.streams), 0);
	close(fd);
}

TEST(http_peer_the_last_answer_is_read_slowly_and_then_the_end)
{
	struct pair pair = pair_unix();

	make_buffers_small(pair);
	int fd = open_on(pair);
	handler.large = 300000;
	send_text(fd, "GET /a HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	turns(2);
	loop_pass(loop, 20.0); /* lingering has one second, but it has not begun */
	assert_phase(PHASE_ANSWERING);
	send_text(fd, GET); /* is thrown away */
	receive_slowly(fd, 300000 + HEAD_LEN + 19);
	assert_told(1, 1, 0, 1);
	assert_gets(fd, "end");
	assert_phase(PHASE_LEAVING);
	loop_pass(loop, 1.1);
	assert_phase(PHASE_COUNT);
	close(fd);
}

TEST(http_peer_one_body_is_sent_to_two_and_then_freed)
{
	struct pair one = pair_unix(), two = pair_unix();
	struct stream_body *weak;

	make_buffers_small(one);
	make_buffers_small(two);
	(void)open_on(one);
	(void)open_on(two);
	weak = handler.shared = stream_body_new(config.streams, filled(200000), 200000);
	weak->weak = &weak;
	send_text(one.theirs, GET);
	send_text(two.theirs, GET);
	turns(2);
	stream_body_unref(handler.shared);
	handler.shared = NULL;
	assert_true(streams_output(config.streams) < 200000 + 2 * 16384 + 1);
	receive_slowly(one.theirs, 200000 + HEAD_LEN);
	assert_non_null(weak);
	close(two.theirs);
	turns(4);
	assert_null(weak);
	assert_int_equal(streams_output(config.streams), 0);
	close(one.theirs);
}

TEST(http_peer_a_send_that_fails)
{
	int one = open_peer(), two = open_peer();

	faults.send_error = EAGAIN;
	send_text(one, GET);
	turns(2);
	assert_int_equal(crowd.counts[PHASE_ANSWERING], 1);
	faults.send_error = 0;
	turns(2);
	assert_gets(one, "200");
	faults.send_error = EPIPE;
	send_text(two, GET);
	turns(2);
	faults.send_error = 0;
	assert_gets(two, "end");
	assert_told(2, 2, 0, 2);
	close(one);
	close(two);
}

TEST(http_peer_short_sends)
{
	int fd = open_peer();

	faults.send_max = 10;
	send_text(fd, GET);
	turns(2);
	assert_phase(PHASE_ANSWERING);
	turns(20);
	assert_phase(PHASE_IDLE);
	assert_gets(fd, "200");
	close(fd);
}

TEST(http_peer_unread_answers_are_bounded_and_the_longest_unread_goes)
{
	int fds[6];

	handler.large = 3 << 20;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		struct pair pair = pair_unix();
		make_buffers_small(pair);
		fds[i] = open_on(pair);
		loop_time_pass(0.1);
		send_text(fds[i], GET);
		turns(2);
		assert_true(streams_output(config.streams) <= HTTP_UNREAD_MAX);
	}
	assert_int_equal(stats.evicted, 1);
	assert_int_equal(crowd.counts[PHASE_ANSWERING], 5);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		enum received end = receive_all(fds[i]);
		assert_int_equal(end == RECEIVED_SOME, i > 0);
		close(fds[i]);
	}
}

/* ---- ends ---- */

TEST(http_peer_while_draining_every_answer_is_the_last)
{
	int fd = open_peer();

	send_text(fd, GET);
	turns(2);
	assert_gets(fd, "200");
	config.is_draining = true;
	send_text(fd, GET GET);
	turns(2);
	assert_gets(fd, "200 close, end");
	close(fd);
}

TEST(http_peer_a_late_answer_while_draining_is_the_last)
{
	int fd = open_peer();

	handler.when = LATER;
	send_text(fd, GET);
	turns(2);
	config.is_draining = true;
	verdict_comes();
	turns(2);
	assert_gets(fd, "200 close, end");
	close(fd);
}

TEST(http_peer_lingering_has_a_second_and_a_bound)
{
	int fds[HTTP_LEAVING_MAX + 2];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = open_peer();
		send_text(fds[i], "x\r\n");
		turns(2);
	}
	assert_int_equal(crowd.counts[PHASE_LEAVING], HTTP_LEAVING_MAX);
	assert_int_equal(http_crowd_count(&crowd), 0);
	loop_pass(loop, 1.1);
	assert_phase(PHASE_COUNT);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}
