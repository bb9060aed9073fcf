/*
 * json_writer.h - puts JSON (RFC 8259) to a file, value by value.
 *
 * The commas are its own. A text may hold any bytes: what is not printable ASCII is escaped, bytes
 * above 0x7e as if they were Latin-1, so that the result is ASCII and always valid. That brackets
 * match is the caller's business.
 */
#ifndef APP_JSON_WRITER_H
#define APP_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/bytes.h"

#define JSON_TEXT_MAX 1024 /* what is longer is cut */

struct json {
	FILE *to;
	bool needs_comma;
};

static inline struct json json_on(FILE *to)
{
	return (struct json){.to = to};
}

/* `name` is a constant, and NULL in a list and at the top. `bracket` is '{' or '['. */
void json_begin(struct json *json, const char *name, char bracket);
void json_end(struct json *json, char bracket); /* '}' or ']' */
void json_put_bytes(struct json *json, const char *name, struct bytes text);
void json_put_text(struct json *json, const char *name, const char *text);
void json_put_int(struct json *json, const char *name, int64_t value);
void json_put_unsigned(struct json *json, const char *name, uint64_t value);
/* value / 10^decimals, exactly. */
void json_put_fraction(struct json *json, const char *name, uint64_t value, unsigned decimals);
/* For text that is known to be UTF-8, of any length: it stays what it is. */
void json_put_utf8(struct json *json, const char *name, struct bytes text);
void json_begin_utf8(struct json *json, struct bytes name, char bracket);
void json_put_bool(struct json *json, const char *name, bool value);

#endif
