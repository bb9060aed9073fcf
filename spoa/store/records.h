/*
 * records.h - the contract of everything that keeps records: small texts by which an operator
 * changes what running agents do (exceptions to policies, resets of balances).
 *
 * Who keeps records does not know what they mean. A record has an id; a later record of the same id
 * takes the place of the earlier one. To remove a record is such a change too: it puts a record
 * without a value, which is `removed`.
 *
 * The memory of a `struct record` belongs to whoever makes the call or the callback, and only for
 * as long as that lasts: both sides copy what they keep.
 */
#ifndef STORE_RECORDS_H
#define STORE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define RECORD_ID_MAX    64
#define RECORD_VALUE_MAX 4096
#define RECORDS_MAX      100000 /* that are there at once, without those that are removed */

/*
 * The first byte of a value says what the record is about. A reset has happened, and nobody can
 * take it back. Its record is kept as long as a removed record is.
 */
#define RECORD_EXCEPTION 'e'
#define RECORD_RESET     'r'
#define RECORD_POLICIES  'p'

struct record {
	struct bytes id; /* 1 to RECORD_ID_MAX printable bytes of ASCII */
	/*
	 * When it was put: milliseconds since 1970 by the clock of who keeps it. records_put sets
	 * it. Of two records of one id the later one holds, of two equal times the greater value.
	 */
	uint64_t changed_ms;
	bool is_removed;    /* `value` is empty */
	uint64_t until_ms;  /* by the same clock: from then on it is not there; 0: for ever */
	struct bytes value; /* a RECORD_… byte, then at most RECORD_VALUE_MAX bytes */
	/* For records_put alone: nothing is put when a record of this id is in force. */
	bool is_new_only;
};

static inline bool record_is_reset(const struct record *record)
{
	return record->value.len > 0 && record->value.data[0] == RECORD_RESET;
}

enum records_outcome {
	RECORDS_DONE = 0,
	RECORDS_UNAVAILABLE, /* nothing has changed */
	RECORDS_FULL,        /* RECORDS_MAX are there: nothing has changed */
	RECORDS_EXISTS,      /* `is_new_only`, and there is one: nothing has changed */
	RECORDS_FORBIDDEN,   /* the store does not let this agent change it: nothing has changed */
	RECORDS_UNCERTAIN,   /* the store was asked, and the answer was lost: it may have the record
			      */
};

/* Called exactly once for each records_put: inside the call, or later. */
typedef void records_done_fn(void *owner, enum records_outcome outcome);
/*
 * Called for each record that is new, that has changed, that was removed or that has ended, whoever
 * changed it; of records_put before its `done`. One that ended comes as `is_removed`. Must not call
 * records_put.
 */
typedef void records_changed_fn(void *owner, const struct record *record);

struct records {
	void (*put)(struct records *records, const struct record *record, records_done_fn *done,
		    void *owner);
	void (*on_change)(struct records *records, records_changed_fn *changed, void *owner);
	/*
	 * Keeps a record that a state file had; before on_change. What a server says of the record
	 * counts more. False when there is no room for it.
	 */
	bool (*restore)(struct records *records, const struct record *record);
	/*
	 * For who writes a state file: the records at the places from 0 on, in no order, with those
	 * that were removed and are still kept. False behind the last one.
	 */
	bool (*at)(const struct records *records, size_t place, struct record *ret_record);
	/* The record of this id, also one that was removed and is still kept. */
	bool (*find)(const struct records *records, struct bytes id, struct record *ret_record);
	/*
	 * Whether the records are those of who keeps them: a server has told of all of them. Before
	 * that they are what a state file had.
	 */
	bool (*are_known)(const struct records *records);
	/*
	 * Whether all that the store had at `mono_us`, by the monotonic clock, is known. Asks the
	 * store for it if not, so that a later call may say yes.
	 */
	bool (*are_known_since)(struct records *records, int64_t mono_us);
	/* Whether the store was asked at `mono_us` or later, and refused for want of a right. */
	bool (*are_refused_since)(const struct records *records, int64_t mono_us);
	/* To be called every few seconds: ends records whose time is over. */
	void (*advance)(struct records *records);
	/* The clock that `until_ms` is of, as far as it is known. */
	uint64_t (*now_ms)(const struct records *records);
	bool is_shared; /* a change reaches all agents of the store, and not this agent alone */
	void (*free)(struct records *records);
};

static inline void records_put(struct records *records, const struct record *record,
			       records_done_fn *done, void *owner)
{
	records->put(records, record, done, owner);
}

/* Tells of all records that are there already, inside the call. There is one listener. */
static inline void records_on_change(struct records *records, records_changed_fn *changed,
				     void *owner)
{
	records->on_change(records, changed, owner);
}

static inline void records_advance(struct records *records)
{
	records->advance(records);
}

/* False when there is none that is in force. */
static inline bool records_find(const struct records *records, struct bytes id,
				struct record *ret_record)
{
	return records->find(records, id, ret_record) && !ret_record->is_removed;
}

static inline bool records_are_known(const struct records *records)
{
	return records->are_known(records);
}

static inline bool records_are_known_since(struct records *records, int64_t mono_us)
{
	return records->are_known_since(records, mono_us);
}

static inline bool records_are_refused_since(const struct records *records, int64_t mono_us)
{
	return records->are_refused_since(records, mono_us);
}

static inline uint64_t records_now_ms(const struct records *records)
{
	return records->now_ms(records);
}

static inline void records_free(struct records *records)
{
	if (records != NULL)
		records->free(records);
}

#endif
