/*
 * http_crowd.h - who is connected over HTTP, since when, doing what; and who has to go.
 *
 * Every connection is a guest, in one phase. A list for each phase holds its guests in the order in
 * which they came into it, so the one that is longest in a phase stands first:
 *
 *   IDLE       no byte of a request is here                     at most HTTP_IDLE_US
 *   ASKING     a part of a request is here                      at most HTTP_REQUEST_US
 *   WAITING    the engine owes the verdict                      the engine has the deadline
 *   ANSWERING  a part of an answer could not be written yet     at most HTTP_ANSWER_US
 *   LEAVING    the last answer is written, our side is shut down; not counted any more
 *
 * A newcomer that finds no room pushes out the first that exists: the guest that is longest in an
 * unfinished request, longest in an answer that is not read, longest idle. So a crowd of slow
 * clients pushes itself out, and not a health check; and nobody who waits for a verdict is pushed
 * out. The crowd tells whom to close; it closes nobody itself.
 *
 * The guests of one address have such lists of their own, found by a hash of the address. So what a
 * newcomer costs does not depend on how many guests there are.
 */
#ifndef NET_HTTP_CROWD_H
#define NET_HTTP_CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "net/address.h"

enum http_phase {
	PHASE_IDLE = 0,
	PHASE_ASKING,
	PHASE_WAITING,
	PHASE_ANSWERING,
	PHASE_LEAVING,
	PHASE_COUNT,
};

/* The guests of one IPv4 address, or of one IPv6 /64, but those that leave. */
struct http_neighbours;

struct http_guest {
	struct list link; /* in the list of its phase; in none: it is no guest any more */
	struct list link_of_address;
	struct http_neighbours *neighbours; /* NULL: it counts by no address, or it leaves */
	enum http_phase phase;
	int64_t since_us;
};

#define HTTP_CROWD_BUCKETS 1024

struct http_crowd {
	struct list phases[PHASE_COUNT];
	size_t counts[PHASE_COUNT];
	struct list
		buckets[HTTP_CROWD_BUCKETS]; /* of the neighbours, by the hash of their address */
	uint8_t secret[16];                  /* so that nobody can choose the bucket */
	size_t max;
	size_t max_per_address;
};

void http_crowd_init(struct http_crowd *crowd, size_t max, size_t max_per_address);
/* All guests but those that leave. */
size_t http_crowd_count(const struct http_crowd *crowd);
/* True when a newcomer finds neither room nor anybody who may be pushed out. */
bool http_crowd_is_full(const struct http_crowd *crowd);
/*
 * Whom to close before this newcomer enters: to be called until it returns NULL. Without `peer` the
 * newcomer may have any address.
 */
struct http_guest *http_crowd_find_victim(struct http_crowd *crowd, const struct address *peer);
/*
 * As IDLE. Guests from loopback and over Unix sockets count by no address, and neither does one for
 * whom there is no memory to count it. What a guest holds is freed when it leaves.
 */
void http_crowd_enter(struct http_crowd *crowd, struct http_guest *guest,
		      const struct address *peer, int64_t now_us);
/* In the same phase nothing changes. */
void http_crowd_move(struct http_crowd *crowd, struct http_guest *guest, enum http_phase phase,
		     int64_t now_us);
void http_crowd_leave(struct http_crowd *crowd, struct http_guest *guest);
/* The guest that is longest in the phase, or NULL. */
struct http_guest *http_crowd_first(const struct http_crowd *crowd, enum http_phase phase);
/* Somebody who is longer in its phase than it may; NULL: nobody is. */
struct http_guest *http_crowd_find_late(const struct http_crowd *crowd, int64_t now_us);

#endif
