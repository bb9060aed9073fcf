#include "limit/key_hash.h"

#include <sodium.h>
#include <stdbool.h>

static uint8_t secrets[2][crypto_shorthash_siphashx24_KEYBYTES];
static bool are_drawn;

static struct key_hash hash_by(unsigned secret, struct bytes text)
{
	struct key_hash hash;

	_Static_assert(sizeof hash == crypto_shorthash_siphashx24_BYTES, "all of the hash");
	/* The first policies are read before there is a second thread, and their starts are hashed.
	 */
	if (!are_drawn) {
		randombytes_buf(secrets, sizeof secrets);
		are_drawn = true;
	}
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
