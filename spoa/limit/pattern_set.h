/*
 * pattern_set.h - many patterns of which one must fit a value, found without a look at each: the
 * lines of a list file, and the long lists of a `match`.
 *
 * What a pattern is decides where it is kept, and what a look costs:
 *
 *     pattern                    kept in                             a look
 *     -------------------------  ----------------------------------  -----------------------------
 *     "192.0.2.1", "10.0.0.0/8"  a table for each length of prefix:  one place of each table that
 *                                6 bytes an IPv4 network, 24 bytes   has networks of the value's
 *                                an IPv6 network                     family
 *     "text"                     a table, 6 bytes a text, and all    one place, and a comparison
 *                                texts behind each other
 *     "text*"                    an array in order, without those    a binary search
 *                                that a shorter one covers
 *     other stars, as "*.php"    an array                            a comparison with each
 *
 * So a million addresses take 6 to 24 MB. A set that is told the lines on which its patterns stand
 * keeps them too, 6 bytes a network and up to 4 a text, in memory of their own: only
 * pattern_set_find_line reads them. Then a million addresses take 12 to 30 MB.
 *
 * A set is filled, built once, and not changed any more.
 * The thread that reads the policy file hands the set over to the loop, and only one of the two
 * uses the set at a time. So references are counted without atomic operations.
 */
#ifndef LIMIT_PATTERN_SET_H
#define LIMIT_PATTERN_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "limit/value.h"

struct pattern_set;

/* An empty set with one reference; NULL when memory is short. */
struct pattern_set *pattern_set_new(void);
struct pattern_set *pattern_set_ref(struct pattern_set *set);
void pattern_set_unref(struct pattern_set *set);
/*
 * Frees a piece of the set if the caller has its last reference, and gives the reference up. False
 * when that was the last piece, or somebody else has a reference: the caller's is gone then.
 */
MUST_CHECK bool pattern_set_unref_some(struct pattern_set *set);

/*
 * The line, from 1 on, on which all patterns stand that are added from now on. A set keeps the
 * lines of all its patterns or of none, so this is called before the first pattern is added, or
 * never.
 */
void pattern_set_at_line(struct pattern_set *set, uint32_t line);
/* A number by which whoever made the set knows again what it was made of; 0 at first. */
void pattern_set_set_source(struct pattern_set *set, uint64_t source);
uint64_t pattern_set_source(const struct pattern_set *set);

/* All copy, and return false when memory is short. */
/* The addresses of a network: a canonical address, of which the first `prefix` bits count. */
MUST_CHECK bool pattern_set_add_network(struct pattern_set *set, const struct value *network,
					unsigned prefix);
/* A text in which each `*` is any run of characters. */
MUST_CHECK bool pattern_set_add_text(struct pattern_set *set, struct bytes text);
/* Called once, when all patterns are in the set: before that, nothing is found. */
MUST_CHECK bool pattern_set_build(struct pattern_set *set);

/* Patterns with another star than one at their end, each of which costs a comparison. */
size_t pattern_set_slow_count(const struct pattern_set *set);
/* The memory that the set takes, in bytes. */
size_t pattern_set_bytes(const struct pattern_set *set);

/* `value` is canonical, and `text` is its text form (value_to_text). */
bool pattern_set_fits(const struct pattern_set *set, const struct value *value, struct bytes text);
/*
 * The lowest line of a pattern that fits; 0 when none does, or the set keeps no lines. Of "text*"
 * and a shorter "te*", which covers it, only the line of the shorter one is known.
 */
uint32_t pattern_set_find_line(const struct pattern_set *set, const struct value *value,
			       struct bytes text);

#endif
