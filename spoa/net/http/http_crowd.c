#include "net/http/http_crowd.h"

#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "net/http/http_bounds.h"

#define ADDRESS_BYTES 16

/* The order in which guests are pushed out; nobody of another phase is. */
static const enum http_phase order[] = {PHASE_ASKING, PHASE_ANSWERING, PHASE_IDLE};

struct http_neighbours {
	struct list link; /* in its bucket */
	uint8_t address[ADDRESS_BYTES];
	size_t count;
	struct list phases[PHASE_LEAVING]; /* each in the order of the crowd's list */
};

void http_crowd_init(struct http_crowd *crowd, size_t max, size_t max_per_address)
{
	_Static_assert(sizeof crowd->secret == crypto_shorthash_KEYBYTES, "all of the key");

	*crowd = (struct http_crowd){.max = max, .max_per_address = max_per_address};
	for (size_t i = 0; i < PHASE_COUNT; i++)
		list_init(&crowd->phases[i]);
	for (size_t i = 0; i < HTTP_CROWD_BUCKETS; i++)
		list_init(&crowd->buckets[i]);
	randombytes_buf(crowd->secret, sizeof crowd->secret);
}

/* ---- the guests of one address ---- */

/* An IPv4 address counts as ::ffff:a.b.c.d, as a listener for both families sees it. */
static const uint8_t ipv4_prefix[12] = {[10] = 0xff, 0xff};

/* What the client counts by; false when it counts by no address. */
static bool read_address(const struct address *peer, uint8_t ret_address[ADDRESS_BYTES])
{
	if (address_is_local(peer))
		return false;
	if (peer->socket.ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&peer->socket;
		memcpy(ret_address, ipv4_prefix, sizeof ipv4_prefix);
		memcpy(ret_address + sizeof ipv4_prefix, &v4->sin_addr, sizeof v4->sin_addr);
		return true;
	}
	if (peer->socket.ss_family != AF_INET6)
		return false;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&peer->socket;
	memcpy(ret_address, &v6->sin6_addr, ADDRESS_BYTES);
	if (memcmp(ret_address, ipv4_prefix, sizeof ipv4_prefix) != 0)
		memset(ret_address + 8, 0,
		       8); /* the /64 counts, which is what one subscriber has */
	return true;
}

static struct list *bucket_of(struct http_crowd *crowd, const uint8_t address[ADDRESS_BYTES])
{
	uint64_t hash;

	_Static_assert(sizeof hash == crypto_shorthash_BYTES, "all of the hash");
	crypto_shorthash((unsigned char *)&hash, address, ADDRESS_BYTES, crowd->secret);
	return &crowd->buckets[hash % HTTP_CROWD_BUCKETS];
}

static struct http_neighbours *find_neighbours(const struct list *bucket,
					       const uint8_t address[ADDRESS_BYTES])
{
	for (struct list *link = bucket->next; link != bucket; link = link->next) {
		struct http_neighbours *found = CONTAINER_OF(link, struct http_neighbours, link);
		if (memcmp(found->address, address, ADDRESS_BYTES) == 0)
			return found;
	}
	return NULL;
}

static struct http_neighbours *add_neighbours(struct list *bucket,
					      const uint8_t address[ADDRESS_BYTES])
{
	struct http_neighbours *added = calloc(1, sizeof *added);

	if (added == NULL)
		return NULL;
	memcpy(added->address, address, ADDRESS_BYTES);
	for (size_t i = 0; i < PHASE_LEAVING; i++)
		list_init(&added->phases[i]);
	list_append(bucket, &added->link);
	return added;
}

static void join_neighbours(struct http_crowd *crowd, struct http_guest *guest,
			    const struct address *peer)
{
	uint8_t address[ADDRESS_BYTES];

	guest->neighbours = NULL;
	if (!read_address(peer, address))
		return;
	struct list *bucket = bucket_of(crowd, address);
	guest->neighbours = find_neighbours(bucket, address);
	if (guest->neighbours == NULL)
		guest->neighbours = add_neighbours(bucket, address);
	if (guest->neighbours == NULL)
		return;
	guest->neighbours->count++;
	list_append(&guest->neighbours->phases[guest->phase], &guest->link_of_address);
}

static void leave_neighbours(struct http_guest *guest)
{
	if (guest->neighbours == NULL)
		return;
	list_remove(&guest->link_of_address);
	if (--guest->neighbours->count == 0) {
		list_remove(&guest->neighbours->link);
		free(guest->neighbours);
	}
	guest->neighbours = NULL;
}

/* The guest is in its new phase already. */
static void move_among_neighbours(struct http_guest *guest)
{
	if (guest->phase == PHASE_LEAVING) {
		leave_neighbours(guest);
	} else if (guest->neighbours != NULL) {
		list_remove(&guest->link_of_address);
		list_append(&guest->neighbours->phases[guest->phase], &guest->link_of_address);
	}
}

/* ---- room ---- */

size_t http_crowd_count(const struct http_crowd *crowd)
{
	size_t count = 0;

	for (size_t phase = 0; phase < PHASE_LEAVING; phase++)
		count += crowd->counts[phase];
	return count;
}

bool http_crowd_is_full(const struct http_crowd *crowd)
{
	return http_crowd_count(crowd) >= crowd->max &&
	       crowd->counts[PHASE_WAITING] == http_crowd_count(crowd);
}

struct http_guest *http_crowd_first(const struct http_crowd *crowd, enum http_phase phase)
{
	const struct list *list = &crowd->phases[phase];

	return list_is_empty(list) ? NULL : CONTAINER_OF(list->next, struct http_guest, link);
}

/* Of all guests. */
static struct http_guest *find_first(const struct http_crowd *crowd)
{
	struct http_guest *first = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(order) && first == NULL; i++)
		first = http_crowd_first(crowd, order[i]);
	return first;
}

static struct http_guest *find_first_neighbour(const struct http_neighbours *neighbours)
{
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		const struct list *list = &neighbours->phases[order[i]];
		if (!list_is_empty(list))
			return CONTAINER_OF(list->next, struct http_guest, link_of_address);
	}
	return NULL;
}

/*
 * When all guests of an address wait for their verdicts, a newcomer of that address is one too
 * many: its address is known only when it is accepted, and it is not to be refused.
 */
struct http_guest *http_crowd_find_victim(struct http_crowd *crowd, const struct address *peer)
{
	struct http_neighbours *neighbours = NULL;
	struct http_guest *victim = NULL;
	uint8_t address[ADDRESS_BYTES];

	if (peer != NULL && read_address(peer, address))
		neighbours = find_neighbours(bucket_of(crowd, address), address);
	if (neighbours != NULL && neighbours->count >= crowd->max_per_address)
		victim = find_first_neighbour(neighbours);
	if (victim == NULL && http_crowd_count(crowd) >= crowd->max)
		victim = find_first(crowd);
	return victim;
}

/* ---- coming, moving and going ---- */

void http_crowd_enter(struct http_crowd *crowd, struct http_guest *guest,
		      const struct address *peer, int64_t now_us)
{
	guest->phase = PHASE_IDLE;
	guest->since_us = now_us;
	list_init(&guest->link);
	list_append(&crowd->phases[PHASE_IDLE], &guest->link);
	crowd->counts[PHASE_IDLE]++;
	join_neighbours(crowd, guest, peer);
}

void http_crowd_leave(struct http_crowd *crowd, struct http_guest *guest)
{
	if (list_is_empty(&guest->link))
		return;
	list_remove(&guest->link);
	crowd->counts[guest->phase]--;
	leave_neighbours(guest);
}

void http_crowd_move(struct http_crowd *crowd, struct http_guest *guest, enum http_phase phase,
		     int64_t now_us)
{
	if (list_is_empty(&guest->link) || guest->phase == phase)
		return;
	list_remove(&guest->link);
	crowd->counts[guest->phase]--;
	guest->phase = phase;
	guest->since_us = now_us;
	list_append(&crowd->phases[phase], &guest->link);
	crowd->counts[phase]++;
	move_among_neighbours(guest);
}

/* ---- time ---- */

static bool is_late(const struct http_guest *guest, int64_t max_us, int64_t now_us)
{
	return guest != NULL && now_us - guest->since_us >= max_us;
}

struct http_guest *http_crowd_find_late(const struct http_crowd *crowd, int64_t now_us)
{
	static const struct {
		enum http_phase phase;
		int64_t max_us;
	} bounds[] = {
		{PHASE_ASKING, HTTP_REQUEST_US},
		{PHASE_ANSWERING, HTTP_ANSWER_US},
		{PHASE_IDLE, HTTP_IDLE_US},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
		struct http_guest *first = http_crowd_first(crowd, bounds[i].phase);
		if (is_late(first, bounds[i].max_us, now_us))
			return first;
	}
	return NULL;
}
