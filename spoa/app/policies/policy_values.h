/*
 * policy_values.h - the values of the policy file: a walk over them, and a reader for each kind of
 * value, which refuses what it does not accept with the place, the value and what is accepted.
 *
 *     struct policy_walk walk = policy_walk_in(&list);
 *     struct policy_value item;
 *
 *     while (policy_walk_next(&walk, &item))
 *             read_item(&item);
 *
 * The walk stands on base/json_reader, which has checked the whole text before: numbers are read
 * from their digits, so nothing is rounded. A string with escapes is decoded once, when the walk
 * comes to it, into memory that all values of a file share (struct policy_source). So every view
 * is good as long as the text and this memory.
 */
#ifndef APP_POLICY_VALUES_H
#define APP_POLICY_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "app/policies/problems.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/json_reader.h"
#include "base/parse.h"
#include "limit/policy.h"

/* What all values of one file share. */
struct policy_source {
	struct writer strings; /* decoded strings; its memory is as large as the file */
	/*
	 * A hash of all that was walked since it was set to 0: names, kinds, texts and the ends of
	 * lists and objects, in the order of the walks. Spaces, escapes and the notation of a
	 * number (1e3 or 1000) do not change it.
	 */
	uint64_t fingerprint;
	struct list_files *files; /* those that the policies name */
};

/* Makes what a file says part of the fingerprint. */
void policy_source_fold_file(struct policy_source *source, uint64_t fingerprint);

struct policy_value {
	bool is_given; /* false: a field that the file leaves out; it has a place only */
	enum json_kind kind;
	struct bytes text; /* of a string what it says, of a number its digits, else as in JSON */
	struct place place;
	struct policy_source *source;
};

/* The root of the file. The text has been checked by json_read. */
struct policy_value policy_value_root(const struct json_value *root, struct policy_source *source,
				      struct problems *problems);

struct policy_walk {
	const struct policy_value *in; /* a list or an object; outlives the walk and its values */
	struct json_value rest;
	size_t index;
};

struct policy_walk policy_walk_in(const struct policy_value *in);
/* The next value, with its place; the last part of the place is the name of a field. */
bool policy_walk_next(struct policy_walk *walk, struct policy_value *ret_value);
/* Whether a list or an object has nothing in it. */
bool policy_value_is_empty(const struct policy_value *value);

/* For a message: a text in quotes, a number as it is written, of a list or an object its kind. */
struct quoted policy_value_shown(const struct policy_value *value);

/* These want a value that is given, and return false when they have refused it. */
MUST_CHECK bool policy_value_algorithm(const struct policy_value *value,
				       enum algorithm *ret_algorithm);
/* A whole number from 1 to QUOTA_UNITS_MAX. */
MUST_CHECK bool policy_value_units(const struct policy_value *value, int64_t *ret_units);
MUST_CHECK bool policy_value_refill_rate(const struct policy_value *value,
					 struct ratio *ret_tokens_per_us);
MUST_CHECK bool policy_value_window(const struct policy_value *value, int64_t *ret_us);
/* The name of an attribute that a request can have. */
MUST_CHECK bool policy_value_attribute(const struct policy_value *value, struct bytes *ret_name);
MUST_CHECK bool policy_value_attribute_name(struct bytes name, const struct place *place);

/* These set what the value says. They change nothing when it is not given or was refused. */
void policy_value_set_on_error(const struct policy_value *value, enum on_error *on_error);
void policy_value_set_bool(const struct policy_value *value, bool *fact);
/* true, false, or a share of the keys such as "90%". */
void policy_value_set_shadow(const struct policy_value *value, struct terms *terms);
void policy_value_set_prefix(const struct policy_value *value, unsigned max, unsigned *prefix);

#endif
