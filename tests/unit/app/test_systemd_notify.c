/* What systemd is told, read from the socket that it would read from. */
#include "app/systemd_notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "support/test.h"

static char directory[32], path[64];
static int receiver = -1;
static struct ev_loop *loop;
static struct systemd_notify notify;

/* An abstract name when the text begins with @. */
static void listen_at(const char *text)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(text);

	memcpy(address.sun_path, text, len);
	if (text[0] == '@')
		address.sun_path[0] = '\0';
	receiver = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(receiver >= 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	assert_int_equal(bind(receiver, (struct sockaddr *)&address, size), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", text, 1), 0);
}

/* The next datagram; "" when there is none. */
static const char *received(void)
{
	static char text[1024];
	ssize_t len = recv(receiver, text, sizeof text - 1, 0);

	assert_true(len >= 0 || errno == EAGAIN);
	text[len < 0 ? 0 : len] = '\0';
	return text;
}

BEFORE_EACH
{
	snprintf(directory, sizeof directory, "/tmp/systemd-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/notify", directory);
	loop = ev_loop_new(EVFLAG_AUTO);
	assert_non_null(loop);
}

AFTER_EACH
{
	systemd_notify_release(&notify);
	ev_loop_destroy(loop);
	if (receiver >= 0)
		close(receiver);
	receiver = -1;
	unlink(path);
	rmdir(directory);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

TEST(systemd_notify_ready_is_sent_once)
{
	listen_at(path);
	systemd_notify_init(&notify, loop);
	assert_string_equal(received(), "");

	systemd_notify_ready(&notify);
	systemd_notify_ready(&notify);

	assert_string_equal(received(), "READY=1");
	assert_string_equal(received(), "");
}

TEST(systemd_notify_reaches_an_abstract_socket)
{
	char name[64];

	snprintf(name, sizeof name, "@ratelimit-test-%d", getpid());
	listen_at(name);
	systemd_notify_init(&notify, loop);

	systemd_notify_ready(&notify);

	assert_string_equal(received(), "READY=1");
}

TEST(systemd_notify_reloading_has_the_time_and_ends_with_ready)
{
	long long told_us;
	char rest;

	listen_at(path);
	systemd_notify_init(&notify, loop);
	systemd_notify_ready(&notify);
	(void)received();

	systemd_notify_reloading(&notify);
	systemd_notify_reloading(&notify);

	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_int_equal(sscanf(received(), "RELOADING=1\nMONOTONIC_USEC=%lld%c", &told_us, &rest),
			 1);
	long long now_us = (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	assert_in_range(told_us, 1, now_us);
	assert_string_equal(received(), "");
	systemd_notify_ready(&notify);
	assert_string_equal(received(), "READY=1");
}

TEST(systemd_notify_stopping_has_the_time_that_the_end_may_take_and_is_the_last)
{
	listen_at(path);
	systemd_notify_init(&notify, loop);
	systemd_notify_ready(&notify);
	(void)received();

	systemd_notify_stopping(&notify, 10000000);
	systemd_notify_stopping(&notify, 10000000);
	systemd_notify_reloading(&notify);
	systemd_notify_ready(&notify);
	systemd_notify_status(&notify, "serving");

	assert_string_equal(received(), "STOPPING=1\nSTATUS=ending\nEXTEND_TIMEOUT_USEC=15000000");
	assert_string_equal(received(), "");
}

TEST(systemd_notify_status_is_sent_when_it_changes)
{
	listen_at(path);
	systemd_notify_init(&notify, loop);

	systemd_notify_status(&notify, "store: up");
	systemd_notify_status(&notify, "store: up");
	systemd_notify_status(&notify, "store: down");

	assert_string_equal(received(), "STATUS=store: up");
	assert_string_equal(received(), "STATUS=store: down");
	assert_string_equal(received(), "");
}

TEST(systemd_notify_status_stays_one_line_of_bounded_length)
{
	char text[2 * SYSTEMD_STATUS_MAX], sent[2 * SYSTEMD_STATUS_MAX] = "STATUS=a MAINPID=1";

	listen_at(path);
	systemd_notify_init(&notify, loop);
	memset(text, 'x', sizeof text);
	memcpy(text, "a\nMAINPID=1", strlen("a\nMAINPID=1"));
	text[sizeof text - 1] = '\0';

	systemd_notify_status(&notify, text);
	systemd_notify_status(&notify, text);

	size_t len = strlen("STATUS=") + SYSTEMD_STATUS_MAX - 1;
	memset(sent + strlen(sent), 'x', len - strlen(sent));
	sent[len] = '\0';
	assert_string_equal(received(), sent);
	assert_string_equal(received(), "");
}

/* ---- the watchdog ---- */

static void start_with_watchdog(const char *usec, const char *pid)
{
	listen_at(path);
	setenv("WATCHDOG_USEC", usec, 1);
	if (pid != NULL)
		setenv("WATCHDOG_PID", pid, 1);
	systemd_notify_init(&notify, loop);
}

TEST(systemd_notify_watchdog_comes_from_a_loop_that_turns)
{
	start_with_watchdog("20000", NULL);

	while (strcmp(received(), "WATCHDOG=1") != 0)
		ev_run(loop, EVRUN_ONCE);
	while (strcmp(received(), "WATCHDOG=1") != 0)
		ev_run(loop, EVRUN_ONCE);
}

TEST(systemd_notify_watchdog_comes_twice_in_its_time)
{
	start_with_watchdog("30000000", NULL);

	assert_true(notify.watchdog.repeat == 15.0);
	assert_true(ev_is_active(&notify.watchdog));
}

TEST(systemd_notify_watchdog_does_not_come_from_a_loop_that_hangs)
{
	start_with_watchdog("2000", NULL);

	/* Somebody works for much longer than that, and the loop does not turn. */
	struct timespec work = {.tv_nsec = 20000000};
	nanosleep(&work, NULL);

	assert_string_equal(received(), "");
}

static const struct {
	const char *name, *usec, *pid;
} no_watchdogs[] = {
	{"no period", "0", NULL},
	{"no number", "soon", NULL},
	{"of another process", "1000", "1"},
	{"of no process", "1000", "x"},
};

TEST_ROWS(no_watchdogs)
{
	start_with_watchdog(row->usec, row->pid);

	assert_false(ev_is_active(&notify.watchdog));
}

TEST(systemd_notify_watchdog_of_this_process)
{
	char pid[16];

	snprintf(pid, sizeof pid, "%d", getpid());
	start_with_watchdog("1000", pid);

	assert_true(ev_is_active(&notify.watchdog));
}

/* ---- nobody there ---- */

static const struct {
	const char *name;
} no_sockets[] = {
	{""},
	{"@"},
	{"relative"},
	{"vsock:2:1234"},
	{"/a-path-that-has-more-characters-than-an-address-of-a-Unix-socket-can-have-which-are-108-"
	 "with-the-NUL-byte-at-the-end"},
};

TEST_ROWS(no_sockets)
{
	setenv("NOTIFY_SOCKET", row->name, 1);
	setenv("WATCHDOG_USEC", "1000", 1);

	systemd_notify_init(&notify, loop);
	systemd_notify_ready(&notify);

	assert_int_equal(notify.fd, -1);
	assert_false(ev_is_active(&notify.watchdog));
}

TEST(systemd_notify_without_the_variable_sends_nothing)
{
	systemd_notify_init(&notify, loop);

	systemd_notify_ready(&notify);
	systemd_notify_status(&notify, "serving");
	systemd_notify_stopping(&notify, 0);

	assert_false(notify.has_failed);
}

TEST(systemd_notify_a_socket_that_is_gone_stops_nothing)
{
	listen_at(path);
	systemd_notify_init(&notify, loop);
	unlink(path);

	systemd_notify_ready(&notify);

	assert_true(notify.has_failed);
}

/* ---- what systemd keeps ---- */

TEST(systemd_notify_keep_sends_the_descriptor_and_its_name)
{
	char text[256] = "", control[CMSG_SPACE(sizeof(int))];
	struct iovec line = {.iov_base = text, .iov_len = sizeof text - 1};
	struct msghdr message = {
		.msg_iov = &line,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control,
	};
	int ends[2], fd;
	char byte = 'x';

	listen_at(path);
	systemd_notify_init(&notify, loop);
	assert_int_equal(pipe(ends), 0);

	assert_true(systemd_notify_keep(&notify, "balances-1", ends[1]));

	assert_true(recvmsg(receiver, &message, 0) > 0);
	assert_string_equal(text, "FDSTORE=1\nFDNAME=balances-1");
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	assert_non_null(head);
	assert_int_equal(head->cmsg_type, SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(head), sizeof fd);
	assert_int_equal(write(fd, "k", 1), 1);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	assert_int_equal(byte, 'k');
	close(fd);
	close(ends[0]);
	close(ends[1]);

	systemd_notify_drop(&notify, "balances-1");
	assert_string_equal(received(), "FDSTOREREMOVE=1\nFDNAME=balances-1");
}

TEST(systemd_notify_keep_fails_without_systemd)
{
	systemd_notify_init(&notify, loop);

	assert_false(systemd_notify_keep(&notify, "balances-1", 2));
}

static const struct {
	const char *name, *most, *socket;
	bool can_keep;
} stores[] = {
	{"some", "8", "/run/notify", true},
	{"two", "2", "/run/notify", true},
	{"one, which the memory of the agent before takes", "1", "/run/notify", false},
	{"none", "0", "/run/notify", false},
	{"an old systemd", NULL, "/run/notify", false},
	{"no systemd", "8", NULL, false},
	{"no number", "many", "/run/notify", false},
};

TEST_ROWS(stores)
{
	if (row->most != NULL)
		setenv("FDSTORE", row->most, 1);
	if (row->socket != NULL)
		setenv("NOTIFY_SOCKET", row->socket, 1);

	assert_int_equal(systemd_notify_can_keep(), row->can_keep);

	unsetenv("FDSTORE");
}
