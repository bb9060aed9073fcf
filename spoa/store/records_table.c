/*
 * `items` are the records in no order, for those who go through all of them; a record that is
 * removed leaves its place to the last one. `index` is a hash table of places in `items`, plus one,
 * and 0 is a free slot. Who looks for an id begins at its home slot and goes on to the next slot
 * until the id or a free slot comes. So a slot may become free only when the records behind it are
 * put in again (free_slot).
 *
 * Ids come from Redis, where others may write. The hash is SipHash with a secret, so that nobody
 * can choose ids that share a home.
 */
#include "store/records_table.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/grow.h"

_Static_assert(sizeof((struct records_table){0}.secret) == crypto_shorthash_KEYBYTES, "its key");

void records_table_init(struct records_table *table)
{
	*table = (struct records_table){0};
	randombytes_buf(table->secret, sizeof table->secret);
}

void records_table_release(struct records_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->items[i]);
	free(table->items);
	free(table->index);
	*table = (struct records_table){0};
}

/* ---- the index ---- */

static size_t home_of(const struct records_table *table, struct bytes id)
{
	uint8_t hash[crypto_shorthash_BYTES];
	size_t number;

	crypto_shorthash(hash, id.data, id.len, table->secret);
	memcpy(&number, hash, sizeof number);
	return number & (table->index_size - 1);
}

/* Where the id is in the index, or the free slot where it would be. */
static size_t slot_of(const struct records_table *table, struct bytes id)
{
	size_t slot = home_of(table, id);

	while (table->index[slot] != 0 &&
	       !bytes_equal(table->items[table->index[slot] - 1]->record.id, id))
		slot = (slot + 1) & (table->index_size - 1);
	return slot;
}

/* At most half of the index is in use. */
static bool make_room(struct records_table *table)
{
	size_t size = table->index_size == 0 ? 64 : 2 * table->index_size;

	if (2 * (table->count + 1) <= table->index_size)
		return true;
	uint32_t *index = calloc(size, sizeof *index);
	if (index == NULL)
		return false;
	free(table->index);
	table->index = index;
	table->index_size = size;
	for (size_t i = 0; i < table->count; i++)
		index[slot_of(table, table->items[i]->record.id)] = (uint32_t)i + 1;
	return true;
}

/* Those that stand behind a slot that becomes free may belong there, and move. */
static void free_slot(struct records_table *table, size_t slot)
{
	size_t mask = table->index_size - 1;

	table->index[slot] = 0;
	for (size_t i = (slot + 1) & mask; table->index[i] != 0; i = (i + 1) & mask) {
		uint32_t moved = table->index[i];
		table->index[i] = 0;
		table->index[slot_of(table, table->items[moved - 1]->record.id)] = moved;
	}
}

/* ---- records ---- */

struct kept_record *records_table_find(const struct records_table *table, struct bytes id)
{
	if (table->index_size == 0)
		return NULL;
	uint32_t place = table->index[slot_of(table, id)];
	return place == 0 ? NULL : table->items[place - 1];
}

static struct kept_record *copy(const struct record *record)
{
	struct kept_record *kept = calloc(1, sizeof *kept + record->id.len + record->value.len);

	if (kept == NULL)
		return NULL;
	uint8_t *text = (uint8_t *)(kept + 1);
	kept->record = *record;
	memcpy(text, record->id.data, record->id.len);
	kept->record.id.data = text;
	if (record->value.len > 0)
		memcpy(text + record->id.len, record->value.data, record->value.len);
	kept->record.value.data = text + record->id.len;
	return kept;
}

static bool append(struct records_table *table, struct kept_record *kept)
{
	struct kept_record **items =
		grow_by_one(table->items, table->count, sizeof(struct kept_record *));

	if (items == NULL)
		return false;
	table->items = items;
	if (!make_room(table))
		return false;
	kept->place = table->count;
	items[table->count] = kept;
	table->index[slot_of(table, kept->record.id)] = (uint32_t)table->count + 1;
	table->count++;
	return true;
}

struct kept_record *records_table_put(struct records_table *table, const struct record *record)
{
	struct kept_record *old = records_table_find(table, record->id);
	struct kept_record *kept = copy(record);

	if (kept == NULL)
		return NULL;
	if (old == NULL) {
		if (append(table, kept))
			return kept;
		free(kept);
		return NULL;
	}
	records_table_set_lacking(table, old, false);
	kept->place = old->place;
	table->items[old->place] = kept;
	free(old);
	return kept;
}

void records_table_remove(struct records_table *table, struct kept_record *kept)
{
	struct kept_record *last = table->items[table->count - 1];

	records_table_set_lacking(table, kept, false);
	size_t slot = slot_of(table, kept->record.id);
	table->index[slot_of(table, last->record.id)] = (uint32_t)kept->place + 1;
	table->items[kept->place] = last;
	last->place = kept->place;
	table->count--;
	free_slot(table, slot);
	free(kept);
}

void records_table_set_lacking(struct records_table *table, struct kept_record *kept,
			       bool is_lacking)
{
	table->lacking += is_lacking;
	table->lacking -= kept->is_lacking;
	kept->is_lacking = is_lacking;
}

int record_compare(const struct record *a, const struct record *b)
{
	if (a->changed_ms != b->changed_ms)
		return a->changed_ms > b->changed_ms ? 1 : -1;
	return bytes_compare(a->value, b->value);
}
