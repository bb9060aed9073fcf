/*
 * key_hash.h - the hash by which the key of a balance is known in this process: by the memory
 * store, by the denials that are remembered, and by the lists of the keys that come most.
 *
 * A key is a start, `<policy>:<generation>:`, and values. Both are hashed apart, since the start is
 * the same for all keys of a policy and the lists tell values apart, and the two hashes are put
 * together. Equal keys have equal hashes. That two different keys have one is as unlikely as with
 * any hash of 128 bits: each hash is SipHash, by a secret of its own that is drawn at the start, so
 * nobody can choose keys that meet. With one secret for both, values could be chosen that look like
 * a start.
 *
 * A process that takes over the balances of another one has only the hashes of their keys, and so
 * takes over the secrets too.
 */
#ifndef LIMIT_KEY_HASH_H
#define LIMIT_KEY_HASH_H

#include <stdint.h>

#include "base/bytes.h"

#define KEY_HASH_SECRETS_BYTES 32 /* both */

struct key_hash {
	uint64_t low, high;
};

void key_hash_get_secrets(uint8_t ret_secrets[KEY_HASH_SECRETS_BYTES]);
/*
 * Every hash that was made before is void: those of the policies' starts are to be made again
 * (policies_hash_starts). To be called before there is a second thread.
 */
void key_hash_set_secrets(const uint8_t secrets[KEY_HASH_SECRETS_BYTES]);

struct key_hash key_hash_of_start(struct bytes start);
struct key_hash key_hash_of_values(struct bytes values);
/* Of a whole key, for whoever has no check of it: its start ends with the second colon. */
struct key_hash key_hash_of_key(struct bytes key);

static inline struct key_hash key_hash_join(struct key_hash start, struct key_hash values)
{
	return (struct key_hash){start.low ^ values.low, start.high ^ values.high};
}

#endif
