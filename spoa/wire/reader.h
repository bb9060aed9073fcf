/*
 * reader.h - takes bytes off the front of a frame that is there whole.
 *
 * Inside a complete frame "short" is an error, never "more": every read says whether it could, and
 * a failed one takes nothing. What remains is compared, nothing is ever added to a pointer first.
 */
#ifndef WIRE_READER_H
#define WIRE_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"

MUST_CHECK bool read_u8(struct bytes *from, uint8_t *ret_value);
MUST_CHECK bool read_u32_be(struct bytes *from, uint32_t *ret_value);
MUST_CHECK bool read_bytes(struct bytes *from, uint64_t len, struct bytes *ret_bytes);
/* HAProxy's varint (SPOE.txt 3.1), not LEB128: at most 10 bytes, at most 2^64 - 1. */
MUST_CHECK bool read_varint(struct bytes *from, uint64_t *ret_value);
/* A varint length and so many bytes (SPOE.txt 3.1 <STRING>). */
MUST_CHECK bool read_string(struct bytes *from, struct bytes *ret_string);

#endif
