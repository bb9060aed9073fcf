#include "net/spop/spop_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>
#include <sodium.h>

#include "net/spop/spop_map.h"
#include "support/spop_frames.h"
#include "support/test.h"
#include "support/vector.h"
#include "unit/net/log_lines.h"
#include "unit/net/loop_time.h"
#include "unit/net/sockets.h"
#include "unit/net/spop/fake_engine.h"

#define CLIENTS_MAX 200

static struct ev_loop *loop;
static struct fake_engine fake;
static struct spop_server *server;
static uint16_t port;
static int clients[CLIENTS_MAX];
static size_t client_count;

static void turns(int count)
{
	while (count-- > 0)
		loop_turn(loop);
}

static bool listen_on(const char *text, struct err *err)
{
	struct address address;

	assert_int_equal(address_parse(bytes_from_text(text), &address, 1, err), 1);
	return spop_server_listen(server, &address, err);
}

/* The kernel's choice; the log has it. */
static uint16_t free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static void start(size_t max_connections)
{
	struct err err;
	char text[40];

	server = spop_server_new(loop, &(struct spop_server_config){
					       .engine = fake.engine,
					       .max_frame_size = 16380,
					       .max_connections = max_connections,
					       .vars = SPOP_VARS_ALL,
				       });
	assert_non_null(server);
	port = free_port();
	snprintf(text, sizeof text, "127.0.0.1:%u", port);
	assert_true(listen_on(text, &err));
}

static int client(void)
{
	int fd = connect_to_port(port);

	assert_true(fd >= 0);
	clients[client_count++] = fd;
	return fd;
}

/* Behind the handshake. */
static int serve(void)
{
	int fd = client();

	send_hello(fd);
	turns(3);
	assert_gets(fd, "hello");
	return fd;
}

BEFORE_ALL
{
	assert_true(sodium_init() >= 0);
}

BEFORE_EACH
{
	faults = (struct faults){0};
	log_lines_clear();
	loop = ev_loop_new(EVFLAG_NOENV);
	fake_engine_init(&fake);
	start(100);
}

AFTER_EACH
{
	spop_server_free(server);
	while (client_count > 0)
		close(clients[--client_count]);
	fake_engine_release(&fake);
	ev_loop_destroy(loop);
}

/* ---- serving ---- */

TEST(spop_server_serves_and_counts)
{
	int one = serve(), two = serve();

	send_notify(one, 1, 1);
	send_notify(two, 2, 1);
	turns(2);
	assert_gets(one, "ack 1.1");
	assert_gets(two, "ack 2.1");
	assert_int_equal(spop_server_connections(server), 2);
	shutdown(one, SHUT_WR);
	turns(3);
	assert_gets(one, "end");

	struct spop_server_stats stats = spop_server_stats(server);
	assert_int_equal(spop_server_connections(server), 1);
	assert_int_equal(stats.connections, 1);
	assert_int_equal(stats.accepted, 2);
	assert_int_equal(stats.hellos, 2);
	assert_int_equal(stats.notifies, 2);
	assert_int_equal(stats.acks, 2);
}

TEST(spop_server_says_where_it_listens)
{
	char field[60];

	snprintf(field, sizeof field, "\"address\":\"127.0.0.1:%u\",\"protocol\":\"spop\"", port);
	assert_true(log_lines_have("listening", field));
}

TEST(spop_server_listens_on_16_addresses_at_most)
{
	struct err err;

	for (int i = 1; i < 16; i++)
		assert_true(listen_on("127.0.0.1:0", &err));
	assert_false(listen_on("127.0.0.1:0", &err));
	assert_string_equal(err.text, "more than 16 addresses");
	assert_int_equal(log_lines_of("listening"), 16);
}

TEST(spop_server_says_why_it_can_not_listen)
{
	struct err err;
	char text[40], expected[100];

	snprintf(text, sizeof text, "127.0.0.1:%u", port);
	snprintf(expected, sizeof expected, "can't listen on %s: Address already in use", text);
	assert_false(listen_on(text, &err));
	assert_string_equal(err.text, expected);
	assert_int_equal(log_lines_of("listening"), 1);
}

/* Our end of the only connection: a socket whose peer is the client. */
static int find_our_end(int theirs)
{
	struct sockaddr_in wanted, found;
	socklen_t len = sizeof wanted;

	assert_int_equal(getsockname(theirs, (struct sockaddr *)&wanted, &len), 0);
	for (int fd = 0; fd < 1000; fd++) {
		len = sizeof found;
		if (getpeername(fd, (struct sockaddr *)&found, &len) == 0 &&
		    found.sin_family == AF_INET && found.sin_port == wanted.sin_port)
			return fd;
	}
	fail_msg("nobody has the other end");
	return -1;
}

static int option_of(int fd, int level, int name)
{
	int value;
	socklen_t len = sizeof value;

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

TEST(spop_server_sends_without_delay_and_looks_for_dead_connections)
{
	int ours = find_our_end(serve());

	assert_int_not_equal(option_of(ours, IPPROTO_TCP, TCP_NODELAY), 0);
	assert_int_not_equal(option_of(ours, SOL_SOCKET, SO_KEEPALIVE), 0);
}

TEST(spop_server_notices_within_2_minutes_that_a_host_is_gone)
{
	int ours = find_our_end(serve());
	int idle = option_of(ours, IPPROTO_TCP, TCP_KEEPIDLE);
	int probes = option_of(ours, IPPROTO_TCP, TCP_KEEPCNT);

	assert_in_range(idle + probes * option_of(ours, IPPROTO_TCP, TCP_KEEPINTVL), 10, 120);
	assert_in_range(option_of(ours, IPPROTO_TCP, TCP_USER_TIMEOUT), 10000, 120000);
}

/* What the kernel holds of the connection, overhead included (see SO_MEMINFO in the kernel). */
static uint32_t kernel_bytes(int fd)
{
	enum { RECEIVED = 0, QUEUED = 5, NUMBERS = 9 };
	uint32_t numbers[NUMBERS] = {0};
	socklen_t len = sizeof numbers;

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_MEMINFO, numbers, &len), 0);
	return numbers[RECEIVED] + numbers[QUEUED];
}

TEST(spop_server_a_peer_that_never_reads_pins_256_kib_of_the_kernel_at_most)
{
	static uint8_t notifies[65536];
	struct vector notify = vector_of(FRAME_NOTIFY_EMPTY);
	size_t one = vector_bytes(&notify).len, len = 0, sent = 0;
	int theirs = serve(), ours = find_our_end(theirs), idle = 0;
	uint32_t most = 0;

	for (; len + one <= sizeof notifies; len += one)
		memcpy(notifies + len, vector_bytes(&notify).data, one);
	while (idle < 50) {
		ssize_t got = send(theirs, notifies + sent % len, len - sent % len, MSG_NOSIGNAL);
		idle = got > 0 ? 0 : idle + 1;
		sent += got > 0 ? (size_t)got : 0;
		turns(2);
		uint32_t now = kernel_bytes(ours);
		most = now > most ? now : most;
	}

	assert_true(sent > 262144);
	assert_in_range(most, 1, 262144);
}

/* ---- the cap of connections ---- */

#define SPARED_SECONDS 0.021

static void restart(size_t max_connections)
{
	spop_server_free(server);
	start(max_connections);
}

/* Takes all places and all extra ones; `says` is what each of the extras says. */
static void fill(void (*says)(int fd), int *ret_extras)
{
	restart(1);
	serve();
	for (size_t i = 0; i < SPOP_SERVER_EXTRAS_MAX; i++) {
		ret_extras[i] = client();
		says(ret_extras[i]);
		turns(2);
	}
	assert_int_equal(spop_server_connections(server), 1 + SPOP_SERVER_EXTRAS_MAX);
}

static void say_nothing(int fd)
{
	(void)fd;
}

static void say_hello(int fd)
{
	send_hello(fd);
	turns(3);
	assert_gets(fd, "hello");
}

static void check_health(void)
{
	int check = client();

	send_notation(check, FRAME_HEALTHCHECK);
	turns(4);
	assert_gets(check, "hello, end");
	shutdown(check, SHUT_WR);
	turns(3);
}

TEST(spop_server_above_the_limit_answers_health_checks)
{
	restart(2);
	serve();
	serve();

	check_health();
	assert_int_equal(spop_server_connections(server), 2);
}

TEST(spop_server_above_the_limit_answers_by_on_error_and_disconnects)
{
	restart(1);
	int usual = serve(), extra = serve();

	send_notify(extra, 1, 1);
	send_notify(extra, 1, 2);
	send_notify(usual, 2, 1);
	turns(3);
	assert_gets(extra, "ack 1.1, ack 1.2, bye 0 normal, end");
	assert_gets(usual, "ack 2.1");
	assert_int_equal(fake.asked_count, 1);
	assert_int_equal(engine_stats(fake.engine).full, 2);
	assert_true(log_lines_have("spop_connections_full", "\"max_connections\":1"));
}

TEST(spop_server_above_the_limit_serves_an_extra_when_a_place_is_free)
{
	restart(2);
	int one = serve(), two = serve(), three = serve(), four = serve();

	send_notify(one, 1, 1);
	turns(2);
	assert_gets(one, "ack 1.1");
	shutdown(two, SHUT_WR);
	turns(5);
	send_notify(three, 3, 1);
	send_notify(four, 4, 1);
	turns(3);
	assert_gets(three, "ack 3.1");
	assert_gets(four, "ack 4.1, bye 0 normal, end");
	assert_int_equal(fake.asked_count, 2);
	assert_int_equal(spop_server_stats(server).accepted, 4);
}

TEST(spop_server_health_checks_pass_beside_64_silent_extras)
{
	int extras[SPOP_SERVER_EXTRAS_MAX];

	fill(say_nothing, extras);
	loop_pass(loop, SPARED_SECONDS);
	for (int i = 0; i < 10; i++)
		check_health();

	/* The first check took the place of the oldest, and the others the place of the first. */
	assert_gets(extras[0], "end");
	for (size_t i = 1; i < SPOP_SERVER_EXTRAS_MAX; i++)
		assert_receives_nothing(extras[i]);
}

TEST(spop_server_health_checks_pass_beside_64_extras_that_said_hello)
{
	int extras[SPOP_SERVER_EXTRAS_MAX];

	fill(say_hello, extras);
	loop_pass(loop, SPARED_SECONDS);
	for (int i = 0; i < 10; i++)
		check_health();

	assert_gets(extras[0], "bye 0 normal, end");
	for (size_t i = 1; i < SPOP_SERVER_EXTRAS_MAX; i++)
		assert_receives_nothing(extras[i]);
}

TEST(spop_server_displaces_a_silent_extra_before_one_that_said_hello)
{
	int extras[SPOP_SERVER_EXTRAS_MAX];

	fill(say_nothing, extras);
	for (size_t i = 0; i < SPOP_SERVER_EXTRAS_MAX; i++)
		if (i != 7)
			say_hello(extras[i]);
	loop_pass(loop, SPARED_SECONDS);
	client();
	turns(3);

	assert_gets(extras[7], "end");
	assert_receives_nothing(extras[0]);
}

TEST(spop_server_spares_extras_that_just_came_and_newcomers_wait)
{
	int extras[SPOP_SERVER_EXTRAS_MAX];

	fill(say_nothing, extras);
	int newcomer = client();
	send_hello(newcomer);
	loop_pass(loop, SPARED_SECONDS / 2);
	assert_receives_nothing(newcomer);
	assert_receives_nothing(extras[0]);
	loop_pass(loop, SPARED_SECONDS);
	turns(3);
	assert_gets(newcomer, "hello");
	assert_gets(extras[0], "end");
}

/* Each is answered although the place of each is taken by another one. */
TEST(spop_server_never_has_more_than_its_extras_open)
{
	int extras[SPOP_SERVER_EXTRAS_MAX], newcomer;

	fill(say_hello, extras);
	for (size_t i = 0; i < SPOP_SERVER_EXTRAS_MAX; i++) {
		loop_pass(loop, SPARED_SECONDS);
		newcomer = client();
		send_hello(newcomer);
		turns(3);
		assert_gets(newcomer, "hello");
		assert_gets(extras[i], "bye 0 normal, end");
		assert_int_equal(spop_server_connections(server), 1 + SPOP_SERVER_EXTRAS_MAX);
	}
}

TEST(spop_server_that_is_full_says_so_once_a_minute)
{
	restart(1);
	serve();

	for (int i = 0; i < 10; i++) {
		client();
		loop_pass(loop, 1.1);
	}
	assert_int_equal(log_lines_of("spop_connections_full"), 1);
	loop_pass(loop, 60);
	client();
	loop_pass(loop, 0);
	assert_int_equal(log_lines_of("spop_connections_full"), 2);
}

TEST(spop_server_end_connections_ends_extras_too)
{
	restart(1);
	int usual = serve(), extra = serve();

	loop_pass(loop, 1);
	spop_server_end_connections(server, 1000000);
	turns(2);
	assert_gets(usual, "bye 0 normal, end");
	assert_gets(extra, "bye 0 normal, end");
}

/* ---- draining ---- */

TEST(spop_server_that_drains_fails_health_checks_and_serves_on)
{
	int before = serve();

	spop_server_begin_drain(server);
	int check = client(), after = serve();
	send_notation(check, FRAME_HEALTHCHECK);
	send_notify(before, 1, 1);
	send_notify(after, 2, 1);
	turns(3);
	assert_gets(check, "bye 0 draining, end");
	assert_gets(before, "ack 1.1");
	assert_gets(after, "ack 2.1");
}

TEST(spop_server_health_check_passes_before_a_drain)
{
	int check = client();

	send_notation(check, FRAME_HEALTHCHECK);
	turns(3);
	assert_gets(check, "hello, end");
}

/* ---- ending: spread over a second, so that what was not used for 100 ms is quiet ---- */

#define SPREAD_US INT64_C(1000000)

TEST(spop_server_end_connections_accepts_no_more)
{
	spop_server_end_connections(server, SPREAD_US);

	assert_int_equal(connect_to_port(port), -1);
	assert_int_equal(errno, ECONNREFUSED);
}

TEST(spop_server_end_connections_ends_those_that_are_quiet_at_once)
{
	int one = serve(), two = serve();

	loop_pass(loop, 0.1);
	spop_server_end_connections(server, SPREAD_US);
	turns(2);
	assert_gets(one, "bye 0 normal, end");
	assert_gets(two, "bye 0 normal, end");
	shutdown(one, SHUT_WR);
	shutdown(two, SHUT_WR);
	turns(3);
	assert_int_equal(spop_server_connections(server), 0);
}

TEST(spop_server_end_connections_ends_one_in_use_by_its_next_answer)
{
	int fd = serve();

	loop_pass(loop, 0.099);
	spop_server_end_connections(server, SPREAD_US);
	turns(2);
	assert_receives_nothing(fd);
	send_notify(fd, 1, 1);
	turns(2);
	assert_gets(fd, "ack 1.1, bye 0 normal, end");
}

/* Two are in use: one of them is chosen at a time, the next one 10 ms later. */
TEST(spop_server_end_connections_ends_those_in_use_one_by_one)
{
	int fds[3];

	for (unsigned i = 0; i < 3; i++)
		fds[i] = serve();
	spop_server_end_connections(server, SPREAD_US);
	for (unsigned i = 0; i < 3; i++)
		send_notify(fds[i], i + 1, 1);
	turns(2);
	assert_gets(fds[0], "ack 1.1, bye 0 normal, end");
	assert_gets(fds[1], "ack 2.1");
	assert_gets(fds[2], "ack 3.1");
	loop_pass(loop, 0.009);
	send_notify(fds[1], 4, 1);
	turns(2);
	assert_gets(fds[1], "ack 4.1");
	loop_pass(loop, 0.002);
	for (unsigned i = 1; i < 3; i++)
		send_notify(fds[i], i + 10, 1);
	turns(2);
	assert_gets(fds[1], "ack 11.1, bye 0 normal, end");
	assert_gets(fds[2], "ack 12.1");
	loop_pass(loop, 0.01);
	send_notify(fds[2], 20, 1);
	turns(2);
	assert_gets(fds[2], "ack 20.1, bye 0 normal, end");
}

/* 32 in 30 ms, a share each 10 ms: four times eight. */
TEST(spop_server_end_connections_ends_as_many_at_a_time_as_the_spread_needs)
{
	int fds[32];
	size_t ended = 0;
	uint8_t data[4096];
	size_t len;

	for (unsigned i = 0; i < 32; i++)
		fds[i] = serve();
	spop_server_end_connections(server, 30000);
	for (unsigned i = 0; i < 32; i++)
		send_notify(fds[i], 1, 1);
	turns(2);
	for (unsigned i = 0; i < 32; i++)
		ended += receive(fds[i], data, sizeof data, &len) == RECEIVED_END;
	assert_int_equal(ended, 8);
}

TEST(spop_server_end_connections_ends_one_in_use_when_it_has_become_quiet)
{
	int one = serve(), two = serve();

	spop_server_end_connections(server, SPREAD_US);
	loop_pass(loop, 0.09);
	assert_receives_nothing(one);
	assert_receives_nothing(two);
	loop_pass(loop, 0.02);
	assert_gets(one, "bye 0 normal, end");
	assert_gets(two, "bye 0 normal, end");
}

TEST(spop_server_end_connections_waits_for_what_is_in_flight)
{
	int fd = serve();

	fake.waits = true;
	send_notify(fd, 1, 1);
	turns(2);
	loop_pass(loop, 1);
	spop_server_end_connections(server, SPREAD_US);
	turns(2);
	assert_receives_nothing(fd);
	fake_engine_answer(&fake, 0);
	turns(2);
	assert_gets(fd, "ack 1.1, bye 0 normal, end");
}

/* One that always has something in flight is read for a second and a tenth, then no more. */
TEST(spop_server_end_connections_at_last_takes_no_more)
{
	int fd = serve();
	unsigned id = 1;

	fake.waits = true;
	send_notify(fd, id++, 1);
	turns(2);
	spop_server_end_connections(server, SPREAD_US);
	for (; id < 13; id++) {
		send_notify(fd, id, 1);
		loop_pass(loop, 0.099);
		fake_engine_answer(&fake, id - 2);
		turns(2);
	}
	assert_int_equal(fake.asked_count, 12); /* 1,089 ms have passed */
	assert_gets(fd, "ack 1.1, ack 2.1, ack 3.1, ack 4.1, ack 5.1, ack 6.1, ack 7.1, ack 8.1, "
			"ack 9.1, ack 10.1, ack 11.1");
	loop_pass(loop, 0.021);
	send_notify(fd, 13, 1);
	turns(3);
	assert_int_equal(fake.asked_count, 12);
	fake_engine_answer(&fake, 11);
	turns(2);
	assert_gets(fd, "ack 12.1, bye 0 normal, end");
}

TEST(spop_server_end_connections_without_a_spread_ends_all_at_once)
{
	int one = serve(), two = serve();

	spop_server_end_connections(server, 0);
	loop_pass(loop, 0.011);
	assert_gets(one, "bye 0 normal, end");
	assert_gets(two, "bye 0 normal, end");
}

/* ---- the end ---- */

TEST(spop_server_free_says_goodbye_and_waits_for_nobody)
{
	int one = serve(), two = serve(), stranger = client();

	fake.waits = true;
	send_notify(two, 1, 1);
	turns(3);
	spop_server_free(server);
	server = NULL;
	assert_gets(one, "bye 0 normal, end");
	assert_gets(two, "bye 0 normal, end");
	assert_gets(stranger, "bye 0 normal, end");
	assert_int_equal(connect_to_port(port), -1);
	fake_engine_answer(&fake, 0);
	loop_pass(loop, 60);
}

TEST(spop_server_free_while_it_ends_connections)
{
	int fd = serve();

	spop_server_end_connections(server, SPREAD_US);
	spop_server_free(server);
	server = NULL;
	assert_gets(fd, "bye 0 normal, end");
	loop_pass(loop, 60);
}

TEST(spop_server_free_of_none)
{
	spop_server_free(NULL);
}

/* ---- handing over: a connection is in use until nothing has come on it for 4 ms ---- */

#define PATIENCE_US INT64_C(1000000)

TEST(spop_server_hand_over_ends_one_in_use_by_its_next_answer)
{
	int fd = serve();

	spop_server_hand_over(server, PATIENCE_US);
	turns(2);
	assert_receives_nothing(fd);
	send_notify(fd, 1, 1);
	turns(2);
	assert_gets(fd, "ack 1.1, bye 0 normal, end");
}

TEST(spop_server_hand_over_ends_all_in_use_at_the_same_time)
{
	int one = serve(), two = serve();

	spop_server_hand_over(server, PATIENCE_US);
	send_notify(one, 1, 1);
	send_notify(two, 2, 1);
	turns(2);
	assert_gets(one, "ack 1.1, bye 0 normal, end");
	assert_gets(two, "ack 2.1, bye 0 normal, end");
}

TEST(spop_server_hand_over_ends_one_that_is_not_in_use_at_once)
{
	int fd = serve();

	loop_pass(loop, 0.004);
	spop_server_hand_over(server, PATIENCE_US);
	turns(2);
	assert_gets(fd, "bye 0 normal, end");
}

TEST(spop_server_hand_over_ends_one_that_is_in_use_no_more)
{
	int fd = serve();

	spop_server_hand_over(server, PATIENCE_US);
	loop_pass(loop, 0.003);
	assert_receives_nothing(fd);
	loop_pass(loop, 0.002);
	assert_gets(fd, "bye 0 normal, end");
}

TEST(spop_server_hand_over_waits_for_what_is_in_flight)
{
	int fd = serve();

	fake.waits = true;
	send_notify(fd, 1, 1);
	turns(2);
	spop_server_hand_over(server, PATIENCE_US);
	loop_pass(loop, 0.1);
	assert_receives_nothing(fd);
	fake_engine_answer(&fake, 0);
	turns(2);
	assert_gets(fd, "ack 1.1, bye 0 normal, end");
}

TEST(spop_server_hand_over_serves_newcomers_while_an_old_connection_is_left)
{
	int old = serve();

	fake.waits = true;
	send_notify(old, 1, 1);
	turns(2);
	fake.waits = false;
	spop_server_hand_over(server, PATIENCE_US);
	loop_pass(loop, 0.1);

	int check = client(), newcomer = serve();
	send_notation(check, FRAME_HEALTHCHECK);
	send_notify(newcomer, 2, 1);
	turns(3);

	assert_gets(check, "hello, end");
	assert_gets(newcomer, "ack 2.1, bye 0 normal, end");
	assert_receives_nothing(old);
}

TEST(spop_server_hand_over_leaves_newcomers_waiting_when_no_old_connection_is_left)
{
	int old = serve();

	spop_server_hand_over(server, PATIENCE_US);
	send_notify(old, 1, 1);
	turns(2);
	assert_gets(old, "ack 1.1, bye 0 normal, end");
	shutdown(old, SHUT_WR);
	turns(3);
	assert_int_equal(spop_server_connections(server), 0);

	int newcomer = client();
	send_hello(newcomer);
	loop_pass(loop, 1.1); /* a listener that pauses looks again after a second */
	loop_pass(loop, 1.1);

	assert_int_equal(spop_server_connections(server), 0);
	assert_receives_nothing(newcomer);
}

TEST(spop_server_hand_over_a_connection_may_take_its_time_for_hello)
{
	int old = serve();

	fake.waits = true;
	send_notify(old, 1, 1);
	turns(2);
	spop_server_hand_over(server, PATIENCE_US);
	int slow = client(), mute = client();
	turns(1);
	loop_pass(loop, 0.05);
	send_hello(slow);
	turns(2);
	assert_gets(slow, "hello");
	assert_receives_nothing(mute);

	loop_pass(loop, 0.06);
	assert_gets(mute, "bye 0 normal, end");
}

TEST(spop_server_hand_over_of_nobody_accepts_nobody)
{
	spop_server_hand_over(server, PATIENCE_US);

	int newcomer = client();
	send_hello(newcomer);
	turns(3);

	assert_int_equal(spop_server_connections(server), 0);
	assert_receives_nothing(newcomer);
}

/* What always has something in flight is read no more after `patience_us`. */
TEST(spop_server_hand_over_has_patience_for_each_connection)
{
	int old = serve();

	fake.waits = true;
	send_notify(old, 1, 1);
	turns(2);
	spop_server_hand_over(server, PATIENCE_US);
	loop_pass(loop, 0.9);
	int newcomer = serve();
	send_notify(newcomer, 2, 1);
	turns(2);
	loop_pass(loop, 0.2);
	send_notify(old, 3, 1);
	send_notify(newcomer, 4, 1);
	turns(2);
	for (size_t i = 0; i < fake.asked_count; i++)
		fake_engine_answer(&fake, i);
	turns(2);

	assert_gets(old, "ack 1.1, bye 0 normal, end");
	assert_gets(newcomer, "ack 2.1, ack 4.1, bye 0 normal, end");
}

TEST(spop_server_hand_over_ends_extras_too)
{
	restart(1);
	int usual = serve(), extra = serve();

	loop_pass(loop, 1);
	spop_server_hand_over(server, PATIENCE_US);
	turns(2);
	assert_gets(usual, "bye 0 normal, end");
	assert_gets(extra, "bye 0 normal, end");
}
