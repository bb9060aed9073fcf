#include "limit/pattern_networks.h"

#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/large_block.h"
#include "limit/pattern_table.h"

/* Networks of one family and one length. Keys have 4 or 16 bytes. */
struct networks {
	uint8_t *keys;   /* the network addresses */
	uint32_t *lines; /* of the keys; NULL: no lines are kept */
	uint32_t count;  /* of the keys; when built: of the places of the table */
	uint8_t prefix;
	bool is_ipv6;
	bool has_zero;      /* when built: whether the network whose key is 0 is one of them */
	uint32_t zero_line; /* of that network */
};

/* ---- life ---- */

void pattern_networks_release(struct pattern_networks *networks)
{
	for (size_t i = 0; i < networks->count; i++) {
		free(networks->tables[i].keys);
		free(networks->tables[i].lines);
	}
	free(networks->tables);
	*networks = (struct pattern_networks){0};
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

bool pattern_networks_shrink(struct pattern_networks *networks)
{
	for (size_t i = 0; i < networks->count; i++)
		if (shrink_networks(&networks->tables[i]))
			return true;
	return false;
}

static size_t key_bytes(const struct networks *networks)
{
	return networks->is_ipv6 ? 16 : 4;
}

size_t pattern_networks_bytes(const struct pattern_networks *networks)
{
	size_t bytes = networks->count * sizeof *networks->tables;

	for (size_t i = 0; i < networks->count; i++) {
		const struct networks *table = &networks->tables[i];
		size_t of_line = table->lines == NULL ? 0 : sizeof *table->lines;
		bytes += table->count * (key_bytes(table) + of_line);
	}
	return bytes;
}

/* ---- filling ---- */

static struct networks *find_networks(struct pattern_networks *all, bool is_ipv6, unsigned prefix)
{
	for (size_t i = 0; i < all->count; i++) {
		size_t at = (all->last + i) % all->count;
		struct networks *networks = &all->tables[at];
		if (networks->is_ipv6 != is_ipv6 || networks->prefix != prefix)
			continue;
		all->last = at;
		return networks;
	}
	return NULL;
}

static struct networks *add_networks(struct pattern_networks *all, bool is_ipv6, unsigned prefix)
{
	struct networks *larger = grow_by_one(all->tables, all->count, sizeof *all->tables);

	if (larger == NULL)
		return NULL;
	all->tables = larger;
	larger[all->count] = (struct networks){.prefix = (uint8_t)prefix, .is_ipv6 = is_ipv6};
	return &larger[all->count++];
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

bool pattern_networks_add(struct pattern_networks *all, const struct value *network,
			  unsigned prefix, uint32_t line)
{
	bool is_ipv6 = network->kind == VALUE_IPV6;
	struct networks *networks = find_networks(all, is_ipv6, prefix);
	struct value cut = *network;

	ASSERT(value_is_address(network));
	if (networks == NULL)
		networks = add_networks(all, is_ipv6, prefix);
	if (networks == NULL || networks->count == PATTERN_TABLE_MAX ||
	    !grow_networks(networks, line > 0))
		return false;
	size_t size = key_bytes(networks);
	value_cut_address(&cut, prefix, prefix);
	memcpy(networks->keys + networks->count * size, is_ipv6 ? cut.ipv6 : cut.ipv4, size);
	if (networks->lines != NULL)
		networks->lines[networks->count] = line;
	networks->count++;
	return true;
}

/* ---- building ---- */

static uint64_t hash_ipv4(uint32_t key)
{
	return pattern_table_mix(key + UINT64_C(0x9e3779b97f4a7c15));
}

static uint64_t hash_ipv6(const uint64_t key[2])
{
	return pattern_table_mix(pattern_table_mix(key[0] + UINT64_C(0x9e3779b97f4a7c15)) + key[1]);
}

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

/* Of a network that was added twice the first line is kept, which is the lower one. */
static void fill_ipv4(struct networks *table, const struct networks *from)
{
	uint32_t *places = (uint32_t *)(void *)table->keys;
	const uint32_t *keys = (const uint32_t *)(const void *)from->keys;

	for (uint32_t i = 0; i < from->count; i++) {
		uint32_t at = pattern_table_place(hash_ipv4(keys[i]), table->count);
		if (keys[i] == 0) {
			set_zero(table, from, i);
			continue;
		}
		while (places[at] != 0 && places[at] != keys[i])
			at = pattern_table_next(at, table->count);
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
		uint32_t at = pattern_table_place(hash_ipv6(keys[i]), table->count);
		if (keys[i][0] == 0 && keys[i][1] == 0) {
			set_zero(table, from, i);
			continue;
		}
		while ((places[at][0] != 0 || places[at][1] != 0) &&
		       memcmp(places[at], keys[i], sizeof keys[i]) != 0)
			at = pattern_table_next(at, table->count);
		if (places[at][0] != 0 || places[at][1] != 0)
			continue;
		memcpy(places[at], keys[i], sizeof keys[i]);
		set_line(table, at, from, i);
	}
}

static bool build_networks(struct networks *networks)
{
	struct networks table = *networks;

	table.count = pattern_table_size(networks->count);
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

bool pattern_networks_build(struct pattern_networks *all)
{
	for (size_t i = 0; i < all->count; i++)
		if (!build_networks(&all->tables[i]))
			return false;
	return true;
}

/* ---- looking ---- */

static bool has_ipv4(const struct networks *table, uint32_t key, uint32_t at)
{
	const uint32_t *places = (const uint32_t *)(const void *)table->keys;

	if (key == 0)
		return table->has_zero;
	for (; places[at] != 0; at = pattern_table_next(at, table->count))
		if (places[at] == key)
			return true;
	return false;
}

static bool has_ipv6(const struct networks *table, const uint64_t key[2], uint32_t at)
{
	const uint64_t(*places)[2] = (const uint64_t(*)[2])(const void *)table->keys;

	if (key[0] == 0 && key[1] == 0)
		return table->has_zero;
	for (; places[at][0] != 0 || places[at][1] != 0; at = pattern_table_next(at, table->count))
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

static struct probe begin_probe(const struct networks *table, const struct value *address)
{
	struct probe probe = {.table = table};
	struct value cut = *address;

	value_cut_address(&cut, table->prefix, table->prefix);
	if (table->is_ipv6) {
		memcpy(probe.ipv6, cut.ipv6, sizeof probe.ipv6);
		probe.at = pattern_table_place(hash_ipv6(probe.ipv6), table->count);
	} else {
		memcpy(&probe.ipv4, cut.ipv4, sizeof probe.ipv4);
		probe.at = pattern_table_place(hash_ipv4(probe.ipv4), table->count);
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
bool pattern_networks_fit(const struct pattern_networks *all, const struct value *address)
{
	bool is_ipv6 = address->kind == VALUE_IPV6;
	struct probe probes[PROBES_MAX];

	for (size_t i = 0; i < all->count;) {
		size_t count = 0;
		for (; i < all->count && count < PROBES_MAX; i++)
			if (all->tables[i].is_ipv6 == is_ipv6)
				probes[count++] = begin_probe(&all->tables[i], address);
		for (size_t j = 0; j < count; j++)
			if (end_probe(&probes[j]))
				return true;
	}
	return false;
}

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
		at = pattern_table_next(at, table->count);
	return table->lines[at];
}

uint32_t pattern_networks_find_line(const struct pattern_networks *all, const struct value *address)
{
	uint32_t line = 0;

	for (size_t i = 0; i < all->count; i++) {
		if (all->tables[i].is_ipv6 != (address->kind == VALUE_IPV6))
			continue;
		const struct probe probe = begin_probe(&all->tables[i], address);
		line = pattern_lower_line(line, line_of_probe(&probe));
	}
	return line;
}
