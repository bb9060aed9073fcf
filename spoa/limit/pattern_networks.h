/*
 * pattern_networks.h - the IP networks of a pattern_set: a table for each family and length of
 * prefix.
 *
 *     tables            10.0.0.0/8        192.0.2.0/24   198.51.100.0/24
 *     IPv4,  8 bits     [10.0.0.0]
 *     IPv4, 24 bits     [ -  192.0.2.0  198.51.100.0  - ]
 *
 * While networks are added, a table is an array in their order; pattern_networks_build makes the
 * tables. The key 0 marks an unused place; a network that has this key is a flag of its table.
 * Lines stand in an array beside the table, at the same places: so whoever only asks whether an
 * address fits reads no line.
 */
#ifndef LIMIT_PATTERN_NETWORKS_H
#define LIMIT_PATTERN_NETWORKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "limit/value.h"

struct networks;

/* All zero at first. Embedded in the set. */
struct pattern_networks {
	struct networks *tables;
	size_t count;
	size_t last; /* the table that was added to last */
};

void pattern_networks_release(struct pattern_networks *networks);
/* Frees a large piece, after which only release may follow. False: no piece is large. */
MUST_CHECK bool pattern_networks_shrink(struct pattern_networks *networks);
/* The memory that they take, in bytes. */
size_t pattern_networks_bytes(const struct pattern_networks *networks);

/* What pattern_set_add_network says. `line`: 0 for all networks, or for none. */
MUST_CHECK bool pattern_networks_add(struct pattern_networks *networks, const struct value *network,
				     unsigned prefix, uint32_t line);
/* Once, before the first look. False when memory is short. */
MUST_CHECK bool pattern_networks_build(struct pattern_networks *networks);

/* `address` is canonical. */
bool pattern_networks_fit(const struct pattern_networks *networks, const struct value *address);
/* The lowest line of a network that fits; 0 when none does, or no lines are kept. */
uint32_t pattern_networks_find_line(const struct pattern_networks *networks,
				    const struct value *address);

#endif
