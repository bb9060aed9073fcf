/*
 * records_table.h - the records that an agent knows of a store, by their ids, with those that were
 * removed or have ended: whoever merges two stores has to know these too.
 */
#ifndef STORE_RECORDS_TABLE_H
#define STORE_RECORDS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "store/records.h"

struct kept_record {
	struct record record; /* its texts lie behind the struct */
	uint64_t counter;     /* of the store's version, at the record's last change */
	uint32_t round;       /* the last reading of everything that had it */
	bool is_lacking;      /* the store does not have it, or an earlier one */
	bool is_from_file;    /* no store has told of it */
	size_t place;         /* in the table's items */
};

struct records_table {
	struct kept_record **items; /* in no order */
	size_t count;
	size_t lacking;    /* how many of them are */
	uint32_t *index;   /* open addressing: 1 + the place in items; 0: free */
	size_t index_size; /* a power of two, or 0 */
	uint8_t secret[16];
};

void records_table_init(struct records_table *table);
void records_table_release(struct records_table *table);

struct kept_record *records_table_find(const struct records_table *table, struct bytes id);
/*
 * Keeps a copy in place of the record of the same id, with zeros beside it. NULL when memory is
 * short: then the table is as it was.
 */
MUST_CHECK struct kept_record *records_table_put(struct records_table *table,
						 const struct record *record);
/* Another record takes the place of this one among the items: it was the last one. */
void records_table_remove(struct records_table *table, struct kept_record *kept);
void records_table_set_lacking(struct records_table *table, struct kept_record *kept,
			       bool is_lacking);

/* Which of two records with the same id holds. Above 0: `a`; below 0: `b`; 0: they are equal. */
int record_compare(const struct record *a, const struct record *b);

#endif
