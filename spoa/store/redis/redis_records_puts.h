/*
 * redis_records_puts.h - the puts of records that wait for Redis.
 *
 * A put is a call of lua/records/records.lua that writes one record. The agent sends the put as
 * soon as Redis has the script, and calls `done` once: when Redis has answered, when the connection
 * is lost, or at redis_records_puts_end. When Redis has lost the script, or says that another
 * server has the records (MOVED), the agent sends the put again.
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
	/* What all calls begin with. The hash of the script is empty while it is not loaded. */
	struct records_form (*form)(void *owner);
	/* The time of the last change of a record that this agent knows; 0: it knows none. */
	uint64_t (*known_change_ms)(void *owner, struct bytes id);
	/*
	 * Redis has refused a put, in these words. Returns the outcome of the put, or RECORDS_DONE:
	 * then the put waits, and redis_records_puts_send sends it again.
	 */
	enum records_outcome (*refused)(void *owner, struct bytes why);
	/*
	 * Redis has written the record; `record` has the time that Redis gave it, and `version` is
	 * the one that Redis has since then. Called before `done`.
	 */
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
/* Ends all puts that wait, and calls their `done`. */
void redis_records_puts_end(struct redis_records_puts *puts);

/*
 * Adds a put, with a copy of the record; redis_records_puts_send sends it. False when there is no
 * link or too many puts wait: then `done` is not called.
 */
MUST_CHECK bool redis_records_puts_add(struct redis_records_puts *puts, const struct record *record,
				       records_done_fn *done, void *owner);
/*
 * Sends the puts that were not sent yet: those that waited for the script, or for the server that
 * the records have moved to. Puts that have waited too long, or without a link, end.
 */
void redis_records_puts_send(struct redis_records_puts *puts);

#endif
