/*
 * redis_records_puts.h - the puts of records that wait for Redis.
 *
 * A put waits for the script to be loaded, is sent, and ends once: when Redis has answered, when
 * the connection is lost, or at redis_records_puts_end. A put that Redis refuses may be sent again:
 * the script was lost, or the records have moved to another server.
 */
#ifndef STORE_REDIS_RECORDS_PUTS_H
#define STORE_REDIS_RECORDS_PUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "store/records.h"
#include "store/redis/redis_records_call.h"

struct redis_link;

struct redis_records_puts_config {
	/* The link to the server that has the records, if it is up; else NULL. */
	struct redis_link *(*find_link)(void *owner);
	/* Its hash is empty while the script is not loaded. */
	struct records_form (*form)(void *owner);
	/* When the record was changed last, as far as this agent knows; 0: it knows none. */
	uint64_t (*known_change_ms)(void *owner, struct bytes id);
	/* Redis has refused a put, in these words. RECORDS_DONE: it is sent again later. */
	enum records_outcome (*refused)(void *owner, struct bytes why);
	/* Redis has the record, with its time, and has this version since. */
	void (*taken)(void *owner, const struct record *record,
		      const struct records_version *version);
	void *owner;
};

struct redis_records_puts {
	struct redis_records_puts_config config;
	struct list list;
	size_t count;
	uint8_t command[RECORDS_CALL_MAX];
};

void redis_records_puts_init(struct redis_records_puts *puts,
			     const struct redis_records_puts_config *config);
/* All that wait end. */
void redis_records_puts_end(struct redis_records_puts *puts);

/* Takes a copy of the record. False, and `done` is not called: there is no link, or no room. */
MUST_CHECK bool redis_records_puts_add(struct redis_records_puts *puts, const struct record *record,
				       records_done_fn *done, void *owner);
/* Sends those that wait for the script, or for a server that the records have moved to. */
void redis_records_puts_send(struct redis_records_puts *puts);

#endif
