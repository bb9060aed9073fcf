#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

static bool copy_text(struct bytes text, char *memory, size_t max)
{
	struct writer w = writer_on(memory, max);

	writer_put(&w, text);
	writer_put_u8(&w, '\0');
	return !w.full;
}

static bool find_user(const char *name, uint32_t *ret_id)
{
	const struct passwd *found = getpwnam(name);

	if (found != NULL)
		*ret_id = found->pw_uid;
	return found != NULL;
}

static bool find_group(const char *name, uint32_t *ret_id)
{
	const struct group *found = getgrnam(name);

	if (found != NULL)
		*ret_id = found->gr_gid;
	return found != NULL;
}

/* A number, or a name that the system knows. UINT32_MAX means "nobody" to chown, so it is no id. */
static bool parse_id(struct bytes text, bool (*find)(const char *name, uint32_t *ret_id),
		     uint32_t *ret_id)
{
	char name[256];
	uint64_t number;

	if (!parse_whole(text, UINT32_MAX - 1, &number))
		return copy_text(text, name, sizeof name) && find(name, ret_id);
	*ret_id = (uint32_t)number;
	return true;
}

/* Returns NULL, or what is wrong with the option, "mode=0660". */
static const char *parse_unix_option(struct bytes option, struct address *address)
{
	bool *has = NULL;
	const char *why = NULL;

	if (bytes_begin_with(option, BYTES("mode="))) {
		has = &address->has_mode;
		if (!parse_mode(bytes_skip(option, strlen("mode=")), &address->mode))
			why = "mode= takes three or four octal digits up to 0777";
	} else if (bytes_begin_with(option, BYTES("user="))) {
		has = &address->has_user;
		if (!parse_id(bytes_skip(option, strlen("user=")), find_user, &address->user))
			why = "user= takes a user of this system, by name or number";
	} else if (bytes_begin_with(option, BYTES("group="))) {
		has = &address->has_group;
		if (!parse_id(bytes_skip(option, strlen("group=")), find_group, &address->group))
			why = "group= takes a group of this system, by name or number";
	} else {
		return "only mode=, user= and group= may follow the path, after a ? and with & "
		       "between";
	}
	if (*has)
		why = "each of mode=, user= and group= may stand there once";
	*has = true;
	return why;
}

static bool parse_unix(struct bytes text, struct address *address, struct err *err)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&address->socket;
	struct bytes path = bytes_skip(text, strlen("unix:")), option;
	const uint8_t *query = memchr(path.data, '?', path.len);

	if (query != NULL) {
		struct bytes rest = bytes_skip(path, (size_t)(query - path.data) + 1);
		path.len = (size_t)(query - path.data);
		while (bytes_next_item(&rest, '&', &option)) {
			const char *why = parse_unix_option(option, address);
			if (why != NULL)
				return refuse_address(err, text, why);
		}
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

static bool has_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno != EAFNOSUPPORT;
	close(fd);
	return true;
}

/* The address and the port in digits: "192.0.2.1:80", "[2001:db8::1]:80". */
static bool write_numeric(const struct address *address, char *text, size_t max)
{
	char host[INET6_ADDRSTRLEN + 16], port[8]; /* 16: "%" and the name of an interface */

	if (getnameinfo((const struct sockaddr *)&address->socket, address->len, host, sizeof host,
			port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return false;
	snprintf(text, max, address->socket.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
		 port);
	return true;
}

/* The list of a resolver may have an address twice, as when two lines of /etc/hosts say the same.
 */
static bool is_among(const struct address *address, const struct address *those, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (address_is_same(address, &those[i]))
			return true;
	return false;
}

static void set_text(struct address *address, struct bytes text, bool is_of_several)
{
	struct writer w = writer_on(address->text, sizeof address->text);
	char numeric[80];

	writer_put(&w, text);
	if (is_of_several && write_numeric(address, numeric, sizeof numeric)) {
		writer_put_text(&w, " (");
		writer_put_text(&w, numeric);
		writer_put_text(&w, ")");
	}
	(void)writer_text(&w);
}

/* Returns how many addresses there are; more than `max` when they are too many. */
static size_t keep_found(const struct addrinfo *found, struct address *ret_addresses, size_t max)
{
	size_t count = 0;

	for (; found != NULL && count <= max; found = found->ai_next) {
		struct address address = {.len = found->ai_addrlen, .is_same_name = count > 0};
		if (found->ai_addrlen > sizeof address.socket)
			continue;
		memcpy(&address.socket, found->ai_addr, found->ai_addrlen);
		if (is_among(&address, ret_addresses, count))
			continue;
		if (count < max)
			ret_addresses[count] = address;
		count++;
	}
	return count;
}

static size_t parse_inet(struct bytes text, struct address *ret_addresses, size_t max,
			 struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found;
	char host[256], port[8];

	if (!split_host_and_port(text, host, sizeof host, port, sizeof port))
		return refuse_address(err, text, "this is no address");
	const char *looked_up = strcmp(host, "*") != 0 ? host : has_ipv6() ? "::" : "0.0.0.0";
	int status = getaddrinfo(looked_up, port, &hints, &found);
	if (status != 0)
		return refuse_address(err, text, gai_strerror(status));
	size_t count = keep_found(found, ret_addresses, max);
	freeaddrinfo(found);
	if (count > max)
		return refuse_address(err, text, "there is no room for all addresses of this name");
	for (size_t i = 0; i < count; i++)
		set_text(&ret_addresses[i], text, count > 1);
	return count;
}

size_t address_parse(struct bytes text, struct address *ret_addresses, size_t max, struct err *err)
{
	struct address address = {0};

	if (!bytes_begin_with(text, BYTES("unix:")))
		return parse_inet(text, ret_addresses, max, err);
	if (!parse_unix(text, &address, err))
		return 0;
	set_text(&address, text, false);
	*ret_addresses = address;
	return 1;
}

bool address_is_same(const struct address *a, const struct address *b)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->socket;
	const struct sockaddr_in *other_v4 = (const struct sockaddr_in *)&b->socket;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->socket;
	const struct sockaddr_in6 *other_v6 = (const struct sockaddr_in6 *)&b->socket;

	if (a->socket.ss_family != b->socket.ss_family)
		return false;
	if (a->socket.ss_family == AF_INET)
		return v4->sin_port == other_v4->sin_port &&
		       v4->sin_addr.s_addr == other_v4->sin_addr.s_addr;
	return a->socket.ss_family == AF_INET6 && v6->sin6_port == other_v6->sin6_port &&
	       v6->sin6_scope_id == other_v6->sin6_scope_id &&
	       IN6_ARE_ADDR_EQUAL(&v6->sin6_addr, &other_v6->sin6_addr);
}

bool address_is_wildcard(const struct address *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->socket;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->socket;

	if (address->socket.ss_family == AF_INET)
		return v4->sin_addr.s_addr == htonl(INADDR_ANY);
	return address->socket.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
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

bool address_is_here(const struct address *address, int *ret_error)
{
	struct address any_port = *address;
	int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error = fd < 0 ? errno : 0;

	if (address->socket.ss_family == AF_INET)
		((struct sockaddr_in *)&any_port.socket)->sin_port = 0;
	else
		((struct sockaddr_in6 *)&any_port.socket)->sin6_port = 0;
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&any_port.socket, any_port.len) != 0)
		error = errno;
	if (fd >= 0)
		close(fd);
	*ret_error = error;
	return error != EADDRNOTAVAIL && error != EAFNOSUPPORT;
}

/* "unix:/path". The NUL byte that begins a name in the abstract namespace is shown as an @. */
static void set_unix_text(struct address *address)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&address->socket;
	size_t len = address->len - offsetof(struct sockaddr_un, sun_path);
	struct writer w = writer_on(address->text, sizeof address->text);
	bool is_abstract = len > 0 && un->sun_path[0] == '\0';

	writer_put_text(&w, is_abstract ? "unix:@" : "unix:");
	writer_put(&w, is_abstract ? bytes_from(un->sun_path + 1, len - 1)
				   : bytes_from(un->sun_path, strnlen(un->sun_path, len)));
	(void)writer_text(&w);
}

bool address_of_inherited(int fd, struct address *ret_address)
{
	struct address address = {.is_inherited = true, .fd = fd, .len = sizeof address.socket};

	if (getsockname(fd, (struct sockaddr *)&address.socket, &address.len) != 0 ||
	    address.len > sizeof address.socket)
		return false;
	if (address.socket.ss_family == AF_UNIX)
		set_unix_text(&address);
	else if (!write_numeric(&address, address.text, sizeof address.text))
		return false;
	*ret_address = address;
	return true;
}

void address_update_text(struct address *address, int fd)
{
	socklen_t len = sizeof address->socket;

	if (address->socket.ss_family == AF_UNIX ||
	    getsockname(fd, (struct sockaddr *)&address->socket, &len) != 0)
		return;
	address->len = len;
	(void)write_numeric(address, address->text, sizeof address->text);
}
