/*
 * value.h - the value of an attribute, and its one text form (addresses as RFC 5952).
 *
 * A value arrives in many types and is the same thing in all of them: the string "2001:DB8::1" and
 * the address are one, and an IPv4-mapped IPv6 address is the IPv4 address. value_canonical says
 * which; only then may two values be compared or written down. Text is a view.
 */
#ifndef LIMIT_VALUE_H
#define LIMIT_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"

enum value_kind {
	VALUE_ABSENT = 0,
	VALUE_TEXT, /* any bytes */
	VALUE_NATURAL,
	VALUE_NEGATIVE,
	VALUE_BOOL,
	VALUE_IPV4,
	VALUE_IPV6,
};

struct value {
	enum value_kind kind;
	union {
		struct bytes text;
		uint64_t natural;
		int64_t negative;
		bool boolean;
		uint8_t ipv4[4];
		uint8_t ipv6[16];
	};
};

struct attribute {
	struct bytes name;
	struct value value;
};

/* The attributes of one message. Of a repeated name the last counts. */
struct attributes {
	const struct attribute *items;
	size_t count;
};

static inline struct value value_text(struct bytes text)
{
	return (struct value){.kind = VALUE_TEXT, .text = text};
}

static inline struct value value_integer(int64_t number)
{
	if (number < 0)
		return (struct value){.kind = VALUE_NEGATIVE, .negative = number};
	return (struct value){.kind = VALUE_NATURAL, .natural = (uint64_t)number};
}

/* NULL when it is absent. */
const struct value *attributes_find(const struct attributes *attributes, struct bytes name);

struct value value_canonical(const struct value *value);
/*
 * The same for the value of the attribute `name`. In `src` alone, text that is an address but for a
 * port ("203.0.113.9:4711", "[2001:db8::1]:443"), brackets or a zone ("fe80::1%eth0") is that
 * address: proxies and log files write a client so. Of a server two ports are two values.
 */
struct value attribute_canonical_of_any(struct bytes name, const struct value *value);

/* An IPv4 address is canonical already, and most clients of HAProxy have one: so no call. */
static inline struct value attribute_canonical(struct bytes name, const struct value *value)
{
	return value->kind == VALUE_IPV4 ? *value : attribute_canonical_of_any(name, value);
}

/* Of a canonical value. */
static inline bool value_is_address(const struct value *value)
{
	return value->kind == VALUE_IPV4 || value->kind == VALUE_IPV6;
}
/* Clears what stands behind the prefix of an address; other values stay as they are. */
void value_cut_address(struct value *value, unsigned ipv4_prefix, unsigned ipv6_prefix);

/* A whole number of at least `min`, as a number or as text. */
MUST_CHECK bool value_to_whole(const struct value *value, int64_t min, int64_t *ret_number);
/* A whole number above INT64_MAX. */
bool value_is_huge(const struct value *value);

#define VALUE_SHORT_TEXT_MAX 48

/*
 * The text form of a canonical value that is present: a view of its own text, or of what was
 * written into `memory`.
 */
struct bytes value_to_text(const struct value *value, char memory[VALUE_SHORT_TEXT_MAX]);

#endif
