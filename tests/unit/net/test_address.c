#include "net/address.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/test.h"

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
		assert_true(address_parse(bytes_from_text(cases[i].text), &address, &err));
		if (address_is_local(&address) != cases[i].is_local)
			fail_msg("%s", cases[i].text);
	}
}

static struct address address_of(const char *text)
{
	struct address address;
	struct err err;

	if (!address_parse(bytes_from_text(text), &address, &err))
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
		{"unix:/x?mode=000", "/x", true, 0},
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
		{"unix:/x?", "only ?mode="},
		{"unix:/x?mod=660", "only ?mode="},
		{"unix:/x?mode=", "only ?mode="},
		{"unix:/x?mode=66", "only ?mode="},
		{"unix:/x?mode=06600", "only ?mode="},
		{"unix:/x?mode=1000", "only ?mode="},
		{"unix:/x?mode=668", "only ?mode="},
		{"unix:/x?mode=66/", "only ?mode="},
		{"unix:/" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "1234567",
		 "the path is too long"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address address;
		struct err err;
		memset(&address, 0xa5, sizeof address);
		if (address_parse(bytes_from_text(cases[i].text), &address, &err))
			fail_msg("\"%s\" is taken", cases[i].text);
		if (strstr(err.text, cases[i].why) == NULL)
			fail_msg("\"%s\": %s", cases[i].text, err.text);
		assert_non_null(strstr(err.text, "; accepted is host:port"));
		assert_int_equal((unsigned char)address.text[0], 0xa5); /* untouched */
	}
	(void)address_of("unix:/" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "123456");
}

TEST(address_make_reachable_puts_loopback_for_the_wildcard)
{
	static const struct {
		const char *text;
		bool is_changed;
	} cases[] = {
		{"0.0.0.0:80", true},        {"[::]:80", true},  {"192.0.2.1:80", false},
		{"[2001:db8::1]:80", false}, {"unix:/x", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address address = address_of(cases[i].text), before = address;
		address_make_reachable(&address);
		assert_int_equal(memcmp(&address.socket, &before.socket, sizeof before.socket) != 0,
				 cases[i].is_changed);
		if (cases[i].is_changed)
			assert_true(address_is_local(&address));
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
