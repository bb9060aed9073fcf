#include "app/operate/command.h"

static bool make(const struct command_line *line, char target[COMMAND_TARGET_MAX], char **ret_body,
		 struct err *err)
{
	struct writer w = writer_on(target, COMMAND_TARGET_MAX);

	(void)ret_body;
	if (line->words[0] == NULL)
		return err_set(err, "the policy is missing; accepted is POLICY name=value...");
	writer_put_text(&w, "/balances/");
	command_put_encoded(&w, bytes_from_text(line->words[0]));
	if (!command_put_query(&w, line->words + 1, err))
		return false;
	if (w.full)
		return err_set(err, "the values are too long");
	(void)writer_text(&w);
	return true;
}

/* The texts of both are plain. */
static void add_terms(struct text_table *table, struct json_value balance)
{
	struct bytes terms = answer_field(balance, "terms").text;
	struct bytes exception = answer_field(balance, "exception").text;

	text_table_add(table, "%.*s%s%.*s", (int)terms.len, (const char *)terms.data,
		       exception.len > 0 ? ", raised by " : "", (int)exception.len,
		       (const char *)exception.data);
}

static void print_balances(struct json_value answer, FILE *to)
{
	static const char *const heads[] = {"TERMS",     "USED",    "LIMIT",
					    "REMAINING", "FULL IN", "KEY"};
	struct text_table *table = text_table_new(ARRAY_SIZE(heads));
	struct json_value list = answer_field(answer, "balances"), balance;

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		text_table_add(table, "%s", heads[i]);
	while (list.kind == JSON_ARRAY && json_next_item(&list, &balance)) {
		add_terms(table, balance);
		text_table_add_number(table, balance, "used");
		text_table_add_number(table, balance, "limit");
		text_table_add_number(table, balance, "remaining");
		text_table_add_ms(table, balance, "reset_ms");
		text_table_add_text(table, balance, "key");
	}
	text_table_print(table, to);
}

static bool has_balances(struct json_value answer)
{
	struct json_value list = answer_field(answer, "balances"), balance;

	return list.kind == JSON_ARRAY && json_next_item(&list, &balance);
}

static void print_shown(struct json_value answer, FILE *to)
{
	if (answer_is_true(answer, "stale"))
		fputs("stale: the store does not answer, and this is what the agent itself knows\n",
		      to);
	if (has_balances(answer))
		print_balances(answer, to);
	else
		fputs("nothing is used\n", to);
}

static void print_reset(struct json_value answer, FILE *to)
{
	fputs("reset on ", to);
	answer_print_text(answer, "scope", to);
	fputs(", id ", to);
	answer_print_text(answer, "id", to);
	if (!has_balances(answer)) {
		fputs("; nothing was used\n", to);
		return;
	}
	fputs("; before:\n", to);
	print_balances(answer, to);
}

const struct command command_balance = {
	.name = "balance",
	.arguments = "POLICY name=value...",
	.meaning = "shows what is used of a key's balances",
	.help = "Shows what a key has used of a policy: under the policy's own terms, and under "
		"each\n"
		"override with numbers of its own. The names are all attributes of the policy's "
		"key, or "
		"key\nalone. POLICY inline takes algorithm, its numbers and key.",
	.method = "GET",
	.make = make,
	.print = print_shown,
};

const struct command command_reset = {
	.name = "reset",
	.arguments = "POLICY name=value...",
	.meaning = "forgives a key: its balances are full again",
	.help = "Makes all balances of a key full, and shows what was used before. With Redis it "
		"acts on\n"
		"all agents, with balances in memory on the agents that are asked. It needs a "
		"token of\n"
		"--admin-token-file, or a Unix socket of --admin-listen.",
	.method = "DELETE",
	.make = make,
	.print = print_reset,
};
