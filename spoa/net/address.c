#include "net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/authority.h"
#include "base/parse.h"
#include "base/writer.h"

static bool refuse_address(struct err *err, struct bytes text, const char *why)
{
	return err_set(err, "%s: %s; accepted is " ADDRESS_ACCEPTED, quoted(text).text, why);
}

static bool parse_mode(struct bytes text, mode_t *ret_mode)
{
	mode_t mode = 0;

	if (text.len < 3 || text.len > 4)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '7')
			return false;
		mode = mode * 8 + (mode_t)(text.data[i] - '0');
	}
	*ret_mode = mode;
	return mode <= 0777;
}

static bool parse_unix(struct bytes text, struct address *address, struct err *err)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&address->socket;
	struct bytes path = bytes_skip(text, strlen("unix:"));
	const uint8_t *query = memchr(path.data, '?', path.len);

	if (query != NULL) {
		struct bytes option = bytes_skip(path, (size_t)(query - path.data) + 1);
		if (!bytes_begin_with(option, BYTES("mode=")) ||
		    !parse_mode(bytes_skip(option, strlen("mode=")), &address->mode))
			return refuse_address(err, text,
					      "only ?mode= and three or four octal digits up to "
					      "0777 may follow the path");
		address->has_mode = true;
		path.len = (size_t)(query - path.data);
	}
	if (path.len == 0 || path.data[0] != '/')
		return refuse_address(err, text, "the path must begin with /");
	if (path.len >= sizeof un->sun_path)
		return refuse_address(err, text, "the path is too long");
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path.data, path.len);
	address->len = sizeof *un;
	return true;
}

static bool copy_text(struct bytes text, char *memory, size_t max)
{
	struct writer w = writer_on(memory, max);

	writer_put(&w, text);
	writer_put_u8(&w, '\0');
	return !w.full;
}

/* The host and the port as getaddrinfo takes them. */
static bool split_host_and_port(struct bytes text, char *host, size_t host_max, char *port,
				size_t port_max)
{
	struct authority authority;
	uint64_t number;

	return authority_split(text, &authority) && authority.host.len > 0 &&
	       parse_whole(authority.port, 65535, &number) &&
	       copy_text(authority.host, host, host_max) &&
	       copy_text(authority.port, port, port_max);
}

static bool parse_inet(struct bytes text, struct address *address, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found;
	char host[256], port[8];

	if (!split_host_and_port(text, host, sizeof host, port, sizeof port))
		return refuse_address(err, text, "this is no address");
	int status = getaddrinfo(host, port, &hints, &found);
	if (status != 0)
		return refuse_address(err, text, gai_strerror(status));
	memcpy(&address->socket, found->ai_addr, found->ai_addrlen);
	address->len = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

bool address_parse(struct bytes text, struct address *ret_address, struct err *err)
{
	struct address address = {0};
	bool is_good = bytes_begin_with(text, BYTES("unix:")) ? parse_unix(text, &address, err)
							      : parse_inet(text, &address, err);

	if (!is_good)
		return false;
	struct writer w = writer_on(address.text, sizeof address.text);
	writer_put(&w, text);
	(void)writer_text(&w);
	*ret_address = address;
	return true;
}

void address_make_reachable(struct address *address)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&address->socket;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address->socket;

	if (address->socket.ss_family == AF_INET && v4->sin_addr.s_addr == htonl(INADDR_ANY))
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (address->socket.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
		v6->sin6_addr = in6addr_loopback;
}

bool address_is_local(const struct address *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->socket;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->socket;

	switch (address->socket.ss_family) {
	case AF_INET:
		return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) &&
			v6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
	}
	return true;
}

void address_update_text(struct address *address, int fd)
{
	char host[INET6_ADDRSTRLEN], port[8];
	socklen_t len = sizeof address->socket;

	if (address->socket.ss_family == AF_UNIX ||
	    getsockname(fd, (struct sockaddr *)&address->socket, &len) != 0 ||
	    getnameinfo((struct sockaddr *)&address->socket, len, host, sizeof host, port,
			sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	address->len = len;
	snprintf(address->text, sizeof address->text,
		 address->socket.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}
