/*
 * json_reader.h - reads JSON (RFC 8259) where it lies: strictly, with a bound on the nesting, and
 * without memory of its own.
 *
 * json_read looks at all of the text once; what it takes is good to the last byte, UTF-8, and free
 * of NUL characters, written or escaped. What is in it is then walked, and that can't fail:
 *
 *     if (!json_read(text, &root, &err))
 *             return refuse(&err);
 *     while (json_next_field(&root, &name, &value))
 *             ...
 *
 * Values are views of the text, numbers as they were written. A name may come twice: whoever walks
 * sees both.
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

/* `text`: a number as it stands; of the others what is between their quotes or brackets. */
struct json_value {
	enum json_kind kind;
	struct bytes text;
};

/* What is wrong with it first, and at which byte; NULL when it is JSON. */
const char *json_find_fault(struct bytes text, size_t *ret_at);
/* `err` says both. */
MUST_CHECK bool json_read(struct bytes text, struct json_value *ret_root, struct err *err);

/* Take the next one off the front of an object or an array; false behind the last. */
bool json_next_field(struct json_value *object, struct json_value *ret_name,
		     struct json_value *ret_value);
bool json_next_item(struct json_value *array, struct json_value *ret_item);

/*
 * What a string says: a view of its text, or, when that has escapes, of what was put to the end of
 * `memory`, which has room for the length of the text.
 */
struct bytes json_string(const struct json_value *string, struct writer *memory);

#endif
