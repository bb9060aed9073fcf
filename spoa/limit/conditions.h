/*
 * conditions.h - `match`: which requests a policy or an override is for (docs/reference.md, section
 * Policy file).
 *
 * Each condition names an attribute and the patterns of which one must fit its text form: `*` is
 * any run of characters, all else is itself. A pattern that is an address or a CIDR fits addresses,
 * in whatever notation; an IPv4-mapped IPv6 address is the IPv4 address on both sides. An attribute
 * that is absent fits nothing. No conditions fit every request.
 *
 * All memory is allocated when conditions are made; to look costs none.
 */
#ifndef LIMIT_CONDITIONS_H
#define LIMIT_CONDITIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "limit/value.h"

struct pattern {
	struct bytes text; /* owned */
	bool has_star;
	struct value network; /* absent when it is no address */
	unsigned prefix;      /* bits of it that must be equal */
};

struct condition {
	struct bytes attribute; /* owned */
	struct pattern *patterns;
	size_t count;
};

struct conditions {
	struct condition *items;
	size_t count;
};

/* All copy; NULL or false when memory is short. */
struct condition *conditions_add(struct conditions *conditions, struct bytes attribute);
MUST_CHECK bool condition_add_pattern(struct condition *condition, struct bytes text);
void conditions_release(struct conditions *conditions);
/* Frees a piece of conditions that nobody uses any more; false when nothing was left to free. */
MUST_CHECK bool conditions_release_some(struct conditions *conditions);

/* `instead`, or NULL, is an attribute that takes the place of those of its name. */
bool conditions_fit(const struct conditions *conditions, const struct attributes *attributes,
		    const struct attribute *instead);

#endif
