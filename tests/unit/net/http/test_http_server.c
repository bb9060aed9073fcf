#include "net/http/http_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <ev.h>
#include <sodium.h>

#include "support/test.h"
#include "unit/net/log_lines.h"
#include "unit/net/loop_time.h"
#include "unit/net/sockets.h"
#include "unit/net/spop/fake_engine.h"

#define MAX_CONNECTIONS 4
#define HOST            "Host: localhost\r\n"
#define GET(target)     "GET " target " HTTP/1.1\r\n" HOST "\r\n"
#define CHECK           GET("/check?src=192.0.2.1&deny_status=403")
#define BATCH                                                                \
	"{\"checks\":[{\"attributes\":{\"src\":\"192.0.2.1\"}},{\"key\":1}," \
	"{\"attributes\":{\"src\":\"192.0.2.2\"}}]}"

static struct ev_loop *loop;
static struct fake_engine fake;
static struct http_server *server;
static char path[64];
static unsigned pages_written;
static size_t page_len;

static bool write_page(const void *owner, FILE *to)
{
	(void)owner;
	pages_written++;
	for (size_t i = 0; i < page_len; i++)
		fputc('x', to);
	return true;
}

static unsigned ready_status(const void *owner)
{
	(void)owner;
	return 503;
}

/* A large page: `pieces` of them are left to write, each takes longer than a turn may. */
static unsigned pieces, large_begun, large_ended;

static void *begin_large(const void *owner)
{
	(void)owner;
	large_begun++;
	return &pieces;
}

static bool write_some(void *writing, FILE *to)
{
	unsigned *left = writing;

	fputc('x', to);
	loop_time_pass(0.001);
	return --*left > 0;
}

static void end_large(void *writing)
{
	(void)writing;
	large_ended++;
}

static const struct http_page pages[] = {
	{.path = "/large",
	 .content_type = "text/plain",
	 .begin = begin_large,
	 .write_some = write_some,
	 .end = end_large},
	{.path = "/page",
	 .content_type = "text/plain",
	 .access = ACCESS_PRIVATE,
	 .write = write_page},
	{.path = "/ready",
	 .content_type = "text/plain",
	 .status = ready_status,
	 .write = write_page},
};

static void turns(int count)
{
	while (count-- > 0)
		loop_turn(loop);
}

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

BEFORE_EACH
{
	struct address address;
	struct err err;
	char text[80];

	memset(&faults, 0, sizeof faults);
	log_lines_clear();
	pages_written = 0;
	page_len = 10;
	pieces = 20;
	large_begun = 0;
	large_ended = 0;
	loop = ev_loop_new(EVFLAG_NOENV);
	fake_engine_init(&fake);
	server = http_server_new(loop, &(struct http_server_config){
					       .engine = fake.engine,
					       .pages = pages,
					       .page_count = ARRAY_SIZE(pages),
					       .max_connections = MAX_CONNECTIONS,
					       .max_per_address = MAX_CONNECTIONS,
				       });
	assert_non_null(server);
	snprintf(path, sizeof path, P_tmpdir "/test_http_server.%d.sock", (int)getpid());
	snprintf(text, sizeof text, "unix:%s", path);
	assert_int_equal(address_parse(bytes_from_text(text), &address, 1, &err), 1);
	assert_true(http_server_listen(server, &address, true, true, &err));
}

AFTER_EACH
{
	http_server_free(server);
	fake_engine_release(&fake);
	ev_loop_destroy(loop);
}

/* It is not accepted yet. */
static int connected(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static int client(void)
{
	int fd = connected();

	turns(2);
	return fd;
}

static char got[65536];

static enum received receive_all(int fd)
{
	size_t len;
	enum received end = receive(fd, got, sizeof got - 1, &len);

	got[len] = '\0';
	return end;
}

static void assert_status(int fd, const char *status)
{
	(void)receive_all(fd);
	if (strncmp(got, "HTTP/1.1 ", 9) != 0 || strncmp(got + 9, status, 3) != 0)
		fail_msg("%s: %s", status, got);
}

static void ask(int fd, const char *text)
{
	send_text(fd, text);
	turns(3);
}

static void assert_ended(int fd)
{
	assert_int_equal(receive_all(fd), RECEIVED_END);
	assert_string_equal(got, "");
}

/* ---- checks ---- */

static void deny(size_t index)
{
	struct store_op *op = fake.asked[index];

	fake.asked[index] = NULL;
	op->checks[0]->outcome = (struct outcome){.retry_after_us = 1500000};
	op->checks[0]->is_decided = true;
	op->checks[0]->error = STORE_OK;
	op->answered(op);
}

TEST(http_server_a_late_denial_has_the_status_that_was_asked_for)
{
	int fd = client();

	fake.waits = true;
	ask(fd, CHECK);
	assert_int_equal(http_server_unanswered(server), 1);
	deny(0);
	turns(2);
	assert_status(fd, "403");
	assert_non_null(strstr(got, "\r\nRetry-After: 2\r\n"));
	ask(fd, GET("/check?src=192.0.2.1"));
	deny(1);
	turns(2);
	assert_status(fd, "429");
	assert_int_equal(http_server_unanswered(server), 0);
	close(fd);
}

TEST(http_server_a_late_batch_is_in_its_order)
{
	char text[512];
	int fd = client();

	fake.waits = true;
	snprintf(text, sizeof text,
		 "POST /check HTTP/1.1\r\n" HOST
		 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n" BATCH,
		 strlen(BATCH));
	ask(fd, text);
	assert_int_equal(fake.asked_count, 2);
	deny(1);
	turns(2);
	(void)receive_all(fd);
	assert_string_equal(got, "");
	fake_engine_answer(&fake, 0);
	turns(2);
	assert_status(fd, "200");
	const char *first = strstr(got, "{\"results\":[{\"allowed\":true"),
		   *problem = strstr(got, "400"), *last = strstr(got, "{\"allowed\":false");
	assert_true(first != NULL && problem > first && last > problem);
	close(fd);
}

TEST(http_server_a_client_that_left_leaves_nothing)
{
	int fd = client();

	fake.waits = true;
	ask(fd, CHECK);
	close(fd);
	turns(4);
	/* To the agent this is a client that sends no more, and may still read its answer. */
	fake_engine_answer(&fake, 0);
	turns(4);
	assert_int_equal(http_server_stats(server).connections, 0);
}

TEST(http_server_free_answers_who_waits)
{
	int fd = client();

	fake.waits = true;
	ask(fd, CHECK);
	http_server_free(server);
	server = NULL;
	assert_status(fd, "503");
	close(fd);
}

/* ---- time ---- */

TEST(http_server_each_phase_has_its_time)
{
	int idle = client(), half = client();

	ask(half, "GET /pa");
	loop_pass(loop, 9.4);
	turns(2);
	assert_int_equal(http_server_stats(server).connections, 2);
	loop_pass(loop, 1.2);
	turns(2);
	assert_ended(half);
	assert_int_equal(http_server_stats(server).timeouts, 1);
	loop_pass(loop, 48.0);
	turns(2);
	assert_int_equal(http_server_stats(server).connections, 1);
	loop_pass(loop, 3.0);
	turns(2);
	assert_ended(idle);
	assert_int_equal(http_server_stats(server).timeouts, 1); /* to be idle for long is none */
	assert_int_equal(http_server_stats(server).connections, 0);
	close(idle);
	close(half);
}

TEST(http_server_an_answer_that_is_not_read_has_thirty_seconds)
{
	int fd = client();

	page_len = 4000000;
	ask(fd, GET("/page"));
	loop_pass(loop, 29.0);
	turns(2);
	assert_int_equal(http_server_unanswered(server), 1);
	loop_pass(loop, 1.6);
	turns(2);
	assert_int_equal(http_server_unanswered(server), 0);
	assert_int_equal(http_server_stats(server).timeouts, 1);
	close(fd);
}

/* ---- room ---- */

TEST(http_server_a_newcomer_waits_in_the_backlog_while_all_wait_for_verdicts)
{
	int fds[MAX_CONNECTIONS];

	fake.waits = true;
	for (int i = 0; i < MAX_CONNECTIONS; i++) {
		fds[i] = client();
		ask(fds[i], CHECK);
	}
	int newcomer = client();
	ask(newcomer, GET("/ready"));
	assert_int_equal(http_server_stats(server).accepted, MAX_CONNECTIONS);
	assert_int_equal(receive_all(newcomer), RECEIVED_SOME);

	fake_engine_answer(&fake, 2);
	turns(4);
	assert_status(newcomer, "503");
	assert_status(fds[2], "200");
	assert_int_equal(http_server_stats(server).evicted, 1);
	assert_ended(fds[2]); /* idle: the only one that does not wait */
	close(newcomer);
	for (int i = 0; i < MAX_CONNECTIONS; i++)
		close(fds[i]);
}

/* All of them are in the backlog before the agent sees the first. */
static void connect_all(int *fds, size_t count, const char *request)
{
	for (size_t i = 0; i < count; i++) {
		fds[i] = connected();
		send_text(fds[i], request);
	}
	turns(6);
}

TEST(http_server_more_connections_than_there_may_be_are_answered_when_each_has_asked)
{
	int fds[3 * MAX_CONNECTIONS];

	connect_all(fds, ARRAY_SIZE(fds), CHECK);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_status(fds[i], "200");
		close(fds[i]);
	}
	assert_int_equal(http_server_stats(server).evicted, 2 * MAX_CONNECTIONS);
}

TEST(http_server_newcomers_beyond_the_limit_wait_while_all_wait_for_verdicts)
{
	int fds[3 * MAX_CONNECTIONS];

	fake.waits = true;
	connect_all(fds, ARRAY_SIZE(fds), CHECK);
	assert_int_equal(http_server_stats(server).accepted, MAX_CONNECTIONS);
	assert_int_equal(http_server_stats(server).evicted, 0);
	assert_int_equal(http_server_unanswered(server), MAX_CONNECTIONS);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

TEST(http_server_half_a_request_is_no_reason_to_stay)
{
	int fds[MAX_CONNECTIONS + 1];

	connect_all(fds, ARRAY_SIZE(fds), "GET /page HTTP/1.1\r\n");
	assert_ended(fds[0]);
	assert_int_equal(http_server_stats(server).evicted, 1);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

TEST(http_server_the_longest_idle_goes_unless_it_has_just_asked)
{
	int first = client(), second = client(), third = client(), fourth = client();

	send_text(first, CHECK);
	int newcomer = connected();
	turns(4);
	assert_status(first, "200");
	assert_ended(second);
	close(first);
	close(second);
	close(third);
	close(fourth);
	close(newcomer);
}

/* ---- pages ---- */

TEST(http_server_a_large_page_is_shared_while_it_is_young_and_being_sent)
{
	int one = client(), two = client(), three = client();

	page_len = 4000000;
	ask(one, GET("/page"));
	loop_time_pass(0.9);
	ask(two, GET("/page"));
	assert_int_equal(pages_written, 1);
	loop_time_pass(0.2);
	ask(three, GET("/page"));
	assert_int_equal(pages_written, 2);
	close(one);
	close(two);
	close(three);
	turns(4);

	int four = client();
	ask(four, GET("/page")); /* young, but nobody reads the other one any more */
	assert_int_equal(pages_written, 3);
	close(four);
}

TEST(http_server_answers_others_between_the_pieces_of_a_large_page)
{
	int one = client(), two = client(), other = client();

	ask(one, GET("/large"));
	ask(two, GET("/large"));
	ask(other, GET("/ready"));
	assert_status(other, "503");
	assert_int_equal(receive_all(one), RECEIVED_SOME);
	assert_string_equal(got, "");
	assert_true(pieces > 0);
	assert_int_equal(http_server_unanswered(server), 2);
	turns(20);
	assert_status(one, "200");
	assert_non_null(strstr(got, "\r\n\r\nxxxxxxxxxxxxxxxxxxxx"));
	assert_status(two, "200");
	assert_int_equal(pieces, 0);
	assert_int_equal(large_begun, 1);
	assert_int_equal(large_ended, 1);
	close(one);
	close(two);
	close(other);
}

TEST(http_server_that_ends_refuses_who_waits_for_a_large_page)
{
	int fd = client();

	ask(fd, GET("/large"));
	http_server_free(server);
	server = NULL;
	assert_status(fd, "503");
	assert_int_equal(large_ended, 1);
	close(fd);
}

TEST(http_server_a_page_with_a_status_is_never_shared)
{
	int one = client(), two = client();

	page_len = 4000000;
	ask(one, GET("/ready"));
	ask(two, GET("/ready"));
	assert_int_equal(pages_written, 2);
	close(one);
	close(two);
}

TEST(http_server_over_a_unix_socket_any_host_may_see_pages)
{
	int fd = client();

	ask(fd, "GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n");
	assert_status(fd, "200");
	close(fd);
}

/* ---- the end ---- */

TEST(http_server_close_listeners_ends_who_is_idle_and_counts_who_is_owed_an_answer)
{
	int idle = client(), half = client(), waiting = client();

	fake.waits = true;
	ask(half, "GET /pa");
	ask(waiting, CHECK);
	http_server_begin_drain(server);
	turns(2);
	assert_int_equal(http_server_stats(server).connections, 3);
	http_server_close_listeners(server);
	turns(2);
	assert_ended(idle);
	assert_int_equal(http_server_unanswered(server), 1);
	fake_engine_answer(&fake, 0);
	turns(2);
	assert_status(waiting, "200");
	assert_non_null(strstr(got, "\r\nConnection: close\r\n"));
	assert_int_equal(http_server_unanswered(server), 0);
	close(idle);
	close(half);
	close(waiting);
}
