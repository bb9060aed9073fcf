/*
 * redis_slots.h - the slots of a Redis Cluster: which slot a key is in, which server owns a slot,
 * and where a server says that a slot has gone. Pure: no connection, no clock.
 *
 * What a server says is not trusted. A map that contradicts itself is refused as a whole. A map may
 * leave slots without an owner, as a cluster does that has lost a server.
 */
#ifndef STORE_REDIS_SLOTS_H
#define STORE_REDIS_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "store/redis/redis_reply.h"
#include "store/redis/redis_target.h"

#define REDIS_SLOTS       16384
#define REDIS_OWNERS_MAX  512     /* servers that own slots; Redis advises at most 1000 in all */
#define REDIS_SLOTS_ITEMS 65536   /* of a reply to CLUSTER SLOTS: some 4,000 ranges of slots */
#define REDIS_SLOTS_TEXT  1048576 /* bytes of its texts */

/* CRC-16/XMODEM of the bytes, after those that made `crc`; it begins with 0. */
uint16_t redis_crc16(uint16_t crc, struct bytes bytes);
/* The slot of the key that is the prefix followed by `key`. */
uint16_t redis_slot_of(struct bytes prefix, struct bytes key);

/* A server that owns slots. */
struct redis_owner {
	struct redis_place place;
	char name[REDIS_HOST_MAX]; /* the host name that it announces; empty: none */
};

struct redis_slot_map {
	size_t count;                /* of owners */
	size_t covered;              /* slots that have an owner */
	uint16_t owner[REDIS_SLOTS]; /* 1 + the place in `owners`; 0: nobody */
	struct redis_owner owners[REDIS_OWNERS_MAX];
};

/*
 * Reads the reply to CLUSTER SLOTS. A server whose address is missing is at `asked_host`, where the
 * question was sent to (that is how Redis means it). A server whose name is not known, "?", is at
 * the IP address that stands beside it; without one its slots have no owner. False when the reply
 * can't be one; *ret_why, a constant, says why, and what is in the map then means nothing.
 */
MUST_CHECK bool redis_slot_map_read(struct redis_slot_map *map, const struct redis_reply *reply,
				    const char *asked_host, const char **ret_why);

/* What an error says of a slot: "MOVED 3999 127.0.0.1:6381", "ASK 3999 127.0.0.1:6381". */
struct redis_redirect {
	bool is_ask; /* only this request, and behind ASKING; else all that is of the slot */
	uint16_t slot;
	struct redis_place place;
};

/* False when the error is neither. `asked_host` as above. */
MUST_CHECK bool redis_redirect_read(struct bytes error, const char *asked_host,
				    struct redis_redirect *ret_redirect);

#endif
