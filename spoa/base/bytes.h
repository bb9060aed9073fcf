/*
 * bytes.h - a view: a pointer and a length that travel together.
 *
 * A view owns nothing and is good as long as the memory that it points into. A function that keeps
 * one longer than its call copies the bytes. A view may hold any bytes, NUL among them, so it is
 * never printed with %s.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *data;
	size_t len;
};

/* The view of a string literal, without its NUL. */
#define BYTES(literal) ((struct bytes){(const uint8_t *)("" literal), sizeof(literal) - 1})

static inline struct bytes bytes_from(const void *data, size_t len)
{
	return (struct bytes){data, len};
}

static inline struct bytes bytes_from_text(const char *text)
{
	return bytes_from(text, strlen(text));
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Below, at or above 0, as memcmp; of two that begin alike the shorter one comes first. */
static inline int bytes_compare(struct bytes a, struct bytes b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len == 0 ? 0 : memcmp(a.data, b.data, len);

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* `byte` in lower case, of ASCII letters only. */
static inline uint8_t byte_lower(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

/* The same as bytes_equal, but for the case of ASCII letters: for the names that protocols have. */
static inline bool bytes_equal_in_any_case(struct bytes a, struct bytes b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (byte_lower(a.data[i]) != byte_lower(b.data[i]))
			return false;
	return true;
}

static inline bool bytes_begin_with(struct bytes bytes, struct bytes start)
{
	return bytes.len >= start.len && bytes_equal(bytes_from(bytes.data, start.len), start);
}

/* The bytes from `offset` on; `offset` is at most the length. */
static inline struct bytes bytes_skip(struct bytes bytes, size_t offset)
{
	return offset == 0 ? bytes : bytes_from(bytes.data + offset, bytes.len - offset);
}

/* Without the spaces and tabs at both ends. */
static inline struct bytes bytes_trim(struct bytes bytes)
{
	while (bytes.len > 0 && (bytes.data[0] == ' ' || bytes.data[0] == '\t'))
		bytes = bytes_skip(bytes, 1);
	while (bytes.len > 0 &&
	       (bytes.data[bytes.len - 1] == ' ' || bytes.data[bytes.len - 1] == '\t'))
		bytes.len--;
	return bytes;
}

/*
 * Cuts the next item off a list: what stands before the first `separator`, or all that is left.
 * Returns false when nothing is left; a list that ends with a separator has an empty last item.
 */
static inline bool bytes_next_item(struct bytes *list, char separator, struct bytes *ret_item)
{
	if (list->data == NULL)
		return false;
	const uint8_t *end = list->len > 0 ? memchr(list->data, separator, list->len) : NULL;
	if (end == NULL) {
		*ret_item = *list;
		*list = (struct bytes){NULL, 0};
		return true;
	}
	*ret_item = bytes_from(list->data, (size_t)(end - list->data));
	*list = bytes_skip(*list, ret_item->len + 1);
	return true;
}

#endif
