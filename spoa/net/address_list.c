#include "net/address_list.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static struct sockaddr_in *v4_of(struct address *address)
{
	return (struct sockaddr_in *)&address->socket;
}

static struct sockaddr_in6 *v6_of(struct address *address)
{
	return (struct sockaddr_in6 *)&address->socket;
}

/* ---- reading ---- */

static bool has_v4_wildcard(struct address_list *list, in_port_t port)
{
	for (size_t i = 0; i < list->count; i++) {
		struct address *address = &list->items[i];
		if (address->socket.ss_family == AF_INET && address_is_wildcard(address) &&
		    v4_of(address)->sin_port == port)
			return true;
	}
	return false;
}

/* Port 0 is another free port for each address, so there the two don't meet. */
static void mark_v6_only(struct address_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct address *address = &list->items[i];
		if (address->socket.ss_family == AF_INET6 && address_is_wildcard(address) &&
		    v6_of(address)->sin6_port != 0)
			address->is_v6_only = has_v4_wildcard(list, v6_of(address)->sin6_port);
	}
}

bool address_list_parse(struct bytes text, struct address_list *ret_list, struct err *err)
{
	struct address_list list = {.count = 0};
	struct bytes item;

	while (bytes_next_item(&text, ',', &item)) {
		item = bytes_trim(item);
		if (list.count == ADDRESS_LIST_MAX)
			return err_set(
				err, "%s: %d addresses are the most; accepted is " ADDRESS_ACCEPTED,
				quoted(item).text, ADDRESS_LIST_MAX);
		size_t added = address_parse(item, &list.items[list.count],
					     ADDRESS_LIST_MAX - list.count, err);
		if (added == 0)
			return false;
		list.count += added;
	}
	mark_v6_only(&list);
	*ret_list = list;
	return true;
}

/* ---- connecting ---- */

static void add_v4_loopback(struct address_list *list, in_port_t port)
{
	struct address *added = &list->items[list->count++];

	*added = list->items[list->count - 2];
	*v4_of(added) = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	added->len = sizeof(struct sockaddr_in);
	snprintf(added->text, sizeof added->text, "127.0.0.1:%u", ntohs(port));
}

/* [::] is reached by 127.0.0.1 where the loopback interface has no IPv6 address. */
static void add_reachable(struct address_list *list, const struct address *address)
{
	struct address *added = &list->items[list->count++];

	*added = *address;
	if (!address_is_wildcard(address))
		return;
	if (address->socket.ss_family == AF_INET) {
		v4_of(added)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return;
	}
	v6_of(added)->sin6_addr = in6addr_loopback;
	if (!address->is_v6_only && list->count < ADDRESS_LIST_MAX)
		add_v4_loopback(list, v6_of(added)->sin6_port);
}

struct address_list address_list_first_reachable(const struct address_list *list)
{
	struct address_list reachable = {.count = 0};

	for (size_t i = 0; i < list->count && reachable.count < ADDRESS_LIST_MAX; i++) {
		if (i > 0 && !list->items[i].is_same_name)
			break;
		add_reachable(&reachable, &list->items[i]);
	}
	return reachable;
}

/* ---- listening ---- */

static bool is_last_of_name(const struct address_list *list, size_t i)
{
	return i + 1 == list->count || !list->items[i + 1].is_same_name;
}

void address_list_skip_missing(struct address_list *list,
			       void (*skipped)(const struct address *address, int error))
{
	size_t kept = 0, kept_of_name = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct address address = list->items[i];
		int error;
		if (!address.is_same_name)
			kept_of_name = 0;
		bool may_go = kept_of_name > 0 || !is_last_of_name(list, i);
		if (may_go && !address_is_here(&address, &error)) {
			skipped(&address, error);
			continue;
		}
		address.is_same_name = kept_of_name > 0;
		kept_of_name++;
		list->items[kept++] = address;
	}
	list->count = kept;
}
