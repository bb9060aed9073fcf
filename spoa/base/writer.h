/*
 * writer.h - puts bytes into memory of a fixed size, with a failure that sticks.
 *
 * The memory is the caller's. A put that does not fit whole writes nothing and sets `full`; every
 * later put is then ignored, so that ten fields are put without an `if` and checked once at the
 * end. `writer_mark` and `writer_rewind` take back what was put since, the failure included.
 */
#ifndef BASE_WRITER_H
#define BASE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"

struct writer {
	uint8_t *data;
	size_t len;
	size_t max;
	bool full;
};

static inline struct writer writer_on(void *memory, size_t max)
{
	return (struct writer){.data = memory, .max = max};
}

static inline struct bytes writer_bytes(const struct writer *w)
{
	return bytes_from(w->data, w->len);
}

static inline size_t writer_mark(const struct writer *w)
{
	return w->len;
}

static inline void writer_rewind(struct writer *w, size_t mark)
{
	w->len = mark;
	w->full = false;
}

/* Makes room for `len` bytes and returns where they go, or NULL when they do not fit. */
static inline uint8_t *writer_take(struct writer *w, size_t len)
{
	if (w->full || len > w->max - w->len) {
		w->full = true;
		return NULL;
	}
	uint8_t *at = w->len == 0 ? w->data : w->data + w->len;
	w->len += len;
	return at;
}

static inline void writer_put_u8(struct writer *w, uint8_t byte)
{
	uint8_t *at = writer_take(w, 1);
	if (at != NULL)
		*at = byte;
}

void writer_put(struct writer *w, struct bytes bytes);

/* Inline, so that the compiler counts the characters of a literal. */
static inline void writer_put_text(struct writer *w, const char *text)
{
	writer_put(w, bytes_from_text(text));
}

void writer_put_u32_be(struct writer *w, uint32_t value);
void writer_put_decimal(struct writer *w, int64_t value);
void writer_put_unsigned(struct writer *w, uint64_t value);
/* value / 10^decimals, exactly, without zeros at the end: 1500 with 3 is 1.5. */
void writer_put_fraction(struct writer *w, uint64_t value, unsigned decimals);
/* Lower-case hexadecimal, two digits a byte. */
void writer_put_hex(struct writer *w, struct bytes bytes);
/* In quotes, as JSON and as ASCII: bytes above 0x7e are escaped as if they were Latin-1. */
void writer_put_json_string(struct writer *w, struct bytes text);
/* Ends with a NUL that is not counted in `len`; a full writer is cut to make room for it. */
const char *writer_text(struct writer *w);

#endif
