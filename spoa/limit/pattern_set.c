/*
 * While a set is filled, each of its parts is an array. pattern_set_build makes a table of an array
 * of networks: with open addressing, at most two thirds full, so that a look reads one or two lines
 * of memory. The key 0 marks an unused place; a network that has this key is a flag of its table.
 *
 *     tables            10.0.0.0/8        192.0.2.0/24   198.51.100.0/24
 *     IPv4,  8 bits     [10.0.0.0]
 *     IPv4, 24 bits     [ -  192.0.2.0  198.51.100.0  - ]
 *
 * The texts stand one behind the other in one block, each behind its length, and are known by where
 * they begin. The line of a text stands behind the text, the line of a network in an array beside
 * the table, at the same place: so whoever only asks whether something fits reads no line.
 */
#include "limit/pattern_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/large_block.h"

#define TEXTS_MAX UINT32_MAX /* bytes of all texts: a place has 32 bits */

/* Networks of one family and one length. Keys have 4 or 16 bytes. */
struct networks {
	uint8_t *keys;
	uint32_t *lines; /* of the keys; NULL: no lines are kept */
	uint32_t count;  /* of keys; the places of a table */
	uint8_t prefix;
	bool is_ipv6;
	bool has_zero;      /* of a table: the network whose key is 0 */
	uint32_t zero_line; /* of that network */
};

/* Where texts begin in `texts`. */
struct places {
	uint32_t *items;
	uint32_t count;
};

struct pattern_set {
	size_t references;
	bool is_built;
	uint32_t line; /* of what is added next; 0: no lines are kept */
	uint64_t source;
	struct networks *networks;
	size_t networks_count;
	size_t last; /* the networks that were added to last */
	uint8_t *texts;
	size_t texts_len, texts_room;
	struct places whole;      /* when built: a table of the place + 1, or 0 */
	struct places beginnings; /* without their star; when built: in order */
	struct places others;
};

/* ---- life ---- */

struct pattern_set *pattern_set_new(void)
{
	struct pattern_set *set = calloc(1, sizeof *set);

	if (set != NULL)
		set->references = 1;
	return set;
}

struct pattern_set *pattern_set_ref(struct pattern_set *set)
{
	set->references++;
	return set;
}

void pattern_set_at_line(struct pattern_set *set, uint32_t line)
{
	ASSERT(!set->is_built && line > 0);
	set->line = line;
}

void pattern_set_set_source(struct pattern_set *set, uint64_t source)
{
	set->source = source;
}

uint64_t pattern_set_source(const struct pattern_set *set)
{
	return set->source;
}

static void free_all(struct pattern_set *set)
{
	for (size_t i = 0; i < set->networks_count; i++) {
		free(set->networks[i].keys);
		free(set->networks[i].lines);
	}
	free(set->networks);
	free(set->texts);
	free(set->whole.items);
	free(set->beginnings.items);
	free(set->others.items);
	free(set);
}

void pattern_set_unref(struct pattern_set *set)
{
	if (set != NULL && --set->references == 0)
		free_all(set);
}

static bool shrink_places(struct places *places)
{
	if (!large_block_is_large(places->items))
		return false;
	places->items = large_block_shrink(places->items);
	return true;
}

static bool shrink_networks(struct networks *networks)
{
	if (large_block_is_large(networks->keys))
		networks->keys = large_block_shrink(networks->keys);
	else if (large_block_is_large(networks->lines))
		networks->lines = large_block_shrink(networks->lines);
	else
		return false;
	return true;
}

bool pattern_set_unref_some(struct pattern_set *set)
{
	if (set->references > 1) {
		set->references--;
		return false;
	}
	for (size_t i = 0; i < set->networks_count; i++)
		if (shrink_networks(&set->networks[i]))
			return true;
	if (large_block_is_large(set->texts)) {
		set->texts = large_block_shrink(set->texts);
		return true;
	}
	if (shrink_places(&set->whole) || shrink_places(&set->beginnings) ||
	    shrink_places(&set->others))
		return true;
	free_all(set);
	return false;
}

size_t pattern_set_slow_count(const struct pattern_set *set)
{
	return set->others.count;
}

static size_t key_bytes(const struct networks *networks)
{
	return networks->is_ipv6 ? 16 : 4;
}

size_t pattern_set_bytes(const struct pattern_set *set)
{
	size_t bytes = sizeof *set + set->networks_count * sizeof *set->networks + set->texts_room;

	for (size_t i = 0; i < set->networks_count; i++) {
		const struct networks *networks = &set->networks[i];
		size_t of_line = networks->lines == NULL ? 0 : sizeof *networks->lines;
		bytes += networks->count * (key_bytes(networks) + of_line);
	}
	return bytes + sizeof(uint32_t) * ((size_t)set->whole.count + set->beginnings.count +
					   set->others.count);
}

/* ---- filling ---- */

static struct networks *find_networks(struct pattern_set *set, bool is_ipv6, unsigned prefix)
{
	for (size_t i = 0; i < set->networks_count; i++) {
		size_t at = (set->last + i) % set->networks_count;
		struct networks *networks = &set->networks[at];
		if (networks->is_ipv6 != is_ipv6 || networks->prefix != prefix)
			continue;
		set->last = at;
		return networks;
	}
	return NULL;
}

static struct networks *add_networks(struct pattern_set *set, bool is_ipv6, unsigned prefix)
{
	struct networks *larger =
		grow_by_one(set->networks, set->networks_count, sizeof *set->networks);

	if (larger == NULL)
		return NULL;
	set->networks = larger;
	larger[set->networks_count] =
		(struct networks){.prefix = (uint8_t)prefix, .is_ipv6 = is_ipv6};
	return &larger[set->networks_count++];
}

/* Room for one more key, and for its line when lines are kept. */
static bool grow_networks(struct networks *networks, bool has_lines)
{
	uint8_t *keys = grow_by_one(networks->keys, networks->count, key_bytes(networks));

	if (keys == NULL)
		return false;
	networks->keys = keys;
	if (!has_lines)
		return true;
	uint32_t *lines = grow_by_one(networks->lines, networks->count, sizeof *lines);
	if (lines == NULL)
		return false;
	networks->lines = lines;
	return true;
}

bool pattern_set_add_network(struct pattern_set *set, const struct value *network, unsigned prefix)
{
	bool is_ipv6 = network->kind == VALUE_IPV6;
	struct networks *networks = find_networks(set, is_ipv6, prefix);
	struct value cut = *network;

	ASSERT(!set->is_built && value_is_address(network));
	if (networks == NULL)
		networks = add_networks(set, is_ipv6, prefix);
	if (networks == NULL || networks->count == UINT32_MAX / 4 ||
	    !grow_networks(networks, set->line > 0))
		return false;
	size_t size = key_bytes(networks);
	value_cut_address(&cut, prefix, prefix);
	memcpy(networks->keys + networks->count * size, is_ipv6 ? cut.ipv6 : cut.ipv4, size);
	if (networks->lines != NULL)
		networks->lines[networks->count] = set->line;
	networks->count++;
	return true;
}

/* A length or a line, 7 bits in each byte. Returns how many bytes it takes. */
static size_t put_number(uint8_t *to, size_t number)
{
	size_t count = 0;

	for (; number >= 0x80; number >>= 7)
		to[count++] = (uint8_t)(number | 0x80);
	to[count++] = (uint8_t)number;
	return count;
}

/* Returns where the number ends. */
static const uint8_t *read_number(const uint8_t *at, size_t *ret_number)
{
	size_t number = 0;

	for (unsigned shift = 0;; shift += 7) {
		number |= (size_t)(*at & 0x7f) << shift;
		if ((*at++ & 0x80) != 0)
			continue;
		*ret_number = number;
		return at;
	}
}

static struct bytes text_at(const struct pattern_set *set, uint32_t place)
{
	size_t len;
	const uint8_t *text = read_number(set->texts + place, &len);

	return bytes_from(text, len);
}

/* The line stands behind the text. */
static uint32_t line_at(const struct pattern_set *set, uint32_t place)
{
	struct bytes text = text_at(set, place);
	size_t line;

	(void)read_number(text.data + text.len, &line);
	return (uint32_t)line;
}

#define NUMBER_BYTES_MAX 5

static bool reserve_texts(struct pattern_set *set, size_t more)
{
	size_t wanted = set->texts_len + more, room = set->texts_room;

	if (wanted <= room)
		return true;
	if (wanted > TEXTS_MAX)
		return false;
	/* An eighth more, so that what is left over at the end is little. */
	room = wanted + wanted / 8;
	uint8_t *larger = realloc(set->texts, room);
	if (larger == NULL)
		return false;
	set->texts = larger;
	set->texts_room = room;
	return true;
}

static bool add_place(struct pattern_set *set, struct places *places, struct bytes text)
{
	if (text.len >= TEXTS_MAX || !reserve_texts(set, text.len + 2 * NUMBER_BYTES_MAX) ||
	    places->count == UINT32_MAX / 4)
		return false;
	uint32_t *larger = grow_by_one(places->items, places->count, sizeof *larger);
	if (larger == NULL)
		return false;
	places->items = larger;
	larger[places->count++] = (uint32_t)set->texts_len;
	set->texts_len += put_number(set->texts + set->texts_len, text.len);
	if (text.len > 0)
		memcpy(set->texts + set->texts_len, text.data, text.len);
	set->texts_len += text.len;
	if (set->line > 0)
		set->texts_len += put_number(set->texts + set->texts_len, set->line);
	return true;
}

bool pattern_set_add_text(struct pattern_set *set, struct bytes text)
{
	const uint8_t *star = text.len > 0 ? memchr(text.data, '*', text.len) : NULL;

	ASSERT(!set->is_built);
	if (star == NULL)
		return add_place(set, &set->whole, text);
	if (star == text.data + text.len - 1)
		return add_place(set, &set->beginnings, bytes_from(text.data, text.len - 1));
	return add_place(set, &set->others, text);
}

/* ---- hashes: whoever writes the list chooses what is in it, and a client only what is asked ----
 */

static uint64_t mix(uint64_t hash)
{
	hash = (hash ^ hash >> 32) * UINT64_C(0xbf58476d1ce4e5b9);
	return (hash ^ hash >> 29) * UINT64_C(0x94d049bb133111eb);
}

/* A place of `count`, of which there is at least one. */
static uint32_t place_of(uint64_t hash, uint32_t count)
{
	return (uint32_t)((hash >> 32) * count >> 32);
}

static uint64_t hash_ipv4(uint32_t key)
{
	return mix(key + UINT64_C(0x9e3779b97f4a7c15));
}

static uint64_t hash_ipv6(const uint64_t key[2])
{
	return mix(mix(key[0] + UINT64_C(0x9e3779b97f4a7c15)) + key[1]);
}

static uint64_t hash_text(struct bytes text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ text.data[i]) * UINT64_C(0x100000001b3);
	return mix(hash);
}

/* ---- building ---- */

static uint32_t table_size(uint32_t count)
{
	return count + count / 2 + 1;
}

static uint32_t next_place(uint32_t place, uint32_t count)
{
	return place + 1 < count ? place + 1 : 0;
}

/* Key `i` of `from` has its first place in the table. Of networks that come twice the first counts.
 */
static void set_line(struct networks *table, uint32_t at, const struct networks *from, uint32_t i)
{
	if (from->lines != NULL)
		table->lines[at] = from->lines[i];
}

static void set_zero(struct networks *table, const struct networks *from, uint32_t i)
{
	if (!table->has_zero && from->lines != NULL)
		table->zero_line = from->lines[i];
	table->has_zero = true;
}

static void fill_ipv4(struct networks *table, const struct networks *from)
{
	uint32_t *places = (uint32_t *)(void *)table->keys;
	const uint32_t *keys = (const uint32_t *)(const void *)from->keys;

	for (uint32_t i = 0; i < from->count; i++) {
		uint32_t at = place_of(hash_ipv4(keys[i]), table->count);
		if (keys[i] == 0) {
			set_zero(table, from, i);
			continue;
		}
		while (places[at] != 0 && places[at] != keys[i])
			at = next_place(at, table->count);
		if (places[at] != 0)
			continue;
		places[at] = keys[i];
		set_line(table, at, from, i);
	}
}

static void fill_ipv6(struct networks *table, const struct networks *from)
{
	uint64_t(*places)[2] = (uint64_t(*)[2])(void *)table->keys;
	const uint64_t(*keys)[2] = (const uint64_t(*)[2])(const void *)from->keys;

	for (uint32_t i = 0; i < from->count; i++) {
		uint32_t at = place_of(hash_ipv6(keys[i]), table->count);
		if (keys[i][0] == 0 && keys[i][1] == 0) {
			set_zero(table, from, i);
			continue;
		}
		while ((places[at][0] != 0 || places[at][1] != 0) &&
		       memcmp(places[at], keys[i], sizeof keys[i]) != 0)
			at = next_place(at, table->count);
		if (places[at][0] != 0 || places[at][1] != 0)
			continue;
		memcpy(places[at], keys[i], sizeof keys[i]);
		set_line(table, at, from, i);
	}
}

static bool build_networks(struct networks *networks)
{
	struct networks table = *networks;

	table.count = table_size(networks->count);
	table.keys = calloc(table.count, key_bytes(networks));
	table.lines = networks->lines == NULL ? NULL : calloc(table.count, sizeof *table.lines);
	if (table.keys == NULL || (table.lines == NULL && networks->lines != NULL)) {
		free(table.keys);
		free(table.lines);
		return false;
	}
	(networks->is_ipv6 ? fill_ipv6 : fill_ipv4)(&table, networks);
	free(networks->keys);
	free(networks->lines);
	*networks = table;
	return true;
}

static bool build_whole(struct pattern_set *set)
{
	struct places table = {.count = table_size(set->whole.count)};

	if (set->whole.count == 0)
		return true;
	table.items = calloc(table.count, sizeof *table.items);
	if (table.items == NULL)
		return false;
	for (uint32_t i = 0; i < set->whole.count; i++) {
		struct bytes text = text_at(set, set->whole.items[i]);
		uint32_t at = place_of(hash_text(text), table.count);
		while (table.items[at] != 0 &&
		       !bytes_equal(text_at(set, table.items[at] - 1), text))
			at = next_place(at, table.count);
		if (table.items[at] == 0)
			table.items[at] = set->whole.items[i] + 1;
	}
	free(set->whole.items);
	set->whole = table;
	return true;
}

static int compare_texts(struct bytes a, struct bytes b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len == 0 ? 0 : memcmp(a.data, b.data, len);

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Of equal texts the one that was added first comes first. */
static int compare_places(const void *a, const void *b, void *set)
{
	uint32_t place = *(const uint32_t *)a, other = *(const uint32_t *)b;
	int order = compare_texts(text_at(set, place), text_at(set, other));

	return order != 0 ? order : (place > other) - (place < other);
}

/* Then none is the beginning of another: what stands last before a text is the only one to fit. */
static void build_beginnings(struct pattern_set *set)
{
	struct places *places = &set->beginnings;
	uint32_t kept = 0;

	if (places->count == 0)
		return;
	qsort_r(places->items, places->count, sizeof *places->items, compare_places, set);
	for (uint32_t i = 0; i < places->count; i++) {
		struct bytes text = text_at(set, places->items[i]);
		if (kept == 0 || !bytes_begin_with(text, text_at(set, places->items[kept - 1])))
			places->items[kept++] = places->items[i];
	}
	places->count = kept;
}

static void fit_room(struct pattern_set *set)
{
	uint8_t *smaller = set->texts_len == 0 ? NULL : realloc(set->texts, set->texts_len);

	if (smaller == NULL)
		return;
	set->texts = smaller;
	set->texts_room = set->texts_len;
}

bool pattern_set_build(struct pattern_set *set)
{
	ASSERT(!set->is_built);
	for (size_t i = 0; i < set->networks_count; i++)
		if (!build_networks(&set->networks[i]))
			return false;
	if (!build_whole(set))
		return false;
	build_beginnings(set);
	fit_room(set);
	set->is_built = true;
	return true;
}

/* ---- looking ---- */

static bool has_ipv4(const struct networks *table, uint32_t key, uint32_t at)
{
	const uint32_t *places = (const uint32_t *)(const void *)table->keys;

	if (key == 0)
		return table->has_zero;
	for (; places[at] != 0; at = next_place(at, table->count))
		if (places[at] == key)
			return true;
	return false;
}

static bool has_ipv6(const struct networks *table, const uint64_t key[2], uint32_t at)
{
	const uint64_t(*places)[2] = (const uint64_t(*)[2])(const void *)table->keys;

	if (key[0] == 0 && key[1] == 0)
		return table->has_zero;
	for (; places[at][0] != 0 || places[at][1] != 0; at = next_place(at, table->count))
		if (places[at][0] == key[0] && places[at][1] == key[1])
			return true;
	return false;
}

/* Where one of the tables would have the network of an address. */
struct probe {
	const struct networks *table;
	union {
		uint32_t ipv4;
		uint64_t ipv6[2];
	};
	uint32_t at;
};

#define PROBES_MAX 16

static struct probe begin_probe(const struct networks *table, const struct value *value)
{
	struct probe probe = {.table = table};
	struct value cut = *value;

	value_cut_address(&cut, table->prefix, table->prefix);
	if (table->is_ipv6) {
		memcpy(probe.ipv6, cut.ipv6, sizeof probe.ipv6);
		probe.at = place_of(hash_ipv6(probe.ipv6), table->count);
	} else {
		memcpy(&probe.ipv4, cut.ipv4, sizeof probe.ipv4);
		probe.at = place_of(hash_ipv4(probe.ipv4), table->count);
	}
	__builtin_prefetch(table->keys + probe.at * key_bytes(table));
	return probe;
}

static bool end_probe(const struct probe *probe)
{
	return probe->table->is_ipv6 ? has_ipv6(probe->table, probe->ipv6, probe->at)
				     : has_ipv4(probe->table, probe->ipv4, probe->at);
}

/*
 * A place that is read is seldom in a cache, and the processor waits for it before it goes on. So
 * the places of several tables are asked for first, and read then: they come together.
 */
static bool is_in_networks(const struct pattern_set *set, const struct value *value)
{
	bool is_ipv6 = value->kind == VALUE_IPV6;
	struct probe probes[PROBES_MAX];

	for (size_t i = 0; i < set->networks_count;) {
		size_t count = 0;
		for (; i < set->networks_count && count < PROBES_MAX; i++)
			if (set->networks[i].is_ipv6 == is_ipv6)
				probes[count++] = begin_probe(&set->networks[i], value);
		for (size_t j = 0; j < count; j++)
			if (end_probe(&probes[j]))
				return true;
	}
	return false;
}

/* The place + 1 of the text that fits, or 0. */
static uint32_t find_whole(const struct pattern_set *set, struct bytes text)
{
	if (set->whole.count == 0)
		return 0;
	for (uint32_t at = place_of(hash_text(text), set->whole.count); set->whole.items[at] != 0;
	     at = next_place(at, set->whole.count))
		if (bytes_equal(text_at(set, set->whole.items[at] - 1), text))
			return set->whole.items[at];
	return 0;
}

/* The place + 1 of the beginning that fits, or 0. */
static uint32_t find_beginning(const struct pattern_set *set, struct bytes text)
{
	uint32_t low = 0, high = set->beginnings.count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (compare_texts(text_at(set, set->beginnings.items[middle]), text) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && bytes_begin_with(text, text_at(set, set->beginnings.items[low - 1]))
		       ? set->beginnings.items[low - 1] + 1
		       : 0;
}

bool pattern_set_fits(const struct pattern_set *set, const struct value *value, struct bytes text)
{
	if (!set->is_built)
		return false;
	if (value_is_address(value) && is_in_networks(set, value))
		return true;
	if (find_whole(set, text) != 0 || find_beginning(set, text) != 0)
		return true;
	for (uint32_t i = 0; i < set->others.count; i++)
		if (pattern_text_fits(text_at(set, set->others.items[i]), text))
			return true;
	return false;
}

/* ---- looking for the line ---- */

/* 0 when the table does not have the network. */
static uint32_t line_of_probe(const struct probe *probe)
{
	static const uint8_t zero[sizeof probe->ipv6] = {0};
	const struct networks *table = probe->table;
	const uint8_t *key = (const uint8_t *)probe->ipv6;
	size_t size = key_bytes(table);
	uint32_t at = probe->at;

	if (table->lines == NULL || !end_probe(probe))
		return 0;
	if (memcmp(key, zero, size) == 0)
		return table->zero_line;
	while (memcmp(table->keys + at * size, key, size) != 0)
		at = next_place(at, table->count);
	return table->lines[at];
}

static void take_lower(uint32_t *line, uint32_t other)
{
	if (other != 0 && (*line == 0 || other < *line))
		*line = other;
}

static uint32_t line_of_network(const struct pattern_set *set, const struct value *value)
{
	uint32_t line = 0;

	for (size_t i = 0; i < set->networks_count; i++) {
		if (set->networks[i].is_ipv6 != (value->kind == VALUE_IPV6))
			continue;
		const struct probe probe = begin_probe(&set->networks[i], value);
		take_lower(&line, line_of_probe(&probe));
	}
	return line;
}

/* Texts are kept in the order of their lines, so the first of several that fits has the lowest. */
static uint32_t line_of_other(const struct pattern_set *set, struct bytes text)
{
	for (uint32_t i = 0; i < set->others.count; i++)
		if (pattern_text_fits(text_at(set, set->others.items[i]), text))
			return line_at(set, set->others.items[i]);
	return 0;
}

uint32_t pattern_set_find_line(const struct pattern_set *set, const struct value *value,
			       struct bytes text)
{
	uint32_t line = 0;

	if (!set->is_built || set->line == 0)
		return 0;
	if (value_is_address(value))
		line = line_of_network(set, value);
	uint32_t whole = find_whole(set, text), beginning = find_beginning(set, text);
	if (whole != 0)
		take_lower(&line, line_at(set, whole - 1));
	if (beginning != 0)
		take_lower(&line, line_at(set, beginning - 1));
	take_lower(&line, line_of_other(set, text));
	return line;
}

/* When the text does not go on as the pattern does, the last star takes one character more. */
bool pattern_text_fits(struct bytes pattern, struct bytes text)
{
	size_t p = 0, t = 0;
	size_t behind_star = SIZE_MAX, taken_to = 0;

	while (t < text.len) {
		if (p < pattern.len && pattern.data[p] == '*') {
			behind_star = ++p;
			taken_to = t;
		} else if (p < pattern.len && pattern.data[p] == text.data[t]) {
			p++;
			t++;
		} else if (behind_star != SIZE_MAX) {
			p = behind_star;
			t = ++taken_to;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.data[p] == '*')
		p++;
	return p == pattern.len;
}
