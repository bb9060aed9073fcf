/*
 * The records lie in an array of pointers, sorted by id. To put a new one moves at most RECORDS_MAX
 * pointers, which takes some ten microseconds: an operator does that, not a request.
 *
 * records_memory_advance looks at ADVANCE_AT_ONCE records in a call, and goes on in the next call
 * where it stopped. So of more records than that, one that has ended may stay for some seconds.
 * Whoever acts by a record looks at `until_ms` itself.
 */
#include "store/records_memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/grow.h"

#define ADVANCE_AT_ONCE 5000

struct kept {
	struct record record; /* its texts are in `text` */
	uint8_t text[];
};

struct records_memory {
	struct records records;
	int64_t (*now_us)(void);
	records_changed_fn *changed; /* NULL: nobody listens yet */
	void *owner;
	struct kept **items; /* by id */
	size_t count;
	uint64_t changed_ms; /* the time of the last change */
	size_t next;         /* which one records_memory_advance looks at next */
};

static struct records_memory *memory_of(struct records *records)
{
	return CONTAINER_OF(records, struct records_memory, records);
}

static uint64_t now_ms(const struct records *records)
{
	const struct records_memory *memory =
		CONTAINER_OF(records, const struct records_memory, records);

	return (uint64_t)(memory->now_us() / US_PER_MS);
}

/* Where the record is, or where it would be; *ret_is_there says which. */
static size_t find_place(const struct records_memory *memory, struct bytes id, bool *ret_is_there)
{
	size_t low = 0, high = memory->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (bytes_compare(memory->items[middle]->record.id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_is_there = low < memory->count && bytes_equal(memory->items[low]->record.id, id);
	return low;
}

static struct kept *keep(const struct record *record)
{
	struct kept *kept = malloc(sizeof *kept + record->id.len + record->value.len);

	if (kept == NULL)
		return NULL;
	kept->record = *record;
	memcpy(kept->text, record->id.data, record->id.len);
	kept->record.id.data = kept->text;
	if (record->value.len > 0)
		memcpy(kept->text + record->id.len, record->value.data, record->value.len);
	kept->record.value.data = kept->text + record->id.len;
	return kept;
}

static void tell(const struct records_memory *memory, const struct record *record)
{
	if (memory->changed != NULL)
		memory->changed(memory->owner, record);
}

static void remove_at(struct records_memory *memory, size_t at)
{
	struct kept *kept = memory->items[at];
	const struct record removed = {
		.id = kept->record.id,
		.changed_ms = kept->record.changed_ms,
		.is_removed = true,
	};

	memory->count--;
	memmove(memory->items + at, memory->items + at + 1,
		(memory->count - at) * sizeof(struct kept *));
	if (memory->next > at)
		memory->next--;
	tell(memory, &removed);
	free(kept);
}

static bool insert_at(struct records_memory *memory, size_t at, struct kept *kept)
{
	struct kept **larger = grow_by_one(memory->items, memory->count, sizeof(struct kept *));

	if (larger == NULL)
		return false;
	memory->items = larger;
	memmove(memory->items + at + 1, memory->items + at,
		(memory->count - at) * sizeof(struct kept *));
	memory->items[at] = kept;
	memory->count++;
	return true;
}

/*
 * The time of a change. A change in the same millisecond as the one before, of whatever record, or
 * after a step back of the clock, is later all the same.
 */
static uint64_t next_ms(struct records_memory *memory)
{
	uint64_t now = now_ms(&memory->records);

	memory->changed_ms = now > memory->changed_ms ? now : memory->changed_ms + 1;
	return memory->changed_ms;
}

static enum records_outcome put_record(struct records_memory *memory, const struct record *record)
{
	bool is_there;
	size_t at = find_place(memory, record->id, &is_there);

	if (is_there && record->is_new_only)
		return RECORDS_EXISTS;
	if (!is_there && memory->count == RECORDS_MAX)
		return RECORDS_FULL;
	struct kept *kept = keep(record);
	if (kept == NULL)
		return RECORDS_UNAVAILABLE;
	kept->record.changed_ms = next_ms(memory);
	if (is_there) {
		free(memory->items[at]);
		memory->items[at] = kept;
	} else if (!insert_at(memory, at, kept)) {
		free(kept);
		return RECORDS_UNAVAILABLE;
	}
	tell(memory, &kept->record);
	return RECORDS_DONE;
}

static void records_memory_put(struct records *records, const struct record *record,
			       records_done_fn *done, void *owner)
{
	struct records_memory *memory = memory_of(records);
	enum records_outcome outcome = RECORDS_DONE;

	ASSERT(record->id.len >= 1 && record->id.len <= RECORD_ID_MAX);
	ASSERT(record->value.len <= RECORD_VALUE_MAX + 1);
	if (record->is_removed) {
		bool is_there;
		size_t at = find_place(memory, record->id, &is_there);
		if (is_there)
			remove_at(memory, at);
	} else {
		outcome = put_record(memory, record);
	}
	done(owner, outcome);
}

static void records_memory_on_change(struct records *records, records_changed_fn *changed,
				     void *owner)
{
	struct records_memory *memory = memory_of(records);

	memory->changed = changed;
	memory->owner = owner;
	for (size_t i = 0; i < memory->count; i++)
		tell(memory, &memory->items[i]->record);
}

static void records_memory_advance(struct records *records)
{
	struct records_memory *memory = memory_of(records);
	uint64_t now = now_ms(records);

	for (size_t looked = 0; looked < ADVANCE_AT_ONCE && memory->count > 0; looked++) {
		if (memory->next >= memory->count)
			memory->next = 0;
		size_t at = memory->next++;
		uint64_t until = memory->items[at]->record.until_ms;
		if (until != 0 && until <= now)
			remove_at(memory, at);
		if (looked >= memory->count)
			return;
	}
}

static bool records_memory_restore(struct records *records, const struct record *record)
{
	struct records_memory *memory = memory_of(records);
	bool is_there;
	size_t at = find_place(memory, record->id, &is_there);

	if (record->is_removed || is_there)
		return true;
	struct kept *kept = memory->count < RECORDS_MAX ? keep(record) : NULL;
	if (kept != NULL && insert_at(memory, at, kept))
		return true;
	free(kept);
	return false;
}

static bool records_memory_at(const struct records *records, size_t place,
			      struct record *ret_record)
{
	const struct records_memory *memory =
		CONTAINER_OF(records, const struct records_memory, records);

	if (place >= memory->count)
		return false;
	*ret_record = memory->items[place]->record;
	return true;
}

static bool records_memory_find(const struct records *records, struct bytes id,
				struct record *ret_record)
{
	const struct records_memory *memory =
		CONTAINER_OF(records, const struct records_memory, records);
	bool is_there;
	size_t at = find_place(memory, id, &is_there);

	if (is_there)
		*ret_record = memory->items[at]->record;
	return is_there;
}

/* Nobody else has any. */
static bool records_memory_are_known(const struct records *records)
{
	(void)records;
	return true;
}

static bool records_memory_are_known_since(struct records *records, int64_t mono_us)
{
	(void)records, (void)mono_us;
	return true;
}

static bool records_memory_are_refused_since(const struct records *records, int64_t mono_us)
{
	(void)records, (void)mono_us;
	return false;
}

static void records_memory_free(struct records *records)
{
	struct records_memory *memory = memory_of(records);

	for (size_t i = 0; i < memory->count; i++)
		free(memory->items[i]);
	free(memory->items);
	free(memory);
}

struct records *records_memory_new(int64_t (*now_us)(void))
{
	struct records_memory *memory = calloc(1, sizeof *memory);

	if (memory == NULL)
		return NULL;
	memory->records = (struct records){
		.put = records_memory_put,
		.on_change = records_memory_on_change,
		.restore = records_memory_restore,
		.at = records_memory_at,
		.find = records_memory_find,
		.are_known = records_memory_are_known,
		.are_known_since = records_memory_are_known_since,
		.are_refused_since = records_memory_are_refused_since,
		.advance = records_memory_advance,
		.now_ms = now_ms,
		.free = records_memory_free,
	};
	memory->now_us = now_us;
	return &memory->records;
}
