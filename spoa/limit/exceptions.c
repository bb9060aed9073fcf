/*
 * What lies where:
 *
 *     items    every exception, by id: for lists, and to find one by its id
 *     buckets  a hash table of the same exceptions, by lookup key: for requests
 *     sets     the sets of names of those without a policy, each with its shapes
 *
 * The lookup key of an exception is a text that a request can make of itself:
 *
 *     of a policy        login:192.0.2.7          the name, and the values as check.h writes them
 *     of inline          inline:...:192.0.2.7     the whole key of the check, with its numbers
 *     without a policy   0, the number of the set, and for each of its names the kind of the value,
 *                        the length of the network and the value, cut to that length
 *
 * A set is {"src"} or {"path", "src"}. A shape of a set says for each name whether the value is an
 * IPv4 or IPv6 address, cut to how many bits, or anything else. So a request finds the exceptions
 * without a policy by one look for each shape of each set whose names it has.
 *
 * Nobody who makes an exception may go above EXCEPTION_SETS_MAX and EXCEPTION_NETWORKS_MAX, but two
 * agents that share a store may do so together at the same moment. Then both have to act by what
 * both have accepted, and therefore the arrays here have room for four times as many. An exception
 * above that is void.
 */
#include "limit/exceptions.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/writer.h"
#include "limit/check.h"
#include "limit/request.h"

#define SETS_ROOM     (4 * EXCEPTION_SETS_MAX)
#define SHAPES_ROOM   (4 * EXCEPTION_NETWORKS_MAX)
#define KEY_MAX       4096 /* longer values of a request have no exception */
#define HASH_TEXT     (2 * crypto_hash_sha256_BYTES)
#define BUCKETS_LEAST 64

/* How a value is compared: as text, or as an address of so many bits. */
enum part_kind { PART_TEXT = 0, PART_IPV4, PART_IPV6 };

struct part {
	uint8_t kind;
	uint8_t prefix;
};

struct shape {
	size_t members; /* 0: not in use */
	unsigned open_bits;
	struct part parts[EXCEPTION_NAMES_MAX];
};

struct set {
	size_t members; /* 0: not in use */
	size_t count;
	struct bytes names[EXCEPTION_NAMES_MAX]; /* in `memory` */
	uint8_t *memory;
	bool is_hashed;
	size_t shape_count;   /* all that are in use stand before it */
	size_t network_count; /* of those in use with an address */
	struct shape shapes[SHAPES_ROOM];
};

struct entry {
	struct exception exception; /* its views are of `memory` */
	struct entry *next;         /* in the bucket */
	uint64_t hash;
	struct bytes lookup; /* its memory is from malloc; empty: the exception is void */
	struct set *set;     /* of one without a policy */
	struct shape *shape;
	uint8_t memory[];
};

struct exceptions {
	uint64_t (*now_ms)(void *owner);
	void *owner;
	struct entry **items;
	size_t count;
	size_t of_policies; /* how many are of one, void or not */
	struct entry **buckets;
	size_t bucket_count;         /* a power of two */
	struct set *sets[SETS_ROOM]; /* allocated at the first use */
	size_t set_count;            /* all that are in use stand before it */
	uint64_t secret[2];
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
	randombytes_buf(exceptions->secret, sizeof exceptions->secret);
	exceptions->secret[1] |= 1; /* a factor of 0 would make all hashes equal */
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
	for (size_t i = 0; i < SETS_ROOM; i++) {
		if (exceptions->sets[i] != NULL)
			free(exceptions->sets[i]->memory);
		free(exceptions->sets[i]);
	}
	free(exceptions->items);
	free(exceptions->buckets);
	free(exceptions);
}

/* ---- the hash table ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
	__extension__ typedef unsigned __int128 product;
	product all = (product)a * b;

	return (uint64_t)all ^ (uint64_t)(all >> 64);
}

/* The last 8 bytes, or all of fewer; some bytes twice, which costs less than a loop. */
static uint64_t last_word(struct bytes bytes)
{
	uint64_t word = 0;
	uint32_t half[2] = {0};

	if (bytes.len >= sizeof word) {
		memcpy(&word, bytes.data + bytes.len - sizeof word, sizeof word);
		return word;
	}
	if (bytes.len >= sizeof half[0]) {
		memcpy(&half[0], bytes.data, sizeof half[0]);
		memcpy(&half[1], bytes.data + bytes.len - sizeof half[1], sizeof half[1]);
		return (uint64_t)half[1] << 32 | half[0];
	}
	for (size_t i = 0; i < bytes.len; i++)
		word = word << 8 | bytes.data[i];
	return word;
}

/*
 * Operators alone put exceptions into the table, so no client can fill a bucket by what it asks
 * for. Therefore the hash is a cheap one: a cryptographic hash would cost each check more.
 */
static uint64_t hash_bytes(const struct exceptions *exceptions, uint64_t hash, struct bytes bytes)
{
	uint64_t word = 0;

	hash ^= bytes.len;
	for (size_t at = 0; bytes.len - at > sizeof word; at += sizeof word) {
		memcpy(&word, bytes.data + at, sizeof word);
		hash = mix(hash ^ word, exceptions->secret[1]);
	}
	return mix(hash ^ last_word(bytes), exceptions->secret[1]);
}

static struct entry **bucket_of(const struct exceptions *exceptions, uint64_t hash)
{
	return &exceptions->buckets[(hash ^ hash >> 32) & (exceptions->bucket_count - 1)];
}

/* With too few buckets the table is slower and not wrong: so it may be that memory is short. */
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

/* ---- sets and shapes ---- */

static bool has_names(const struct set *set, const struct exception *exception)
{
	if (set->members == 0 || set->count != exception->count ||
	    set->is_hashed != exception->is_hashed)
		return false;
	for (size_t i = 0; i < set->count; i++)
		if (!bytes_equal(set->names[i], exception->names[i].name))
			return false;
	return true;
}

static struct set *find_set(const struct exceptions *exceptions, const struct exception *exception)
{
	for (size_t i = 0; i < exceptions->set_count; i++)
		if (has_names(exceptions->sets[i], exception))
			return exceptions->sets[i];
	return NULL;
}

/* The value of a name of an exception without a policy, and how it is compared. */
static struct value read_part(const struct exception_name *name, bool is_hashed,
			      struct part *ret_part)
{
	unsigned prefix;
	struct value value = is_hashed ? (struct value){.kind = VALUE_ABSENT}
				       : network_read(name->text, name->name, &prefix);

	*ret_part = (struct part){.kind = PART_TEXT};
	if (!value_is_address(&value))
		return value_text(name->text);
	*ret_part =
		(struct part){value.kind == VALUE_IPV4 ? PART_IPV4 : PART_IPV6, (uint8_t)prefix};
	return value;
}

static unsigned bits_of(struct part part)
{
	return part.kind == PART_TEXT ? 0 : part.kind == PART_IPV4 ? 32 : 128;
}

static struct shape shape_of(const struct exception *exception)
{
	struct shape shape = {.members = 0};

	for (size_t i = 0; i < exception->count; i++) {
		(void)read_part(&exception->names[i], exception->is_hashed, &shape.parts[i]);
		shape.open_bits += bits_of(shape.parts[i]) - shape.parts[i].prefix;
	}
	return shape;
}

static bool has_address(const struct shape *shape, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (shape->parts[i].kind != PART_TEXT)
			return true;
	return false;
}

static struct shape *find_shape(struct set *set, const struct shape *shape)
{
	for (size_t i = 0; i < set->shape_count; i++)
		if (set->shapes[i].members > 0 &&
		    memcmp(set->shapes[i].parts, shape->parts, sizeof shape->parts) == 0)
			return &set->shapes[i];
	return NULL;
}

static size_t sets_in_use(const struct exceptions *exceptions)
{
	size_t used = 0;

	for (size_t i = 0; i < exceptions->set_count; i++)
		used += exceptions->sets[i]->members > 0;
	return used;
}

bool exceptions_have_room(const struct exceptions *exceptions, const struct exception *exception,
			  struct err *err)
{
	struct shape shape = shape_of(exception);
	struct set *set;

	if (exception->policy.len > 0)
		return true;
	set = find_set(exceptions, exception);
	if (set == NULL)
		return sets_in_use(exceptions) < EXCEPTION_SETS_MAX ||
		       err_set(err,
			       "exceptions without a policy have %d different sets of names "
			       "already, and more are not accepted; remove all of one set first",
			       EXCEPTION_SETS_MAX);
	return find_shape(set, &shape) != NULL || !has_address(&shape, exception->count) ||
	       set->network_count < EXCEPTION_NETWORKS_MAX ||
	       err_set(err,
		       "exceptions with these names have networks of %d different lengths already, "
		       "and more are not accepted; remove all of one length first",
		       EXCEPTION_NETWORKS_MAX);
}

static bool copy_names(struct set *set, const struct exception *exception)
{
	size_t len = 0;

	for (size_t i = 0; i < exception->count; i++)
		len += exception->names[i].name.len;
	set->memory = malloc(len + 1);
	if (set->memory == NULL)
		return false;
	struct writer w = writer_on(set->memory, len);
	for (size_t i = 0; i < exception->count; i++) {
		struct bytes name = exception->names[i].name;
		set->names[i] = bytes_from(w.data + w.len, name.len);
		writer_put(&w, name);
	}
	set->count = exception->count;
	set->is_hashed = exception->is_hashed;
	return true;
}

/* NULL when all are in use, or memory is short. */
static struct set *add_set(struct exceptions *exceptions, const struct exception *exception)
{
	size_t at = 0;

	while (at < exceptions->set_count && exceptions->sets[at]->members > 0)
		at++;
	if (at == SETS_ROOM)
		return NULL;
	if (exceptions->sets[at] == NULL)
		exceptions->sets[at] = malloc(sizeof(struct set));
	struct set *set = exceptions->sets[at];
	if (set == NULL)
		return NULL;
	*set = (struct set){.members = 0};
	if (!copy_names(set, exception)) {
		free(set);
		exceptions->sets[at] = NULL;
		return NULL;
	}
	if (at == exceptions->set_count)
		exceptions->set_count++;
	return set;
}

static struct shape *add_shape(struct set *set, const struct shape *shape)
{
	size_t at = 0;

	while (at < set->shape_count && set->shapes[at].members > 0)
		at++;
	if (at == SHAPES_ROOM)
		return NULL;
	set->shapes[at] = *shape;
	if (at == set->shape_count)
		set->shape_count++;
	return &set->shapes[at];
}

static void leave_set(struct exceptions *exceptions, struct set *set)
{
	size_t last = exceptions->set_count;

	if (--set->members > 0)
		return;
	free(set->memory);
	set->memory = NULL;
	while (last > 0 && exceptions->sets[last - 1]->members == 0)
		last--;
	/* Those behind it are kept for the next ones, and are freed at the end. */
	exceptions->set_count = last;
}

static void leave_shape(struct set *set, struct shape *shape)
{
	if (--shape->members > 0)
		return;
	set->network_count -= has_address(shape, set->count);
	while (set->shape_count > 0 && set->shapes[set->shape_count - 1].members == 0)
		set->shape_count--;
}

/* ---- lookup keys ---- */

/* No name of a policy begins with a 0. */
static void put_set(struct writer *w, size_t at)
{
	writer_put_u8(w, 0);
	writer_put_u8(w, (uint8_t)at);
}

/* `value` is cut already. */
static void put_part(struct writer *w, struct part part, const struct value *value)
{
	char memory[VALUE_SHORT_TEXT_MAX];

	writer_put_u8(w, part.kind);
	writer_put_u8(w, part.prefix);
	if (part.kind == PART_IPV4) {
		writer_put(w, bytes_from(value->ipv4, sizeof value->ipv4));
	} else if (part.kind == PART_IPV6) {
		writer_put(w, bytes_from(value->ipv6, sizeof value->ipv6));
	} else {
		struct bytes text = value_to_text(value, memory);
		writer_put_u32_be(w, (uint32_t)text.len);
		writer_put(w, text);
	}
}

static uint64_t begin_hash(const struct exceptions *exceptions, size_t at)
{
	return exceptions->secret[0] + at;
}

static uint64_t hash_part(const struct exceptions *exceptions, uint64_t hash, struct part part,
			  const struct value *value)
{
	char memory[VALUE_SHORT_TEXT_MAX];
	struct bytes bytes;

	if (part.kind == PART_IPV4)
		bytes = bytes_from(value->ipv4, sizeof value->ipv4);
	else if (part.kind == PART_IPV6)
		bytes = bytes_from(value->ipv6, sizeof value->ipv6);
	else
		bytes = value_to_text(value, memory);
	return hash_bytes(exceptions,
			  hash ^ (uint64_t)part.kind << 40 ^ (uint64_t)part.prefix << 32, bytes);
}

static uint64_t hash_of_policy(const struct exceptions *exceptions, struct bytes name,
			       struct bytes rest)
{
	return hash_bytes(exceptions, hash_bytes(exceptions, exceptions->secret[0], name), rest);
}

/* Of the lookup key that put_check writes: the name is what stands before the first colon. */
static uint64_t hash_of_check(const struct exceptions *exceptions, const struct check *check)
{
	size_t name_len = check->values_at - POLICY_GENERATION_MAX - 2; /* NAME:GENERATION: */

	if (check->quota != &check->own_quota)
		return hash_of_policy(exceptions, bytes_from(check->key, name_len),
				      check_values(check));
	return hash_of_policy(exceptions, BYTES("inline"),
			      bytes_skip(check_key(check), strlen("inline:")));
}

static void put_check(struct writer *w, const struct check *check)
{
	if (check->quota ==
	    &check->own_quota) { /* of an inline policy the numbers are in the key */
		writer_put(w, check_key(check));
		return;
	}
	writer_put_text(w, check->policy->name);
	writer_put_u8(w, ':');
	writer_put(w, check_values(check));
}

static bool is_as_it_was(const struct exception *exception, const struct policy *policy)
{
	if (policy->terms.quota.algorithm != exception->algorithm ||
	    policy->key_count != exception->key_count)
		return false;
	for (size_t i = 0; i < policy->key_count; i++)
		if (!bytes_equal(policy->key[i], exception->key[i]))
			return false;
	return true;
}

/* As a request would have them. False when `key`, or an attribute of it, is missing. */
static bool set_values(struct check *check, const struct exception *exception, bool is_inline)
{
	struct attribute items[EXCEPTION_NAMES_MAX];
	struct attributes attributes = {items, exception->count};
	struct value values[POLICY_KEY_MAX];
	struct reserved reserved = {0};
	bool is_explicit;
	size_t count;
	const char *why;

	for (size_t i = 0; i < exception->count; i++)
		items[i] = (struct attribute){exception->names[i].name,
					      value_text(exception->names[i].text)};
	if (is_inline && (!reserved_read(&attributes, &reserved, &why) || !reserved.has_algorithm))
		return false;
	if (!is_inline)
		reserved.key = attributes_find(&attributes, BYTES("key"));
	if (!request_key_values(check->policy, &reserved, &attributes, is_inline, values, &count,
				&is_explicit))
		return false;
	check->own_quota = reserved.quota;
	check->quota = is_inline ? &check->own_quota : &check->terms->quota;
	check_set_key(check, values, count, is_explicit);
	return true;
}

static bool put_lookup_of_policy(struct writer *w, const struct exception *exception,
				 const struct policies *policies)
{
	bool is_inline = bytes_equal(exception->policy, BYTES("inline"));
	struct check check;

	check.policy =
		is_inline ? policies_inline(policies) : policies_find(policies, exception->policy);
	if (check.policy == NULL || (!is_inline && !is_as_it_was(exception, check.policy)) ||
	    (exception->is_hashed && !check.policy->hash_keys))
		return false;
	check.terms = &check.policy->terms;
	if (!set_values(&check, exception, is_inline))
		return false;
	/* The values of a hashed one are hashes, and no request has these for its values. */
	if (exception->is_hashed && is_inline)
		writer_put(w, bytes_from(check.key, check.values_at));
	if (exception->is_hashed && !is_inline) {
		writer_put(w, exception->policy);
		writer_put_u8(w, ':');
	}
	if (exception->is_hashed)
		writer_put(w, exception->hash);
	else
		put_check(w, &check);
	return !w->full;
}

/* The shape and the set get one more member. */
static bool join_set(struct exceptions *exceptions, struct entry *entry)
{
	const struct exception *exception = &entry->exception;
	struct shape shape = shape_of(exception);
	struct set *set = find_set(exceptions, exception);

	if (set == NULL)
		set = add_set(exceptions, exception);
	if (set == NULL)
		return false;
	set->members++;
	entry->set = set;
	entry->shape = find_shape(set, &shape);
	if (entry->shape == NULL) {
		entry->shape = add_shape(set, &shape);
		set->network_count += entry->shape != NULL && has_address(&shape, exception->count);
	}
	if (entry->shape == NULL) {
		leave_set(exceptions, set);
		entry->set = NULL;
		return false;
	}
	entry->shape->members++;
	return true;
}

static size_t position_of(const struct exceptions *exceptions, const struct set *set)
{
	size_t at = 0;

	while (exceptions->sets[at] != set)
		at++;
	return at;
}

static void put_lookup_of_names(struct writer *w, const struct exceptions *exceptions,
				struct entry *entry)
{
	const struct exception *exception = &entry->exception;
	size_t at = position_of(exceptions, entry->set);
	struct part part;

	entry->hash = begin_hash(exceptions, at);
	put_set(w, at);
	for (size_t i = 0; i < exception->count; i++) {
		struct value value = read_part(&exception->names[i], exception->is_hashed, &part);
		put_part(w, part, &value);
		entry->hash = hash_part(exceptions, entry->hash, part, &value);
	}
}

/* ---- an entry and what it is found by ---- */

static void unbind(struct exceptions *exceptions, struct entry *entry)
{
	if (entry->lookup.data != NULL)
		unlink_entry(exceptions, entry);
	free_lookup(entry);
	if (entry->set == NULL)
		return;
	leave_shape(entry->set, entry->shape);
	leave_set(exceptions, entry->set);
	entry->set = NULL;
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
		if (!put_lookup_of_policy(&w, &entry->exception, policies))
			return;
		struct bytes rest = writer_bytes(&w), name;
		(void)bytes_next_item(&rest, ':', &name);
		entry->hash = hash_of_policy(exceptions, name, rest);
	} else {
		if (!join_set(exceptions, entry))
			return;
		put_lookup_of_names(&w, exceptions, entry);
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

	hit.open_bits = shape_of(exception).open_bits;
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

/* The values of a request for the names of a set; of a hashed set their hashes, in `hashes`. */
struct gathered {
	struct value values[EXCEPTION_NAMES_MAX];
	char hashes[EXCEPTION_NAMES_MAX][HASH_TEXT + 1];
};

static void hash_value(struct value *value, char text[HASH_TEXT + 1])
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	char memory[VALUE_SHORT_TEXT_MAX];
	struct bytes plain = value_to_text(value, memory);

	crypto_hash_sha256(hash, plain.len > 0 ? plain.data : (const uint8_t *)"", plain.len);
	(void)sodium_bin2hex(text, HASH_TEXT + 1, hash, sizeof hash);
	*value = value_text(bytes_from(text, HASH_TEXT));
}

static bool gather(const struct set *set, const struct attributes *attributes,
		   const struct attribute *instead, struct gathered *gathered)
{
	for (size_t i = 0; i < set->count; i++) {
		struct bytes name = set->names[i];
		const struct value *value = instead != NULL && bytes_equal(instead->name, name)
						    ? &instead->value
						    : attributes_find(attributes, name);
		if (value == NULL)
			return false;
		gathered->values[i] = attribute_canonical(name, value);
		if (set->is_hashed)
			hash_value(&gathered->values[i], gathered->hashes[i]);
	}
	return true;
}

static enum part_kind kind_of(const struct value *value)
{
	if (value->kind == VALUE_IPV4)
		return PART_IPV4;
	return value->kind == VALUE_IPV6 ? PART_IPV6 : PART_TEXT;
}

/* Cuts the values of the request as the shape says. False when they are of other kinds. */
static inline bool cut_values(const struct set *set, const struct shape *shape,
			      const struct gathered *gathered, struct value *values)
{
	for (size_t i = 0; i < set->count; i++) {
		struct part part = shape->parts[i];
		values[i] = gathered->values[i];
		if (kind_of(&values[i]) != part.kind)
			return false;
		if (part.prefix < bits_of(part))
			value_cut_address(&values[i], part.prefix, part.prefix);
	}
	return true;
}

/* Not inline: a large buffer on the stack costs, and few requests come here. */
static __attribute__((noinline)) const struct exception *
look_closely(const struct exceptions *exceptions, size_t at, const struct shape *shape,
	     const struct value *values, uint64_t hash)
{
	uint8_t memory[KEY_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	put_set(&w, at);
	for (size_t i = 0; i < exceptions->sets[at]->count; i++)
		put_part(&w, shape->parts[i], &values[i]);
	return w.full ? NULL : look(exceptions, hash, writer_bytes(&w));
}

static const struct exception *look_for_shape(const struct exceptions *exceptions, size_t at,
					      const struct shape *shape,
					      const struct gathered *gathered)
{
	const struct set *set = exceptions->sets[at];
	struct value values[EXCEPTION_NAMES_MAX];
	uint64_t hash = begin_hash(exceptions, at);

	if (!cut_values(set, shape, gathered, values))
		return NULL;
	for (size_t i = 0; i < set->count; i++)
		hash = hash_part(exceptions, hash, shape->parts[i], &values[i]);
	if (!may_be_there(exceptions, hash))
		return NULL;
	return look_closely(exceptions, at, shape, values, hash);
}

bool exceptions_search(const struct exceptions *exceptions, const struct attributes *attributes,
		       const struct attribute *instead, struct exception_hit *ret_hit)
{
	struct gathered gathered;
	bool is_found = false;

	for (size_t i = 0; i < exceptions->set_count; i++) {
		const struct set *set = exceptions->sets[i];
		if (set->members == 0 || !gather(set, attributes, instead, &gathered))
			continue;
		for (size_t j = 0; j < set->shape_count; j++) {
			const struct shape *shape = &set->shapes[j];
			const struct exception *exception =
				shape->members == 0
					? NULL
					: look_for_shape(exceptions, i, shape, &gathered);
			if (exception == NULL)
				continue;
			struct exception_hit hit = hit_of(exceptions, exception);
			hit.open_bits = shape->open_bits;
			if (is_found && !exception_hit_overrules(&hit, ret_hit))
				continue;
			*ret_hit = hit;
			is_found = true;
		}
	}
	return is_found;
}

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

	put_check(&w, check);
	const struct exception *found = look(exceptions, hash, writer_bytes(&w));
	if (found != NULL)
		*ret_hit = hit_of(exceptions, found);
	return found;
}

const struct exception *exceptions_find(const struct exceptions *exceptions,
					const struct check *check, struct exception_hit *ret_hit)
{
	uint64_t hash = hash_of_check(exceptions, check);

	return may_be_there(exceptions, hash) ? find_closely(exceptions, check, hash, ret_hit)
					      : NULL;
}
