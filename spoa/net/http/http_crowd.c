#include "net/http/http_crowd.h"

#include <netinet/in.h>
#include <string.h>

#include "net/http/http_bounds.h"

/* The order in which guests are pushed out; nobody of another phase is. */
static const enum http_phase order[] = {PHASE_ASKING, PHASE_ANSWERING, PHASE_IDLE};

void http_crowd_init(struct http_crowd *crowd, size_t max, size_t max_per_address)
{
	*crowd = (struct http_crowd){.max = max, .max_per_address = max_per_address};
	for (size_t i = 0; i < PHASE_COUNT; i++)
		list_init(&crowd->phases[i]);
}

static struct http_guest *guest_of(struct list *link)
{
	return CONTAINER_OF(link, struct http_guest, link);
}

/* ---- addresses ---- */

/* An IPv4 address counts as ::ffff:a.b.c.d, as a listener for both families sees it. */
static const uint8_t ipv4_prefix[12] = {[10] = 0xff, 0xff};

/* Sets what the guest counts by. */
static void set_address(struct http_guest *guest, const struct address *peer)
{
	guest->has_address = false;
	if (address_is_local(peer))
		return;
	if (peer->socket.ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&peer->socket;
		memcpy(guest->address, ipv4_prefix, sizeof ipv4_prefix);
		memcpy(guest->address + sizeof ipv4_prefix, &v4->sin_addr, sizeof v4->sin_addr);
		guest->has_address = true;
	} else if (peer->socket.ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&peer->socket;
		memcpy(guest->address, &v6->sin6_addr, sizeof guest->address);
		guest->has_address = true;
	}
}

/* Of IPv6 the /64 counts, which is what one subscriber has. */
static bool is_same(const struct http_guest *a, const struct http_guest *b)
{
	bool is_ipv4 = memcmp(a->address, ipv4_prefix, sizeof ipv4_prefix) == 0;
	size_t len = is_ipv4 ? 16 : 8;

	return a->has_address && b->has_address && memcmp(a->address, b->address, len) == 0;
}

static size_t count_same(const struct http_crowd *crowd, const struct http_guest *newcomer)
{
	size_t count = 0;

	for (size_t phase = 0; phase < PHASE_LEAVING; phase++)
		for (const struct list *link = crowd->phases[phase].next;
		     link != &crowd->phases[phase]; link = link->next)
			count += is_same(CONTAINER_OF(link, struct http_guest, link), newcomer);
	return count;
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

	return list_is_empty(list) ? NULL : guest_of(list->next);
}

/* NULL for `same_as`: of all addresses. */
static struct http_guest *find_first(const struct http_crowd *crowd,
				     const struct http_guest *same_as)
{
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		const struct list *list = &crowd->phases[order[i]];
		for (struct list *link = list->next; link != list; link = link->next)
			if (same_as == NULL || is_same(guest_of(link), same_as))
				return guest_of(link);
	}
	return NULL;
}

/*
 * When all guests of an address wait for their verdicts, a newcomer of that address is one too
 * many: its address is known only when it is accepted, and it is not to be refused.
 */
struct http_guest *http_crowd_find_victim(const struct http_crowd *crowd,
					  const struct address *peer)
{
	struct http_guest newcomer = {.has_address = false}, *victim = NULL;
	size_t count = http_crowd_count(crowd);

	if (peer != NULL)
		set_address(&newcomer, peer);
	if (newcomer.has_address && count >= crowd->max_per_address &&
	    count_same(crowd, &newcomer) >= crowd->max_per_address)
		victim = find_first(crowd, &newcomer);
	if (victim == NULL && count >= crowd->max)
		victim = find_first(crowd, NULL);
	return victim;
}

/* ---- coming, moving and going ---- */

void http_crowd_enter(struct http_crowd *crowd, struct http_guest *guest,
		      const struct address *peer, int64_t now_us)
{
	set_address(guest, peer);
	guest->phase = PHASE_IDLE;
	guest->since_us = now_us;
	list_init(&guest->link);
	list_append(&crowd->phases[PHASE_IDLE], &guest->link);
	crowd->counts[PHASE_IDLE]++;
}

void http_crowd_leave(struct http_crowd *crowd, struct http_guest *guest)
{
	if (list_is_empty(&guest->link))
		return;
	list_remove(&guest->link);
	crowd->counts[guest->phase]--;
}

void http_crowd_move(struct http_crowd *crowd, struct http_guest *guest, enum http_phase phase,
		     int64_t now_us)
{
	if (list_is_empty(&guest->link) || guest->phase == phase)
		return;
	http_crowd_leave(crowd, guest);
	guest->phase = phase;
	guest->since_us = now_us;
	list_append(&crowd->phases[phase], &guest->link);
	crowd->counts[phase]++;
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
