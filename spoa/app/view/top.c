#include "app/view/top.h"

#include <string.h>

#define SUMMARY_MAX 10

/* `policy` is NULL in a list of one policy. */
static void add_key(struct json_node list, const struct policy *policy, const struct top_key *key)
{
	struct json_node in = json_add_object(list, NULL);

	if (policy != NULL)
		json_add_text(in, "policy", policy->name);
	json_add_bytes(in, "key", bytes_from(key->text, key->len));
	json_add_unsigned(in, "count", key->count);
	json_add_unsigned(in, "error", key->error);
	json_add_int(in, "remaining", key->remaining);
}

/* ---- by policy ---- */

static void add_keys(struct json_node policy, const char *name, const struct top_keys *top)
{
	const struct top_key *keys[TOP_KEYS_MAX];

	if (top == NULL)
		return;
	struct json_node in = json_add_object(policy, name);
	json_add_unsigned(in, "total", top->total);
	json_add_unsigned(in, "error_max", top->total / TOP_KEYS_MAX);
	struct json_node list = json_add_list(in, "keys");
	size_t count = top_keys_sorted(top, keys);
	for (size_t i = 0; i < count; i++)
		add_key(list, NULL, keys[i]);
}

static void add_policy_keys(struct json_node list, const struct policy *policy)
{
	struct json_node in = json_add_object(list, NULL);

	json_add_text(in, "policy", policy->name);
	add_keys(in, "seen", policy->tally->seen);
	add_keys(in, "denied", policy->tally->denied);
	add_keys(in, "shadow_denied", policy->tally->shadow_denied);
}

bool top_put(FILE *to, const struct agent_stats *stats)
{
	struct ranking ranking = ranking_of(stats->policies);
	struct json_tree tree;
	struct json_node page = json_tree_root(&tree);

	json_add_unsigned(page, "keys_max", TOP_KEYS_MAX);
	json_add_text(page, "bound",
		      "count - error <= the true count <= count; error <= error_max = total / "
		      "keys_max; a key with more than error_max is listed for certain");
	json_add_bool(page, "hashed", stats->options->hash_keys);
	json_add_unsigned(page, "policies_left_out", ranking.left_out);
	struct json_node list = json_add_list(page, "policies");
	for (size_t i = 0; i < ranking.count; i++)
		add_policy_keys(list, ranking.policies[i]);
	return json_tree_write(&tree, to);
}

bool top_write(const void *view, FILE *to)
{
	struct agent_stats stats = agent_stats_of(view);

	return top_put(to, &stats);
}

/* ---- all together ---- */

struct summary {
	const struct policy *policies[SUMMARY_MAX];
	const struct top_key *keys[SUMMARY_MAX];
	size_t count;
};

/* False when the key is not among the first. Then no key that comes less often is either. */
static bool insert_key(struct summary *summary, const struct policy *policy,
		       const struct top_key *key)
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

static void insert_keys(struct summary *summary, const struct policy *policy,
			const struct top_keys *top)
{
	const struct top_key *keys[TOP_KEYS_MAX];
	size_t count = top == NULL ? 0 : top_keys_sorted(top, keys);

	for (size_t i = 0; i < count && insert_key(summary, policy, keys[i]); i++)
		continue;
}

static void add_summary(struct json_node in, const char *name, const struct summary *summary)
{
	struct json_node list = json_add_list(in, name);

	for (size_t i = 0; i < summary->count; i++)
		add_key(list, summary->policies[i], summary->keys[i]);
}

void top_add_summary(struct json_node page, const char *name, const struct ranking *ranking)
{
	struct summary seen = {.count = 0}, denied = {.count = 0};

	for (size_t i = 0; i < ranking->count; i++) {
		const struct policy *policy = ranking->policies[i];
		insert_keys(&seen, policy, policy->tally->seen);
		insert_keys(&denied, policy, policy->tally->denied);
	}
	struct json_node in = json_add_object(page, name);
	add_summary(in, "seen", &seen);
	add_summary(in, "denied", &denied);
}
