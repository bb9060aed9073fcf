/*
 * json_reader.h - reads JSON (RFC 8259) without memory of its own: strictly, and with a bound on
 * the nesting. The bodies of HTTP requests, the lines of a replay and the policy file are read by
 * it.
 *
 * There are two steps. json_read looks at the whole text once. A text that it accepts is correct to
 * its last byte, is UTF-8 and has no NUL character, written or escaped. The second step walks over
 * the values, and cannot fail any more:
 *
 *     if (!json_read(text, &root, &err))
 *             return refuse(&err);
 *     while (json_next_field(&root, &name, &value))
 *             ...
 *
 * A value is a view of the text; a number is the digits that were written, so that nothing is
 * rounded. A name may come twice in an object: the walk shows both.
 */
#ifndef BASE_JSON_READER_H
#define BASE_JSON_READER_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/writer.h"

#define JSON_DEPTH_MAX 32

enum json_kind {
	JSON_NULL = 0,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

/* `text` of a string, list or object is what stands between its quotes or brackets. */
struct json_value {
	enum json_kind kind;
	struct bytes text;
};

/* The first fault of the text and the byte where it is; NULL, and no byte, when there is none. */
const char *json_find_fault(struct bytes text, size_t *ret_at);
/* The value that a text without a fault consists of. */
struct json_value json_root(struct bytes text);
/* Both at once. `err` says the fault and the byte. */
MUST_CHECK bool json_read(struct bytes text, struct json_value *ret_root, struct err *err);

/* Cut the next field or item off the front of an object or an array; false when none is left. */
bool json_next_field(struct json_value *object, struct json_value *ret_name,
		     struct json_value *ret_value);
bool json_next_item(struct json_value *array, struct json_value *ret_item);

/*
 * What a string says. Without escapes that is a view of its text. A string with escapes is decoded
 * to the end of `memory`, which must have room for the length of its text.
 */
struct bytes json_string(const struct json_value *string, struct writer *memory);

#endif
