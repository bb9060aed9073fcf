#include "app/view/top.h"

#include <string.h>

#define SUMMARY_MAX 10

static void put_key(struct json *json, const struct policy *policy, const struct top_key *key)
{
	json_begin(json, NULL, '{');
	if (policy != NULL)
		json_put_text(json, "policy", policy->name);
	json_put_bytes(json, "key", bytes_from(key->text, key->len));
	json_put_unsigned(json, "count", key->count);
	json_put_unsigned(json, "error", key->error);
	json_put_int(json, "remaining", key->remaining);
	json_end(json, '}');
}

/* ---- by policy ---- */

static void put_keys(struct json *json, const char *name, const struct top_keys *top)
{
	const struct top_key *keys[TOP_KEYS_MAX];

	if (top == NULL)
		return;
	json_begin(json, name, '{');
	json_put_unsigned(json, "total", top->total);
	json_put_unsigned(json, "error_max", top->total / TOP_KEYS_MAX);
	json_begin(json, "keys", '[');
	size_t count = top_keys_sorted(top, keys);
	for (size_t i = 0; i < count; i++)
		put_key(json, NULL, keys[i]);
	json_end(json, ']');
	json_end(json, '}');
}

static void put_policy(struct json *json, const struct policy *policy)
{
	json_begin(json, NULL, '{');
	json_put_text(json, "policy", policy->name);
	put_keys(json, "seen", policy->tally->seen);
	put_keys(json, "denied", policy->tally->denied);
	json_end(json, '}');
}

void top_put(FILE *to, const struct agent_stats *stats)
{
	struct ranking ranking = ranking_of(stats->policies);
	struct json json = json_on(to);

	json_begin(&json, NULL, '{');
	json_put_unsigned(&json, "keys_max", TOP_KEYS_MAX);
	json_put_text(&json, "bound",
		      "count - error <= the true count <= count; error <= error_max = total / "
		      "keys_max; a key with more than error_max is listed for certain");
	json_put_bool(&json, "hashed", stats->options->hash_keys);
	json_put_unsigned(&json, "policies_left_out", ranking.left_out);
	json_begin(&json, "policies", '[');
	for (size_t i = 0; i < ranking.count; i++)
		put_policy(&json, ranking.policies[i]);
	json_end(&json, ']');
	json_end(&json, '}');
}

void top_write(const void *view, FILE *to)
{
	struct agent_stats stats = agent_stats_of(view);

	top_put(to, &stats);
}

/* ---- all together ---- */

struct summary {
	const struct policy *policies[SUMMARY_MAX];
	const struct top_key *keys[SUMMARY_MAX];
	size_t count;
};

/* False when it is not one of the first, so that none after it in order is either. */
static bool insert(struct summary *summary, const struct policy *policy, const struct top_key *key)
{
	size_t at = summary->count;

	while (at > 0 && top_key_certain(summary->keys[at - 1]) < top_key_certain(key))
		at--;
	if (at == SUMMARY_MAX)
		return false;
	if (summary->count < SUMMARY_MAX)
		summary->count++;
	size_t moved = summary->count - at - 1;
	memmove(summary->keys + at + 1, summary->keys + at, moved * sizeof(struct top_key *));
	memmove(summary->policies + at + 1, summary->policies + at,
		moved * sizeof(struct policy *));
	summary->keys[at] = key;
	summary->policies[at] = policy;
	return true;
}

static void insert_all(struct summary *summary, const struct policy *policy,
		       const struct top_keys *top)
{
	const struct top_key *keys[TOP_KEYS_MAX];
	size_t count = top == NULL ? 0 : top_keys_sorted(top, keys);

	for (size_t i = 0; i < count && insert(summary, policy, keys[i]); i++)
		continue;
}

static void put_summary(struct json *json, const char *name, const struct summary *summary)
{
	json_begin(json, name, '[');
	for (size_t i = 0; i < summary->count; i++)
		put_key(json, summary->policies[i], summary->keys[i]);
	json_end(json, ']');
}

void top_put_summary(struct json *json, const char *name, const struct ranking *ranking)
{
	struct summary seen = {.count = 0}, denied = {.count = 0};

	for (size_t i = 0; i < ranking->count; i++) {
		const struct policy *policy = ranking->policies[i];
		insert_all(&seen, policy, policy->tally->seen);
		insert_all(&denied, policy, policy->tally->denied);
	}
	json_begin(json, name, '{');
	put_summary(json, "seen", &seen);
	put_summary(json, "denied", &denied);
	json_end(json, '}');
}
