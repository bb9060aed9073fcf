/*
 * The lookup key of an exception is a text that a request can make of itself:
 *
 *     of a policy        login:192.0.2.7          the name, and the values as check.h writes them
 *     of inline          inline:...:192.0.2.7     the whole key of the check, with its numbers
 *     without a policy   0, the number of the set, and for each of its names the kind of the value,
 *                        the length of the network and the value, cut to that length
 */
#include "limit/exception_lookup.h"

#include <string.h>

#include "limit/check.h"
#include "limit/request.h"

/* ---- hashes ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
	__extension__ typedef unsigned __int128 product;
	product all = (product)a * b;

	return (uint64_t)all ^ (uint64_t)(all >> 64);
}

/* The last 8 bytes, or all of fewer; some bytes twice, which costs less than a loop. */
static inline uint64_t last_word(struct bytes bytes)
{
	uint64_t word = 0;
	uint32_t half[2] = {0};

	if (bytes.len >= sizeof word) {
		memcpy(&word, bytes.data + bytes.len - sizeof word, sizeof word);
		return word;
	}
	if (bytes.len >= sizeof half[0]) {
		memcpy(&half[0], bytes.data, sizeof half[0]);
		memcpy(&half[1], bytes.data + bytes.len - sizeof half[1], sizeof half[1]);
		return (uint64_t)half[1] << 32 | half[0];
	}
	for (size_t i = 0; i < bytes.len; i++)
		word = word << 8 | bytes.data[i];
	return word;
}

/*
 * Operators alone put exceptions into the table, so no client can fill a bucket by what it asks
 * for. Therefore the hash is a cheap one: a cryptographic hash would cost each check more.
 */
static inline uint64_t hash_bytes(const struct exception_secret *secret, uint64_t hash,
				  struct bytes bytes)
{
	uint64_t word = 0;

	hash ^= bytes.len;
	for (size_t at = 0; bytes.len - at > sizeof word; at += sizeof word) {
		memcpy(&word, bytes.data + at, sizeof word);
		hash = mix(hash ^ word, secret->factor);
	}
	return mix(hash ^ last_word(bytes), secret->factor);
}

/* ---- texts ---- */

/* No name of a policy begins with a 0. */
void exception_lookup_put_set(struct writer *w, size_t at)
{
	writer_put_u8(w, 0);
	writer_put_u8(w, (uint8_t)at);
}

/* `value` is cut already. */
void exception_lookup_put_part(struct writer *w, struct exception_part part,
			       const struct value *value)
{
	char memory[VALUE_SHORT_TEXT_MAX];

	writer_put_u8(w, part.kind);
	writer_put_u8(w, part.prefix);
	if (part.kind == EXCEPTION_PART_IPV4) {
		writer_put(w, bytes_from(value->ipv4, sizeof value->ipv4));
	} else if (part.kind == EXCEPTION_PART_IPV6) {
		writer_put(w, bytes_from(value->ipv6, sizeof value->ipv6));
	} else {
		struct bytes text = value_to_text(value, memory);
		writer_put_u32_be(w, (uint32_t)text.len);
		writer_put(w, text);
	}
}

uint64_t exception_hash_begin(const struct exception_secret *secret, size_t at)
{
	return secret->start + at;
}

/* Not inline: an address needs no memory for its text. */
static __attribute__((noinline)) uint64_t hash_text(const struct exception_secret *secret,
						    uint64_t hash, const struct value *value)
{
	char memory[VALUE_SHORT_TEXT_MAX];

	return hash_bytes(secret, hash, value_to_text(value, memory));
}

/* Each kind has a call of its own, so that the compiler knows the length of an address. */
uint64_t exception_hash_part(const struct exception_secret *secret, uint64_t hash,
			     struct exception_part part, const struct value *value)
{
	hash ^= (uint64_t)part.kind << 40 ^ (uint64_t)part.prefix << 32;
	if (part.kind == EXCEPTION_PART_IPV4)
		return hash_bytes(secret, hash, bytes_from(value->ipv4, sizeof value->ipv4));
	if (part.kind == EXCEPTION_PART_IPV6)
		return hash_bytes(secret, hash, bytes_from(value->ipv6, sizeof value->ipv6));
	return hash_text(secret, hash, value);
}

static uint64_t hash_of_policy(const struct exception_secret *secret, struct bytes name,
			       struct bytes rest)
{
	return hash_bytes(secret, hash_bytes(secret, secret->start, name), rest);
}

/* Of the lookup key that put_check writes: the name is what stands before the first colon. */
uint64_t exception_hash_of_check(const struct exception_secret *secret, const struct check *check)
{
	size_t name_len = check->values_at - POLICY_GENERATION_MAX - 2; /* NAME:GENERATION: */

	if (check->quota != &check->own_quota)
		return hash_of_policy(secret, bytes_from(check->key, name_len),
				      check_values(check));
	return hash_of_policy(secret, BYTES("inline"),
			      bytes_skip(check_key(check), strlen("inline:")));
}

void exception_lookup_put_check(struct writer *w, const struct check *check)
{
	/* Of an inline policy the key has the numbers. */
	if (check->quota == &check->own_quota) {
		writer_put(w, check_key(check));
		return;
	}
	writer_put_text(w, check->policy->name);
	writer_put_u8(w, ':');
	writer_put(w, check_values(check));
}

static bool is_as_it_was(const struct exception *exception, const struct policy *policy)
{
	if (policy->terms.quota.algorithm != exception->algorithm ||
	    policy->key_count != exception->key_count)
		return false;
	for (size_t i = 0; i < policy->key_count; i++)
		if (!bytes_equal(policy->key[i], exception->key[i]))
			return false;
	return true;
}

/* As a request would have them. False when `key`, or an attribute of it, is missing. */
static bool set_values(struct check *check, const struct exception *exception, bool is_inline)
{
	struct attribute items[EXCEPTION_NAMES_MAX];
	struct attributes attributes = {items, exception->count};
	struct value values[POLICY_KEY_MAX];
	struct reserved reserved = {0};
	bool is_explicit;
	size_t count;
	const char *why;

	for (size_t i = 0; i < exception->count; i++)
		items[i] = (struct attribute){exception->names[i].name,
					      value_text(exception->names[i].text)};
	if (is_inline && (!reserved_read(&attributes, &reserved, &why) || !reserved.has_algorithm))
		return false;
	if (!is_inline)
		reserved.key = attributes_find(&attributes, BYTES("key"));
	if (!request_key_values(check->policy, &reserved, &attributes, is_inline, values, &count,
				&is_explicit))
		return false;
	check->own_quota = reserved.quota;
	check->quota = is_inline ? &check->own_quota : &check->terms->quota;
	check_set_key(check, values, count, is_explicit);
	return true;
}

bool exception_lookup_put_policy(struct writer *w, const struct exception *exception,
				 const struct policies *policies)
{
	bool is_inline = bytes_equal(exception->policy, BYTES("inline"));
	struct check check;

	check.policy =
		is_inline ? policies_inline(policies) : policies_find(policies, exception->policy);
	if (check.policy == NULL || (!is_inline && !is_as_it_was(exception, check.policy)) ||
	    (exception->is_hashed && !check.policy->hash_keys))
		return false;
	check.terms = &check.policy->terms;
	if (!set_values(&check, exception, is_inline))
		return false;
	/* The values of a hashed one are hashes, and no request has these for its values. */
	if (exception->is_hashed && is_inline)
		writer_put(w, bytes_from(check.key, check.values_at));
	if (exception->is_hashed && !is_inline) {
		writer_put(w, exception->policy);
		writer_put_u8(w, ':');
	}
	if (exception->is_hashed)
		writer_put(w, exception->hash);
	else
		exception_lookup_put_check(w, &check);
	return !w->full;
}

uint64_t exception_hash_of_lookup(const struct exception_secret *secret, struct bytes lookup)
{
	struct bytes name;

	(void)bytes_next_item(&lookup, ':', &name);
	return hash_of_policy(secret, name, lookup);
}
