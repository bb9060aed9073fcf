#include "app/replay/replay_changes.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

void replay_decisions_set(struct replay_decisions *decisions, const struct verdict *verdict)
{
	const struct request *request = verdict->request;

	decisions->allowed = verdict->allowed;
	decisions->count = request->count;
	for (size_t i = 0; i < request->count; i++) {
		struct replay_decision *decision = &decisions->items[i];
		const struct check *check = request->checks[i];
		struct bytes values = check_values(check);
		decision->policy = check->policy;
		decision->is_denied = check_denies(check);
		decision->key_len =
			values.len < sizeof decision->key ? values.len : sizeof decision->key;
		memcpy(decision->key, values.data, decision->key_len);
	}
}

/* ---- rows ---- */

static void pair_policies(struct replay_changes *changes)
{
	size_t first_count = policies_count(changes->first), count;

	for (size_t i = 0; i < first_count; i++)
		changes->rows[i].first = policies_at(changes->first, i);
	for (size_t i = first_count; i < policies_row_count(changes->first); i++) {
		size_t in_second = policies_count(changes->second) + (i - first_count);
		changes->rows[i].first = policies_at_row(changes->first, i);
		changes->rows[i].second = policies_at_row(changes->second, in_second);
	}
	count = changes->first_count = policies_row_count(changes->first);
	for (size_t i = 0; i < policies_count(changes->second); i++) {
		const struct policy *second = policies_at(changes->second, i);
		const struct policy *first =
			policies_find(changes->first, bytes_from_text(second->name));
		size_t row = first != NULL ? first->position : count++;
		changes->rows[row].second = second;
		changes->rows_of_second[i] = row;
	}
	changes->row_count = count;
}

bool replay_changes_init(struct replay_changes *changes, const struct policies *first,
			 const struct policies *second)
{
	size_t seconds = policies_count(second);

	*changes = (struct replay_changes){.first = first, .second = second};
	changes->rows = calloc(policies_row_count(first) + seconds, sizeof *changes->rows);
	changes->rows_of_second = calloc(seconds + 1, sizeof *changes->rows_of_second);
	if (changes->rows == NULL || changes->rows_of_second == NULL)
		return false;
	pair_policies(changes);
	return true;
}

void replay_changes_release(struct replay_changes *changes)
{
	for (size_t i = 0; i < changes->row_count; i++) {
		free(changes->rows[i].by_first.keys);
		free(changes->rows[i].by_second.keys);
	}
	free(changes->rows);
	free(changes->rows_of_second);
	*changes = (struct replay_changes){.rows = NULL};
}

/* ---- counting ---- */

static size_t row_of(const struct replay_changes *changes, const struct policy *policy,
		     bool is_of_second)
{
	if (!is_of_second)
		return policies_row_of(changes->first, policy);
	size_t row = policies_row_of(changes->second, policy),
	       count = policies_count(changes->second);
	return row < count ? changes->rows_of_second[row]
			   : policies_count(changes->first) + (row - count);
}

const struct replay_change *replay_changes_of(const struct replay_changes *changes,
					      const struct policy *policy)
{
	return &changes->rows[row_of(changes, policy, false)];
}

/* The same key always has the same hash, so that the same input gives the same summary. */
static uint64_t hash_of(const struct replay_decision *decision)
{
	static const uint8_t secret[crypto_shorthash_KEYBYTES];
	uint64_t hash;

	crypto_shorthash((unsigned char *)&hash, (const unsigned char *)decision->key,
			 decision->key_len, secret);
	return hash;
}

static bool add_denial(struct replay_denials *denials, const struct replay_decision *decision)
{
	denials->count++;
	if (denials->keys == NULL)
		denials->keys = calloc(1, sizeof *denials->keys);
	if (denials->keys == NULL)
		return false;
	top_keys_add(denials->keys, bytes_from(decision->key, decision->key_len), hash_of(decision),
		     0);
	return true;
}

/* Whether one of the decisions is a denial by the policy of the row. A request has 16 at most. */
static bool denies(const struct replay_changes *changes, const struct replay_decisions *decisions,
		   size_t row, bool is_second)
{
	for (size_t i = 0; i < decisions->count; i++)
		if (decisions->items[i].is_denied &&
		    row_of(changes, decisions->items[i].policy, is_second) == row)
			return true;
	return false;
}

/* The denials among `from` for which the other file has none. */
static bool add_denials(struct replay_changes *changes, const struct replay_decisions *from,
			const struct replay_decisions *other, bool is_second)
{
	bool is_good = true;

	for (size_t i = 0; i < from->count; i++) {
		const struct replay_decision *decision = &from->items[i];
		size_t row = row_of(changes, decision->policy, is_second);
		struct replay_change *change = &changes->rows[row];
		if (!decision->is_denied || denies(changes, other, row, !is_second))
			continue;
		is_good &= add_denial(is_second ? &change->by_second : &change->by_first, decision);
	}
	return is_good;
}

bool replay_changes_add(struct replay_changes *changes, const struct replay_decisions *first,
			const struct replay_decisions *second)
{
	changes->second_denied += !second->allowed;
	changes->denied_by_first += second->allowed && !first->allowed;
	changes->denied_by_second += first->allowed && !second->allowed;
	bool is_good = add_denials(changes, first, second, false);
	return add_denials(changes, second, first, true) && is_good;
}
