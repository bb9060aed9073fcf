#include "limit/policy_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/large_block.h"

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
	const struct conditions **matches;
	size_t words;     /* of a bitmap with a bit for each match */
	uint64_t *always; /* the bitmap of those that are found by every request */
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

/* What a pattern is found by: at most two hashes. None when it is a file or begins with a star. */
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

	if (pattern->is_file)
		return keys;
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
	/* The last one first, so that each list through `postings` is in ascending order. */
	for (size_t i = count; i-- > 0;) {
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
	index->matches = malloc((count + 1) * sizeof *index->matches);
	index->indexed = calloc(conditions + 1, sizeof *index->indexed);
	bool is_whole = index->always != NULL && index->matches != NULL && index->indexed != NULL &&
			table_init(&index->by_name, conditions) &&
			table_init(&index->by_value, 2 * patterns) &&
			table_init(&all, 2 * patterns);
	if (is_whole) {
		memcpy(index->matches, matches, count * sizeof *matches);
		fill(index, &all, matches, count);
	}
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
	free(index->matches);
	free(index->indexed);
	free(index);
}

static bool table_shrink(struct table *table)
{
	if (large_block_is_large(table->slots))
		table->slots = large_block_shrink(table->slots);
	else if (large_block_is_large(table->postings))
		table->postings = large_block_shrink(table->postings);
	else
		return false;
	return true;
}

bool policy_index_free_some(struct policy_index *index)
{
	if (table_shrink(&index->by_value) || table_shrink(&index->by_name))
		return true;
	if (large_block_is_large(index->indexed)) {
		index->indexed = large_block_shrink(index->indexed);
		return true;
	}
	if (large_block_is_large(index->matches)) {
		index->matches = large_block_shrink(index->matches);
		return true;
	}
	policy_index_free(index);
	return false;
}

/* ---- searching ---- */

/*
 * Who is told of each position that the index finds: either `found` gets its bit, or, when that is
 * NULL, the position is looked at and `first` becomes the lowest that fits.
 */
struct search {
	const struct policy_index *index;
	uint64_t *found;
	const struct attributes *attributes;
	const struct attribute *instead;
	size_t first;
};

/* The list is in ascending order: it is of no use from the first that fits. */
static void look_at_list(struct search *search, uint32_t at)
{
	const struct posting *postings = search->index->by_value.postings;

	for (; at != CHAIN_END && postings[at].policy < search->first; at = postings[at].next)
		if (conditions_fit(search->index->matches[postings[at].policy], search->attributes,
				   search->instead))
			search->first = postings[at].policy;
}

static void mark_list(struct search *search, uint32_t at)
{
	const struct posting *postings = search->index->by_value.postings;

	for (; at != CHAIN_END; at = postings[at].next)
		search->found[postings[at].policy / WORD_BITS] |=
			UINT64_C(1) << postings[at].policy % WORD_BITS;
}

static void search_hash(struct search *search, uint64_t hash)
{
	const struct slot *slot = table_find(&search->index->by_value, hash);

	if (slot->hash == 0)
		return;
	if (search->found != NULL)
		mark_list(search, slot->first);
	else
		look_at_list(search, slot->first);
}

/* The whole text and its beginnings, in one pass. */
static void search_text(struct search *search, size_t attribute, struct bytes text)
{
	const struct indexed *indexed = &search->index->indexed[attribute];
	size_t max = text.len <= indexed->text_max ? text.len : PREFIX_MAX;
	uint64_t hash = HASH_BEGIN;

	for (size_t i = 0; i < text.len && i < max; i++) {
		hash = hash_byte(hash, text.data[i]);
		if (i < PREFIX_MAX && (indexed->prefixes >> i & 1) != 0)
			search_hash(search, hash_end(hash, KEY_PREFIX, attribute, i + 1));
	}
	if (text.len <= indexed->text_max)
		search_hash(search, hash_end(hash, KEY_TEXT, attribute, 0));
}

static void search_networks(struct search *search, size_t attribute, const struct value *value,
			    const uint64_t *prefixes, size_t words)
{
	for (size_t i = 0; i < words; i++)
		for (uint64_t left = prefixes[i]; left != 0; left &= left - 1) {
			unsigned prefix =
				(unsigned)(i * WORD_BITS) + (unsigned)__builtin_ctzll(left);
			search_hash(search, hash_network(value, prefix, attribute));
		}
}

static void search_value(struct search *search, size_t attribute, const struct value *value)
{
	const struct indexed *indexed = &search->index->indexed[attribute];
	char memory[VALUE_SHORT_TEXT_MAX];
	struct value canonical = attribute_canonical(indexed->name, value);

	if (canonical.kind == VALUE_IPV4)
		search_networks(search, attribute, &canonical, &indexed->ipv4, 1);
	if (canonical.kind == VALUE_IPV6)
		search_networks(search, attribute, &canonical, indexed->ipv6,
				ARRAY_SIZE(indexed->ipv6));
	search_text(search, attribute, value_to_text(&canonical, memory));
}

static void search_attribute(struct search *search, const struct attribute *attribute)
{
	size_t at = find_indexed(search->index, attribute->name);

	if (at != SIZE_MAX && attribute->value.kind != VALUE_ABSENT)
		search_value(search, at, &attribute->value);
}

/* All values of a repeated attribute are searched: conditions_fit refuses those of one too many. */
static void search_attributes(struct search *search)
{
	if (search->index->indexed_count == 0)
		return;
	for (size_t i = 0; i < search->attributes->count; i++)
		search_attribute(search, &search->attributes->items[i]);
	if (search->instead != NULL)
		search_attribute(search, search->instead);
}

void policy_index_search(const struct policy_index *index, const struct attributes *attributes,
			 struct policy_found *ret_found)
{
	struct search search = {
		.index = index, .found = ret_found->words, .attributes = attributes};

	ASSERT(index->words <= ARRAY_SIZE(ret_found->words));
	memcpy(ret_found->words, index->always, index->words * sizeof *index->always);
	search_attributes(&search);
}

static size_t next_bit(const uint64_t *bitmap, size_t words, size_t from)
{
	size_t word = from / WORD_BITS;

	if (word >= words)
		return SIZE_MAX;
	uint64_t left = bitmap[word] >> from % WORD_BITS << from % WORD_BITS;
	while (left == 0 && ++word < words)
		left = bitmap[word];
	return left == 0 ? SIZE_MAX : word * WORD_BITS + (size_t)__builtin_ctzll(left);
}

size_t policy_index_next(const struct policy_index *index, const struct policy_found *found,
			 size_t from)
{
	return next_bit(found->words, index->words, from);
}

size_t policy_index_first(const struct policy_index *index, const struct attributes *attributes,
			  const struct attribute *instead)
{
	struct search search = {
		.index = index, .attributes = attributes, .instead = instead, .first = SIZE_MAX};

	search_attributes(&search);
	for (size_t i = next_bit(index->always, index->words, 0); i < search.first;
	     i = next_bit(index->always, index->words, i + 1))
		if (conditions_fit(index->matches[i], attributes, instead))
			return i;
	return search.first;
}
