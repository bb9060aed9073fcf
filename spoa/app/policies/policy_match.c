#include "app/policies/policy_match.h"

#include "app/policies/list_files.h"

#define MATCH_MAX 255 /* as many attributes as a request has at most */

/* "@FILE" */
static void add_file(struct condition *condition, const struct policy_value *value)
{
	const struct list_file *file =
		list_files_find(value->source->files, &value->place, value->text);

	if (file == NULL)
		return;
	policy_source_fold_file(value->source, file->fingerprint);
	if (!condition_add_file(condition, value->text, file->lines))
		(void)place_refuse(&value->place, "out of memory");
}

static void add_pattern(struct condition *condition, const struct policy_value *value)
{
	if (value->kind != JSON_STRING) {
		(void)place_refuse(&value->place, "%s is not text; numbers stand in quotes too",
				   policy_value_shown(value).text);
		return;
	}
	struct bytes text = value->text;
	if (bytes_begin_with(text, BYTES("@@"))) {
		text = bytes_skip(text, 1);
	} else if (bytes_begin_with(text, BYTES("@"))) {
		add_file(condition, value);
		return;
	}
	if (!condition_add_pattern(condition, text)) {
		(void)place_refuse(&value->place, "out of memory");
		return;
	}
	const struct pattern *added = &condition->patterns[condition->count - 1];
	if (added->network.kind == VALUE_ABSENT && text_is_written_as_network(text))
		(void)place_refuse(&value->place,
				   "%s is not a network; accepted are 0 to 32 bits of an IPv4 "
				   "address, 0 to 128 of an IPv6 address (96 to 128 of ::ffff:...)",
				   quoted(value->text).text);
}

static void add_patterns(struct condition *condition, const struct policy_value *patterns)
{
	struct policy_walk walk = policy_walk_in(patterns);
	struct policy_value pattern;

	if (patterns->kind != JSON_ARRAY) {
		add_pattern(condition, patterns);
		return;
	}
	if (policy_value_is_empty(patterns))
		(void)place_refuse(&patterns->place, "an empty list, which nothing fits");
	while (policy_walk_next(&walk, &pattern))
		add_pattern(condition, &pattern);
}

static bool has_condition(const struct conditions *conditions, struct bytes attribute)
{
	for (size_t i = 0; i < conditions->count; i++)
		if (bytes_equal(conditions->items[i].attribute, attribute))
			return true;
	return false;
}

static void add_condition(struct conditions *conditions, const struct policy_value *value)
{
	struct bytes name = value->place.name;

	if (!policy_value_attribute_name(name, &value->place))
		return;
	if (has_condition(conditions, name)) {
		(void)place_refuse(&value->place, "stands there twice");
		return;
	}
	if (conditions->count == MATCH_MAX) {
		(void)place_refuse(&value->place, "more than %d attributes; no request has so many",
				   MATCH_MAX);
		return;
	}
	struct condition *condition = conditions_add(conditions, name);
	if (condition == NULL) {
		(void)place_refuse(&value->place, "out of memory");
		return;
	}
	add_patterns(condition, value);
	if (!condition_compile(condition))
		(void)place_refuse(&value->place, "out of memory");
}

void policy_match_read(const struct policy_value *match, struct conditions *conditions)
{
	struct policy_walk walk = policy_walk_in(match);
	struct policy_value attribute;

	if (match->kind != JSON_OBJECT) {
		(void)place_refuse(&match->place, "%s is not an object of attributes",
				   policy_value_shown(match).text);
		return;
	}
	while (policy_walk_next(&walk, &attribute))
		add_condition(conditions, &attribute);
}
