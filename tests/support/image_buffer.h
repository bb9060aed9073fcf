/*
 * image_buffer.h - an image of balances in memory: where memory_store_write_image writes to, and
 * balances_image_read reads from, in pieces of so many bytes.
 */
#ifndef SUPPORT_IMAGE_BUFFER_H
#define SUPPORT_IMAGE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

#define IMAGE_HEAD 64 /* bytes before the first item */
#define IMAGE_ITEM 48 /* bytes of an item, and of the end */
#define IMAGE_MAX  (1 << 20)

struct image_buffer {
	size_t len;
	size_t at;    /* what was read */
	size_t piece; /* a reader gets at most so many bytes at a time */
	size_t max;   /* a writer is refused above that */
	uint8_t data[IMAGE_MAX];
};

/* The balances_image_reader.read of an image_buffer. */
static inline size_t image_buffer_read(void *owner, uint8_t *to, size_t max)
{
	struct image_buffer *from = owner;
	size_t len = from->len - from->at;

	if (len > from->piece)
		len = from->piece;
	if (len > max)
		len = max;
	memcpy(to, from->data + from->at, len);
	from->at += len;
	return len;
}

/* Takes what memory_store_write_image writes. */
static inline bool image_buffer_append(void *owner, struct bytes piece)
{
	struct image_buffer *to = owner;

	if (piece.len > to->max - to->len)
		return false;
	memcpy(to->data + to->len, piece.data, piece.len);
	to->len += piece.len;
	return true;
}

#endif
