#include "base/utf8.h"

static bool is_between(uint8_t byte, uint8_t first, uint8_t last)
{
	return byte >= first && byte <= last;
}

/* RFC 3629, section 4: the second byte is what keeps overlong forms and surrogates out. */
static size_t length_of_lead(uint8_t lead, uint8_t second)
{
	if (is_between(lead, 0xc2, 0xdf))
		return is_between(second, 0x80, 0xbf) ? 2 : 0;
	if (is_between(lead, 0xe0, 0xef)) {
		uint8_t first = lead == 0xe0 ? 0xa0 : 0x80, last = lead == 0xed ? 0x9f : 0xbf;
		return is_between(second, first, last) ? 3 : 0;
	}
	if (is_between(lead, 0xf0, 0xf4)) {
		uint8_t first = lead == 0xf0 ? 0x90 : 0x80, last = lead == 0xf4 ? 0x8f : 0xbf;
		return is_between(second, first, last) ? 4 : 0;
	}
	return 0;
}

size_t utf8_length(struct bytes text)
{
	if (text.len == 0)
		return 0;
	if (text.data[0] < 0x80)
		return 1;
	size_t len = text.len < 2 ? 0 : length_of_lead(text.data[0], text.data[1]);
	if (len > text.len)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (!is_between(text.data[i], 0x80, 0xbf))
			return 0;
	return len;
}

bool utf8_is_good(struct bytes text)
{
	while (text.len > 0) {
		size_t len = utf8_length(text);
		if (len == 0)
			return false;
		text = bytes_skip(text, len);
	}
	return true;
}

static uint8_t continuation(uint32_t code, unsigned shift)
{
	return (uint8_t)(0x80 | (code >> shift & 0x3f));
}

void utf8_put(struct writer *w, uint32_t code)
{
	uint8_t bytes[4];
	size_t len = 0;

	if (code < 0x80) {
		bytes[len++] = (uint8_t)code;
	} else if (code < 0x800) {
		bytes[len++] = (uint8_t)(0xc0 | code >> 6);
	} else if (code < 0x10000) {
		bytes[len++] = (uint8_t)(0xe0 | code >> 12);
		bytes[len++] = continuation(code, 6);
	} else {
		bytes[len++] = (uint8_t)(0xf0 | code >> 18);
		bytes[len++] = continuation(code, 12);
		bytes[len++] = continuation(code, 6);
	}
	if (code >= 0x80)
		bytes[len++] = continuation(code, 0);
	writer_put(w, bytes_from(bytes, len));
}
