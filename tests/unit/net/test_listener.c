#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <ev.h>

#include "support/test.h"
#include "unit/net/log_lines.h"
#include "unit/net/loop_time.h"
#include "unit/net/sockets.h"

#define ACCEPTED_MAX 128

static struct ev_loop *loop;
static char directory[] = "/tmp/listener-XXXXXX";
static char path[64]; /* of a Unix socket in it */

/* ---- an owner that takes so many connections ---- */

static struct {
	size_t max;
	size_t count;
	size_t asked; /* how often it was asked whether it is full */
	int fds[ACCEPTED_MAX];
} taken;

static void take(void *owner, int fd)
{
	assert_ptr_equal(owner, &taken);
	assert_true(taken.count < ACCEPTED_MAX);
	taken.fds[taken.count++] = fd;
}

static bool is_full(void *owner)
{
	assert_ptr_equal(owner, &taken);
	taken.asked++;
	return taken.count >= taken.max;
}

static const struct listener_owner owner = {take, is_full, &taken};

static void close_taken(void)
{
	while (taken.count > 0)
		close(taken.fds[--taken.count]);
}

/* ---- listeners and clients ---- */

static struct listener *listen_on(const char *text)
{
	struct address address;
	struct err err;

	assert_int_equal(address_parse(bytes_from_text(text), &address, 1, &err), 1);
	struct listener *listener = listener_new(loop, &address, &owner, &err);
	if (listener == NULL)
		fail_msg("%s", err.text);
	return listener;
}

static void assert_not_listening(const char *text, const char *why)
{
	struct address address;
	struct err err;
	char expected[256];
	int next_fd = dup(0);

	close(next_fd);
	assert_int_equal(address_parse(bytes_from_text(text), &address, 1, &err), 1);
	assert_null(listener_new(loop, &address, &owner, &err));
	snprintf(expected, sizeof expected, "can't listen on %s: %s", text, why);
	assert_string_equal(err.text, expected);
	int fd = dup(0);
	assert_int_equal(fd, next_fd); /* no descriptor is left open */
	close(fd);
}

static uint16_t port_of(const struct listener *listener)
{
	return (uint16_t)strtoul(strrchr(listener_address(listener), ':') + 1, NULL, 10);
}

static int clients[ACCEPTED_MAX];
static size_t client_count;

static void connect_clients(const struct listener *listener, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int fd = connect_to_port(port_of(listener));
		assert_true(fd >= 0);
		clients[client_count++] = fd;
	}
}

static const char *unix_address(const char *query)
{
	static char text[128];

	snprintf(text, sizeof text, "unix:%s%s", path, query);
	return text;
}

/* 0, or the errno of the failure. */
static int connect_unix(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), error = 0;

	strcpy(address.sun_path, path);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
		error = errno;
	if (error == 0)
		clients[client_count++] = fd;
	else
		close(fd);
	return error;
}

BEFORE_ALL
{
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/socket", directory);
}

AFTER_ALL
{
	rmdir(directory);
}

BEFORE_EACH
{
	faults = (struct faults){0};
	taken.max = ACCEPTED_MAX;
	taken.asked = 0;
	log_lines_clear();
	loop = ev_loop_new(EVFLAG_NOENV);
}

AFTER_EACH
{
	close_taken();
	while (client_count > 0)
		close(clients[--client_count]);
	unlink(path);
	ev_loop_destroy(loop);
}

/* ---- accepting ---- */

TEST(listener_hands_over_what_is_accepted)
{
	struct listener *listener = listen_on("127.0.0.1:0");

	loop_turn(loop);
	assert_int_equal(taken.count, 0);
	connect_clients(listener, 2);
	loop_turn(loop);
	assert_int_equal(taken.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true((fcntl(taken.fds[i], F_GETFL) & O_NONBLOCK) != 0);
		assert_true((fcntl(taken.fds[i], F_GETFD) & FD_CLOEXEC) != 0);
	}
	send_text(clients[0], "hello");
	assert_receives(taken.fds[0], "hello");
	assert_int_equal(log_lines_count(), 0);

	listener_free(listener);
}

TEST(listener_says_which_port_it_was_given)
{
	struct listener *listener = listen_on("127.0.0.1:0");

	assert_memory_equal(listener_address(listener), "127.0.0.1:", 10);
	assert_int_not_equal(port_of(listener), 0);

	listener_free(listener);
}

TEST(listener_accepts_64_connections_a_turn)
{
	struct listener *listener = listen_on("127.0.0.1:0");

	connect_clients(listener, 70);
	loop_turn(loop);
	assert_int_equal(taken.count, 64);
	loop_turn(loop);
	assert_int_equal(taken.count, 70);

	listener_free(listener);
}

TEST(listener_on_ipv6_takes_ipv4_too)
{
	struct listener *listener = listen_on("[::]:0");

	assert_memory_equal(listener_address(listener), "[::]:", 5);
	connect_clients(listener, 1);
	loop_turn(loop);
	assert_int_equal(taken.count, 1);

	listener_free(listener);
}

TEST(listener_on_ipv6_alone_leaves_ipv4_to_another)
{
	struct listener *v4 = listen_on("0.0.0.0:0");
	struct address address;
	struct err err;
	char text[32];

	snprintf(text, sizeof text, "[::]:%u", port_of(v4));
	assert_not_listening(text, "Address already in use");
	assert_int_equal(address_parse(bytes_from_text(text), &address, 1, &err), 1);
	address.is_v6_only = true;
	struct listener *v6 = listener_new(loop, &address, &owner, &err);
	assert_non_null(v6);
	connect_clients(v4, 1);
	loop_turn(loop);
	assert_int_equal(taken.count, 1);

	listener_free(v4);
	assert_int_equal(connect_to_port(port_of(v6)), -1);
	listener_free(v6);
}

TEST(listener_that_is_freed_listens_no_more_and_its_port_is_free_at_once)
{
	struct listener *listener = listen_on("127.0.0.1:0");
	char text[64];

	strcpy(text, listener_address(listener));
	uint16_t port = port_of(listener);
	connect_clients(listener, 1);
	loop_turn(loop);
	close_taken(); /* our side first: the kernel keeps the connection in TIME_WAIT */
	assert_receives_end(clients[0]);
	close(clients[--client_count]);
	listener_free(listener);
	assert_int_equal(connect_to_port(port), -1);
	assert_int_equal(errno, ECONNREFUSED);

	listener_free(listen_on(text));
	listener_free(NULL);
}

TEST(listener_on_a_port_that_is_taken_is_refused)
{
	struct listener *listener = listen_on("127.0.0.1:0");

	assert_not_listening(listener_address(listener), "Address already in use");

	listener_free(listener);
}

/* ---- PAUSED: the owner is full ---- */

TEST(listener_of_a_full_owner_leaves_connections_in_the_backlog)
{
	struct listener *listener = listen_on("127.0.0.1:0");

	taken.max = 3;
	connect_clients(listener, 5);
	for (int i = 0; i < 4; i++)
		loop_turn(loop);

	assert_int_equal(taken.count, 3);
	assert_int_equal(taken.asked, 4); /* before each accept; then it is not asked any more */
	assert_int_equal(faults.accepts, 3);
	listener_free(listener);
}

TEST(listener_accepts_at_once_when_it_is_resumed)
{
	struct listener *listener = listen_on("127.0.0.1:0");

	taken.max = 1;
	connect_clients(listener, 2);
	loop_turn(loop);
	taken.max = 2;
	loop_turn(loop);
	assert_int_equal(taken.count, 1);
	listener_resume(listener);
	listener_resume(listener);
	loop_turn(loop);
	assert_int_equal(taken.count, 2);
	listener_free(listener);
}

static unsigned events; /* that the loop has found */

static void count_events(struct ev_loop *counted)
{
	events += ev_pending_count(counted);
	ev_invoke_pending(counted);
}

TEST(listener_that_is_resumed_leaves_no_timer)
{
	struct listener *listener = listen_on("127.0.0.1:0");

	taken.max = 0;
	connect_clients(listener, 1);
	loop_turn(loop);
	taken.max = 2;
	listener_resume(listener);
	loop_turn(loop);
	assert_int_equal(taken.count, 1);
	ev_set_invoke_pending_cb(loop, count_events);
	events = 0;
	loop_pass(loop, 5);

	assert_int_equal(events, 0);
	listener_free(listener);
}

TEST(listener_asks_again_every_second_while_it_pauses)
{
	struct listener *listener = listen_on("127.0.0.1:0");

	taken.max = 1;
	connect_clients(listener, 2);
	loop_turn(loop);
	assert_int_equal(taken.asked, 2);
	loop_pass(loop, 0.9);
	assert_int_equal(taken.asked, 2);
	loop_pass(loop, 0.2);
	assert_int_equal(taken.asked, 3);
	loop_pass(loop, 0.9);
	assert_int_equal(taken.asked, 3);
	taken.max = 2;
	loop_pass(loop, 0.2);
	assert_int_equal(taken.count, 2);
	assert_int_equal(log_lines_count(), 0); /* the owner says that it is full */

	listener_free(listener);
}

/* ---- errors of accept ---- */

TEST(listener_passes_over_a_connection_that_is_gone)
{
	static const int errors[] = {ECONNABORTED, EINTR,       EPERM,       EPROTO,
				     ENETDOWN,     ENETUNREACH, ENOPROTOOPT, EHOSTDOWN,
				     EHOSTUNREACH, ENONET,      EOPNOTSUPP};
	struct listener *listener = listen_on("127.0.0.1:0");

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		connect_clients(listener, 1);
		faults.accept_error = errors[i];
		faults.accept_errors = 1;
		loop_turn(loop);
		assert_int_equal(taken.count, i + 1);
	}
	assert_int_equal(log_lines_count(), 0);

	listener_free(listener);
}

TEST(listener_with_no_connection_waits_for_the_next_turn)
{
	struct listener *listener = listen_on("127.0.0.1:0");

	connect_clients(listener, 1);
	faults.accept_error = EAGAIN;
	faults.accept_errors = 1;
	loop_turn(loop);
	assert_int_equal(faults.accepts, 1);
	loop_turn(loop);
	assert_int_equal(taken.count, 1);
	assert_int_equal(log_lines_count(), 0);

	listener_free(listener);
}

TEST(listener_without_descriptors_pauses_for_a_second_and_says_so)
{
	static const struct {
		int error;
		const char *reason;
	} cases[] = {
		{EMFILE, "\"reason\":\"Too many open files\""},
		{ENFILE, "\"reason\":\"Too many open files in system\""},
		{ENOBUFS, "\"reason\":\"No buffer space available\""},
		{ENOMEM, "\"reason\":\"Cannot allocate memory\""},
		{EBADF, "\"reason\":\"Bad file descriptor\""},
	};
	struct listener *listener = listen_on("127.0.0.1:0");
	char address[80];

	snprintf(address, sizeof address, "\"address\":\"%s\"", listener_address(listener));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		log_lines_clear();
		faults = (struct faults){.accept_error = cases[i].error};
		connect_clients(listener, 1);
		loop_turn(loop);
		loop_turn(loop);
		assert_int_equal(faults.accepts, 1);
		assert_int_equal(log_lines_of("listener_paused"), 1);
		assert_true(log_lines_have("listener_paused", cases[i].reason));
		assert_true(log_lines_have("listener_paused", address));
		faults.accept_error = 0;
		loop_turn(loop);
		assert_int_equal(taken.count, i);
		loop_pass(loop, 1.1);
		assert_int_equal(taken.count, i + 1);
		assert_int_equal(log_lines_of("listener_resumed"), 1);
		assert_true(log_lines_have("listener_resumed", address));
	}

	listener_free(listener);
}

TEST(listener_logs_one_pause_a_minute)
{
	struct listener *listener = listen_on("127.0.0.1:0");

	connect_clients(listener, 1);
	faults.accept_error = EMFILE;
	loop_turn(loop);
	loop_pass(loop, 1.1);
	loop_pass(loop, 1.1);
	assert_int_equal(faults.accepts, 3);
	assert_int_equal(log_lines_of("listener_paused"), 1);
	faults.accept_error = 0;
	loop_pass(loop, 1.1);
	connect_clients(listener, 1);
	faults.accept_error = EMFILE;
	loop_turn(loop);
	faults.accept_error = 0;
	loop_pass(loop, 1.1);
	assert_int_equal(taken.count, 2);
	/* The second pause was not logged: its end is not either. */
	assert_int_equal(log_lines_of("listener_resumed"), 1);
	loop_time_pass(60);
	connect_clients(listener, 1);
	faults.accept_error = EMFILE;
	loop_turn(loop);
	assert_int_equal(log_lines_of("listener_paused"), 2);
	assert_true(log_lines_have("listener_paused", "\"suppressed\":3"));

	listener_free(listener);
}

TEST(listener_in_a_process_without_descriptors_goes_on_when_there_are_some)
{
	struct listener *listener = listen_on("127.0.0.1:0");
	struct rlimit limit, low;

	connect_clients(listener, 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	loop_turn(loop);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(taken.count, 0);
	loop_pass(loop, 1.1);

	assert_int_equal(taken.count, 1);
	assert_true(log_lines_have("listener_paused", "Too many open files"));
	listener_free(listener);
}

TEST(listener_that_is_freed_while_it_pauses_leaves_no_timer)
{
	struct listener *listener = listen_on("127.0.0.1:0");

	taken.max = 0;
	connect_clients(listener, 1);
	loop_turn(loop);
	listener_free(listener);
	loop_pass(loop, 5);

	assert_int_equal(taken.asked, 1);
}

/* ---- Unix sockets ---- */

TEST(listener_on_a_unix_socket_makes_and_removes_its_path)
{
	struct listener *listener = listen_on(unix_address(""));

	assert_string_equal(listener_address(listener), unix_address(""));
	assert_int_equal(connect_unix(), 0);
	loop_turn(loop);
	assert_int_equal(taken.count, 1);
	listener_free(listener);

	assert_int_equal(access(path, F_OK), -1);
}

TEST(listener_on_a_unix_socket_gives_it_the_mode)
{
	static const struct {
		const char *query;
		mode_t mode;
	} cases[] = {{"?mode=0600", 0600}, {"?mode=666", 0666}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct listener *listener = listen_on(unix_address(cases[i].query));
		struct stat status;
		assert_int_equal(stat(path, &status), 0);
		assert_int_equal(status.st_mode & 0777, cases[i].mode);
		listener_free(listener);
	}
}

TEST(listener_replaces_a_unix_socket_on_which_nobody_listens)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	close(fd);
	assert_int_equal(connect_unix(), ECONNREFUSED);
	struct listener *listener = listen_on(unix_address(""));
	assert_int_equal(connect_unix(), 0);
	loop_turn(loop);

	assert_int_equal(taken.count, 1);
	listener_free(listener);
}

TEST(listener_on_a_unix_socket_gives_it_user_and_group)
{
	struct stat status;
	char query[80];

	snprintf(query, sizeof query, "?user=%u&mode=0640&group=%u", geteuid(), getegid());
	struct listener *listener = listen_on(unix_address(query));

	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_uid, geteuid());
	assert_int_equal(status.st_gid, getegid());
	assert_int_equal(status.st_mode & 0777, 0640);
	listener_free(listener);
}

/* Only root may give files away. */
TEST(listener_that_may_not_give_its_socket_away_is_refused_and_leaves_no_file)
{
	if (getuid() == 0) {
		assert_int_equal(chmod(directory, 0777), 0);
		assert_int_equal(seteuid(65534), 0);
	}
	assert_not_listening(unix_address("?user=0"), "Operation not permitted");
	assert_int_equal(access(path, F_OK), -1);

	assert_int_equal(seteuid(getuid()), 0);
}

TEST(listener_that_is_freed_leaves_the_file_of_its_successor)
{
	struct listener *old = listen_on(unix_address(""));
	unlink(path);
	struct listener *successor = listen_on(unix_address(""));

	listener_free(old);

	assert_int_equal(connect_unix(), 0);
	listener_free(successor);
	assert_int_equal(access(path, F_OK), -1);
}

static int lock_directory(void)
{
	int fd = open(directory, O_RDONLY | O_CLOEXEC);

	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	assert_int_equal(errno, EWOULDBLOCK);
	close(fd);
	return -1;
}

TEST(listener_that_is_freed_removes_nothing_while_another_agent_looks)
{
	struct listener *listener = listen_on(unix_address(""));
	int lock = lock_directory();

	assert_true(lock >= 0);
	listener_free(listener);

	assert_int_equal(access(path, F_OK), 0);
	close(lock);
}

TEST(listener_replaces_nothing_while_another_agent_looks)
{
	struct listener *listener = listen_on(unix_address(""));
	int lock = lock_directory();

	listener_free(listener); /* its file stays, and nobody listens on it */
	assert_not_listening(unix_address(""), "Address already in use");
	close(lock);

	listener_free(listen_on(unix_address("")));
}

static bool was_locked;

static void note_lock(void)
{
	int fd = lock_directory();

	was_locked = fd < 0;
	if (fd >= 0)
		close(fd);
}

/* Before listen() the file looks as if nobody listened on it. */
TEST(listener_keeps_others_from_looking_until_it_listens)
{
	faults.before_listen = note_lock;
	struct listener *listener = listen_on(unix_address(""));

	assert_true(was_locked);
	int lock = lock_directory();
	assert_true(lock >= 0);
	close(lock);
	listener_free(listener);
}

TEST(listener_leaves_a_unix_socket_on_which_somebody_listens)
{
	struct listener *listener = listen_on(unix_address(""));

	assert_not_listening(unix_address(""), "Address already in use");
	assert_int_equal(connect_unix(), 0);
	loop_turn(loop);

	assert_true(taken.count >= 1);
	listener_free(listener);
}

TEST(listener_leaves_a_file_that_is_no_socket)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	close(fd);
	assert_not_listening(unix_address(""), "Address already in use");

	assert_int_equal(access(path, F_OK), 0);
}

TEST(listener_in_a_directory_that_does_not_exist_is_refused)
{
	assert_not_listening("unix:/nonexistent/x", "No such file or directory");
}

/* ---- sockets that somebody else made ---- */

static int made_by_somebody_else(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

TEST(listener_new_takes_an_inherited_socket_and_leaves_it_to_its_maker)
{
	int made = made_by_somebody_else(), fd = dup(made);
	struct address address;
	struct err err;

	assert_true(address_of_inherited(fd, &address));
	struct listener *listener = listener_new(loop, &address, &owner, &err);
	assert_non_null(listener);
	assert_string_equal(listener_address(listener), unix_address(""));
	taken.max = 1;
	assert_int_equal(connect_unix(), 0);
	loop_turn(loop);
	assert_int_equal(taken.count, 1);

	listener_free(listener);

	assert_int_equal(fcntl(fd, F_GETFD), -1); /* ours is closed */
	assert_int_equal(access(path, F_OK), 0);  /* and the file stays */
	assert_int_equal(connect_unix(), 0);      /* for whoever made it */
	close(made);
	unlink(path);
}
