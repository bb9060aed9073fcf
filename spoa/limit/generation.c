#include "limit/generation.h"

#include <sodium.h>
#include <stdio.h>

#include "base/writer.h"
#include "limit/balance.h"

static void hash_count(crypto_hash_sha256_state *state, size_t count)
{
	uint8_t memory[4];
	struct writer w = writer_on(memory, sizeof memory);

	writer_put_u32_be(&w, (uint32_t)count);
	crypto_hash_sha256_update(state, w.data, w.len);
}

/* The length is in front: ["ab"] and ["a","b"] differ. */
static void hash_text(crypto_hash_sha256_state *state, struct bytes text)
{
	hash_count(state, text.len);
	crypto_hash_sha256_update(state, text.data, text.len);
}

/*
 * An attribute that the policy counts by. The mark behind `src` says that its port and zone are cut
 * off: agents that did not do so counted by other keys.
 */
static void hash_attribute(crypto_hash_sha256_state *state, struct bytes name)
{
	hash_text(state, name);
	if (bytes_equal(name, BYTES("src")))
		hash_text(state, BYTES(":"));
}

/* Of a file its name counts and not its lines. No text has a NUL: a file is never taken for one. */
static void hash_pattern(crypto_hash_sha256_state *state, const struct pattern *pattern)
{
	static const uint8_t mark = 0;

	if (!pattern->is_file) {
		hash_text(state, pattern->text);
		return;
	}
	hash_count(state, pattern->text.len + 1);
	crypto_hash_sha256_update(state, &mark, 1);
	crypto_hash_sha256_update(state, pattern->text.data, pattern->text.len);
}

/* Counts too: a pattern is any text, and could else be taken for an attribute. */
static void hash_conditions(crypto_hash_sha256_state *state, const struct conditions *conditions)
{
	hash_count(state, conditions->count);
	for (size_t i = 0; i < conditions->count; i++) {
		const struct condition *condition = &conditions->items[i];
		hash_text(state, condition->attribute);
		hash_count(state, condition->count);
		for (size_t j = 0; j < condition->count; j++)
			hash_pattern(state, &condition->patterns[j]);
	}
}

/*
 * All agents must come to the same text: nothing of this machine or this run goes into it. `match`
 * is that of an override which has balances of its own, or NULL.
 */
static void set_generation(struct terms *terms, const struct policy *policy,
			   const struct conditions *match)
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state state;
	char numbers[96];

	int len =
		snprintf(numbers, sizeof numbers, "%d %s %lld %u %u",
			 algorithm_traits(terms->quota.algorithm)->format,
			 algorithm_name(terms->quota.algorithm), (long long)terms->quota.window_us,
			 policy->ipv4_prefix, policy->ipv6_prefix);
	crypto_hash_sha256_init(&state);
	if (match != NULL) { /* in front, where else the numbers stand: never taken for a key */
		hash_text(&state, BYTES("override"));
		hash_conditions(&state, match);
	}
	if (policy->hash_tag > 0) { /* in front too, for the same reason */
		hash_text(&state, BYTES("hash_tag"));
		hash_count(&state, (uint32_t)policy->hash_tag);
	}
	hash_text(&state, bytes_from(numbers, (size_t)len));
	for (size_t i = 0; i < policy->key_count; i++)
		hash_attribute(&state, policy->key[i]);
	crypto_hash_sha256_final(&state, hash);

	struct writer w = writer_on(terms->generation, sizeof terms->generation);
	writer_put_hex(&w, bytes_from(hash, POLICY_GENERATION_MAX / 2));
	(void)writer_text(&w);

	struct writer start = writer_on(terms->key_start, sizeof terms->key_start);
	writer_put_text(&start, policy->name);
	writer_put_u8(&start, ':');
	writer_put_text(&start, terms->generation);
	writer_put_u8(&start, ':');
	terms->key_start_len = (uint8_t)start.len;
	terms->key_start_hash = key_hash_of_start(writer_bytes(&start));
}

/* The list `block` has no numbers to tell of. */
static void set_header(struct terms *terms)
{
	const struct quota *quota = &terms->quota;
	bool is_by_rate = algorithm_traits(quota->algorithm)->is_by_rate;

	terms->header_len = 0;
	if (quota->limit > 0 && (is_by_rate ? quota->refill_tokens : quota->window_us) > 0)
		terms->header_len =
			(uint8_t)(quota_header_at(terms->header, quota) - terms->header);
}

static void hash_start(struct terms *terms)
{
	terms->key_start_hash =
		key_hash_of_start(bytes_from(terms->key_start, terms->key_start_len));
}

void generations_hash_starts(struct policy *policy)
{
	hash_start(&policy->terms);
	for (size_t i = 0; i < policy->override_count; i++)
		hash_start(&policy->overrides[i].terms);
}

void generations_set(struct policy *policy)
{
	set_generation(&policy->terms, policy, NULL);
	set_header(&policy->terms);
	for (size_t i = 0; i < policy->override_count; i++) {
		struct override *override = &policy->overrides[i];
		set_generation(&override->terms, policy,
			       override->has_own_balances ? &override->match : NULL);
		set_header(&override->terms);
	}
}
