#include "limit/key_hash.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

static uint8_t secrets[2][crypto_shorthash_siphashx24_KEYBYTES];
static bool are_drawn;

_Static_assert(sizeof secrets == KEY_HASH_SECRETS_BYTES, "all of both");

/* The first policies are read before there is a second thread, and their starts are hashed. */
static void draw_secrets(void)
{
	randombytes_buf(secrets, sizeof secrets);
	are_drawn = true;
}

void key_hash_get_secrets(uint8_t ret_secrets[KEY_HASH_SECRETS_BYTES])
{
	if (!are_drawn)
		draw_secrets();
	memcpy(ret_secrets, secrets, sizeof secrets);
}

void key_hash_set_secrets(const uint8_t taken[KEY_HASH_SECRETS_BYTES])
{
	memcpy(secrets, taken, sizeof secrets);
	are_drawn = true;
}

static struct key_hash hash_by(unsigned secret, struct bytes text)
{
	struct key_hash hash;

	_Static_assert(sizeof hash == crypto_shorthash_siphashx24_BYTES, "all of the hash");
	if (!are_drawn)
		draw_secrets();
	crypto_shorthash_siphashx24((unsigned char *)&hash, text.data, text.len, secrets[secret]);
	return hash;
}

struct key_hash key_hash_of_start(struct bytes start)
{
	return hash_by(0, start);
}

struct key_hash key_hash_of_values(struct bytes values)
{
	return hash_by(1, values);
}

struct key_hash key_hash_of_key(struct bytes key)
{
	struct bytes values = key, part;

	for (int i = 0; i < 2; i++)
		(void)bytes_next_item(&values, ':', &part);
	return key_hash_join(key_hash_of_start(bytes_from(key.data, key.len - values.len)),
			     key_hash_of_values(values));
}
