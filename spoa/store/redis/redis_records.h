/*
 * redis_records.h - records (records.h) that all agents of a Redis share.
 *
 * The records lie in Redis under five keys, and lua/records/records.lua is all that touches them.
 * Each agent has a copy of all of them, and asks four times a second what has changed. So a change
 * reaches every agent within a second, and what an agent knows stays in force while Redis is away.
 * A put is answered when Redis has it; while Redis is away it is refused at once.
 *
 * When Redis has lost what it had (it was emptied, or an older replica was promoted), the agents
 * write back what they know. Where two agents know different records of an id, the later one holds.
 *
 * Nothing is asked before somebody listens (records_on_change).
 */
#ifndef STORE_REDIS_RECORDS_H
#define STORE_REDIS_RECORDS_H

#include <stdint.h>

#include "store/records.h"

struct ev_loop;
struct redis_link;

#define RECORDS_GONE_MAX INT64_C(100000)             /* removed ones, ended ones, and resets */
#define RECORDS_KEPT_MS  (INT64_C(7) * 86400 * 1000) /* how long those are kept */

struct redis_records_config {
	struct bytes prefix; /* of every key; a constant */
	/* The link to the server that has the records, if it is up; else NULL. */
	struct redis_link *(*find_link)(void *owner);
	/* The server said that the records are elsewhere (MOVED). May be NULL. */
	void (*moved)(void *owner);
	/*
	 * The store does not have what it had, and gets it back from the agents. `why` is a
	 * constant.
	 */
	void (*lost)(void *owner, const char *why, uint64_t known, uint64_t found);
	/* The store has another record in place of this one of the state file, or none. */
	void (*outdated)(void *owner, const struct record *record);
	/* The user may not call what records need. Called once a connection. */
	void (*lacks_right)(void *owner, const char *command, const char *hint);
	/* The user may call all of it again. `hint` is that of lacks_right. May be NULL. */
	void (*regained_right)(void *owner, const char *hint);
	/* The server refuses to answer, in these words. Called once a connection. */
	void (*failed)(void *owner, struct bytes why);
	void *owner;
};

/* NULL when memory is short. */
struct records *redis_records_new(struct ev_loop *loop, const struct redis_records_config *config);

/* The slot of the keys in a Redis Cluster. */
uint16_t redis_records_slot(struct bytes prefix);

#endif
