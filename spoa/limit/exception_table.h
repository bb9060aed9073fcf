/*
 * exception_table.h - a hash table of exceptions by their lookup keys (exception_lookup.h).
 *
 * The nodes lie in the entries of limit/exceptions.c, and the table only links them. A node owns
 * its lookup key. Growing may fail when memory is short: then the table is slower and not wrong.
 */
#ifndef LIMIT_EXCEPTION_TABLE_H
#define LIMIT_EXCEPTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "limit/exception.h"

struct exception_node {
	struct exception_node *next; /* in the bucket */
	uint64_t hash;
	struct bytes lookup; /* its memory is from malloc; no data: the node is in no table */
	const struct exception *exception;
};

struct exception_table {
	struct exception_node **buckets;
	size_t bucket_count; /* a power of two */
	size_t count;
};

/* With room for as many nodes. False when memory is short. */
MUST_CHECK bool exception_table_init(struct exception_table *table, size_t room);
/* Frees the buckets; the nodes are not touched. */
void exception_table_release(struct exception_table *table);

/* Puts in the node with a copy of the lookup key. When memory is short the node stays out. */
void exception_table_add(struct exception_table *table, struct exception_node *node, uint64_t hash,
			 struct bytes lookup);
/* Takes out the node, if it is in the table, and frees its lookup key. */
void exception_table_remove(struct exception_table *table, struct exception_node *node);
void exception_node_free_lookup(struct exception_node *node);

static inline struct exception_node **exception_table_bucket(const struct exception_table *table,
							     uint64_t hash)
{
	return &table->buckets[(hash ^ hash >> 32) & (table->bucket_count - 1)];
}

/* Most requests have no exception, and for these the lookup key is not even written. */
static inline bool exception_table_may_have(const struct exception_table *table, uint64_t hash)
{
	const struct exception_node *node = *exception_table_bucket(table, hash);

	while (node != NULL && node->hash != hash)
		node = node->next;
	return node != NULL;
}

#endif
