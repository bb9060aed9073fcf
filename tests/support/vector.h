/*
 * vector.h - bytes written the way protocol documents write them.
 *
 *     vector_of("00000007 67 00000001 01 01")       hexadecimal, spaces anywhere between two digits
 *     vector_of("02 04'deny' 03 01")                text between single quotes, as it stands
 *     vector_frame("67 00000001 01 01")             the same after a four-byte LENGTH
 *
 * A test that writes anything else fails.
 */
#ifndef SUPPORT_VECTOR_H
#define SUPPORT_VECTOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define VECTOR_MAX 1024

struct vector {
	size_t len;
	uint8_t data[VECTOR_MAX];
};

struct vector vector_of(const char *notation);
struct vector vector_frame(const char *notation);
/* Adds the bytes of the notation, `times` times. */
void vector_append(struct vector *v, const char *notation, size_t times);

static inline struct bytes vector_bytes(const struct vector *v)
{
	return bytes_from(v->data, v->len);
}

#endif
