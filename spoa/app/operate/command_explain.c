#include <stdlib.h>

#include "app/operate/command.h"
#include "app/view/json_tree.h"
#include "base/utf8.h"
#include "limit/reserved.h"

/* ---- the question ---- */

/* A name of a JSON field lives as long as the tree, so the words are cut at their `=`. */
static void add_word(struct json_node in, struct bytes name, struct bytes value)
{
	((char *)(uintptr_t)name.data)[name.len] = '\0';
	json_add_utf8(in, (const char *)name.data, value);
}

static bool check_words(char **words, bool *ret_has_policy, struct err *err)
{
	struct bytes name, value;

	*ret_has_policy = false;
	for (; *words != NULL; words++) {
		if (!command_split(*words, &name, &value, err))
			return false;
		if (!utf8_is_good(bytes_from_text(*words)))
			return err_set(err, "%s: invalid UTF-8", quoted(name).text);
		*ret_has_policy |=
			bytes_equal(name, BYTES("policy")) || bytes_equal(name, BYTES("algorithm"));
	}
	return true;
}

static void add_words(struct json_node root, char **words, bool has_policy)
{
	struct json_node attributes = {0};
	struct bytes name, value;
	struct err err;

	if (!has_policy)
		attributes = json_add_object(root, "attributes");
	for (; *words != NULL; words++) {
		if (!command_split(*words, &name, &value, &err))
			continue; /* they were checked */
		if (attribute_name_is_reserved(name)) {
			add_word(root, name, value);
			continue;
		}
		if (attributes.tree == NULL)
			attributes = json_add_object(root, "attributes");
		add_word(attributes, name, value);
	}
}

static bool make(const struct command_line *line, char target[COMMAND_TARGET_MAX], char **ret_body,
		 struct err *err)
{
	struct json_tree tree;
	bool has_policy;
	size_t len;

	if (!check_words(line->words, &has_policy, err))
		return false;
	snprintf(target, COMMAND_TARGET_MAX, "/explain");
	add_words(json_tree_root(&tree), line->words, has_policy);
	FILE *to = open_memstream(ret_body, &len);
	if (to == NULL)
		return err_set(err, "out of memory");
	bool is_whole = json_tree_write(&tree, to);
	return (fclose(to) == 0 && is_whole) || err_set(err, "out of memory");
}

/* ---- the answer ---- */

/* What the policy is that the verdict names: that of `shadow` is the first that would deny. */
static const char *role_of_policy(struct json_value verdict)
{
	const struct json_value reason = answer_field(verdict, "reason");

	if (!answer_is_true(verdict, "allowed"))
		return ", by ";
	if (reason.kind == JSON_STRING && bytes_equal(reason.text, BYTES("shadow")))
		return ", would be denied by ";
	return ", least is left of ";
}

static void print_verdict(struct json_value verdict, FILE *to)
{
	bool is_allowed = answer_is_true(verdict, "allowed");

	fputs(is_allowed ? "allowed: " : "denied: ", to);
	answer_print_text(verdict, "reason", to);
	if (answer_field(verdict, "policy").kind != JSON_NULL) {
		fputs(role_of_policy(verdict), to);
		answer_print_text(verdict, "policy", to);
	}
	if (answer_is_true(verdict, "degraded"))
		fputs(" (the store did not answer at least one check)", to);
	fputc('\n', to);
}

static const char *result_of(struct json_value policy)
{
	bool is_allowed = answer_is_true(policy, "allowed");

	if (answer_is_true(policy, "skipped"))
		return "not looked at";
	if (answer_is_true(policy, "cached_denial"))
		return "denies (remembered)";
	if (answer_is_true(policy, "shadow"))
		return is_allowed ? "allows (shadow)" : "would deny (shadow)";
	if (answer_is_true(policy, "blocked"))
		return "blocks";
	return is_allowed ? "allows" : "denies";
}

static void add_override(struct text_table *table, struct json_value policy)
{
	struct json_value id = answer_field(answer_field(policy, "exception"), "id");

	if (id.kind == JSON_STRING)
		text_table_add(table, "exception %.*s", (int)id.text.len,
			       (const char *)id.text.data);
	else if (answer_field(policy, "override").kind == JSON_NULL)
		text_table_add(table, "-");
	else
		text_table_add(table, "overrides[%lld]",
			       (long long)answer_number(policy, "override"));
}

static void add_applying(struct text_table *table, struct json_value policy)
{
	text_table_add_text(table, policy, "policy");
	text_table_add(table, "%s", result_of(policy));
	text_table_add_number(table, policy, "cost");
	text_table_add_number(table, policy, "limit");
	text_table_add_number(table, policy, "remaining");
	text_table_add_ms(table, policy, "reset_ms");
	text_table_add_ms(table, policy, "retry_after_ms");
	add_override(table, policy);
	text_table_add_text(table, policy, "key");
}

/* `  block[0].src[1]: blocked.txt, line 7` */
static void print_fit(struct json_value fit, FILE *to)
{
	fputs("  ", to);
	answer_print_text(fit, "place", to);
	if (answer_field(fit, "file").kind == JSON_STRING) {
		fputs(": ", to);
		answer_print_text(fit, "file", to);
		fprintf(to, ", line %lld", (long long)answer_number(fit, "line"));
	} else if (answer_field(fit, "value").kind == JSON_STRING) {
		fputs(": ", to);
		answer_print_text(fit, "value", to);
	}
	if (answer_is_true(fit, "changed"))
		fputs(" of the file as the agent read it; the file has changed since", to);
	fputc('\n', to);
}

static void print_fits(struct json_value of, FILE *to)
{
	struct json_value list = answer_field(of, "fits"), fit;

	while (list.kind == JSON_ARRAY && json_next_item(&list, &fit))
		print_fit(fit, to);
}

/* The entry of `allow` or `block` that decided. */
static void print_list_entry(struct json_value answer, FILE *to)
{
	struct json_value list = answer_field(answer, "list");

	if (list.kind != JSON_OBJECT)
		return;
	answer_print_text(list, "name", to);
	fprintf(to, "[%lld] of the policy file %s\n", (long long)answer_number(list, "entry"),
		answer_is_true(list, "shadow") ? "would deny (shadow)"
					       : "comes before all policies");
	print_fits(list, to);
}

/* The lines of list files that the policies' matches and overrides fit by. */
static void print_lines(struct json_value answer, FILE *to)
{
	struct json_value list = answer_field(answer, "policies"), policy;
	bool is_first = true;

	while (list.kind == JSON_ARRAY && json_next_item(&list, &policy)) {
		if (answer_field(policy, "fits").kind != JSON_ARRAY)
			continue;
		fputs(is_first ? "\nLINES OF LIST FILES\n" : "", to);
		is_first = false;
		print_fits(policy, to);
	}
}

static void print(struct json_value answer, FILE *to)
{
	static const char *const heads[] = {"POLICY",    "RESULT",    "COST",
					    "LIMIT",     "REMAINING", "FULL IN",
					    "PASSES IN", "OVERRIDE",  "KEY"};
	struct text_table *applying = text_table_new(ARRAY_SIZE(heads));
	struct text_table *others = text_table_new(2);
	struct json_value list = answer_field(answer, "policies"), policy;

	print_verdict(answer_field(answer, "verdict"), to);
	if (answer_field(answer, "exception").kind == JSON_OBJECT) {
		fputs("exception ", to);
		answer_print_text(answer_field(answer, "exception"), "id", to);
		fputs(" comes before all policies\n", to);
	}
	print_list_entry(answer, to);
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		text_table_add(applying, "%s", heads[i]);
	text_table_add(others, "POLICY");
	text_table_add(others, "DOES NOT APPLY BECAUSE OF");
	while (list.kind == JSON_ARRAY && json_next_item(&list, &policy)) {
		if (answer_is_true(policy, "applies")) {
			add_applying(applying, policy);
			continue;
		}
		text_table_add_text(others, policy, "policy");
		text_table_add_text(others, policy, "why");
	}
	fputc('\n', to);
	text_table_print(applying, to);
	fputc('\n', to);
	text_table_print(others, to);
	if (answer_number(answer, "policies_left_out") > 0)
		fprintf(to, "and %lld more policies that do not apply\n",
			(long long)answer_number(answer, "policies_left_out"));
	print_lines(answer, to);
}

const struct command command_explain = {
	.name = "explain",
	.arguments = "name=value...",
	.meaning = "says what a request would get, and why",
	.help = "Asks a running agent what a request with these attributes and reserved names "
		"would "
		"get now,\nat its real cost. Nothing is charged or counted. It prints the verdict, "
		"the "
		"policies that\napply, and why the others do not.",
	.method = "POST",
	.make = make,
	.print = print,
};
