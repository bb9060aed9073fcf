#include "net/http/http_clients.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "net/address.h"
#include "net/http/http_bounds.h"

void http_clients_init(struct http_clients *clients)
{
	*clients = (struct http_clients){0};
	list_init(&clients->timed);
	list_init(&clients->waiting);
	list_init(&clients->leaving);
}

/* ---- who it is ---- */

static void set_address(struct http_client *client, const struct in6_addr *address)
{
	memcpy(client->address, address, sizeof client->address);
	client->has_address = true;
}

void http_client_init(struct http_client *client, int fd)
{
	struct address peer = {.len = sizeof peer.socket};
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&peer.socket;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&peer.socket;
	struct in6_addr mapped = {.s6_addr = {[10] = 0xff, 0xff}};

	*client = (struct http_client){.fd = fd};
	list_init(&client->link);
	if (getpeername(fd, (struct sockaddr *)&peer.socket, &peer.len) != 0)
		return;
	client->is_local = address_is_local(&peer);
	memcpy(mapped.s6_addr + 12, &v4->sin_addr, sizeof v4->sin_addr);
	if (peer.socket.ss_family == AF_INET)
		set_address(client, &mapped);
	if (peer.socket.ss_family == AF_INET6)
		set_address(client, &v6->sin6_addr);
}

/* Of IPv6 the /64 counts, which is what one subscriber has. */
static bool is_same(const struct http_client *a, const struct http_client *b)
{
	static const uint8_t mapped[12] = {[10] = 0xff, 0xff};
	size_t len = memcmp(a->address, mapped, sizeof mapped) == 0 ? 16 : 8;

	return a->has_address && b->has_address && memcmp(a->address, b->address, len) == 0;
}

/* ---- coming and going ---- */

static struct http_client *client_of(struct list *link)
{
	return CONTAINER_OF(link, struct http_client, link);
}

static bool is_busy(const struct http_client *client)
{
	return client->phase != HTTP_IDLE;
}

static void show_out(struct http_clients *clients, struct http_client *client)
{
	clients->count--;
	clients->busy -= is_busy(client);
	client->is_leaving = true;
	list_remove(&client->link);
	list_append(&clients->leaving, &client->link);
	(void)shutdown(client->fd, SHUT_RDWR);
}

static size_t count_same(struct list *list, const struct http_client *client)
{
	size_t count = 0;

	for (struct list *link = list->next; link != list; link = link->next)
		count += is_same(client_of(link), client);
	return count;
}

/* The one that is in its state for longest, of all or of the same address. */
static struct http_client *find_oldest(struct http_clients *clients,
				       const struct http_client *same_as)
{
	struct list *link = clients->timed.next;

	while (link != &clients->timed && same_as != NULL && !is_same(client_of(link), same_as))
		link = link->next;
	return link == &clients->timed ? NULL : client_of(link);
}

static bool make_room(struct http_clients *clients, const struct http_client *same_as)
{
	struct http_client *oldest = find_oldest(clients, same_as);

	if (oldest == NULL)
		return false;
	show_out(clients, oldest);
	clients->evicted++;
	return true;
}

static bool is_crowd(struct http_clients *clients, const struct http_client *client)
{
	return clients->count >= HTTP_ADDRESS_CONNECTIONS_MAX &&
	       count_same(&clients->timed, client) + count_same(&clients->waiting, client) >=
		       HTTP_ADDRESS_CONNECTIONS_MAX;
}

bool http_clients_admit(struct http_clients *clients, struct http_client *client, int64_t now_us)
{
	if (is_crowd(clients, client) && !make_room(clients, client))
		return false;
	if (clients->count >= HTTP_CONNECTIONS_MAX && !make_room(clients, NULL))
		return false;
	clients->count++;
	client->since_us = now_us;
	list_append(&clients->timed, &client->link);
	return true;
}

bool http_clients_have_room(const struct http_clients *clients)
{
	return clients->count < HTTP_CONNECTIONS_MAX || !list_is_empty(&clients->timed);
}

void http_client_leave(struct http_clients *clients, struct http_client *client)
{
	if (!client->is_leaving && !list_is_empty(&client->link)) {
		clients->count--;
		clients->busy -= is_busy(client);
	}
	list_remove(&client->link);
}

void http_client_set_phase(struct http_clients *clients, struct http_client *client,
			   enum http_phase phase, int64_t now_us)
{
	bool was_busy = is_busy(client);

	client->phase = phase;
	client->since_us = now_us;
	if (client->is_leaving)
		return;
	clients->busy += is_busy(client);
	clients->busy -= was_busy;
	list_remove(&client->link);
	list_append(phase == HTTP_WAITING ? &clients->waiting : &clients->timed, &client->link);
}

/* ---- time ---- */

/* Zeros over a Unix socket. */
static struct tcp_info info_of(const struct http_client *client)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof info;

	(void)getsockopt(client->fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	return info;
}

bool http_client_is_unanswered(const struct http_client *client)
{
	const struct tcp_info info = info_of(client);

	return info.tcpi_bytes_received > 0 && info.tcpi_bytes_sent == 0;
}

void http_client_took_all(struct http_client *client)
{
	client->taken = info_of(client).tcpi_bytes_received;
}

static int64_t limit_of(enum http_phase phase)
{
	switch (phase) {
	case HTTP_IDLE:
		return HTTP_IDLE_US;
	case HTTP_ASKING:
		return HTTP_REQUEST_US;
	case HTTP_WAITING:
		break; /* not in the list */
	case HTTP_ANSWERING:
		return HTTP_ANSWER_US;
	}
	return INT64_MAX;
}

/*
 * The library misses now and then that a client went before its request was complete (0.9.75, one
 * in a hundred), and would wait for the rest.
 */
static bool has_gone(const struct http_client *client, int64_t now_us)
{
	struct pollfd peer = {.fd = client->fd, .events = POLLRDHUP};

	return client->phase == HTTP_ASKING && now_us - client->since_us >= HTTP_GONE_US &&
	       poll(&peer, 1, 0) == 1 && (peer.revents & POLLRDHUP) != 0;
}

static void sweep_one(struct http_clients *clients, struct http_client *client, int64_t now_us)
{
	if (has_gone(client, now_us)) {
		show_out(clients, client);
		return;
	}
	if (client->phase == HTTP_IDLE && info_of(client).tcpi_bytes_received > client->taken)
		http_client_set_phase(clients, client, HTTP_ASKING, now_us);
	if (now_us - client->since_us < limit_of(client->phase))
		return;
	clients->timeouts += is_busy(client);
	show_out(clients, client);
}

void http_clients_sweep(struct http_clients *clients, int64_t now_us)
{
	struct list *link = clients->timed.next, *next;

	/* Those that are put to the end meanwhile began now. */
	for (; link != &clients->timed && client_of(link)->since_us < now_us; link = next) {
		next = link->next;
		sweep_one(clients, client_of(link), now_us);
	}
}

void http_clients_end_idle(struct http_clients *clients)
{
	struct list *link = clients->timed.next, *next;

	for (; link != &clients->timed; link = next) {
		next = link->next;
		if (!is_busy(client_of(link)))
			show_out(clients, client_of(link));
	}
}
