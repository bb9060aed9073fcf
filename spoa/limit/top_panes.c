#include "limit/top_panes.h"

#include <stdlib.h>
#include <string.h>

/* ---- a sketch ---- */

static uint16_t *slot_of(struct top_sketch *sketch, uint64_t hash)
{
	return &sketch->slots[hash % TOP_PANE_SLOTS];
}

const struct top_entry *top_sketch_find(const struct top_sketch *sketch, uint64_t hash)
{
	for (unsigned at = sketch->slots[hash % TOP_PANE_SLOTS]; at != 0;
	     at = sketch->entries[at - 1].next)
		if (sketch->entries[at - 1].hash == hash)
			return &sketch->entries[at - 1];
	return NULL;
}

static void link_entry(struct top_sketch *sketch, size_t at)
{
	uint16_t *slot = slot_of(sketch, sketch->entries[at].hash);

	sketch->entries[at].next = *slot;
	*slot = (uint16_t)(at + 1);
}

static void unlink_entry(struct top_sketch *sketch, size_t at)
{
	uint16_t *link = slot_of(sketch, sketch->entries[at].hash);

	while (*link != at + 1)
		link = &sketch->entries[*link - 1].next;
	*link = sketch->entries[at].next;
}

static uint64_t lowest_count(const struct top_sketch *sketch)
{
	uint64_t lowest = sketch->entries[0].count;

	for (size_t i = 1; i < sketch->count; i++)
		if (sketch->entries[i].count < lowest)
			lowest = sketch->entries[i].count;
	return lowest;
}

/*
 * The place of a key with the lowest count, which is `floor` or above it. The hand goes on from
 * where it stopped: most keys of a broad stream cost a step or two, and one round raises `floor`.
 */
static size_t find_least(struct top_sketch *sketch)
{
	for (size_t steps = 0;; steps++) {
		size_t at = sketch->hand;
		if (steps == TOP_PANE_KEYS)
			sketch->floor = lowest_count(sketch);
		sketch->hand = (at + 1) % TOP_PANE_KEYS;
		if (sketch->entries[at].count <= sketch->floor)
			return at;
		ASSERT(steps <= 2 * TOP_PANE_KEYS);
	}
}

static struct top_entry *take_entry(struct top_sketch *sketch, const struct check *check,
				    uint64_t hash)
{
	struct bytes values = check_values(check);
	bool is_full = sketch->count == TOP_PANE_KEYS;
	size_t at = is_full ? find_least(sketch) : sketch->count++;
	struct top_entry *entry = &sketch->entries[at];

	if (is_full)
		unlink_entry(sketch, at);
	else
		entry->count = 0;
	entry->error = entry->count;
	entry->hash = hash;
	entry->key_len = (uint8_t)(values.len < TOP_KEY_MAX ? values.len : TOP_KEY_MAX);
	memcpy(entry->key, values.data, entry->key_len);
	memcpy(entry->policy, check->policy->name, sizeof entry->policy);
	link_entry(sketch, at);
	return entry;
}

void top_sketch_add(struct top_sketch *sketch, const struct check *check, uint64_t hash)
{
	const struct top_entry *found = top_sketch_find(sketch, hash);
	struct top_entry *entry = found == NULL ? take_entry(sketch, check, hash)
						: &sketch->entries[found - sketch->entries];

	entry->count++;
	entry->limit = check_limit(check);
	entry->remaining = check->is_decided ? check->outcome.remaining : -1;
	entry->retry_after_us = check->is_decided ? check->outcome.retry_after_us : 0;
	sketch->total++;
}

static void clear_sketch(struct top_sketch *sketch)
{
	sketch->count = sketch->hand = 0;
	sketch->floor = sketch->total = 0;
	memset(sketch->slots, 0, sizeof sketch->slots);
}

/* ---- merging ---- */

static int by_count(const void *a, const void *b)
{
	const struct top_entry *left = a, *right = b;

	if (left->count != right->count)
		return left->count < right->count ? 1 : -1;
	return left->hash < right->hash ? 1 : left->hash > right->hash ? -1 : 0;
}

/* Those of both, each with what the other one has of it: its count, or at most its floor. */
static size_t gather(struct top_entry *all, const struct top_sketch *into,
		     const struct top_sketch *from)
{
	size_t count = 0;

	for (size_t i = 0; i < into->count; i++) {
		const struct top_entry *other = top_sketch_find(from, into->entries[i].hash);
		/* `from` is the later one: it has the last request. */
		all[count] = other != NULL ? *other : into->entries[i];
		all[count].count =
			into->entries[i].count + (other != NULL ? other->count : from->floor);
		all[count].error =
			into->entries[i].error + (other != NULL ? other->error : from->floor);
		count++;
	}
	for (size_t i = 0; i < from->count; i++) {
		if (top_sketch_find(into, from->entries[i].hash) != NULL)
			continue;
		all[count] = from->entries[i];
		all[count].count += into->floor;
		all[count].error += into->floor;
		count++;
	}
	return count;
}

void top_sketch_merge(struct top_sketch *into, const struct top_sketch *from,
		      struct top_entry *scratch)
{
	uint64_t floor = into->floor + from->floor, total = into->total + from->total;

	if (from->total == 0)
		return;
	size_t count = gather(scratch, into, from);
	qsort(scratch, count, sizeof *scratch, by_count);
	clear_sketch(into);
	into->count = count < TOP_PANE_KEYS ? count : TOP_PANE_KEYS;
	if (count > TOP_PANE_KEYS && scratch[TOP_PANE_KEYS].count > floor)
		floor = scratch[TOP_PANE_KEYS].count;
	into->floor = floor;
	into->total = total;
	memcpy(into->entries, scratch, into->count * sizeof *scratch);
	for (size_t i = 0; i < into->count; i++)
		link_entry(into, i);
}

/* ---- panes ---- */

struct series {
	struct top_sketch tens[TOP_MINUTE];
	struct top_sketch minutes[TOP_MINUTES];
	struct top_sketch ever; /* of the panes of 10 s that have ended */
};

struct top_panes {
	int64_t since_us; /* when the first pane began */
	int64_t pane;     /* the number of the current pane of 10 s */
	struct series series[TOP_BY_COUNT];
	struct top_sketch sum;
	struct top_entry scratch[2 * TOP_PANE_KEYS];
};

struct top_panes *top_panes_new(int64_t mono_us)
{
	struct top_panes *panes = calloc(1, sizeof *panes);

	if (panes != NULL)
		panes->since_us = mono_us;
	return panes;
}

void top_panes_free(struct top_panes *panes)
{
	free(panes);
}

static struct top_sketch *current_ten(struct top_panes *panes, size_t by)
{
	return &panes->series[by].tens[panes->pane % TOP_MINUTE];
}

static struct top_sketch *current_minute(struct top_panes *panes, size_t by)
{
	return &panes->series[by].minutes[panes->pane / TOP_MINUTE % TOP_MINUTES];
}

/* The current pane of 10 s is over. */
static void end_pane(struct top_panes *panes)
{
	for (size_t by = 0; by < TOP_BY_COUNT; by++) {
		const struct top_sketch *ended = current_ten(panes, by);
		top_sketch_merge(current_minute(panes, by), ended, panes->scratch);
		top_sketch_merge(&panes->series[by].ever, ended, panes->scratch);
	}
	panes->pane++;
	for (size_t by = 0; by < TOP_BY_COUNT; by++) {
		clear_sketch(current_ten(panes, by));
		if (panes->pane % TOP_MINUTE == 0)
			clear_sketch(current_minute(panes, by));
	}
}

/* After a long pause nothing is left of the last minutes: then as many panes end as there are. */
static void advance(struct top_panes *panes, int64_t mono_us)
{
	int64_t pane = (mono_us - panes->since_us) / TOP_PANE_US;
	int64_t all = (TOP_MINUTES + 1) * TOP_MINUTE;

	for (int64_t ended = 0; panes->pane < pane && ended < all; ended++)
		end_pane(panes);
	if (panes->pane < pane) /* they are all empty */
		panes->pane = pane;
}

void top_panes_add(struct top_panes *panes, enum top_by by, const struct check *check,
		   uint64_t hash, int64_t mono_us)
{
	if (mono_us - panes->since_us >= (panes->pane + 1) * TOP_PANE_US)
		advance(panes, mono_us);
	top_sketch_add(current_ten(panes, by), check, hash);
}

static int by_certain(const void *a, const void *b)
{
	const struct top_entry *left = a, *right = b;
	uint64_t of_left = left->count - left->error, of_right = right->count - right->error;

	return of_left != of_right ? (of_left < of_right ? 1 : -1) : by_count(a, b);
}

static void merge_older_first(struct top_panes *panes, const struct top_sketch *ring, int64_t size,
			      int64_t current)
{
	for (int64_t back = size - 1; back >= 0; back--)
		if (current >= back)
			top_sketch_merge(&panes->sum, &ring[(current - back) % size],
					 panes->scratch);
}

/* How long ago the oldest pane began that counts for `last`. */
static int64_t time_of(const struct top_panes *panes, enum top_last last, int64_t mono_us)
{
	int64_t first = 0, minute = panes->pane / TOP_MINUTE;

	if (last == TOP_LAST_MINUTE && panes->pane >= TOP_MINUTE)
		first = panes->pane - TOP_MINUTE + 1;
	if (last == TOP_LAST_MINUTES && minute >= TOP_MINUTES)
		first = (minute - TOP_MINUTES + 1) * TOP_MINUTE;
	return mono_us - panes->since_us - first * TOP_PANE_US;
}

const struct top_sketch *top_panes_sum(struct top_panes *panes, enum top_by by, enum top_last last,
				       int64_t mono_us, int64_t *ret_us)
{
	const struct series *series = &panes->series[by];

	advance(panes, mono_us);
	clear_sketch(&panes->sum);
	*ret_us = time_of(panes, last, mono_us);
	switch (last) {
	case TOP_LAST_MINUTE:
		merge_older_first(panes, series->tens, TOP_MINUTE, panes->pane);
		break;
	case TOP_LAST_MINUTES:
		merge_older_first(panes, series->minutes, TOP_MINUTES, panes->pane / TOP_MINUTE);
		top_sketch_merge(&panes->sum, current_ten(panes, by), panes->scratch);
		break;
	case TOP_LAST_EVER:
		top_sketch_merge(&panes->sum, &series->ever, panes->scratch);
		top_sketch_merge(&panes->sum, current_ten(panes, by), panes->scratch);
		break;
	}
	qsort(panes->sum.entries, panes->sum.count, sizeof panes->sum.entries[0], by_certain);
	return &panes->sum;
}
