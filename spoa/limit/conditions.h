/*
 * conditions.h - `match`: which requests a policy or an override is for (docs/reference.md, section
 * Policy file).
 *
 * Each condition names an attribute and the patterns of which one must fit its text form: `*` is
 * any run of characters, all else is itself. A pattern that is an address or a CIDR fits addresses,
 * in whatever notation; an IPv4-mapped IPv6 address is the IPv4 address on both sides. An attribute
 * that is absent fits nothing. No conditions fit every request.
 *
 * A pattern may stand for the lines of a file. Many patterns, and the lines of files, are in sets
 * (pattern_set.h), so that a look costs about the same however many there are.
 *
 * All memory is allocated when conditions are made; to look costs none.
 */
#ifndef LIMIT_CONDITIONS_H
#define LIMIT_CONDITIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "limit/pattern_set.h"
#include "limit/value.h"

struct pattern {
	struct bytes text; /* owned */
	bool is_file;      /* `text` is "@" and the name of a file, whose lines are in a set */
	bool has_star;
	struct value network; /* absent when it is no address */
	unsigned prefix;      /* bits of it that must be equal */
};

struct condition {
	struct bytes attribute;   /* owned */
	struct pattern *patterns; /* as they are written */
	size_t count;
	struct pattern_set *set;    /* of the patterns; NULL while they are few, or not compiled */
	struct pattern_set **files; /* a reference to that of each file among the patterns */
	size_t file_count;
};

struct conditions {
	struct condition *items;
	size_t count;
};

/*
 * "10.0.0.0/8", or an address alone, which is the network of this address; of the attribute `src`
 * also an address with a port or a zone, as in a request. Bits behind the prefix are as good as 0.
 * Absent when the text is neither.
 */
struct value network_read(struct bytes text, struct bytes attribute, unsigned *ret_prefix);
/* An address, a slash and digits or dots: meant as a network, also when it is none. */
bool text_is_written_as_network(struct bytes text);
/*
 * Whether a text of `src` is written as an address or a network, and is none, as "10.0.0.300": as a
 * text it fits no client. Of other attributes nobody knows what is meant.
 */
bool text_is_failed_address(struct bytes attribute, struct bytes text);

/* All copy; NULL or false when memory is short. */
struct condition *conditions_add(struct conditions *conditions, struct bytes attribute);
MUST_CHECK bool condition_add_pattern(struct condition *condition, struct bytes text);
/* The lines of a file, of which a reference is taken. `text` is "@" and its name. */
MUST_CHECK bool condition_add_file(struct condition *condition, struct bytes text,
				   struct pattern_set *lines);
/* Called when all patterns are there: makes the set of many. False when memory is short. */
MUST_CHECK bool condition_compile(struct condition *condition);
void conditions_release(struct conditions *conditions);
/* Frees a piece of conditions that nobody uses any more; false when nothing was left to free. */
MUST_CHECK bool conditions_release_some(struct conditions *conditions);

/* What of a condition a request fits: the first pattern, or file, of the list that does. */
struct condition_fit {
	size_t position;                 /* of the pattern in its list */
	const struct pattern_set *lines; /* of a file; NULL: the pattern is none */
	uint32_t line;                   /* the lowest line of the file that fits */
};

/* False when nothing fits, or nobody told the set of the file on which lines its patterns stand. */
MUST_CHECK bool condition_find(const struct condition *condition,
			       const struct attributes *attributes, const struct attribute *instead,
			       struct condition_fit *ret_fit);
/* `instead`, or NULL, is an attribute that takes the place of those of its name. */
bool conditions_fit(const struct conditions *conditions, const struct attributes *attributes,
		    const struct attribute *instead);

#endif
