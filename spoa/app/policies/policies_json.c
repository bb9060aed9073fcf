#include "app/policies/policies_json.h"

#include <stdlib.h>
#include <string.h>

#include "app/policies/policy_text.h"
#include "app/view/json_tree.h"
#include "base/writer.h"

#define NOTATION_MAX 64

static void add_window(struct json_node in, const struct quota *quota)
{
	char memory[NOTATION_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	policy_text_put_duration(&w, quota->window_us);
	json_add_int(in, "limit", quota->limit);
	json_add_text(in, "window", writer_text(&w));
}

static void add_bucket(struct json_node in, const struct quota *quota, int64_t lease_us)
{
	char memory[NOTATION_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	policy_text_put_refill_rate(&w, quota);
	json_add_int(in, "capacity", quota->limit + quota_lease_units(quota, lease_us));
	json_add_text(in, "refill_rate", writer_text(&w));
}

/* As it is written in the file: the text "@x" is "@@x" there. */
static void add_pattern(struct json_node in, const struct pattern *pattern)
{
	struct bytes text = pattern->text;
	bool is_escaped = !pattern->is_file && bytes_begin_with(text, BYTES("@"));
	char *escaped = is_escaped ? malloc(text.len + 1) : NULL;

	if (escaped != NULL) {
		escaped[0] = '@';
		memcpy(escaped + 1, text.data, text.len);
		text = bytes_from(escaped, text.len + 1);
	}
	in.tree->has_failed = in.tree->has_failed || (is_escaped && escaped == NULL);
	json_add_utf8(in, NULL, text);
	free(escaped);
}

static void add_conditions(struct json_node in, const struct conditions *match)
{
	for (size_t i = 0; i < match->count; i++) {
		const struct condition *condition = &match->items[i];
		struct json_node patterns = json_add_list_utf8(in, condition->attribute);
		for (size_t j = 0; j < condition->count; j++)
			add_pattern(patterns, &condition->patterns[j]);
	}
}

static void add_match(struct json_node policy, const struct conditions *match)
{
	add_conditions(json_add_object(policy, "match"), match);
}

static void add_list(struct json_node root, const char *name, const struct match_list *list)
{
	if (list->count == 0)
		return;
	struct json_node in = json_add_list(root, name);
	for (size_t i = 0; i < list->count; i++)
		add_conditions(json_add_object(in, NULL), &list->matches[i]);
}

static void add_shadow(struct json_node in, const struct terms *terms)
{
	char memory[NOTATION_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	if (terms->is_shadow || terms->shadow_share == 0) {
		json_add_bool(in, "shadow", terms->is_shadow);
		return;
	}
	policy_text_put_share(&w, terms->shadow_share);
	json_add_text(in, "shadow", writer_text(&w));
}

/* All that an override may replace. Without a cost in the file the request says its own. */
static void add_terms(struct json_node in, const struct terms *terms)
{
	if (algorithm_traits(terms->quota.algorithm)->is_by_rate)
		add_bucket(in, &terms->quota, terms->lease_us);
	else
		add_window(in, &terms->quota);
	if (terms->cost > 0)
		json_add_int(in, "cost", terms->cost);
	else if (terms->cost_attribute.data != NULL)
		json_add_utf8(in, "cost", terms->cost_attribute);
	add_shadow(in, terms);
	json_add_text(in, "on_error", on_error_names[terms->on_error]);
	json_add_text(in, "generation", terms->generation);
}

/* With all the terms that hold under the override; none hold when it is unlimited or blocked. */
static void add_override(struct json_node list, const struct override *override)
{
	struct json_node in = json_add_object(list, NULL);

	add_match(in, &override->match);
	if (override->terms.is_unlimited)
		json_add_bool(in, "unlimited", true);
	else if (override->terms.is_blocked)
		json_add_bool(in, "blocked", true);
	else
		add_terms(in, &override->terms);
}

static void add_lease(struct json_node in, int64_t lease_us)
{
	char memory[NOTATION_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	if (lease_us == 0)
		return;
	policy_text_put_duration(&w, lease_us);
	json_add_text(in, "lease", writer_text(&w));
}

static void add_policy_object(struct json_node list, const struct policy *policy)
{
	struct json_node in = json_add_object(list, NULL);

	json_add_text(in, "name", policy->name);
	json_add_text(in, "algorithm", algorithm_name(policy->terms.quota.algorithm));
	add_terms(in, &policy->terms);
	add_lease(in, policy->terms.lease_us);
	struct json_node key = json_add_list(in, "key");
	for (size_t i = 0; i < policy->key_count; i++)
		json_add_utf8(key, NULL, policy->key[i]);
	add_match(in, &policy->match);
	struct json_node overrides = json_add_list(in, "overrides");
	for (size_t i = 0; i < policy->override_count; i++)
		add_override(overrides, &policy->overrides[i]);
	json_add_unsigned(in, "ipv4_prefix", policy->ipv4_prefix);
	json_add_unsigned(in, "ipv6_prefix", policy->ipv6_prefix);
}

bool policies_json_put(const struct policies *policies, FILE *to)
{
	struct json_tree tree;
	struct json_node root = json_tree_root(&tree);

	add_list(root, "allow", policies_get_list(policies, LISTED_ALLOW));
	add_list(root, "block", policies_get_list(policies, LISTED_BLOCK));
	struct json_node list = json_add_list(root, "policies");
	for (size_t i = 0; i < policies_count(policies); i++)
		add_policy_object(list, policies_at(policies, i));
	if (!json_tree_write(&tree, to))
		return false;
	fputc('\n', to);
	return true;
}
