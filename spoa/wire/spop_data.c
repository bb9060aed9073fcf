#include "wire/spop_data.h"

#include <string.h>

#include "wire/reader.h"

#define TYPE_MASK 0x0f

static bool read_address(struct bytes *from, uint8_t *ret_address, size_t len)
{
	struct bytes address;

	if (!read_bytes(from, len, &address))
		return false;
	memcpy(ret_address, address.data, len);
	return true;
}

static bool read_value(struct bytes *from, uint8_t type, struct spop_data *data)
{
	data->type = (enum spop_type)(type & TYPE_MASK);
	switch (data->type) {
	case SPOP_NULL:
		return true;
	case SPOP_BOOL:
		data->boolean = (type & SPOP_FLAG_TRUE) != 0;
		return true;
	/* All integers are 64 bits on the wire, whatever their type says. */
	case SPOP_INT32:
	case SPOP_INT64:
		if (!read_varint(from, &data->natural))
			return false;
		data->number = (int64_t)data->natural;
		return true;
	case SPOP_UINT32:
	case SPOP_UINT64:
		return read_varint(from, &data->natural);
	case SPOP_IPV4:
		return read_address(from, data->ipv4, sizeof data->ipv4);
	case SPOP_IPV6:
		return read_address(from, data->ipv6, sizeof data->ipv6);
	case SPOP_STR:
	case SPOP_BIN:
		return read_string(from, &data->bytes);
	}
	return false; /* 10 to 15 are reserved */
}

bool spop_data_read(struct bytes *from, struct spop_data *ret_data)
{
	struct bytes rest = *from;
	struct spop_data data;
	uint8_t type;

	if (!read_u8(&rest, &type) || !read_value(&rest, type, &data))
		return false;
	*from = rest;
	*ret_data = data;
	return true;
}

bool spop_data_natural(const struct spop_data *data, uint64_t *ret_value)
{
	switch ((int)data->type) {
	case SPOP_INT32:
	case SPOP_INT64:
		if (data->number < 0)
			return false;
		*ret_value = (uint64_t)data->number;
		return true;
	case SPOP_UINT32:
	case SPOP_UINT64:
		*ret_value = data->natural;
		return true;
	}
	return false;
}

void spop_put_varint(struct writer *w, uint64_t value)
{
	uint8_t varint[SPOP_VARINT_MAX];

	writer_put(w, bytes_from(varint, (size_t)(spop_varint_at(varint, value) - varint)));
}

void spop_put_string(struct writer *w, struct bytes string)
{
	spop_put_varint(w, string.len);
	writer_put(w, string);
}

void spop_data_put(struct writer *w, const struct spop_data *data)
{
	uint8_t flag = data->type == SPOP_BOOL && data->boolean ? SPOP_FLAG_TRUE : 0;

	writer_put_u8(w, (uint8_t)(data->type | flag));
	switch (data->type) {
	case SPOP_NULL:
	case SPOP_BOOL:
		break;
	case SPOP_INT32:
	case SPOP_INT64:
		spop_put_varint(w, (uint64_t)data->number);
		break;
	case SPOP_UINT32:
	case SPOP_UINT64:
		spop_put_varint(w, data->natural);
		break;
	case SPOP_IPV4:
		writer_put(w, bytes_from(data->ipv4, sizeof data->ipv4));
		break;
	case SPOP_IPV6:
		writer_put(w, bytes_from(data->ipv6, sizeof data->ipv6));
		break;
	case SPOP_STR:
	case SPOP_BIN:
		spop_put_string(w, data->bytes);
		break;
	}
}
