#include "app/replay/replay_against.h"
#include "app/replay/replay_summary.h"
#include "app/view/json_tree.h"
#include "app/view/ranking.h"
#include "base/clock.h"

static void add_lines(struct json_node to, const struct replay_lines *lines)
{
	struct json_node node = json_add_object(to, "lines");

	json_add_unsigned(node, "read", lines->read);
	json_add_unsigned(node, "not_valid", lines->bad);
	json_add_unsigned(node, "without_request", lines->skipped);
	json_add_unsigned(node, "bad_requests", lines->bad_requests);
	json_add_unsigned(node, "cut_off", lines->cut);
	json_add_unsigned(node, "other_captures", lines->other_captures);
	json_add_unsigned(node, "late", lines->late);
}

/* The expressions of --log-format that were not read. */
static void add_unknown(struct json_node to, const struct line_format *format)
{
	struct json_node list = json_add_list(to, "not_read");

	for (size_t i = 0; i < format->unknown_count && i < LINE_UNKNOWN_MAX; i++)
		json_add_bytes(list, NULL, format->unknown[i]);
}

static void add_keys(struct json_node to, const char *name, const struct top_keys *top)
{
	const struct top_key *keys[REPLAY_KEYS_SHOWN];
	size_t count = replay_summary_keys(top, keys);
	struct json_node list = json_add_list(to, name);

	for (size_t i = 0; i < count; i++) {
		struct json_node key = json_add_object(list, NULL);
		json_add_bytes(key, "key", bytes_from(keys[i]->text, keys[i]->len));
		json_add_unsigned(key, "count", keys[i]->count);
		json_add_unsigned(key, "error", keys[i]->error);
	}
}

static void add_totals(struct json_node to, const struct replay_row *row)
{
	const struct replay_step *total = &row->total;

	json_add_unsigned(to, "checked", total->allowed + total->denied + total->shadow_denied);
	json_add_unsigned(to, "denied", total->denied);
	json_add_unsigned(to, "shadow_denied", total->shadow_denied);
	if (row->busiest.count == 0)
		return;
	struct json_node busiest = json_add_object(to, "busiest_second");
	json_add_unsigned(busiest, "at_ms", (uint64_t)(row->busiest.at_s * 1000));
	json_add_unsigned(busiest, "count", row->busiest.count);
}

static void add_denials(struct json_node to, const char *name, const struct replay_denials *denials)
{
	struct json_node node = json_add_object(to, name);

	json_add_unsigned(node, "count", denials->count);
	add_keys(node, "keys", denials->keys);
}

static void add_change(struct json_node to, const struct replay_against *against,
		       const struct replay_change *change)
{
	if (change->second != NULL)
		add_totals(json_add_object(to, "against"),
			   replay_counts_row(&against->counts, change->second));
	add_denials(to, "denied_here_only", &change->by_first);
	add_denials(to, "denied_there_only", &change->by_second);
}

static void add_policies(struct json_node to, const struct replay_counts *counts)
{
	struct ranking ranking = ranking_of(counts->policies);
	struct json_node list = json_add_list(to, "policies");

	for (size_t i = 0; i < ranking.count; i++) {
		const struct policy *policy = ranking.policies[i];
		const struct replay_row *row = replay_counts_row(counts, policy);
		struct json_node node = json_add_object(list, NULL);
		json_add_text(node, "policy", policy->name);
		add_totals(node, row);
		bool is_used =
			row->total.allowed + row->total.denied + row->total.shadow_denied > 0;
		add_keys(node, "seen_most", is_used ? policy->tally->seen : NULL);
		add_keys(node, "denied_most", is_used ? policy->tally->denied : NULL);
		if (counts->against != NULL)
			add_change(node, counts->against,
				   replay_changes_of(&counts->against->changes, policy));
	}
	json_add_unsigned(to, "policies_left_out", ranking.left_out);
}

/* What `against` alone has, and the sums. */
static void add_against(struct json_node to, const struct replay_counts *counts)
{
	const struct replay_against *against = counts->against;
	const struct replay_changes *changes = &against->changes;
	struct json_node node = json_add_object(to, "against");

	json_add_text(node, "file", against->file);
	json_add_unsigned(node, "allowed", counts->requests - changes->second_denied);
	json_add_unsigned(node, "denied", changes->second_denied);
	json_add_unsigned(node, "denied_here_only", changes->denied_by_first);
	json_add_unsigned(node, "denied_there_only", changes->denied_by_second);
	struct json_node list = json_add_list(node, "new_policies");
	for (size_t i = changes->first_count;
	     i < changes->row_count && i < changes->first_count + RANKING_MAX; i++) {
		struct json_node policy = json_add_object(list, NULL);
		json_add_text(policy, "policy", changes->rows[i].second->name);
		add_change(policy, against, &changes->rows[i]);
	}
}

bool replay_summary_put_json(FILE *to, const struct replay_counts *counts,
			     const struct replay_lines *lines)
{
	struct json_tree tree = {0};
	struct json_node root = json_tree_root(&tree);

	json_add_unsigned(root, "requests", counts->requests);
	json_add_unsigned(root, "allowed", counts->requests - counts->denied);
	json_add_unsigned(root, "denied", counts->denied);
	if (counts->requests > 0) {
		json_add_unsigned(root, "first_ms", (uint64_t)(counts->first_us / US_PER_MS));
		json_add_unsigned(root, "last_ms", (uint64_t)(counts->last_us / US_PER_MS));
	}
	add_lines(root, lines);
	if (lines->format != NULL)
		add_unknown(root, lines->format);
	json_add_unsigned(root, "checks_left_out", lines->left_out);
	json_add_unsigned(root, "balances_forgotten", lines->evicted);
	if (counts->against != NULL)
		add_against(root, counts);
	add_policies(root, counts);
	return json_tree_write(&tree, to) && fputc('\n', to) != EOF;
}
