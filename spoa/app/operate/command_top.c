#include "app/operate/command.h"

static bool make(const struct command_line *line, char target[COMMAND_TARGET_MAX], char **ret_body,
		 struct err *err)
{
	static const char *const by[] = {"denied", "asked"}, *const last[] = {"1m", "5m", "all"};

	(void)ret_body;
	if (line->words[0] != NULL)
		return err_set(err, "%s: accepted are no arguments but options",
			       quoted(bytes_from_text(line->words[0])).text);
	snprintf(target, COMMAND_TARGET_MAX, "/top?by=%s&last=%s", by[line->flags.by],
		 last[line->flags.last]);
	return true;
}

static void print(struct json_value answer, FILE *to)
{
	static const char *const heads[] = {"COUNT",     "ERROR",     "POLICY", "LIMIT",
					    "REMAINING", "PASSES IN", "KEY"};
	struct text_table *table = text_table_new(ARRAY_SIZE(heads));
	struct json_value list = answer_field(answer, "keys"), key;
	size_t count = 0;

	answer_print_text(answer, "by", to);
	fprintf(to,
		" most in the last %lld s: %lld in all, each count is too high by at most its "
		"error\n\n",
		(long long)answer_number(answer, "seconds"),
		(long long)answer_number(answer, "total"));
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		text_table_add(table, "%s", heads[i]);
	while (list.kind == JSON_ARRAY && json_next_item(&list, &key)) {
		count++;
		text_table_add_number(table, key, "count");
		text_table_add_number(table, key, "error");
		text_table_add_text(table, key, "policy");
		text_table_add_number(table, key, "limit");
		text_table_add_number(table, key, "remaining");
		text_table_add_ms(table, key, "retry_after_ms");
		text_table_add_text(table, key, "key");
	}
	text_table_print(table, to);
	if (count == 0)
		fputs("nobody\n", to);
}

static const char *const by_names[] = {"denied", "asked", NULL};
static const char *const last_names[] = {"1m", "5m", "all", NULL};

static const struct option options[] = {
	{.name = "by",
	 .metavar = "WORD",
	 .fallback = "denied",
	 .meaning = "who is denied most, or who asks most",
	 .kind = OPTION_CHOICE,
	 .offset = OPTION_ENUM_FIELD(struct command_flags, by),
	 .names = by_names},
	{.name = "last",
	 .metavar = "TIME",
	 .fallback = "1m",
	 .meaning = "in which time: all is since the agent started",
	 .kind = OPTION_CHOICE,
	 .offset = OPTION_ENUM_FIELD(struct command_flags, last),
	 .names = last_names},
	{.name = "watch",
	 .meaning = "show it anew every second, until a signal comes",
	 .kind = OPTION_MARK,
	 .offset = OPTION_FIELD(struct command_flags, watch, bool)},
	{.name = NULL},
};

const struct command command_top = {
	.name = "top",
	.arguments = "[--by denied|asked] [--last 1m|5m|all]",
	.meaning = "shows who is denied most, or asks most",
	.help = "Shows the keys of all policies that were denied most, or that asked most, in the "
		"last\n"
		"minute, in the last five, or since the agent started. Each agent knows its own "
		"requests.",
	.method = "GET",
	.own_options = options,
	.make = make,
	.print = print,
};
