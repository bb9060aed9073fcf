#include "net/address.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/test.h"
#include "unit/net/hosts.h"
#include "unit/net/sockets.h"

AFTER_EACH
{
	faults = (struct faults){0};
	host_of_test = (struct host){0};
}

TEST(address_is_local_is_what_this_machine_alone_reaches)
{
	static const struct {
		const char *text;
		bool is_local;
	} cases[] = {
		{"127.0.0.1:1", true},
		{"127.1.2.3:1", true},
		{"[::1]:1", true},
		{"[::ffff:127.0.0.1]:1", true},
		{"unix:/x", true},
		{"0.0.0.0:1", false},
		{"[::]:1", false},
		{"192.0.2.1:1", false},
		{"128.0.0.1:1", false},
		{"[2001:db8::1]:1", false},
		{"[::ffff:192.0.2.1]:1", false},
		{"[::7f00:1]:1", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address address;
		struct err err;
		assert_int_equal(address_parse(bytes_from_text(cases[i].text), &address, 1, &err),
				 1);
		if (address_is_local(&address) != cases[i].is_local)
			fail_msg("%s", cases[i].text);
	}
}

static struct address address_of(const char *text)
{
	struct address address;
	struct err err;

	if (address_parse(bytes_from_text(text), &address, 1, &err) != 1)
		fail_msg("%s", err.text);
	assert_string_equal(address.text, text);
	return address;
}

TEST(address_parse_reads_hosts_and_ports)
{
	struct address address = address_of("192.0.2.1:8080");
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address.socket;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address.socket;

	assert_int_equal(v4->sin_family, AF_INET);
	assert_int_equal(ntohs(v4->sin_port), 8080);
	assert_int_equal(ntohl(v4->sin_addr.s_addr), 0xc0000201);
	assert_int_equal(address.len, sizeof *v4);
	address = address_of("[2001:db8::1]:65535");
	assert_int_equal(v6->sin6_family, AF_INET6);
	assert_int_equal(ntohs(v6->sin6_port), 65535);
	assert_int_equal(v6->sin6_addr.s6_addr[15], 1);
	assert_int_equal(address.len, sizeof *v6);
	address = address_of("127.0.0.1:0");
	assert_int_equal(ntohs(v4->sin_port), 0);
	assert_false(address.has_mode);
}

TEST(address_parse_reads_unix_sockets)
{
	static const struct {
		const char *text, *path;
		bool has_mode;
		mode_t mode;
	} cases[] = {
		{"unix:/run/x", "/run/x", false, 0},     {"unix:/a b:c", "/a b:c", false, 0},
		{"unix:/x?mode=0660", "/x", true, 0660}, {"unix:/x?mode=777", "/x", true, 0777},
		{"unix:/x?mode=000", "/x", true, 0},     {"unix:/x?user=0", "/x", false, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address address = address_of(cases[i].text);
		assert_int_equal(address.socket.ss_family, AF_UNIX);
		assert_string_equal(((struct sockaddr_un *)&address.socket)->sun_path,
				    cases[i].path);
		assert_int_equal(address.has_mode, cases[i].has_mode);
		assert_int_equal(address.mode, cases[i].mode);
		assert_int_equal(address.len, sizeof(struct sockaddr_un));
	}
}

#define TEN "0123456789"

TEST(address_parse_says_what_is_wrong)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"", "this is no address"},
		{"a", "this is no address"},
		{":80", "this is no address"},
		{"a:", "this is no address"},
		{"a:x", "this is no address"},
		{"a:-1", "this is no address"},
		{"a:65536", "this is no address"},
		{"a:00000080", "this is no address"},
		{"::1:80", "this is no address"},
		{"[::1]", "this is no address"},
		{"[a]:80", "this is no address"},
		{"[::1:80", "this is no address"},
		{"unix:", "the path must begin with /"},
		{"unix:x", "the path must begin with /"},
		{"unix:?mode=660", "the path must begin with /"},
		{"unix:/x?", "only mode=, user= and group="},
		{"unix:/x?mod=660", "only mode=, user= and group="},
		{"unix:/x?mode=", "mode= takes"},
		{"unix:/x?mode=66", "mode= takes"},
		{"unix:/x?mode=06600", "mode= takes"},
		{"unix:/x?mode=1000", "mode= takes"},
		{"unix:/x?mode=668", "mode= takes"},
		{"unix:/x?mode=66/", "mode= takes three or four octal digits up to 0777"},
		{"unix:/x?mode=660&mode=660",
		 "each of mode=, user= and group= may stand there once"},
		{"unix:/x?mode=660&", "only mode=, user= and group= may follow"},
		{"unix:/x?user=", "user= takes a user of this system, by name or number"},
		{"unix:/x?user=no such user", "user= takes a user of this system"},
		{"unix:/x?user=4294967295", "user= takes a user of this system"},
		{"unix:/x?user=-1", "user= takes a user of this system"},
		{"unix:/x?group=", "group= takes a group of this system, by name or number"},
		{"unix:/x?group=no such group", "group= takes a group of this system"},
		{"unix:/x?group=4294967295", "group= takes a group of this system"},
		{"unix:/x?group=0&group=0", "may stand there once"},
		{"*", "this is no address"},
		{"*:", "this is no address"},
		{"[*]:80", "this is no address"},
		{"unix:/" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "1234567",
		 "the path is too long"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address address;
		struct err err;
		memset(&address, 0xa5, sizeof address);
		if (address_parse(bytes_from_text(cases[i].text), &address, 1, &err) != 0)
			fail_msg("\"%s\" is taken", cases[i].text);
		if (strstr(err.text, cases[i].why) == NULL)
			fail_msg("\"%s\": %s", cases[i].text, err.text);
		assert_non_null(strstr(err.text, "; accepted is host:port"));
		assert_int_equal((unsigned char)address.text[0], 0xa5); /* untouched */
	}
	(void)address_of("unix:/" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "123456");
}

TEST(address_parse_reads_who_owns_a_unix_socket)
{
	struct address both = address_of("unix:/x?group=4294967294&mode=0660&user=root");
	struct address none = address_of("unix:/x");

	assert_true(both.has_user && both.has_group && both.has_mode);
	assert_int_equal(both.user, 0);
	assert_int_equal(both.group, 4294967294);
	assert_int_equal(both.mode, 0660);
	assert_true(address_of("unix:/x?group=root").has_group);
	assert_false(none.has_user || none.has_group);
}

/* ---- names ---- */

TEST(address_parse_a_name_means_all_its_addresses)
{
	struct address addresses[4];
	struct err err;

	host_of_test = (struct host){"three.test", {"::1", "127.0.0.1", "::1", "192.0.2.1"}};
	assert_int_equal(address_parse(BYTES("three.test:80"), addresses, 4, &err), 3);

	assert_string_equal(addresses[0].text, "three.test:80 ([::1]:80)");
	assert_string_equal(addresses[1].text, "three.test:80 (127.0.0.1:80)");
	assert_string_equal(addresses[2].text, "three.test:80 (192.0.2.1:80)");
	assert_false(addresses[0].is_same_name);
	assert_true(addresses[1].is_same_name);
	assert_true(addresses[2].is_same_name);
	assert_int_equal(addresses[1].socket.ss_family, AF_INET);
}

TEST(address_parse_a_name_with_one_address_stays_as_it_was_given)
{
	struct address address;
	struct err err;

	host_of_test = (struct host){"one.test", {"192.0.2.1"}};
	assert_int_equal(address_parse(BYTES("one.test:80"), &address, 1, &err), 1);

	assert_string_equal(address.text, "one.test:80");
}

TEST(address_parse_a_name_with_more_addresses_than_there_is_room_for_is_refused)
{
	struct address addresses[3];
	struct err err;

	host_of_test = (struct host){"three.test", {"::1", "127.0.0.1", "192.0.2.1"}};
	memset(addresses, 0xa5, sizeof addresses);
	assert_int_equal(address_parse(BYTES("three.test:80"), addresses, 2, &err), 0);

	assert_non_null(strstr(err.text, "\"three.test:80\": there is no room for all addresses"));
	assert_int_equal((unsigned char)addresses[2].text[0], 0xa5);
}

TEST(address_parse_a_star_is_both_families_or_ipv4_where_there_is_no_ipv6)
{
	struct address both = address_of("*:80");
	assert_int_equal(both.socket.ss_family, AF_INET6);
	assert_true(address_is_wildcard(&both));

	faults.has_no_ipv6 = true;
	struct address v4 = address_of("*:80");
	assert_int_equal(v4.socket.ss_family, AF_INET);
	assert_true(address_is_wildcard(&v4));
}

TEST(address_is_here_says_what_this_machine_does_not_have)
{
	static const struct {
		const char *text;
		bool has_no_ipv6;
		int error;
	} cases[] = {
		{"127.0.0.1:1", false, 0},      {"0.0.0.0:1", false, 0},
		{"[::]:1", false, 0},           {"192.0.2.1:1", false, EADDRNOTAVAIL},
		{"[::]:1", true, EAFNOSUPPORT}, {"[2001:db8::1]:1", false, EADDRNOTAVAIL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address address = address_of(cases[i].text);
		int error = -1;
		faults.has_no_ipv6 = cases[i].has_no_ipv6;
		assert_int_equal(address_is_here(&address, &error), cases[i].error == 0);
		assert_int_equal(error, cases[i].error);
	}
}

TEST(address_update_text_says_what_the_socket_is_bound_to)
{
	static const char *const texts[] = {"127.0.0.1:0", "[::1]:0"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct address address = address_of(texts[i]);
		int fd = socket(address.socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		char expected[40];
		assert_int_equal(bind(fd, (struct sockaddr *)&address.socket, address.len), 0);
		address_update_text(&address, fd);
		const struct sockaddr_in *bound = (const struct sockaddr_in *)&address.socket;
		assert_int_not_equal(bound->sin_port, 0);
		snprintf(expected, sizeof expected, "%.*s:%u", (int)strlen(texts[i]) - 2, texts[i],
			 ntohs(bound->sin_port));
		assert_string_equal(address.text, expected);
		close(fd);
	}
}

TEST(address_update_text_leaves_what_is_no_bound_socket)
{
	struct address address = address_of("127.0.0.1:0"), path = address_of("unix:/x");
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address_update_text(&address, -1);
	address_update_text(&path, fd);
	assert_string_equal(address.text, "127.0.0.1:0");
	assert_string_equal(path.text, "unix:/x");
	close(fd);
}
