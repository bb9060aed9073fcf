#include "limit/policy_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

#define PREFIX_MAX  64 /* bytes of a beginning that are looked at */
#define WORD_BITS   64
#define IPV6_BITS   128
#define CHAIN_END   UINT32_MAX
#define SELDOM_NONE SIZE_MAX

/* Who is found by one hash, as a list through `postings`. */
struct slot {
	uint64_t hash; /* 0: unused */
	uint32_t first;
	uint32_t count;
};

struct posting {
	uint32_t policy;
	uint32_t next;
};

/* An attribute that policies are found by: what its patterns are like. */
struct indexed {
	struct bytes name; /* the first policy's that has it */
	size_t text_max;   /* the longest whole text */
	uint64_t prefixes; /* bit n: one of n + 1 bytes */
	uint64_t ipv4;     /* bit n: a network of n bits */
	uint64_t ipv6[IPV6_BITS / WORD_BITS + 1];
};

struct table {
	struct slot *slots; /* a power of two of them, at most half in use */
	size_t mask;
	struct posting *postings;
	size_t posting_count;
};

struct policy_index {
	size_t words; /* of the bitmaps */
	uint64_t *always;
	uint64_t *found;
	struct indexed *indexed;
	size_t indexed_count;
	struct table by_name; /* attributes: `policy` is a place in `indexed` */
	struct table by_value;
};

/* ---- hashes: two that meet cost a look in vain, no more ---- */

#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)

static uint64_t hash_byte(uint64_t hash, uint8_t byte)
{
	return (hash ^ byte) * UINT64_C(0x100000001b3);
}

static uint64_t hash_bytes(uint64_t hash, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = hash_byte(hash, data[i]);
	return hash;
}

enum key_kind { KEY_TEXT = 1, KEY_PREFIX, KEY_IPV4, KEY_IPV6 };

/* Never 0. */
static uint64_t hash_end(uint64_t hash, enum key_kind kind, size_t attribute, size_t size)
{
	hash ^= (uint64_t)kind << 56 ^ (uint64_t)attribute << 32 ^ size;
	hash = (hash ^ hash >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
	return (hash ^ hash >> 32) | 1;
}

static uint64_t hash_network(const struct value *value, unsigned prefix, size_t attribute)
{
	bool is_ipv4 = value->kind == VALUE_IPV4;
	struct value cut = *value;

	value_cut_address(&cut, prefix, prefix);
	return is_ipv4 ? hash_end(hash_bytes(HASH_BEGIN, cut.ipv4, sizeof cut.ipv4), KEY_IPV4,
				  attribute, prefix)
		       : hash_end(hash_bytes(HASH_BEGIN, cut.ipv6, sizeof cut.ipv6), KEY_IPV6,
				  attribute, prefix);
}

/* ---- tables ---- */

static bool table_init(struct table *table, size_t postings)
{
	size_t slots = 2;

	while (slots < 2 * postings)
		slots *= 2;
	table->mask = slots - 1;
	table->posting_count = 0;
	table->slots = calloc(slots, sizeof *table->slots);
	table->postings = malloc((postings + 1) * sizeof *table->postings);
	return table->slots != NULL && table->postings != NULL;
}

static void table_release(struct table *table)
{
	free(table->slots);
	free(table->postings);
}

static struct slot *table_find(const struct table *table, uint64_t hash)
{
	size_t at = hash >> 1 & table->mask; /* the lowest bit is always set */

	while (table->slots[at].hash != 0 && table->slots[at].hash != hash)
		at = (at + 1) & table->mask;
	return &table->slots[at];
}

static void table_add(struct table *table, uint64_t hash, size_t policy)
{
	struct slot *slot = table_find(table, hash);

	if (slot->hash == 0)
		*slot = (struct slot){hash, CHAIN_END, 0};
	table->postings[table->posting_count] = (struct posting){(uint32_t)policy, slot->first};
	slot->first = (uint32_t)table->posting_count++;
	slot->count++;
}

/* ---- building ---- */

/* What a pattern is found by: at most two hashes. None when it begins with a star. */
struct pattern_keys {
	uint64_t hashes[2];
	size_t count;
};

static size_t literal_length(struct bytes text)
{
	const uint8_t *star = text.len > 0 ? memchr(text.data, '*', text.len) : NULL;
	size_t len = star == NULL ? text.len : (size_t)(star - text.data);

	return len < PREFIX_MAX ? len : PREFIX_MAX;
}

static struct pattern_keys keys_of(const struct pattern *pattern, size_t attribute)
{
	struct pattern_keys keys = {.count = 0};
	struct bytes text = pattern->text;
	size_t len = literal_length(text);

	if (pattern->network.kind != VALUE_ABSENT)
		keys.hashes[keys.count++] =
			hash_network(&pattern->network, pattern->prefix, attribute);
	if (!pattern->has_star)
		keys.hashes[keys.count++] = hash_end(hash_bytes(HASH_BEGIN, text.data, text.len),
						     KEY_TEXT, attribute, 0);
	else if (len > 0)
		keys.hashes[keys.count++] = hash_end(hash_bytes(HASH_BEGIN, text.data, len),
						     KEY_PREFIX, attribute, len);
	return keys;
}

/* What the lookups of its values must try. */
static void widen(struct indexed *indexed, const struct pattern *pattern)
{
	unsigned prefix = pattern->prefix;

	if (pattern->network.kind == VALUE_IPV4)
		indexed->ipv4 |= UINT64_C(1) << prefix;
	if (pattern->network.kind == VALUE_IPV6)
		indexed->ipv6[prefix / WORD_BITS] |= UINT64_C(1) << prefix % WORD_BITS;
	if (pattern->has_star)
		indexed->prefixes |= UINT64_C(1) << (literal_length(pattern->text) - 1);
	else if (pattern->text.len > indexed->text_max)
		indexed->text_max = pattern->text.len;
}

static uint64_t hash_name(struct bytes name)
{
	return hash_end(hash_bytes(HASH_BEGIN, name.data, name.len), KEY_TEXT, 0, name.len);
}

/* Its place in `indexed`; SIZE_MAX when no policy is found by it. */
static size_t find_indexed(const struct policy_index *index, struct bytes name)
{
	const struct slot *slot = table_find(&index->by_name, hash_name(name));

	if (slot->hash == 0)
		return SIZE_MAX;
	for (uint32_t i = slot->first; i != CHAIN_END; i = index->by_name.postings[i].next) {
		size_t at = index->by_name.postings[i].policy;
		if (bytes_equal(index->indexed[at].name, name))
			return at;
	}
	return SIZE_MAX;
}

static size_t add_indexed(struct policy_index *index, struct bytes name)
{
	size_t at = find_indexed(index, name);

	if (at != SIZE_MAX)
		return at;
	at = index->indexed_count++;
	index->indexed[at] = (struct indexed){.name = name};
	table_add(&index->by_name, hash_name(name), at);
	return at;
}

static void add_condition(struct policy_index *index, struct table *table,
			  const struct condition *condition, size_t policy)
{
	size_t attribute = add_indexed(index, condition->attribute);

	for (size_t i = 0; i < condition->count; i++) {
		struct pattern_keys keys = keys_of(&condition->patterns[i], attribute);
		for (size_t j = 0; j < keys.count; j++)
			table_add(table, keys.hashes[j], policy);
	}
}

/* How many policies share its patterns, at most; SELDOM_NONE when it can't be found by. */
static size_t crowd_of(const struct policy_index *index, const struct table *all,
		       const struct condition *condition)
{
	size_t attribute = find_indexed(index, condition->attribute), most = 0;

	for (size_t i = 0; i < condition->count; i++) {
		struct pattern_keys keys = keys_of(&condition->patterns[i], attribute);
		if (keys.count == 0)
			return SELDOM_NONE;
		for (size_t j = 0; j < keys.count; j++) {
			size_t count = table_find(all, keys.hashes[j])->count;
			most = count > most ? count : most;
		}
	}
	return most;
}

static const struct condition *choose(const struct policy_index *index, const struct table *all,
				      const struct conditions *match)
{
	const struct condition *chosen = NULL;
	size_t least = SELDOM_NONE;

	for (size_t i = 0; i < match->count; i++) {
		size_t crowd = crowd_of(index, all, &match->items[i]);
		if (crowd >= least)
			continue;
		least = crowd;
		chosen = &match->items[i];
	}
	return chosen;
}

static size_t count_patterns(const struct conditions *const *matches, size_t count,
			     size_t *ret_conditions)
{
	size_t patterns = 0;

	*ret_conditions = 0;
	for (size_t i = 0; i < count; i++) {
		*ret_conditions += matches[i]->count;
		for (size_t j = 0; j < matches[i]->count; j++)
			patterns += matches[i]->items[j].count;
	}
	return patterns;
}

static void fill(struct policy_index *index, struct table *all,
		 const struct conditions *const *matches, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < matches[i]->count; j++)
			add_condition(index, all, &matches[i]->items[j], i);
	for (size_t i = 0; i < count; i++) {
		const struct condition *chosen = choose(index, all, matches[i]);
		if (chosen == NULL) {
			index->always[i / WORD_BITS] |= UINT64_C(1) << i % WORD_BITS;
			continue;
		}
		add_condition(index, &index->by_value, chosen, i);
		for (size_t j = 0; j < chosen->count; j++)
			widen(&index->indexed[find_indexed(index, chosen->attribute)],
			      &chosen->patterns[j]);
	}
}

struct policy_index *policy_index_new(const struct conditions *const *matches, size_t count)
{
	struct policy_index *index = calloc(1, sizeof *index);
	struct table all = {0};
	size_t conditions, patterns = count_patterns(matches, count, &conditions);

	if (index == NULL)
		return NULL;
	index->words = count / WORD_BITS + 1;
	index->always = calloc(index->words, sizeof *index->always);
	index->found = calloc(index->words, sizeof *index->found);
	index->indexed = calloc(conditions + 1, sizeof *index->indexed);
	bool is_whole = index->always != NULL && index->found != NULL && index->indexed != NULL &&
			table_init(&index->by_name, conditions) &&
			table_init(&index->by_value, 2 * patterns) &&
			table_init(&all, 2 * patterns);
	if (is_whole)
		fill(index, &all, matches, count);
	table_release(&all);
	if (!is_whole) {
		policy_index_free(index);
		return NULL;
	}
	return index;
}

void policy_index_free(struct policy_index *index)
{
	if (index == NULL)
		return;
	table_release(&index->by_name);
	table_release(&index->by_value);
	free(index->always);
	free(index->found);
	free(index->indexed);
	free(index);
}

/* ---- searching ---- */

static void find(struct policy_index *index, uint64_t hash)
{
	const struct table *table = &index->by_value;
	const struct slot *slot = table_find(table, hash);

	if (slot->hash == 0)
		return;
	for (uint32_t i = slot->first; i != CHAIN_END; i = table->postings[i].next) {
		uint32_t policy = table->postings[i].policy;
		index->found[policy / WORD_BITS] |= UINT64_C(1) << policy % WORD_BITS;
	}
}

/* The whole text and its beginnings, in one pass. */
static void find_text(struct policy_index *index, size_t attribute, struct bytes text)
{
	const struct indexed *indexed = &index->indexed[attribute];
	size_t max = text.len <= indexed->text_max ? text.len : PREFIX_MAX;
	uint64_t hash = HASH_BEGIN;

	for (size_t i = 0; i < text.len && i < max; i++) {
		hash = hash_byte(hash, text.data[i]);
		if (i < PREFIX_MAX && (indexed->prefixes >> i & 1) != 0)
			find(index, hash_end(hash, KEY_PREFIX, attribute, i + 1));
	}
	if (text.len <= indexed->text_max)
		find(index, hash_end(hash, KEY_TEXT, attribute, 0));
}

static void find_networks(struct policy_index *index, size_t attribute, const struct value *value,
			  const uint64_t *prefixes, size_t words)
{
	for (size_t i = 0; i < words; i++)
		for (uint64_t left = prefixes[i]; left != 0; left &= left - 1) {
			unsigned prefix =
				(unsigned)(i * WORD_BITS) + (unsigned)__builtin_ctzll(left);
			find(index, hash_network(value, prefix, attribute));
		}
}

static void find_value(struct policy_index *index, size_t attribute, const struct value *value)
{
	const struct indexed *indexed = &index->indexed[attribute];
	char memory[VALUE_SHORT_TEXT_MAX];
	struct value canonical = value_canonical(value);

	if (canonical.kind == VALUE_IPV4)
		find_networks(index, attribute, &canonical, &indexed->ipv4, 1);
	if (canonical.kind == VALUE_IPV6)
		find_networks(index, attribute, &canonical, indexed->ipv6,
			      ARRAY_SIZE(indexed->ipv6));
	find_text(index, attribute, value_to_text(&canonical, memory));
}

static void find_attribute(struct policy_index *index, const struct attribute *attribute)
{
	size_t at = find_indexed(index, attribute->name);

	if (at != SIZE_MAX && attribute->value.kind != VALUE_ABSENT)
		find_value(index, at, &attribute->value);
}

/* Of a repeated attribute all values are searched: one too many is told by conditions_fit. */
void policy_index_search(struct policy_index *index, const struct attributes *attributes,
			 const struct attribute *instead)
{
	memcpy(index->found, index->always, index->words * sizeof *index->found);
	if (index->indexed_count == 0)
		return;
	for (size_t i = 0; i < attributes->count; i++)
		find_attribute(index, &attributes->items[i]);
	if (instead != NULL)
		find_attribute(index, instead);
}

size_t policy_index_next(const struct policy_index *index, size_t from)
{
	size_t word = from / WORD_BITS;

	if (index == NULL)
		return from;
	if (word >= index->words)
		return SIZE_MAX;
	uint64_t left = index->found[word] >> from % WORD_BITS << from % WORD_BITS;
	while (left == 0 && ++word < index->words)
		left = index->found[word];
	return left == 0 ? SIZE_MAX : word * WORD_BITS + (size_t)__builtin_ctzll(left);
}
