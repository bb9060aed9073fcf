/*
 * A record of the copy:
 *
 *     from a state file --> the store tells of it -----> as the store says
 *          |                the store lacks it --------> dropped; `outdated` is called
 *          `--------------> the store has nothing -----> lacking
 *
 *     told by the store --> the store has it later ----> as the store says
 *          |                the store has it earlier,
 *          |                or lacks it ---------------> lacking
 *          |                the store has forgotten it,
 *          |                as it does with what was
 *          |                removed long ago ----------> dropped
 *          `--------------> its time is over ----------> kept as removed, then forgotten
 *
 * A record that was removed is kept for RECORDS_KEPT_MS, so that an agent that was away all that
 * time does not bring back what the others have removed.
 */
#include "store/redis/redis_records_copy.h"

#include "store/redis/redis_records.h"

#define ADVANCE_AT_ONCE 5000 /* records that records_copy_advance looks at in a call */

/* It is there no more by its own words, though nobody has removed it. */
static bool has_ended(const struct record *record, uint64_t now_ms)
{
	return !record->is_removed && !record_is_reset(record) && record->until_ms != 0 &&
	       record->until_ms <= now_ms;
}

/* As the store keeps a record that has ended. */
static struct record ended(const struct record *record)
{
	struct record removed = *record;

	removed.is_removed = true;
	removed.value = BYTES("");
	return removed;
}

static struct record as_of(const struct record *record, uint64_t now_ms)
{
	return has_ended(record, now_ms) ? ended(record) : *record;
}

/* It is not in force, and nobody needs to know any more that it was. */
static bool is_to_be_forgotten(const struct record *record, uint64_t now_ms)
{
	return (record->is_removed || record_is_reset(record)) &&
	       record->changed_ms + RECORDS_KEPT_MS <= now_ms;
}

static void tell(const struct records_copy *copy, const struct record *record)
{
	if (copy->changed != NULL)
		copy->changed(copy->owner, record);
}

static void tell_outdated(const struct records_copy *copy, const struct kept_record *kept)
{
	if (copy->outdated != NULL)
		copy->outdated(copy->outdated_owner, &kept->record);
}

/* When memory is short the record stays as it was, until a later change. */
static void keep(struct records_copy *copy, const struct record *record, uint64_t counter)
{
	struct kept_record *kept = records_table_put(&copy->table, record);

	if (kept == NULL)
		return;
	kept->counter = counter;
	kept->round = copy->round;
	tell(copy, &kept->record);
}

/* The record is none of the store's: it is as if it was removed. */
static void drop(struct records_copy *copy, struct kept_record *kept)
{
	const struct record removed = ended(&kept->record);

	if (!kept->record.is_removed && !record_is_reset(&kept->record))
		tell(copy, &removed);
	records_table_remove(&copy->table, kept);
}

/* ---- start and end ---- */

void records_copy_init(struct records_copy *copy,
		       void (*outdated)(void *owner, const struct record *record), void *owner)
{
	records_table_init(&copy->table);
	copy->outdated = outdated;
	copy->outdated_owner = owner;
}

void records_copy_release(struct records_copy *copy)
{
	records_table_release(&copy->table);
}

void records_copy_listen(struct records_copy *copy, records_changed_fn *changed, void *owner)
{
	copy->changed = changed;
	copy->owner = owner;
	for (size_t i = 0; i < copy->table.count; i++)
		tell(copy, &copy->table.items[i]->record);
}

bool records_copy_restore(struct records_copy *copy, const struct record *record, uint64_t now_ms)
{
	const struct record as_now = as_of(record, now_ms);
	struct kept_record *kept;

	ASSERT(copy->changed == NULL);
	if (copy->table.count >= RECORDS_MAX + RECORDS_GONE_MAX)
		return false;
	if (is_to_be_forgotten(record, now_ms))
		return true;
	kept = records_table_put(&copy->table, &as_now);
	if (kept != NULL)
		kept->is_from_file = true;
	return kept != NULL;
}

/* ---- what the store says ---- */

void records_copy_put(struct records_copy *copy, const struct record *record, uint64_t counter)
{
	const struct kept_record *kept = records_table_find(&copy->table, record->id);

	if (kept == NULL || record_compare(record, &kept->record) > 0)
		keep(copy, record, counter);
}

void records_copy_take(struct records_copy *copy, const struct record *said, uint64_t counter,
		       uint64_t now_ms)
{
	struct kept_record *kept = records_table_find(&copy->table, said->id);
	struct record record = as_of(said, now_ms);

	if (kept == NULL || kept->is_from_file) {
		if (kept != NULL && !kept->record.is_removed &&
		    record_compare(&kept->record, &record) != 0)
			tell_outdated(copy, kept);
		if (kept != NULL || !is_to_be_forgotten(&record, now_ms))
			keep(copy, &record, counter);
		return;
	}
	const struct record mine = as_of(&kept->record, now_ms);
	int order = record_compare(&record, &mine);
	if (order > 0) {
		keep(copy, &record, counter);
		return;
	}
	kept->round = copy->round;
	kept->counter = counter;
	records_table_set_lacking(&copy->table, kept, order < 0);
}

void records_copy_begin_round(struct records_copy *copy)
{
	copy->round++;
}

void records_copy_end_round(struct records_copy *copy, bool is_same_run, uint64_t cut,
			    uint64_t now_ms)
{
	struct records_table *table = &copy->table;
	size_t i = 0;

	while (i < table->count) {
		struct kept_record *kept = table->items[i];
		bool is_forgotten = (is_same_run && kept->counter <= cut) ||
				    is_to_be_forgotten(&kept->record, now_ms);
		if (kept->round == copy->round) {
			i++;
		} else if (kept->is_from_file || is_forgotten) {
			if (kept->is_from_file && !kept->record.is_removed)
				tell_outdated(copy, kept);
			drop(copy, kept);
		} else {
			records_table_set_lacking(table, kept, true);
			i++;
		}
	}
}

void records_copy_lack_all(struct records_copy *copy)
{
	struct records_table *table = &copy->table;

	for (size_t i = 0; i < table->count; i++) {
		table->items[i]->is_from_file = false;
		records_table_set_lacking(table, table->items[i], true);
	}
}

#define SUM_OF (UINT64_C(1) << 31)

bool records_copy_agrees(const struct records_copy *copy, const struct records_version *version)
{
	const struct records_table *table = &copy->table;
	uint64_t sum = 0;

	for (size_t i = 0; i < table->count; i++)
		sum += table->items[i]->record.changed_ms % SUM_OF;
	return table->count == version->count && sum == version->sum;
}

/* ---- what the store lacks ---- */

size_t records_copy_choose_lacking(struct records_copy *copy,
				   const struct record *ret_chosen[RECORDS_MERGE_MAX])
{
	const struct records_table *table = &copy->table;
	size_t chosen = 0, bytes = 0;

	for (size_t looked = 0; looked < table->count && chosen < table->lacking &&
				chosen < RECORDS_MERGE_MAX && bytes < RECORDS_MERGE_BYTES;
	     looked++) {
		if (copy->merge_at >= table->count)
			copy->merge_at = 0;
		const struct kept_record *kept = table->items[copy->merge_at++];
		if (!kept->is_lacking)
			continue;
		ret_chosen[chosen++] = &kept->record;
		bytes += kept->record.value.len;
	}
	return chosen;
}

void records_copy_note_merged(struct records_copy *copy, struct bytes id)
{
	struct kept_record *kept = records_table_find(&copy->table, id);

	if (kept != NULL)
		records_table_set_lacking(&copy->table, kept, false);
}

/* ---- time ---- */

void records_copy_advance(struct records_copy *copy, uint64_t now_ms)
{
	struct records_table *table = &copy->table;

	for (size_t looked = 0; looked < ADVANCE_AT_ONCE && looked < table->count; looked++) {
		if (copy->next >= table->count)
			copy->next = 0;
		struct kept_record *kept = table->items[copy->next];
		const struct record removed = ended(&kept->record);
		if (has_ended(&kept->record, now_ms)) {
			struct kept_record before = *kept;
			struct kept_record *new = records_table_put(table, &removed);
			if (new == NULL)
				return;
			new->counter = before.counter;
			new->round = before.round;
			new->is_from_file = before.is_from_file;
			records_table_set_lacking(table, new, before.is_lacking);
			tell(copy, &new->record);
		} else if (is_to_be_forgotten(&kept->record, now_ms)) {
			records_table_remove(table, kept);
			continue;
		}
		copy->next++;
	}
}
