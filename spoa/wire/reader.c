#include "wire/reader.h"

#define VARINT_MAX_BYTES 10

bool read_u8(struct bytes *from, uint8_t *ret_value)
{
	if (from->len < 1)
		return false;
	*ret_value = from->data[0];
	*from = bytes_skip(*from, 1);
	return true;
}

bool read_u32_be(struct bytes *from, uint32_t *ret_value)
{
	if (from->len < 4)
		return false;
	const uint8_t *p = from->data;
	*ret_value = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	*from = bytes_skip(*from, 4);
	return true;
}

bool read_bytes(struct bytes *from, uint64_t len, struct bytes *ret_bytes)
{
	if (len > from->len)
		return false;
	*ret_bytes = bytes_from(from->data, (size_t)len);
	*from = bytes_skip(*from, (size_t)len);
	return true;
}

/*
 * A byte below 240 is the value. Else 4 bits of it are in the first byte and 7 in each that
 * follows, each group added to what the ones before it can say: 0xf0 0x00 is 240, 0xff 0x7f 2287.
 */
bool read_varint(struct bytes *from, uint64_t *ret_value)
{
	uint64_t value;

	if (from->len < 1)
		return false;
	value = from->data[0];
	if (value < 240) {
		*from = bytes_skip(*from, 1);
		*ret_value = value;
		return true;
	}
	unsigned shift = 4;
	for (size_t i = 1; i < from->len && i < VARINT_MAX_BYTES; i++, shift += 7) {
		uint64_t byte = from->data[i];
		if (byte > UINT64_MAX >> shift || value > UINT64_MAX - (byte << shift))
			return false;
		value += byte << shift;
		if (byte < 128) {
			*from = bytes_skip(*from, i + 1);
			*ret_value = value;
			return true;
		}
	}
	return false;
}

bool read_string(struct bytes *from, struct bytes *ret_string)
{
	struct bytes rest = *from;
	uint64_t len;

	if (!read_varint(&rest, &len) || !read_bytes(&rest, len, ret_string))
		return false;
	*from = rest;
	return true;
}
