#include "app/operate/explain_lists.h"

#include "app/policies/list_files.h"
#include "app/view/json_tree.h"
#include "base/err.h"
#include "base/writer.h"

#define PLACE_MAX 320

/* The list of what of one match, or two, the request fits. */
struct fits {
	struct explain_lists *lists;
	const struct attribute *instead; /* or NULL */
	bool is_of_files; /* other patterns are left out, and the list when nothing is in it */
	size_t count;
};

static void begin_fit(struct fits *fits)
{
	if (fits->count++ > 0)
		fputc(',', fits->lists->to);
	else
		fputs(",\"fits\":[", fits->lists->to);
}

static void end_fits(const struct fits *fits)
{
	if (fits->count > 0)
		fputc(']', fits->lists->to);
	else if (!fits->is_of_files)
		fputs(",\"fits\":[]", fits->lists->to);
}

static void add_line(struct json_node in, const struct explain_lists *lists, struct bytes name,
		     const struct condition_fit *fit)
{
	uint64_t state = list_files_state(lists->policy_file, name);

	json_add_utf8(in, "file", name);
	json_add_unsigned(in, "line", fit->line);
	json_add_bool(in, "changed", state != pattern_set_source(fit->lines));
}

/* `of` is the place of the match: "block[0]". A place is written as in the errors of the file. */
static void put_fit(struct fits *fits, const char *of, const struct condition *condition,
		    const struct condition_fit *fit)
{
	struct bytes text = condition->patterns[fit->position].text;
	char memory[PLACE_MAX];
	struct writer place = writer_on(memory, sizeof memory);
	struct json_tree tree;
	struct json_node in = json_tree_root(&tree);

	writer_put_text(&place, of);
	writer_put_u8(&place, '.');
	writer_put_text(&place, quoted_unless_plain(condition->attribute).text);
	if (condition->count > 1) {
		writer_put_u8(&place, '[');
		writer_put_unsigned(&place, fit->position);
		writer_put_u8(&place, ']');
	}
	json_add_text(in, "place", writer_text(&place));
	if (fit->lines != NULL)
		add_line(in, fits->lists, bytes_skip(text, 1), fit);
	else if (text.len <= JSON_TEXT_MAX)
		json_add_utf8(in, "value", text);
	begin_fit(fits);
	if (!json_tree_write(&tree, fits->lists->to))
		fits->lists->has_failed = true;
}

static void put_fits(struct fits *fits, const char *of, const struct conditions *match)
{
	struct condition_fit fit;

	for (size_t i = 0; i < match->count; i++) {
		const struct condition *condition = &match->items[i];
		if ((fits->is_of_files && condition->file_count == 0) ||
		    !condition_find(condition, fits->lists->attributes, fits->instead, &fit))
			continue;
		if (!fits->is_of_files || fit.lines != NULL)
			put_fit(fits, of, condition, &fit);
	}
}

void explain_lists_put_entry(struct explain_lists *lists, const struct request *request)
{
	const char *name = request->listed == LISTED_ALLOW ? "allow" : "block";
	struct request_entry entry;
	char of[PLACE_MAX / 2];

	if (!request_find_entry(request, lists->reserved, lists->attributes, &entry))
		return;
	struct fits fits = {
		.lists = lists,
		.instead = entry.has_instead ? &entry.instead : NULL,
	};
	fprintf(lists->to, ",\"list\":{\"name\":\"%s\",\"entry\":%zu", name, entry.position);
	if (!request_is_settled(request))
		fputs(",\"shadow\":true", lists->to);
	snprintf(of, sizeof of, "%s[%zu]", name, entry.position);
	put_fits(&fits, of, entry.match);
	end_fits(&fits);
	fputc('}', lists->to);
}

void explain_lists_put_files(struct explain_lists *lists, const struct policy *policy,
			     const struct override *override)
{
	struct fits fits = {.lists = lists, .is_of_files = true};
	struct attribute instead;
	char of[PLACE_MAX / 2];

	snprintf(of, sizeof of, "policies.%s.match", policy->name);
	if (!lists->reserved->has_policy)
		put_fits(&fits, of, &policy->match);
	if (override != NULL) {
		if (lists->reserved->key != NULL && policy->key_count == 1) {
			instead = (struct attribute){policy->key[0], *lists->reserved->key};
			fits.instead = &instead;
		}
		snprintf(of, sizeof of, "policies.%s.overrides[%zu].match", policy->name,
			 (size_t)(override - policy->overrides));
		put_fits(&fits, of, &override->match);
	}
	end_fits(&fits);
}
