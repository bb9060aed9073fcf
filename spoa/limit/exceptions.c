/*
 * What lies where:
 *
 *     items    every exception, by id: for lists, and to find one by its id
 *     buckets  the same exceptions in a hash table, by lookup key (exception_lookup.h): in it
 *              requests look for theirs
 *     sets     the sets of names of those without a policy (exception_sets.h)
 */
#include "limit/exceptions.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/writer.h"
#include "limit/check.h"
#include "limit/exception_lookup.h"

#define KEY_MAX       4096 /* longer values of a request have no exception */
#define BUCKETS_LEAST 64

struct entry {
	struct exception exception; /* its views are of `memory` */
	struct entry *next;         /* in the bucket */
	uint64_t hash;
	struct bytes lookup;       /* its memory is from malloc; empty: the exception is void */
	struct exception_set *set; /* of one without a policy */
	struct exception_shape *shape;
	uint8_t memory[];
};

struct exceptions {
	uint64_t (*now_ms)(void *owner);
	void *owner;
	struct entry **items;
	size_t count;
	size_t of_policies; /* how many are of one, void or not */
	struct entry **buckets;
	size_t bucket_count; /* a power of two */
	struct exception_sets sets;
	struct exception_secret secret;
};

/* ---- start and end ---- */

struct exceptions *exceptions_new(uint64_t (*now_ms)(void *owner), void *owner)
{
	struct exceptions *exceptions = calloc(1, sizeof *exceptions);

	if (exceptions == NULL)
		return NULL;
	exceptions->buckets = calloc(BUCKETS_LEAST, sizeof(struct entry *));
	if (exceptions->buckets == NULL) {
		free(exceptions);
		return NULL;
	}
	exceptions->bucket_count = BUCKETS_LEAST;
	exceptions->now_ms = now_ms;
	exceptions->owner = owner;
	randombytes_buf(&exceptions->secret, sizeof exceptions->secret);
	exceptions->secret.factor |= 1;
	return exceptions;
}

static void free_lookup(struct entry *entry)
{
	free((void *)(uintptr_t)entry->lookup.data);
	entry->lookup = (struct bytes){0};
}

void exceptions_free(struct exceptions *exceptions)
{
	if (exceptions == NULL)
		return;
	for (size_t i = 0; i < exceptions->count; i++) {
		free_lookup(exceptions->items[i]);
		free(exceptions->items[i]);
	}
	exception_sets_release(&exceptions->sets);
	free(exceptions->items);
	free(exceptions->buckets);
	free(exceptions);
}

/* ---- the hash table ---- */

static struct entry **bucket_of(const struct exceptions *exceptions, uint64_t hash)
{
	return &exceptions->buckets[(hash ^ hash >> 32) & (exceptions->bucket_count - 1)];
}

/* When memory is short the buckets stay as they are: the table is slower then, and not wrong. */
static void add_buckets(struct exceptions *exceptions)
{
	size_t before = exceptions->bucket_count;
	struct entry **old = exceptions->buckets;
	struct entry **larger = calloc(2 * before, sizeof(struct entry *));

	if (larger == NULL)
		return;
	exceptions->buckets = larger;
	exceptions->bucket_count = 2 * before;
	for (size_t i = 0; i < before; i++) {
		for (struct entry *entry = old[i], *next; entry != NULL; entry = next) {
			struct entry **bucket = bucket_of(exceptions, entry->hash);
			next = entry->next;
			entry->next = *bucket;
			*bucket = entry;
		}
	}
	free(old);
}

static void link_entry(struct exceptions *exceptions, struct entry *entry)
{
	struct entry **bucket = bucket_of(exceptions, entry->hash);

	entry->next = *bucket;
	*bucket = entry;
}

static void unlink_entry(struct exceptions *exceptions, const struct entry *entry)
{
	struct entry **at = bucket_of(exceptions, entry->hash);

	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
}

bool exception_has_ended(const struct exceptions *exceptions, const struct exception *exception)
{
	return exception->until_ms != 0 &&
	       exception->until_ms <= exceptions->now_ms(exceptions->owner);
}

/* Most requests have no exception, and for these the lookup key is not even written. */
static inline bool may_be_there(const struct exceptions *exceptions, uint64_t hash)
{
	const struct entry *entry = *bucket_of(exceptions, hash);

	while (entry != NULL && entry->hash != hash)
		entry = entry->next;
	return entry != NULL;
}

/*
 * Different values may be one when a policy cuts addresses shorter than it did when the exceptions
 * were made: then the newest holds.
 */
static const struct exception *look(const struct exceptions *exceptions, uint64_t hash,
				    struct bytes lookup)
{
	const struct exception *found = NULL;

	for (const struct entry *entry = *bucket_of(exceptions, hash); entry != NULL;
	     entry = entry->next)
		if (entry->hash == hash && bytes_equal(entry->lookup, lookup) &&
		    (found == NULL || entry->exception.changed_ms > found->changed_ms) &&
		    !exception_has_ended(exceptions, &entry->exception))
			found = &entry->exception;
	return found;
}

/* ---- an entry and what it is found by ---- */

static void unbind(struct exceptions *exceptions, struct entry *entry)
{
	if (entry->lookup.data != NULL)
		unlink_entry(exceptions, entry);
	free_lookup(entry);
	if (entry->set == NULL)
		return;
	exception_sets_leave(&exceptions->sets, entry->set, entry->shape);
	entry->set = NULL;
}

static void put_names(struct writer *w, struct exceptions *exceptions, struct entry *entry)
{
	const struct exception *exception = &entry->exception;
	size_t at = exception_sets_position(&exceptions->sets, entry->set);
	struct exception_part part;

	entry->hash = exception_hash_begin(&exceptions->secret, at);
	exception_lookup_put_set(w, at);
	for (size_t i = 0; i < exception->count; i++) {
		struct value value =
			exception_part_read(&exception->names[i], exception->is_hashed, &part);
		exception_lookup_put_part(w, part, &value);
		entry->hash = exception_hash_part(&exceptions->secret, entry->hash, part, &value);
	}
}

static void set_lookup(struct exceptions *exceptions, struct entry *entry, struct bytes lookup)
{
	uint8_t *copy = malloc(lookup.len);

	if (copy == NULL)
		return;
	memcpy(copy, lookup.data, lookup.len);
	entry->lookup = bytes_from(copy, lookup.len);
	link_entry(exceptions, entry);
}

static void bind_entry(struct exceptions *exceptions, struct entry *entry,
		       const struct policies *policies)
{
	uint8_t memory[KEY_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	if (entry->exception.policy.len > 0) {
		if (!exception_lookup_put_policy(&w, &entry->exception, policies))
			return;
		entry->hash = exception_hash_of_lookup(&exceptions->secret, writer_bytes(&w));
	} else {
		if (!exception_sets_join(&exceptions->sets, &entry->exception, &entry->set,
					 &entry->shape))
			return;
		put_names(&w, exceptions, entry);
	}
	if (!w.full)
		set_lookup(exceptions, entry, writer_bytes(&w));
}

void exceptions_bind(struct exceptions *exceptions, const struct policies *policies)
{
	for (size_t i = 0; i < exceptions->count; i++) {
		struct entry *entry = exceptions->items[i];
		if (entry->exception.policy.len == 0)
			continue;
		unbind(exceptions, entry);
		bind_entry(exceptions, entry, policies);
	}
}

bool exceptions_have_room(const struct exceptions *exceptions, const struct exception *exception,
			  struct err *err)
{
	return exception_sets_have_room(&exceptions->sets, exception, err);
}

/* ---- put and remove ---- */

static size_t memory_of(const struct exception *exception)
{
	size_t len = exception->policy.len + exception->hash.len + exception->text.len;

	for (size_t i = 0; i < exception->key_count; i++)
		len += exception->key[i].len;
	for (size_t i = 0; i < exception->count; i++)
		len += exception->names[i].name.len + exception->names[i].text.len;
	return len;
}

static struct bytes keep_bytes(struct writer *w, struct bytes bytes)
{
	size_t at = w->len;

	writer_put(w, bytes);
	return bytes_from(w->data + at, bytes.len);
}

/* One block: the entry, the two arrays, and all texts. */
static struct entry *copy_entry(const struct exception *exception)
{
	size_t names = exception->count * sizeof(struct exception_name);
	size_t keys = exception->key_count * sizeof(struct bytes);
	size_t len = memory_of(exception);
	struct entry *entry = malloc(sizeof *entry + names + keys + len);

	if (entry == NULL)
		return NULL;
	struct exception_name *own_names = (struct exception_name *)(void *)entry->memory;
	struct bytes *own_key = (struct bytes *)(void *)(entry->memory + names);
	struct writer w = writer_on(entry->memory + names + keys, len);

	*entry = (struct entry){.exception = *exception};
	for (size_t i = 0; i < exception->count; i++) {
		own_names[i].name = keep_bytes(&w, exception->names[i].name);
		own_names[i].text = keep_bytes(&w, exception->names[i].text);
	}
	for (size_t i = 0; i < exception->key_count; i++)
		own_key[i] = keep_bytes(&w, exception->key[i]);
	entry->exception.names = own_names;
	entry->exception.key = own_key;
	entry->exception.policy = keep_bytes(&w, exception->policy);
	entry->exception.hash = keep_bytes(&w, exception->hash);
	entry->exception.text = keep_bytes(&w, exception->text);
	return entry;
}

static int compare_with_id(struct bytes id, const struct entry *entry)
{
	return bytes_compare(id, bytes_from_text(entry->exception.id));
}

size_t exceptions_position(const struct exceptions *exceptions, struct bytes id)
{
	size_t low = 0, high = exceptions->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare_with_id(id, exceptions->items[middle]) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct exceptions *exceptions, size_t at, struct bytes id)
{
	return at < exceptions->count && compare_with_id(id, exceptions->items[at]) == 0;
}

static void drop(struct exceptions *exceptions, struct entry *entry)
{
	exceptions->of_policies -= entry->exception.policy.len > 0;
	unbind(exceptions, entry);
	free(entry);
}

static bool make_room_at(struct exceptions *exceptions, size_t at)
{
	struct entry **larger =
		grow_by_one(exceptions->items, exceptions->count, sizeof(struct entry *));

	if (larger == NULL)
		return false;
	exceptions->items = larger;
	memmove(larger + at + 1, larger + at, (exceptions->count - at) * sizeof *larger);
	exceptions->count++;
	return true;
}

bool exceptions_put(struct exceptions *exceptions, const struct exception *exception,
		    const struct policies *policies)
{
	struct bytes id = bytes_from_text(exception->id);
	size_t at = exceptions_position(exceptions, id);
	struct entry *entry = copy_entry(exception);

	if (entry == NULL)
		return false;
	if (is_at(exceptions, at, id)) {
		drop(exceptions, exceptions->items[at]);
	} else if (!make_room_at(exceptions, at)) {
		free(entry);
		return false;
	}
	exceptions->items[at] = entry;
	exceptions->of_policies += exception->policy.len > 0;
	if (exceptions->count > exceptions->bucket_count)
		add_buckets(exceptions);
	bind_entry(exceptions, entry, policies);
	return true;
}

void exceptions_remove(struct exceptions *exceptions, struct bytes id)
{
	size_t at = exceptions_position(exceptions, id);

	if (!is_at(exceptions, at, id))
		return;
	drop(exceptions, exceptions->items[at]);
	exceptions->count--;
	memmove(exceptions->items + at, exceptions->items + at + 1,
		(exceptions->count - at) * sizeof *exceptions->items);
}

size_t exceptions_count(const struct exceptions *exceptions)
{
	return exceptions->count;
}

const struct exception *exceptions_at(const struct exceptions *exceptions, size_t position)
{
	return &exceptions->items[position]->exception;
}

const struct exception *exceptions_by_id(const struct exceptions *exceptions, struct bytes id)
{
	size_t at = exceptions_position(exceptions, id);

	return is_at(exceptions, at, id) ? &exceptions->items[at]->exception : NULL;
}

bool exceptions_is_void(const struct exceptions *exceptions, size_t position)
{
	return exceptions->items[position]->lookup.data == NULL;
}

/* ---- what a request finds ---- */

static struct exception_hit hit_of(const struct exceptions *exceptions,
				   const struct exception *exception)
{
	struct exception_hit hit = {
		.kind = exception->kind,
		.left_us = -1,
		.count = exception->count,
		.changed_ms = exception->changed_ms,
	};

	memcpy(hit.id, exception->id, sizeof hit.id);
	if (exception->until_ms != 0)
		hit.left_us =
			(int64_t)(exception->until_ms - exceptions->now_ms(exceptions->owner)) *
			1000;
	return hit;
}

struct exception_hit exceptions_hit(const struct exceptions *exceptions,
				    const struct exception *exception)
{
	struct exception_hit hit = hit_of(exceptions, exception);

	hit.open_bits = exception_open_bits(exception);
	return hit;
}

bool exception_hit_overrules(const struct exception_hit *a, const struct exception_hit *b)
{
	if (a->count != b->count)
		return a->count > b->count;
	if (a->open_bits != b->open_bits)
		return a->open_bits < b->open_bits;
	if (a->changed_ms != b->changed_ms)
		return a->changed_ms > b->changed_ms;
	return strcmp(a->id, b->id) > 0; /* so that all agents choose the same one */
}

/* Not inline: a large buffer on the stack costs time, and few requests come here. */
static __attribute__((noinline)) const struct exception *
look_closely(const struct exceptions *exceptions, size_t at, const struct exception_shape *shape,
	     const struct value *values, uint64_t hash)
{
	uint8_t memory[KEY_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	exception_lookup_put_set(&w, at);
	for (size_t i = 0; i < exceptions->sets.items[at]->count; i++)
		exception_lookup_put_part(&w, shape->parts[i], &values[i]);
	return w.full ? NULL : look(exceptions, hash, writer_bytes(&w));
}

static const struct exception *look_for_shape(const struct exceptions *exceptions, size_t at,
					      const struct exception_shape *shape,
					      const struct exception_gathered *gathered)
{
	const struct exception_set *set = exceptions->sets.items[at];
	struct value values[EXCEPTION_NAMES_MAX];
	uint64_t hash = exception_hash_begin(&exceptions->secret, at);

	if (!exception_set_cut(set, shape, gathered, values))
		return NULL;
	for (size_t i = 0; i < set->count; i++)
		hash = exception_hash_part(&exceptions->secret, hash, shape->parts[i], &values[i]);
	if (!may_be_there(exceptions, hash))
		return NULL;
	return look_closely(exceptions, at, shape, values, hash);
}

/* ---- the search for exceptions without a policy ---- */

struct search {
	const struct exceptions *exceptions;
	struct exception_hit *hit; /* of several that fit, the one that overrules the others */
	bool is_found;
};

static __attribute__((noinline)) void take_hit(struct search *search,
					       const struct exception *exception,
					       const struct exception_shape *shape)
{
	struct exception_hit hit = hit_of(search->exceptions, exception);

	hit.open_bits = shape->open_bits;
	if (search->is_found && !exception_hit_overrules(&hit, search->hit))
		return;
	*search->hit = hit;
	search->is_found = true;
}

static __attribute__((noinline)) void search_in_set(struct search *search, size_t at,
						    const struct attributes *attributes,
						    const struct attribute *instead)
{
	const struct exception_set *set = search->exceptions->sets.items[at];
	struct exception_gathered gathered;

	if (!exception_set_gather(set, attributes, instead, &gathered))
		return;
	for (size_t i = 0; i < set->shape_count; i++) {
		const struct exception_shape *shape = &set->shapes[i];
		const struct exception *exception =
			shape->members == 0
				? NULL
				: look_for_shape(search->exceptions, at, shape, &gathered);
		if (exception != NULL)
			take_hit(search, exception, shape);
	}
}

static inline void search_for_value(struct search *search, size_t at, const struct value *whole)
{
	const struct exceptions *exceptions = search->exceptions;
	const struct exception_set *set = exceptions->sets.items[at];
	struct value memory;

	for (size_t i = 0; i < set->shape_count; i++) {
		const struct exception_shape *shape = &set->shapes[i];
		const struct value *value =
			shape->members == 0 ? NULL
					    : exception_part_cut(shape->parts[0], whole, &memory);
		if (value == NULL)
			continue;
		uint64_t hash = exception_hash_part(&exceptions->secret,
						    exception_hash_begin(&exceptions->secret, at),
						    shape->parts[0], value);
		if (!may_be_there(exceptions, hash))
			continue;
		const struct exception *exception =
			look_closely(exceptions, at, shape, value, hash);
		if (exception != NULL)
			take_hit(search, exception, shape);
	}
}

/*
 * Most exceptions have one name, `src`, and then no values of several names need to be gathered:
 * that saves 140 of the 360 instructions that such exceptions cost each request.
 */
static inline void search_in_set_of_one(struct search *search, size_t at,
					const struct attributes *attributes,
					const struct attribute *instead)
{
	struct bytes name = search->exceptions->sets.items[at]->names[0];
	const struct value *value = instead != NULL && bytes_equal(instead->name, name)
					    ? &instead->value
					    : attributes_find(attributes, name);

	if (value == NULL)
		return;
	const struct value canonical = attribute_canonical(name, value);
	search_for_value(search, at, &canonical);
}

bool exceptions_search(const struct exceptions *exceptions, const struct attributes *attributes,
		       const struct attribute *instead, struct exception_hit *ret_hit)
{
	struct search search = {exceptions, ret_hit, false};

	for (size_t i = 0; i < exceptions->sets.count; i++) {
		const struct exception_set *set = exceptions->sets.items[i];
		if (set->members == 0)
			continue;
		if (set->count == 1 && !set->is_hashed)
			search_in_set_of_one(&search, i, attributes, instead);
		else
			search_in_set(&search, i, attributes, instead);
	}
	return search.is_found;
}

/* ---- the exception of a check's policy ---- */

bool exceptions_are_of_policies(const struct exceptions *exceptions)
{
	return exceptions->of_policies > 0;
}

static __attribute__((noinline)) const struct exception *
find_closely(const struct exceptions *exceptions, const struct check *check, uint64_t hash,
	     struct exception_hit *ret_hit)
{
	uint8_t memory[CHECK_KEY_MAX + POLICY_NAME_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	exception_lookup_put_check(&w, check);
	const struct exception *found = look(exceptions, hash, writer_bytes(&w));
	if (found != NULL)
		*ret_hit = hit_of(exceptions, found);
	return found;
}

const struct exception *exceptions_find(const struct exceptions *exceptions,
					const struct check *check, struct exception_hit *ret_hit)
{
	uint64_t hash = exception_hash_of_check(&exceptions->secret, check);

	return may_be_there(exceptions, hash) ? find_closely(exceptions, check, hash, ret_hit)
					      : NULL;
}
