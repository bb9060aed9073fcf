#include "limit/check.h"

#include <sodium.h>
#include <string.h>

#include "base/writer.h"

/* What generations_set makes once of other policies. */
static void put_inline_start(struct writer *w, const struct check *check)
{
	const struct quota *quota = check->quota;
	const struct algorithm_traits *traits = algorithm_traits(quota->algorithm);

	writer_put_text(w, check->policy->name);
	writer_put_u8(w, ':');
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
	writer_put_u8(w, ':');
}

/* What may stand in a value as it is. Not `|`, `=`, `#`, `%`, which mean something, nor braces. */
static bool is_plain(uint8_t byte)
{
	static const bool plain[UINT8_MAX + 1] = {
		['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['-'] = true,
		['.'] = true,         ['_'] = true,         ['~'] = true,         [':'] = true,
		['/'] = true,         ['@'] = true,         ['+'] = true,         [','] = true,
		[';'] = true,         ['!'] = true,         ['$'] = true,         ['&'] = true,
		['\''] = true,        ['('] = true,         [')'] = true,         ['*'] = true,
		['?'] = true,
	};

	return plain[byte];
}

/* Nearly all text is plain, and is copied in one piece. */
static void put_escaped(struct writer *w, struct bytes text)
{
	while (text.len > 0 && !w->full) {
		size_t len = 0;
		while (len < text.len && is_plain(text.data[len]))
			len++;
		writer_put(w, bytes_from(text.data, len));
		text = bytes_skip(text, len);
		if (text.len == 0)
			return;
		writer_put_u8(w, '%');
		writer_put_hex(w, bytes_from(text.data, 1));
		text = bytes_skip(text, 1);
	}
}

/* Addresses, numbers and booleans have no byte that has to be escaped. */
static void put_value(struct writer *w, const struct value *value)
{
	char memory[VALUE_SHORT_TEXT_MAX];
	struct bytes text = value_to_text(value, memory);

	if (value->kind == VALUE_TEXT)
		put_escaped(w, text);
	else
		writer_put(w, text);
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
	uint8_t escaped[CHECK_TAG_MAX];
	struct writer tag = writer_on(escaped, sizeof escaped);

	if (!is_hashed)
		put_value(&tag, value);
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
	/* A given key in place of none or several attributes is not to meet the attributes' own. */
	if (is_explicit)
		writer_put_u8(w, '=');
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			writer_put_u8(w, '|');
		if (i + 1 == hash_tag)
			put_tag(w, &values[i], false);
		else
			put_value(w, &values[i]);
	}
}

void check_set_key(struct check *check, const struct value *values, size_t count, bool is_explicit)
{
	struct writer w = writer_on(check->key, sizeof check->key);

	if (check->quota == &check->own_quota) {
		put_inline_start(&w, check);
	} else {
		COPY_CONSTANT(check->key, check->terms->key_start, sizeof check->terms->key_start);
		w.len = check->terms->key_start_len;
	}

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
	check_set_hash(check);
}

void check_set_hash(struct check *check)
{
	struct key_hash start;

	if (check->quota == &check->own_quota)
		start = key_hash_of_start(bytes_from(check->key, check->values_at));
	else
		start = check->terms->key_start_hash;
	check->values_hash = key_hash_of_values(check_values(check));
	check->hash = key_hash_join(start, check->values_hash);
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
