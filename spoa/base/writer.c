#include "base/writer.h"

#include <string.h>

#include "base/decimal.h"

void writer_put(struct writer *w, struct bytes bytes)
{
	uint8_t *at = writer_take(w, bytes.len);
	if (at != NULL && bytes.len > 0)
		memcpy(at, bytes.data, bytes.len);
}

void writer_put_u32_be(struct writer *w, uint32_t value)
{
	uint8_t *at = writer_take(w, 4);
	if (at == NULL)
		return;
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

void writer_put_unsigned(struct writer *w, uint64_t value)
{
	uint8_t digits[DECIMAL_MAX];

	writer_put(w, bytes_from(digits, (size_t)(decimal_put(digits, value) - digits)));
}

void writer_put_decimal(struct writer *w, int64_t value)
{
	if (value >= 0) {
		writer_put_unsigned(w, (uint64_t)value);
		return;
	}
	writer_put_u8(w, '-');
	writer_put_unsigned(w, 0 - (uint64_t)value);
}

void writer_put_fraction(struct writer *w, uint64_t value, unsigned decimals)
{
	uint64_t divisor = 1;

	for (unsigned i = 0; i < decimals; i++)
		divisor *= 10;
	writer_put_unsigned(w, value / divisor);
	value %= divisor;
	if (value > 0)
		writer_put_u8(w, '.');
	while (value > 0) {
		divisor /= 10;
		writer_put_u8(w, (uint8_t)('0' + value / divisor));
		value %= divisor;
	}
}

void writer_put_hex(struct writer *w, struct bytes bytes)
{
	static const char digits[] = "0123456789abcdef";

	uint8_t *at = writer_take(w, 2 * bytes.len);
	if (at == NULL)
		return;
	for (size_t i = 0; i < bytes.len; i++) {
		at[2 * i] = (uint8_t)digits[bytes.data[i] >> 4];
		at[2 * i + 1] = (uint8_t)digits[bytes.data[i] & 15];
	}
}

void writer_put_json_string(struct writer *w, struct bytes text)
{
	writer_put_u8(w, '"');
	for (size_t i = 0; i < text.len; i++) {
		uint8_t byte = text.data[i];
		if (byte == '"' || byte == '\\')
			writer_put_u8(w, '\\');
		if (byte >= 0x20 && byte < 0x7f) {
			writer_put_u8(w, byte);
		} else {
			writer_put_text(w, "\\u00");
			writer_put_hex(w, bytes_from(&byte, 1));
		}
	}
	writer_put_u8(w, '"');
}

const char *writer_text(struct writer *w)
{
	ASSERT(w->max > 0);
	if (w->len == w->max)
		w->len--;
	w->data[w->len] = '\0';
	return (const char *)w->data;
}
