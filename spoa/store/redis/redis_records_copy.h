/*
 * redis_records_copy.h - what an agent knows of the records in Redis: its own copy of them, and the
 * rules by which the copy and the store become the same again.
 *
 * What the store says holds, unless the copy has a later form of the record; such a record, and one
 * that the store does not have at all, is `lacking`, and redis_records.c writes it to the store.
 * Records of a state file are older than whatever a store says.
 *
 * Nothing is asked and no clock is read here. The table is open, for those who look at records.
 */
#ifndef STORE_REDIS_RECORDS_COPY_H
#define STORE_REDIS_RECORDS_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/records.h"
#include "store/records_table.h"
#include "store/redis/redis_records_call.h"

struct records_copy {
	struct records_table table;
	records_changed_fn *changed; /* NULL: nobody listens yet */
	void *owner;
	/* The store has another record in place of this one of the state file, or none. */
	void (*outdated)(void *owner, const struct record *record);
	void *outdated_owner;
	uint32_t round;  /* of the reading of everything that is under way, or was the last */
	size_t next;     /* which record records_copy_advance looks at next */
	size_t merge_at; /* which one records_copy_choose_lacking looks at next */
};

/* `copy` is all zeros; `outdated` may be NULL. */
void records_copy_init(struct records_copy *copy,
		       void (*outdated)(void *owner, const struct record *record), void *owner);
void records_copy_release(struct records_copy *copy);
/* Tells of all records, and from now on of each change. */
void records_copy_listen(struct records_copy *copy, records_changed_fn *changed, void *owner);

/* A record of a state file. False when there is no room for it. */
MUST_CHECK bool records_copy_restore(struct records_copy *copy, const struct record *record,
				     uint64_t now_ms);
/* A record that the store has taken from this agent. */
void records_copy_put(struct records_copy *copy, const struct record *record, uint64_t counter);
/* What the store says of a record. */
void records_copy_take(struct records_copy *copy, const struct record *said, uint64_t counter,
		       uint64_t now_ms);

/*
 * Everything is read between these two. What the store did not tell of in the meantime is lacking;
 * but with `is_same_run`, which says that the history of the store is the one that the copy knows,
 * the store has forgotten records whose counter is `cut` or less, and the copy drops them.
 */
void records_copy_begin_round(struct records_copy *copy);
void records_copy_end_round(struct records_copy *copy, bool is_same_run, uint64_t cut,
			    uint64_t now_ms);
/* The store has nothing: all records of the copy are lacking. */
void records_copy_lack_all(struct records_copy *copy);
/* Whether the store has the same records, as count and sum say. */
bool records_copy_agrees(const struct records_copy *copy, const struct records_version *version);

/* The records that the next merge writes; returns how many. */
size_t records_copy_choose_lacking(struct records_copy *copy,
				   const struct record *ret_chosen[RECORDS_MERGE_MAX]);
/* The store has the record now. */
void records_copy_note_merged(struct records_copy *copy, struct bytes id);

/* Ends records whose time is over, some of the table at each call. */
void records_copy_advance(struct records_copy *copy, uint64_t now_ms);

#endif
