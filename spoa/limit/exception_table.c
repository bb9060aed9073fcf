#include "limit/exception_table.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_LEAST 64

bool exception_table_init(struct exception_table *table, size_t room)
{
	size_t buckets = BUCKETS_LEAST;

	while (buckets < room)
		buckets *= 2;
	*table = (struct exception_table){.bucket_count = buckets};
	table->buckets = calloc(buckets, sizeof *table->buckets);
	return table->buckets != NULL;
}

void exception_table_release(struct exception_table *table)
{
	free(table->buckets);
	*table = (struct exception_table){0};
}

static void link_node(struct exception_table *table, struct exception_node *node)
{
	struct exception_node **bucket = exception_table_bucket(table, node->hash);

	node->next = *bucket;
	*bucket = node;
}

static void add_buckets(struct exception_table *table)
{
	struct exception_table larger;

	if (!exception_table_init(&larger, 2 * table->bucket_count))
		return;
	for (size_t i = 0; i < table->bucket_count; i++) {
		for (struct exception_node *node = table->buckets[i], *next; node != NULL;
		     node = next) {
			next = node->next;
			link_node(&larger, node);
		}
	}
	larger.count = table->count;
	free(table->buckets);
	*table = larger;
}

void exception_table_add(struct exception_table *table, struct exception_node *node, uint64_t hash,
			 struct bytes lookup)
{
	uint8_t *copy = malloc(lookup.len);

	if (copy == NULL)
		return;
	memcpy(copy, lookup.data, lookup.len);
	node->hash = hash;
	node->lookup = bytes_from(copy, lookup.len);
	if (++table->count > table->bucket_count)
		add_buckets(table);
	link_node(table, node);
}

void exception_node_free_lookup(struct exception_node *node)
{
	free((void *)(uintptr_t)node->lookup.data);
	node->lookup = (struct bytes){0};
}

void exception_table_remove(struct exception_table *table, struct exception_node *node)
{
	struct exception_node **at;

	if (node->lookup.data == NULL)
		return;
	at = exception_table_bucket(table, node->hash);
	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	table->count--;
	exception_node_free_lookup(node);
}
