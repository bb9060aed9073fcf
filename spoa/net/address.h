/*
 * address.h - one address to listen on or to connect to: `host:port`, `[v6]:port`, `*:port`, or
 * `unix:/path` with its options. address_list.h has lists of them.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/bytes.h"
#include "base/err.h"

#define ADDRESS_ACCEPTED \
	"host:port, [v6]:port, *:port or unix:/path[?mode=0660&user=NAME&group=NAME]"
/* A host name of 255 or a path, its prefix and its port or options, and a numeric address. */
#define ADDRESS_TEXT_MAX 384

struct address {
	struct sockaddr_storage socket;
	socklen_t len;
	bool is_v6_only;   /* [::] leaves IPv4 alone; set by address_list_parse */
	bool is_same_name; /* as the address before it in its list: a name has several */
	bool has_mode;     /* the last six: of a Unix socket's file, if the text says so */
	bool has_user;
	bool has_group;
	mode_t mode;
	uid_t user;
	gid_t group;
	bool is_inherited; /* somebody else made the socket `fd`, which listens there already */
	int fd;
	/*
	 * As it was given, or what address_update_text made of it. One address of a name that has
	 * several has both: "name:80 (192.0.2.1:80)".
	 */
	char text[ADDRESS_TEXT_MAX];
};

/*
 * Reads one address, and puts the addresses that it means into `ret_addresses`, which has room for
 * `max`: a host name may mean several, everything else means one. `*` is [::], or 0.0.0.0 where
 * there is no IPv6. Returns how many there are; 0 when `err` says what is wrong. Looks host names
 * up, which may block: only for the start of the agent and for `probe`.
 */
MUST_CHECK size_t address_parse(struct bytes text, struct address *ret_addresses, size_t max,
				struct err *err);
/* Whether both are the same IP address and port. */
bool address_is_same(const struct address *a, const struct address *b);
/* Whether it is 0.0.0.0 or [::]. */
bool address_is_wildcard(const struct address *address);
/* Whether only this machine can connect to it: a loopback address or a Unix socket. */
bool address_is_local(const struct address *address);
/*
 * Whether this machine has the address. If not, `*ret_error` is EADDRNOTAVAIL, or EAFNOSUPPORT when
 * there is no IPv6. Any other error is for who listens to find.
 */
bool address_is_here(const struct address *address, int *ret_error);
/* The address of a socket that was inherited. False when `fd` is no socket that has one. */
MUST_CHECK bool address_of_inherited(int fd, struct address *ret_address);
/* Makes `text` what the socket `fd` is bound to: the kernel chose the port when 0 was given. */
void address_update_text(struct address *address, int fd);

#endif
