/*
 * address_list.h - the addresses of an option, in their order. A host name stands for all of its
 * addresses: the first one, and those after it that have `is_same_name`.
 */
#ifndef NET_ADDRESS_LIST_H
#define NET_ADDRESS_LIST_H

#include "net/address.h"

#define ADDRESS_LIST_MAX 16

struct address_list {
	struct address items[ADDRESS_LIST_MAX];
	size_t count;
};

/*
 * Reads addresses with commas between. [::] beside 0.0.0.0 on the same port leaves IPv4 to it, as
 * two sockets can't both take it. Looks host names up, as address_parse does.
 */
MUST_CHECK bool address_list_parse(struct bytes text, struct address_list *ret_list,
				   struct err *err);
/*
 * Where to connect to reach who listens on the first of the list: on all its addresses if that is a
 * name. Loopback addresses stand in place of wildcards. An empty list makes an empty one.
 */
struct address_list address_list_first_reachable(const struct address_list *list);
/*
 * Takes out of the list those addresses of host names that this machine does not have, and calls
 * `skipped` for each. The last address of a name stays in any case: the listener says what is wrong
 * with it.
 */
void address_list_skip_missing(struct address_list *list,
			       void (*skipped)(const struct address *address, int error));

#endif
