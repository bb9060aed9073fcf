#include "limit/value.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/decimal.h"
#include "base/parse.h"
#include "base/writer.h"

const struct value *attributes_find(const struct attributes *attributes, struct bytes name)
{
	for (size_t i = attributes->count; i > 0; i--) {
		const struct attribute *attribute = &attributes->items[i - 1];
		if (bytes_equal(attribute->name, name))
			return attribute->value.kind == VALUE_ABSENT ? NULL : &attribute->value;
	}
	return NULL;
}

static bool is_hex_or_dot_or_colon(uint8_t byte)
{
	return (byte >= '0' && byte <= ':') || byte == '.' || (byte >= 'a' && byte <= 'f') ||
	       (byte >= 'A' && byte <= 'F');
}

/* Most text is no address, and most of that is told by its first byte. */
static struct value address_in_text(struct bytes text)
{
	char copy[INET6_ADDRSTRLEN];
	struct value value = value_text(text);

	if (text.len == 0 || text.len >= sizeof copy || !is_hex_or_dot_or_colon(text.data[0]) ||
	    memchr(text.data, '\0', text.len) != NULL)
		return value;
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	struct value address;
	if (inet_pton(AF_INET, copy, address.ipv4) == 1)
		address.kind = VALUE_IPV4;
	else if (inet_pton(AF_INET6, copy, address.ipv6) == 1)
		address.kind = VALUE_IPV6;
	else
		return value;
	return address;
}

struct value value_canonical(const struct value *value)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct value canonical = value->kind == VALUE_TEXT ? address_in_text(value->text) : *value;

	if (canonical.kind == VALUE_IPV6 && memcmp(canonical.ipv6, mapped, sizeof mapped) == 0) {
		uint8_t ipv4[4];
		memcpy(ipv4, canonical.ipv6 + sizeof mapped, sizeof ipv4);
		canonical.kind = VALUE_IPV4;
		memcpy(canonical.ipv4, ipv4, sizeof ipv4);
	}
	return canonical;
}

#define ABSENT ((struct value){.kind = VALUE_ABSENT})

/* Without ":4711" at the end; a text without a port stays as it is. */
static struct bytes without_port(struct bytes text)
{
	size_t len = text.len;
	uint64_t port;

	while (len > 0 && text.data[len - 1] >= '0' && text.data[len - 1] <= '9')
		len--;
	if (len == 0 || text.data[len - 1] != ':' ||
	    !parse_whole(bytes_skip(text, len), UINT16_MAX, &port))
		return text;
	return bytes_from(text.data, len - 1);
}

/* Without "%eth0" at the end (RFC 4007, section 11); an empty zone is none. */
static struct bytes without_zone(struct bytes text)
{
	const uint8_t *percent = text.len == 0 ? NULL : memchr(text.data, '%', text.len);

	if (percent == NULL || percent == text.data + text.len - 1)
		return text;
	return bytes_from(text.data, (size_t)(percent - text.data));
}

/* "203.0.113.9:4711". An IPv6 address has a port only behind brackets: its end can't be told else.
 */
static struct value address_before_port(struct bytes text)
{
	struct value value = address_in_text(without_port(text));

	return value.kind == VALUE_IPV4 ? value : ABSENT;
}

/* "fe80::1%eth0" */
static struct value address_before_zone(struct bytes text)
{
	struct value value = address_in_text(without_zone(text));

	return value.kind == VALUE_IPV6 ? value : ABSENT;
}

/* "[2001:db8::1]:443", "[2001:db8::1]", "[fe80::1%eth0]:443" */
static struct value address_in_brackets(struct bytes text)
{
	text = without_port(text);
	if (text.len < 2 || text.data[text.len - 1] != ']')
		return ABSENT;
	return address_before_zone(bytes_from(text.data + 1, text.len - 2));
}

/* The text was found to be no address as it stands. */
static struct value find_source(struct bytes text)
{
	if (text.len == 0)
		return ABSENT;
	if (text.data[0] == '[')
		return address_in_brackets(text);
	if (memchr(text.data, '%', text.len) != NULL)
		return address_before_zone(text);
	return address_before_port(text);
}

struct value attribute_canonical_of_any(struct bytes name, const struct value *value)
{
	struct value canonical = value_canonical(value);

	if (canonical.kind != VALUE_TEXT || !bytes_equal(name, BYTES("src")))
		return canonical;
	struct value source = find_source(canonical.text);
	return source.kind == VALUE_ABSENT ? canonical : value_canonical(&source);
}

static void cut(uint8_t *address, unsigned bytes, unsigned prefix)
{
	for (unsigned i = 0; i < bytes; i++) {
		unsigned kept = prefix > 8 * i ? prefix - 8 * i : 0;
		if (kept < 8)
			address[i] &= (uint8_t)(0xff00 >> kept);
	}
}

void value_cut_address(struct value *value, unsigned ipv4_prefix, unsigned ipv6_prefix)
{
	if (value->kind == VALUE_IPV4 && ipv4_prefix < 8 * sizeof value->ipv4)
		cut(value->ipv4, sizeof value->ipv4, ipv4_prefix);
	if (value->kind == VALUE_IPV6)
		cut(value->ipv6, sizeof value->ipv6, ipv6_prefix);
}

bool value_to_whole(const struct value *value, int64_t min, int64_t *ret_number)
{
	uint64_t number;

	if (value->kind == VALUE_NATURAL)
		number = value->natural;
	else if (value->kind != VALUE_TEXT || !parse_whole(value->text, INT64_MAX, &number))
		return false;
	if (number > INT64_MAX || (int64_t)number < min)
		return false;
	*ret_number = (int64_t)number;
	return true;
}

bool value_is_huge(const struct value *value)
{
	int64_t number;

	if (value->kind == VALUE_NATURAL)
		return value->natural > INT64_MAX;
	if (value->kind != VALUE_TEXT || value->text.len == 0)
		return false;
	for (size_t i = 0; i < value->text.len; i++)
		if (value->text.data[i] < '0' || value->text.data[i] > '9')
			return false;
	return !value_to_whole(value, 0, &number);
}

/* The last number may be copied with DECIMAL_MAX bytes behind "255.255.255.". */
_Static_assert(VALUE_SHORT_TEXT_MAX >= 12 + DECIMAL_MAX, "an address has room");

static struct bytes ipv4_to_text(const uint8_t ipv4[4], char *memory)
{
	uint8_t *at = (uint8_t *)memory;

	for (unsigned i = 0; i < 4; i++) {
		if (i > 0)
			*at++ = '.';
		at = decimal_put(at, ipv4[i]);
	}
	return bytes_from(memory, (size_t)(at - (uint8_t *)memory));
}

struct bytes value_to_text(const struct value *value, char memory[VALUE_SHORT_TEXT_MAX])
{
	struct writer w = writer_on(memory, VALUE_SHORT_TEXT_MAX);

	switch (value->kind) {
	case VALUE_ABSENT:
		break;
	case VALUE_TEXT:
		return value->text;
	case VALUE_NATURAL:
		writer_put_unsigned(&w, value->natural);
		break;
	case VALUE_NEGATIVE:
		writer_put_decimal(&w, value->negative);
		break;
	case VALUE_BOOL:
		writer_put_text(&w, value->boolean ? "true" : "false");
		break;
	case VALUE_IPV4:
		return ipv4_to_text(value->ipv4, memory);
	case VALUE_IPV6: /* the C library writes RFC 5952 */
		inet_ntop(AF_INET6, value->ipv6, memory, VALUE_SHORT_TEXT_MAX);
		return bytes_from_text(memory);
	}
	return writer_bytes(&w);
}
