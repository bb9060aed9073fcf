#include "app/policies/policies_json.h"

#include "app/policies/policy_text.h"
#include "app/view/json_writer.h"
#include "base/writer.h"

#define NOTATION_MAX 64

static void put_window(struct json *json, const struct quota *quota)
{
	char memory[NOTATION_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	policy_text_put_duration(&w, quota->window_us);
	json_put_int(json, "limit", quota->limit);
	json_put_text(json, "window", writer_text(&w));
}

static void put_bucket(struct json *json, const struct quota *quota)
{
	char memory[NOTATION_MAX];
	struct writer w = writer_on(memory, sizeof memory);

	policy_text_put_refill_rate(&w, quota);
	json_put_int(json, "capacity", quota->limit);
	json_put_text(json, "refill_rate", writer_text(&w));
}

static void put_match(struct json *json, const struct conditions *match)
{
	json_begin(json, "match", '{');
	for (size_t i = 0; i < match->count; i++) {
		const struct condition *condition = &match->items[i];
		json_begin_utf8(json, condition->attribute, '[');
		for (size_t j = 0; j < condition->count; j++)
			json_put_utf8(json, NULL, condition->patterns[j].text);
		json_end(json, ']');
	}
	json_end(json, '}');
}

/* What an override may replace; a cost is left out when it is the request's own. */
static void put_terms(struct json *json, const struct terms *terms)
{
	if (algorithm_traits(terms->quota.algorithm)->is_by_rate)
		put_bucket(json, &terms->quota);
	else
		put_window(json, &terms->quota);
	if (terms->cost > 0)
		json_put_int(json, "cost", terms->cost);
	else if (terms->cost_attribute.data != NULL)
		json_put_utf8(json, "cost", terms->cost_attribute);
	json_put_bool(json, "shadow", terms->is_shadow);
	json_put_text(json, "on_error", policy_text_on_error(terms->on_error));
	json_put_text(json, "generation", terms->generation);
}

/* With all the terms that hold under it, unless there are none. */
static void put_override(struct json *json, const struct override *override)
{
	json_begin(json, NULL, '{');
	put_match(json, &override->match);
	if (override->terms.is_unlimited)
		json_put_bool(json, "unlimited", true);
	else if (override->terms.is_blocked)
		json_put_bool(json, "blocked", true);
	else
		put_terms(json, &override->terms);
	json_end(json, '}');
}

static void put_policy(struct json *json, const struct policy *policy)
{
	json_begin(json, NULL, '{');
	json_put_text(json, "name", policy->name);
	json_put_text(json, "algorithm", algorithm_name(policy->terms.quota.algorithm));
	put_terms(json, &policy->terms);
	json_begin(json, "key", '[');
	for (size_t i = 0; i < policy->key_count; i++)
		json_put_utf8(json, NULL, policy->key[i]);
	json_end(json, ']');
	put_match(json, &policy->match);
	json_begin(json, "overrides", '[');
	for (size_t i = 0; i < policy->override_count; i++)
		put_override(json, &policy->overrides[i]);
	json_end(json, ']');
	json_put_unsigned(json, "ipv4_prefix", policy->ipv4_prefix);
	json_put_unsigned(json, "ipv6_prefix", policy->ipv6_prefix);
	json_end(json, '}');
}

void policies_json_put(const struct policies *policies, FILE *to)
{
	struct json json = json_on(to);

	json_begin(&json, NULL, '{');
	json_begin(&json, "policies", '[');
	for (size_t i = 0; i < policies_count(policies); i++)
		put_policy(&json, policies_at(policies, i));
	json_end(&json, ']');
	json_end(&json, '}');
	fputc('\n', to);
}
