/*
 * reader.h - reads values off the front of a complete frame.
 *
 * In a complete frame a value that ends too early is an error: nothing more will come. Every read
 * returns false then and leaves `from` as it was. Lengths are compared with what remains, before
 * anything is added to a pointer.
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
