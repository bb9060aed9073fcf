#include "app/policies/policy_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/policies/policy_fields.h"
#include "app/policies/policy_match.h"
#include "app/policies/policy_read.h"
#include "app/policies/text_file.h"
#include "base/json_reader.h"

#define FILE_MAX_BYTES (16 << 20)

/* ---- the policies ---- */

/*
 * The field `hash_tag` stands outside of the policy, but a policy whose keys it changes has changed
 * for people too.
 */
static void set_hash_tag(struct policy *policy, struct bytes hash_tag)
{
	for (size_t i = 0; i < policy->key_count; i++)
		if (hash_tag.data != NULL && bytes_equal(policy->key[i], hash_tag))
			policy->hash_tag = i + 1;
	policy->fingerprint += policy->hash_tag;
}

static void add_policy(struct policies *policies, const struct policy_value *value,
		       enum on_error on_error, struct bytes hash_tag)
{
	const struct problems *problems = value->place.problems;
	struct bytes name = value->place.name;
	size_t problems_before = problems->count;
	struct policy policy;

	if (policies_find(policies, name) != NULL) {
		(void)place_refuse(&value->place, "stands there twice");
		return;
	}
	if (value->kind != JSON_OBJECT) {
		(void)place_refuse(&value->place, "must be an object, not %s",
				   policy_value_shown(value).text);
		return;
	}
	policy_read(value, on_error, &policy);
	if (problems->count > problems_before) {
		policy_drop(&policy);
		return;
	}
	memcpy(policy.name, name.data, name.len);
	set_hash_tag(&policy, hash_tag);
	if (!policies_add(policies, &policy))
		(void)place_refuse(&value->place, "out of memory");
}

static void read_policies(struct policies *policies, const struct policy_value *object,
			  enum on_error on_error, struct bytes hash_tag)
{
	struct policy_walk walk = policy_walk_in(object);
	struct policy_value value;

	while (policy_walk_next(&walk, &value)) {
		if (policies_count(policies) == POLICIES_MAX) {
			(void)place_refuse(&object->place, "more than %d", POLICIES_MAX);
			return;
		}
		if (policy_name_is_good(value.place.name))
			add_policy(policies, &value, on_error, hash_tag);
		else
			(void)place_refuse(&object->place,
					   "%s is not a name; accepted are 1 to 64 of A-Z a-z 0-9 "
					   ". _ -, not inline, none or blocked",
					   quoted(value.place.name).text);
	}
}

/* ---- the lists ---- */

static void read_list_item(const struct policy_value *item, struct match_list *list)
{
	struct conditions *match = match_list_add(list);

	if (match == NULL)
		(void)place_refuse(&item->place, "out of memory");
	else if (item->kind == JSON_OBJECT && policy_value_is_empty(item))
		(void)place_refuse(&item->place, "a match of a list names at least one attribute");
	else
		policy_match_read(item, match);
}

static void read_list(const struct policy_value *value, struct match_list *list)
{
	struct policy_walk walk = policy_walk_in(value);
	struct policy_value item;

	if (!value->is_given)
		return;
	if (value->kind != JSON_ARRAY) {
		(void)place_refuse(&value->place, "must be a list of matches, not %s",
				   policy_value_shown(value).text);
		return;
	}
	value->source->fingerprint = 0;
	while (policy_walk_next(&walk, &item))
		read_list_item(&item, list);
	/* Without a list, the fingerprint is 0. That of an empty list is another: nobody minds. */
	list->fingerprint = value->source->fingerprint;
}

/* ---- the root ---- */

enum root_field {
	ROOT_POLICIES = 0,
	ROOT_SCHEMA,
	ROOT_HASH_TAG,
	ROOT_ALLOW,
	ROOT_BLOCK,
	ROOT_FIELD_COUNT
};

static const char *const root_names[ROOT_FIELD_COUNT] = {
	[ROOT_POLICIES] = "policies", [ROOT_SCHEMA] = "$schema", [ROOT_HASH_TAG] = "hash_tag",
	[ROOT_ALLOW] = "allow",       [ROOT_BLOCK] = "block",
};

static void set_root_field(struct policy_value fields[ROOT_FIELD_COUNT],
			   const struct policy_value *given)
{
	size_t i = 0;

	while (i < ROOT_FIELD_COUNT &&
	       !bytes_equal(given->place.name, bytes_from_text(root_names[i])))
		i++;
	if (i == ROOT_FIELD_COUNT)
		policy_fields_refuse_unknown(&given->place, root_names, ROOT_FIELD_COUNT);
	else if (fields[i].is_given)
		(void)place_refuse(&fields[i].place, "stands there twice");
	else
		fields[i] = *given;
}

/* Every field of another name is refused. */
static void find_root_fields(const struct policy_value *root,
			     struct policy_value ret_fields[ROOT_FIELD_COUNT])
{
	struct policy_walk walk = policy_walk_in(root);
	struct policy_value field;

	for (size_t i = 0; i < ROOT_FIELD_COUNT; i++)
		ret_fields[i] = (struct policy_value){
			.place = place_of_field(&root->place, bytes_from_text(root_names[i])),
		};
	while (policy_walk_next(&walk, &field))
		set_root_field(ret_fields, &field);
}

/* It tells editors which schema to use, and means nothing to the agent. */
static void look_at_schema(const struct policy_value *schema)
{
	if (schema->is_given && schema->kind != JSON_STRING)
		(void)place_refuse(&schema->place, "%s is not the address of a schema",
				   policy_value_shown(schema).text);
}

/* The attribute of the field `hash_tag`; no data when there is none. */
static struct bytes read_hash_tag(const struct policy_value *value)
{
	struct bytes name = {NULL, 0};

	if (value->is_given && !policy_value_attribute(value, &name))
		return bytes_from(NULL, 0);
	return name;
}

static void read_root(struct policies *policies, const struct policy_value *root,
		      enum on_error on_error)
{
	if (root->kind != JSON_OBJECT) {
		(void)place_refuse(&root->place,
				   "must be an object with the field policies, not %s",
				   policy_value_shown(root).text);
		return;
	}
	struct policy_value fields[ROOT_FIELD_COUNT];
	find_root_fields(root, fields);
	look_at_schema(&fields[ROOT_SCHEMA]);
	struct bytes hash_tag = read_hash_tag(&fields[ROOT_HASH_TAG]);
	read_list(&fields[ROOT_ALLOW], policies_list(policies, LISTED_ALLOW));
	read_list(&fields[ROOT_BLOCK], policies_list(policies, LISTED_BLOCK));
	const struct policy_value *found = &fields[ROOT_POLICIES];
	if (!found->is_given)
		(void)place_refuse(&found->place, "is missing");
	else if (found->kind != JSON_OBJECT)
		(void)place_refuse(&found->place, "must be an object of policies by name, not %s",
				   policy_value_shown(found).text);
	else
		read_policies(policies, found, on_error, hash_tag);
}

/* ---- the text ---- */

static void refuse_byte(const struct place *file, struct bytes text, size_t at, const char *fault)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < at; i++) {
		column = text.data[i] == '\n' ? 1 : column + 1;
		line += text.data[i] == '\n';
	}
	(void)place_refuse(file, "line %zu, column %zu: %s", line, column, fault);
}

static void read_text(struct policies *policies, struct bytes text, struct policy_source *source,
		      enum on_error on_error, struct problems *problems)
{
	struct place file = place_of_file(problems);
	struct json_value json;
	size_t at;
	const char *fault = json_find_fault(text, &at);

	if (fault != NULL) {
		refuse_byte(&file, text, at, fault);
		return;
	}
	json = json_root(text);
	struct policy_value root = policy_value_root(&json, source, problems);
	read_root(policies, &root, on_error);
}

static struct policies *parse(struct bytes json, enum on_error on_error, struct list_files *files,
			      struct problems *ret_problems)
{
	struct place file = place_of_file(ret_problems);
	struct policies *policies = policies_new(on_error);
	/* As large as the text: what all strings say takes less than their JSON. */
	void *strings = malloc(json.len + 1);
	struct policy_source source = {.strings = writer_on(strings, json.len), .files = files};

	problems_clear(ret_problems);
	if (policies == NULL || strings == NULL)
		(void)place_refuse(&file, "out of memory");
	else
		read_text(policies, json, &source, on_error, ret_problems);
	free(strings);
	list_files_forget_lines(files);
	if (ret_problems->count == 0 && !policies_compile(policies))
		(void)place_refuse(&file, "out of memory");
	if (ret_problems->count == 0)
		return policies;
	policies_unref(policies);
	return NULL;
}

struct policies *policy_file_parse(struct bytes json, enum on_error on_error,
				   struct problems *ret_problems)
{
	struct list_files none;

	list_files_init(&none, NULL);
	struct policies *policies = parse(json, on_error, &none, ret_problems);
	list_files_release(&none);
	return policies;
}

/* ---- the file ---- */

struct policies *policy_file_load_with(const char *path, enum on_error on_error,
				       struct list_files *files, struct problems *ret_problems)
{
	struct place file = place_of_file(ret_problems);
	struct policies *policies = NULL;
	size_t len;
	char *json = text_file_read(path, FILE_MAX_BYTES, &len);

	if (json != NULL) {
		policies = parse(bytes_from(json, len), on_error, files, ret_problems);
	} else {
		int error = errno;
		problems_clear(ret_problems);
		ret_problems->lacks_descriptors = error == EMFILE || error == ENFILE;
		(void)place_refuse(&file, "%s", strerror(error));
	}
	free(json);
	problems_name_file(ret_problems, path);
	return policies;
}

struct policies *policy_file_load(const char *path, enum on_error on_error,
				  struct problems *ret_problems)
{
	struct list_files files;

	list_files_init(&files, path);
	struct policies *policies = policy_file_load_with(path, on_error, &files, ret_problems);
	list_files_release(&files);
	return policies;
}
