/* Which sockets the agent takes from systemd, and which it refuses. */
#include "app/systemd_sockets.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/test.h"

static struct options options;
static struct err err;
static int next_fd; /* where the next socket goes */

static int bound_socket(int type, bool is_v6)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	int fd = socket(is_v6 ? AF_INET6 : AF_INET, type, 0);

	assert_true(fd >= 0);
	if (is_v6)
		assert_int_equal(bind(fd, (struct sockaddr *)&v6, sizeof v6), 0);
	else
		assert_int_equal(bind(fd, (struct sockaddr *)&v4, sizeof v4), 0);
	return fd;
}

static void hand_over(int fd)
{
	assert_int_equal(dup2(fd, next_fd), next_fd);
	if (fd != next_fd++)
		close(fd);
}

static void hand_over_listening(void)
{
	int fd = bound_socket(SOCK_STREAM, false);

	assert_int_equal(listen(fd, 1), 0);
	hand_over(fd);
}

static void hand_over_abstract(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	int len = snprintf(un.sun_path + 1, sizeof un.sun_path - 1, "ratelimit-%d", getpid());
	assert_int_equal(
		bind(fd, (struct sockaddr *)&un,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)),
		0);
	assert_int_equal(listen(fd, 1), 0);
	hand_over(fd);
}

static void say(const char *count, const char *names)
{
	char pid[16];

	snprintf(pid, sizeof pid, "%d", getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", count, 1);
	if (names != NULL)
		setenv("LISTEN_FDNAMES", names, 1);
}

static void parse_list(const char *text, struct address_list *ret_list)
{
	assert_true(address_list_parse(bytes_from_text(text), ret_list, &err));
}

/* Whatever has these descriptors already makes room: nothing else runs in this process. */
BEFORE_EACH
{
	for (int fd = 3; fd < 20; fd++)
		close(fd);
	next_fd = 3;
	parse_list("127.0.0.1:12345", &options.spop_listen);
	parse_list("127.0.0.1:8080,[::1]:8080", &options.http_listen);
	options.admin_listen.count = 0;
}

AFTER_EACH
{
	for (int fd = 3; fd < next_fd; fd++)
		close(fd);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

TEST(systemd_sockets_take_none_when_there_are_none)
{
	assert_true(systemd_sockets_take(&options, &err));

	assert_int_equal(options.spop_listen.count, 1);
	assert_false(options.spop_listen.items[0].is_inherited);
	assert_false(systemd_sockets_outlive(&options));
}

TEST(systemd_sockets_take_each_in_place_of_its_option)
{
	hand_over_listening();
	hand_over_abstract();
	hand_over_listening();
	say("3", "spop:admin:spop");

	assert_true(systemd_sockets_take(&options, &err));

	assert_int_equal(options.spop_listen.count, 2);
	assert_int_equal(options.spop_listen.items[0].fd, 3);
	assert_int_equal(options.spop_listen.items[1].fd, 5);
	assert_true(options.spop_listen.items[1].is_inherited);
	assert_int_equal(options.http_listen.count, 2);
	assert_false(options.http_listen.items[0].is_inherited);
	assert_int_equal(options.admin_listen.count, 1);
	assert_int_equal(options.admin_listen.items[0].fd, 4);
	char text[40];
	snprintf(text, sizeof text, "unix:@ratelimit-%d", getpid());
	assert_string_equal(options.admin_listen.items[0].text, text);
	assert_true(systemd_sockets_outlive(&options));
}

TEST(systemd_sockets_take_one_for_an_option_that_is_off)
{
	options.spop_listen.count = 0;
	hand_over_listening();
	say("1", "spop");

	assert_true(systemd_sockets_take(&options, &err));

	assert_int_equal(options.spop_listen.count, 1);
}

TEST(systemd_sockets_take_sets_flags_of_the_descriptor)
{
	hand_over_listening();
	say("1", "http");

	assert_true(systemd_sockets_take(&options, &err));

	assert_int_equal(fcntl(3, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fcntl(3, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
}

TEST(systemd_sockets_take_an_ipv6_socket)
{
	int fd = bound_socket(SOCK_STREAM, true);

	assert_int_equal(listen(fd, 1), 0);
	hand_over(fd);
	say("1", "spop");

	assert_true(systemd_sockets_take(&options, &err));

	assert_memory_equal(options.spop_listen.items[0].text, "[::1]:", strlen("[::1]:"));
}

TEST(systemd_sockets_take_nothing_that_is_for_another_process)
{
	hand_over_listening();
	say("1", "other");
	setenv("LISTEN_PID", "1", 1);

	assert_true(systemd_sockets_take(&options, &err));

	assert_false(options.spop_listen.items[0].is_inherited);
}

static const struct {
	const char *name, *count, *names, *why;
} refused_names[] = {
	{"another name", "1", "smtp",
	 "LISTEN_FDNAMES: descriptor 3 is called \"smtp\"; accepted in FileDescriptorName= are "
	 "spop, http and admin"},
	{"the name that systemd gives by itself", "1", "ratelimit-spoa.socket",
	 "LISTEN_FDNAMES: descriptor 3 is called \"ratelimit-spoa.socket\"; accepted in "
	 "FileDescriptorName= are spop, http and admin"},
	{"no name", "1", NULL,
	 "LISTEN_FDNAMES: descriptor 3 is called nothing; accepted in FileDescriptorName= are "
	 "spop, http and admin"},
	{"too few names", "2", "spop",
	 "LISTEN_FDNAMES: descriptor 4 is called nothing; accepted in FileDescriptorName= are "
	 "spop, http and admin"},
	{"no number", "many", "spop",
	 "LISTEN_FDS: \"many\" is not accepted; accepted is a number up to 80"},
	{"a large number", "81", "spop",
	 "LISTEN_FDS: \"81\" is not accepted; accepted is a number up to 80"},
	{"as many as there may be, and one of them is there", "80", "spop:spop",
	 "LISTEN_FDS: descriptor 4, \"spop\", is no stream socket that listens; accepted is "
	 "ListenStream= with Accept=no"},
	{"a descriptor that is not there", "2", "spop:spop",
	 "LISTEN_FDS: descriptor 4, \"spop\", is no stream socket that listens; accepted is "
	 "ListenStream= with Accept=no"},
};

TEST_ROWS(refused_names)
{
	hand_over_listening();
	say(row->count, row->names);

	assert_false(systemd_sockets_take(&options, &err));

	assert_string_equal(err.text, row->why);
}

static void assert_refuses_the_socket(void)
{
	say("1", "spop");
	assert_false(systemd_sockets_take(&options, &err));
	assert_string_equal(err.text,
			    "LISTEN_FDS: descriptor 3, \"spop\", is no stream socket that listens; "
			    "accepted is ListenStream= with Accept=no");
}

TEST(systemd_sockets_take_no_datagram_socket)
{
	hand_over(bound_socket(SOCK_DGRAM, false));
	assert_refuses_the_socket();
}

TEST(systemd_sockets_take_no_socket_that_does_not_listen)
{
	hand_over(bound_socket(SOCK_STREAM, false));
	assert_refuses_the_socket();
}

TEST(systemd_sockets_take_no_file)
{
	hand_over(open("/dev/null", O_RDONLY));
	assert_refuses_the_socket();
}

TEST(systemd_sockets_take_16_of_a_name)
{
	for (int i = 0; i < 17; i++)
		hand_over_listening();
	say("16",
	    "spop:spop:spop:spop:spop:spop:spop:spop:spop:spop:spop:spop:spop:spop:spop:spop");
	assert_true(systemd_sockets_take(&options, &err));
	assert_int_equal(options.spop_listen.count, 16);

	options.spop_listen.count = 0;
	say("17", "spop:spop:spop:spop:spop:spop:spop:spop:spop:spop:spop:spop:spop:spop:spop:spop:"
		  "spop");
	assert_false(systemd_sockets_take(&options, &err));
	assert_string_equal(err.text, "LISTEN_FDS: \"spop\" has more than 16 sockets");
}

TEST(systemd_sockets_take_what_was_kept_behind_the_sockets)
{
	hand_over_listening();
	hand_over(open("/dev/null", O_RDONLY));
	say("2", "spop:balances-3f9a");

	assert_true(systemd_sockets_take(&options, &err));

	assert_int_equal(options.spop_listen.count, 1);
	assert_int_equal(options.stored_count, 1);
	assert_int_equal(options.stored[0].fd, 4);
	assert_string_equal(options.stored[0].name, "balances-3f9a");
	assert_int_equal(fcntl(4, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_true(systemd_sockets_outlive(&options));
}

TEST(systemd_sockets_close_what_was_kept_too_often)
{
	for (int i = 0; i < STORED_MAX + 1; i++)
		hand_over(open("/dev/null", O_RDONLY));
	say("9", "balances-1:balances-2:balances-3:balances-4:balances-5:balances-6:balances-7:"
		 "balances-8:balances-9");

	assert_true(systemd_sockets_take(&options, &err));

	assert_int_equal(options.stored_count, STORED_MAX);
	assert_int_equal(fcntl(3 + STORED_MAX, F_GETFD), -1);
	assert_false(systemd_sockets_outlive(&options));
}

TEST(systemd_sockets_refuse_a_kept_name_that_is_too_long)
{
	hand_over(open("/dev/null", O_RDONLY));
	say("1", "balances-0123456789012345678901234567890123456789");

	assert_false(systemd_sockets_take(&options, &err));
}
