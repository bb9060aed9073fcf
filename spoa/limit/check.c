#include "limit/check.h"

#include <sodium.h>
#include <string.h>

#include "base/writer.h"

static void put_numbers(struct writer *w, const struct quota *quota)
{
	const struct algorithm_traits *traits = algorithm_traits(quota->algorithm);

	writer_put_decimal(w, traits->format);
	writer_put_u8(w, (uint8_t)traits->letter);
	writer_put_decimal(w, quota->limit);
	writer_put_u8(w, ',');
	if (traits->is_by_rate) {
		writer_put_decimal(w, quota->refill_tokens);
		writer_put_u8(w, '/');
		writer_put_decimal(w, quota->refill_us);
	} else {
		writer_put_decimal(w, quota->window_us);
	}
}

/* What may stand in a value as it is. Not `|`, `=`, `#`, `%`, which mean something, nor braces. */
static bool is_plain(uint8_t byte)
{
	if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	    (byte >= '0' && byte <= '9'))
		return true;
	return byte != '\0' && byte < 0x7f && strchr("-._~:/@+,;!$&'()*?", byte) != NULL;
}

static void put_escaped(struct writer *w, struct bytes text)
{
	for (size_t i = 0; i < text.len && !w->full; i++) {
		if (is_plain(text.data[i])) {
			writer_put_u8(w, text.data[i]);
		} else {
			writer_put_u8(w, '%');
			writer_put_hex(w, bytes_from(&text.data[i], 1));
		}
	}
}

static void put_hash(struct writer *w, const struct value *values, size_t count, bool is_explicit)
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	char memory[VALUE_SHORT_TEXT_MAX];
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, (const uint8_t *)(is_explicit ? "=" : "|"), 1);
	for (size_t i = 0; i < count; i++) {
		struct bytes text = value_to_text(&values[i], memory);
		struct writer len = writer_on((uint8_t[4]){0}, 4);
		writer_put_u32_be(&len, (uint32_t)text.len);
		crypto_hash_sha256_update(&state, len.data, len.len);
		crypto_hash_sha256_update(&state, text.data, text.len);
	}
	crypto_hash_sha256_final(&state, hash);
	writer_put_u8(w, '#');
	writer_put_hex(w, bytes_from(hash, sizeof hash));
}

/* Redis takes "{}" for no tag at all, so an empty value is hashed, as one that is too long is. */
static void put_tag(struct writer *w, const struct value *value, bool is_hashed)
{
	char memory[VALUE_SHORT_TEXT_MAX];
	uint8_t escaped[CHECK_TAG_MAX];
	struct writer tag = writer_on(escaped, sizeof escaped);

	if (!is_hashed)
		put_escaped(&tag, value_to_text(value, memory));
	writer_put_u8(w, '{');
	if (tag.full || tag.len == 0)
		put_hash(w, value, 1, false);
	else
		writer_put(w, writer_bytes(&tag));
	writer_put_u8(w, '}');
}

static void put_values(struct writer *w, const struct value *values, size_t count, bool is_explicit,
		       size_t hash_tag)
{
	char memory[VALUE_SHORT_TEXT_MAX];

	/* A given key in place of none or several attributes is not to meet the attributes' own. */
	if (is_explicit)
		writer_put_u8(w, '=');
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			writer_put_u8(w, '|');
		if (i + 1 == hash_tag)
			put_tag(w, &values[i], false);
		else
			put_escaped(w, value_to_text(&values[i], memory));
	}
}

void check_set_key(struct check *check, const struct value *values, size_t count, bool is_explicit)
{
	struct writer w = writer_on(check->key, sizeof check->key);

	writer_put_text(&w, check->policy->name);
	writer_put_u8(&w, ':');
	if (check->quota == &check->own_quota)
		put_numbers(&w, check->quota);
	else
		writer_put_text(&w, check->terms->generation);
	writer_put_u8(&w, ':');

	struct writer text = writer_on(w.data + w.len, CHECK_VALUES_MAX);
	size_t hash_tag = is_explicit ? 0 : check->policy->hash_tag;
	if (!check->policy->hash_keys)
		put_values(&text, values, count, is_explicit, hash_tag);
	if (check->policy->hash_keys || text.full) {
		text = writer_on(w.data + w.len, sizeof check->key - w.len);
		if (hash_tag > 0)
			put_tag(&text, &values[hash_tag - 1], check->policy->hash_keys);
		put_hash(&text, values, count, is_explicit);
	}
	ASSERT(!w.full && !text.full);
	check->values_at = w.len;
	check->key_len = w.len + text.len;
}

/* The numbers of an inline policy, and of which terms a balance is, have no part in it. */
static uint64_t hash_for_share(const struct check *check)
{
	static const uint8_t key[crypto_shorthash_KEYBYTES] = {0};
	/* Not CHECK_VALUES_MAX: two hashes, of a tag and of the values, are longer. */
	uint8_t text[POLICY_NAME_MAX + 1 + CHECK_KEY_MAX], hash[crypto_shorthash_BYTES];
	struct writer w = writer_on(text, sizeof text);
	uint64_t number = 0;

	writer_put_text(&w, check->policy->name);
	writer_put_u8(&w, ':');
	writer_put(&w, check_values(check));
	ASSERT(!w.full);
	crypto_shorthash(hash, w.data, w.len, key);
	for (size_t i = sizeof hash; i-- > 0;) /* little-endian, as SipHash is defined */
		number = number << 8 | hash[i];
	return number;
}

bool check_is_to_be_in_shadow(const struct check *check)
{
	const struct terms *terms = check->terms;

	if (terms->is_shadow || terms->shadow_share == 0)
		return terms->is_shadow;
	return hash_for_share(check) % SHADOW_SHARE_ALL < terms->shadow_share;
}
