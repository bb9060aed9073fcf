/*
 * spop_data.h - typed values (SPOE.txt 3.1 <TYPED-DATA>): one byte `flags << 4 | type`, then the
 * value. Strings and binaries are views into the frame.
 */
#ifndef WIRE_SPOP_DATA_H
#define WIRE_SPOP_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/writer.h"

enum spop_type {
	SPOP_NULL = 0,
	SPOP_BOOL,
	SPOP_INT32,
	SPOP_UINT32,
	SPOP_INT64,
	SPOP_UINT64,
	SPOP_IPV4,
	SPOP_IPV6,
	SPOP_STR,
	SPOP_BIN,
};

#define SPOP_FLAG_TRUE 0x10 /* beside SPOP_BOOL in the first byte */

struct spop_data {
	enum spop_type type;
	union {
		bool boolean;
		int64_t number;   /* INT32, INT64 */
		uint64_t natural; /* UINT32, UINT64 */
		uint8_t ipv4[4];
		uint8_t ipv6[16];
		struct bytes bytes; /* STR, BIN */
	};
};

/* False for a reserved type and for what ends too early. */
MUST_CHECK bool spop_data_read(struct bytes *from, struct spop_data *ret_data);
/* Whether it is an integer of any type from 0 on, and which. */
MUST_CHECK bool spop_data_natural(const struct spop_data *data, uint64_t *ret_value);
void spop_data_put(struct writer *w, const struct spop_data *data);
void spop_put_varint(struct writer *w, uint64_t value);
void spop_put_string(struct writer *w, struct bytes string);

#define SPOP_VARINT_MAX 10 /* bytes */

/* The same for a caller that has room for the longest one; returns the end of what was put. */
static inline uint8_t *spop_varint_at(uint8_t *at, uint64_t value)
{
	if (value < 240) {
		*at = (uint8_t)value;
		return at + 1;
	}
	*at++ = (uint8_t)(value | 0xf0);
	for (value = (value - 240) >> 4; value >= 128; value = (value - 128) >> 7)
		*at++ = (uint8_t)(value | 0x80);
	*at = (uint8_t)value;
	return at + 1;
}

static inline struct spop_data spop_bool(bool value)
{
	return (struct spop_data){.type = SPOP_BOOL, .boolean = value};
}

static inline struct spop_data spop_uint32(uint32_t value)
{
	return (struct spop_data){.type = SPOP_UINT32, .natural = value};
}

static inline struct spop_data spop_int64(int64_t value)
{
	return (struct spop_data){.type = SPOP_INT64, .number = value};
}

static inline struct spop_data spop_str(struct bytes value)
{
	return (struct spop_data){.type = SPOP_STR, .bytes = value};
}

#endif
