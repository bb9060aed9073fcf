#include "app/policies/policies_table.h"

#include <string.h>

#include "app/policies/policy_text.h"
#include "base/writer.h"

#define TABLE_WIDTH 100
#define MATCH_MIN   16
#define CELL_MAX    256
#define GAP         2

/* ---- the cells ---- */

static void put_plain(struct writer *w, struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		writer_put_u8(w, text.data[i] >= ' ' && text.data[i] <= '~' ? text.data[i] : '?');
}

static void put_name(struct writer *w, const struct policy *policy)
{
	writer_put_text(w, policy->name);
}

static void put_algorithm(struct writer *w, const struct policy *policy)
{
	writer_put_text(w, algorithm_name(policy->terms.quota.algorithm));
}

static void put_limit(struct writer *w, const struct policy *policy)
{
	const struct quota *quota = &policy->terms.quota;

	writer_put_decimal(w, quota->limit + quota_lease_units(quota, policy->terms.lease_us));
	if (!algorithm_traits(quota->algorithm)->is_by_rate) {
		writer_put_text(w, " per ");
		policy_text_put_duration(w, quota->window_us);
		return;
	}
	writer_put_text(w, ", ");
	size_t before = w->len;
	policy_text_put_refill_rate(w, quota);
	if (memchr(w->data + before, '/', w->len - before) == NULL)
		writer_put_text(w, "/s");
}

static void put_key(struct writer *w, const struct policy *policy)
{
	if (policy->key_count == 0)
		writer_put_text(w, "(all)");
	for (size_t i = 0; i < policy->key_count; i++) {
		if (i > 0)
			writer_put_u8(w, ',');
		put_plain(w, policy->key[i]);
	}
}

static void put_match(struct writer *w, const struct policy *policy)
{
	for (size_t i = 0; i < policy->match.count; i++) {
		const struct condition *condition = &policy->match.items[i];
		if (i > 0)
			writer_put_u8(w, ' ');
		put_plain(w, condition->attribute);
		for (size_t j = 0; j < condition->count; j++) {
			writer_put_u8(w, j == 0 ? '=' : '|');
			put_plain(w, condition->patterns[j].text);
		}
	}
}

static void put_cost(struct writer *w, const struct policy *policy)
{
	if (policy->terms.cost > 0)
		writer_put_decimal(w, policy->terms.cost);
	put_plain(w, policy->terms.cost_attribute);
}

static void put_overrides(struct writer *w, const struct policy *policy)
{
	if (policy->override_count > 0)
		writer_put_unsigned(w, policy->override_count);
}

static void put_shadow(struct writer *w, const struct policy *policy)
{
	if (policy->terms.is_shadow)
		writer_put_text(w, "yes");
	else if (policy->terms.shadow_share > 0)
		policy_text_put_share(w, policy->terms.shadow_share);
}

static void put_on_error(struct writer *w, const struct policy *policy)
{
	writer_put_text(w, on_error_names[policy->terms.on_error]);
}

/* ---- the table ---- */

#define COLUMN_MATCH 4

static const struct column {
	const char *title;
	void (*put)(struct writer *w, const struct policy *policy);
} columns[] = {
	{"POLICY", put_name},
	{"ALGORITHM", put_algorithm},
	{"LIMIT", put_limit},
	{"KEY", put_key},
	[COLUMN_MATCH] = {"MATCH", put_match},
	{"COST", put_cost},
	{"OVERRIDES", put_overrides},
	{"SHADOW", put_shadow},
	{"ON ERROR", put_on_error},
};

static struct bytes read_cell(const struct column *column, const struct policy *policy,
			      char memory[CELL_MAX])
{
	struct writer w = writer_on(memory, CELL_MAX);

	column->put(&w, policy);
	return writer_bytes(&w);
}

/* 0 when the column is empty, and so left out. */
static size_t width_of(const struct column *column, const struct policies *policies)
{
	char memory[CELL_MAX];
	size_t widest = 0;

	for (size_t i = 0; i < policies_count(policies); i++) {
		struct bytes cell = read_cell(column, policies_at(policies, i), memory);
		if (cell.len > widest)
			widest = cell.len;
	}
	if (widest > 0 && widest < strlen(column->title))
		widest = strlen(column->title);
	return widest;
}

/* The column `match` gets the width that the other columns leave. */
static void set_widths(const struct policies *policies, size_t widths[ARRAY_SIZE(columns)])
{
	size_t others = 0;

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		widths[i] = width_of(&columns[i], policies);
		if (i != COLUMN_MATCH && widths[i] > 0)
			others += widths[i] + GAP;
	}
	size_t left = others + MATCH_MIN < TABLE_WIDTH ? TABLE_WIDTH - others : MATCH_MIN;
	if (widths[COLUMN_MATCH] > left)
		widths[COLUMN_MATCH] = left;
}

/* Fills the text up to the width with spaces, or cuts it and puts dots at its end. */
static void put_cell(struct bytes text, size_t width, bool is_last, FILE *to)
{
	if (text.len == 0)
		text = BYTES("-");
	if (text.len > width)
		fprintf(to, "%.*s...", (int)(width - 3), (const char *)text.data);
	else
		fprintf(to, "%.*s", (int)text.len, (const char *)text.data);
	if (!is_last)
		fprintf(to, "%*s", (int)(text.len < width ? width - text.len : 0) + GAP, "");
}

/* The row of a policy; with NULL the titles. */
static void put_row(const struct policy *policy, const size_t widths[ARRAY_SIZE(columns)], FILE *to)
{
	char memory[CELL_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		if (widths[i] == 0)
			continue;
		put_cell(policy == NULL ? bytes_from_text(columns[i].title)
					: read_cell(&columns[i], policy, memory),
			 widths[i], i == ARRAY_SIZE(columns) - 1, to);
	}
	fputc('\n', to);
}

void policies_table_put(const struct policies *policies, FILE *to)
{
	size_t widths[ARRAY_SIZE(columns)];

	if (policies_count(policies) == 0)
		return;
	set_widths(policies, widths);
	put_row(NULL, widths, to);
	for (size_t i = 0; i < policies_count(policies); i++)
		put_row(policies_at(policies, i), widths, to);
}
