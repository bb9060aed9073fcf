/*
 * block, allow and raise make one exception, and exceptions lists or removes them. The words are
 *
 *     [POLICY] name=value... [--for 1h | --until TIME] [--note TEXT] [--wide]
 *
 * of which the first is POLICY when it has no `=`. Of raise the numbers stand among the names:
 * those of a policy of the file are the new numbers, since no attribute has such a name. Of
 * `inline` the numbers say which inline policy is meant, and the one that is given twice is the new
 * one.
 */
#include <stdlib.h>
#include <string.h>

#include "app/operate/command.h"
#include "app/operate/exception_text.h"
#include "base/utf8.h"

/* ---- the words ---- */

static bool is_policy(const char *word)
{
	return word != NULL && strchr(word, '=') == NULL;
}

static bool is_number(const char *word, const char **ret_name)
{
	static const char *const names[] = {"limit", "capacity", "refill_rate"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t len = strlen(names[i]);
		if (strncmp(word, names[i], len) == 0 && word[len] == '=') {
			*ret_name = names[i];
			return true;
		}
	}
	return false;
}

static bool comes_before(char **words, size_t end, const char *name)
{
	for (size_t i = 0; i < end; i++)
		if (strncmp(words[i], name, strlen(name)) == 0 && words[i][strlen(name)] == '=')
			return true;
	return false;
}

/* Takes the new numbers out of the words and writes them as fields of JSON. */
static size_t take_numbers(char **words, bool is_inline, FILE *to)
{
	size_t kept = 0, taken = 0;
	const char *name;
	char text[256];

	for (size_t i = 0; words[i] != NULL; i++) {
		struct writer w = writer_on(text, sizeof text);
		if (!is_number(words[i], &name) ||
		    (is_inline && !comes_before(words, kept, name))) {
			words[kept++] = words[i];
			continue;
		}
		const char *value = words[i] + strlen(name) + 1;
		bool is_rate = strcmp(name, "refill_rate") == 0;
		bool is_digits = *value != '\0' && strspn(value, "0123456789") == strlen(value) &&
				 (*value != '0' || value[1] == '\0');
		fprintf(to, "%s\"%s\":", taken++ > 0 ? "," : "", name);
		exception_text_put_string(&w, bytes_from_text(value));
		fputs(is_digits && !is_rate ? value : writer_text(&w), to);
	}
	words[kept] = NULL;
	return taken;
}

static void put_field(FILE *to, const char *name, const char *value)
{
	if (value == NULL)
		return;
	size_t max = 6 * strlen(value) + 3;
	char *text = malloc(max);
	struct writer w = writer_on(text, text == NULL ? 0 : max);
	exception_text_put_string(&w, bytes_from_text(value));
	fprintf(to, ",\"%s\":%s", name, text == NULL ? "null" : writer_text(&w));
	free(text);
}

static bool check_text(const char *name, const char *value, struct err *err)
{
	return value == NULL || utf8_is_good(bytes_from_text(value)) ||
	       err_set(err, "--%s: invalid UTF-8", name);
}

static bool put_body(const struct command_line *line, const char *what, bool is_inline, FILE *to,
		     struct err *err)
{
	const struct command_flags *flags = &line->flags;

	if (flags->how_long != NULL && flags->until != NULL)
		return err_set(err, "accepted is one of --for and --until");
	if (!check_text("for", flags->how_long, err) || !check_text("until", flags->until, err) ||
	    !check_text("note", flags->note, err))
		return false;
	fputc('{', to);
	if (what != NULL)
		fputs(what, to);
	else if (take_numbers(line->words, is_inline, to) == 0)
		return err_set(err, "the numbers are missing; accepted are limit=N, or capacity=N "
				    "and refill_rate=RATE");
	put_field(to, "for", flags->how_long);
	put_field(to, "until", flags->until);
	put_field(to, "note", flags->note);
	fputs(flags->is_wide ? ",\"wide\":true}" : "}", to);
	return true;
}

static bool put_target(const struct command_line *line, char target[COMMAND_TARGET_MAX],
		       struct err *err)
{
	struct writer w = writer_on(target, COMMAND_TARGET_MAX);
	bool has_policy = is_policy(line->words[0]);

	writer_put_text(&w, "/exceptions");
	if (has_policy) {
		writer_put_u8(&w, '/');
		command_put_encoded(&w, bytes_from_text(line->words[0]));
	}
	if (!command_put_query(&w, line->words + has_policy, err))
		return false;
	if (w.full)
		return err_set(err, "the values are too long");
	(void)writer_text(&w);
	return true;
}

/* `what` is a field of the body; NULL: the numbers that stand among the words. */
static bool make_exception(const struct command_line *line, const char *what,
			   char target[COMMAND_TARGET_MAX], char **ret_body, struct err *err)
{
	size_t len;

	if (line->words[0] == NULL || (what == NULL && !is_policy(line->words[0])))
		return err_set(err, what == NULL ? "the policy is missing; accepted is POLICY "
						   "name=value... limit=N"
						 : "names are missing; accepted is [POLICY] "
						   "name=value...");
	FILE *to = open_memstream(ret_body, &len);
	if (to == NULL)
		return err_set(err, "out of memory");
	bool is_good = put_body(line, what, strcmp(line->words[0], "inline") == 0, to, err);
	if (fclose(to) != 0)
		return err_set(err, "out of memory");
	return is_good && put_target(line, target, err);
}

static bool make_block(const struct command_line *line, char target[COMMAND_TARGET_MAX],
		       char **ret_body, struct err *err)
{
	return make_exception(line, "\"blocked\":true", target, ret_body, err);
}

static bool make_allow(const struct command_line *line, char target[COMMAND_TARGET_MAX],
		       char **ret_body, struct err *err)
{
	return make_exception(line, "\"unlimited\":true", target, ret_body, err);
}

static bool make_raise(const struct command_line *line, char target[COMMAND_TARGET_MAX],
		       char **ret_body, struct err *err)
{
	return make_exception(line, NULL, target, ret_body, err);
}

/* ---- what an exception says ---- */

static void add_what(struct text_table *table, struct json_value exception)
{
	struct json_value limit = answer_field(exception, "limit");
	struct json_value capacity = answer_field(exception, "capacity");
	struct json_value rate = answer_field(exception, "refill_rate");
	struct json_value units = limit.kind == JSON_NULL ? capacity : limit;

	if (answer_is_true(exception, "blocked"))
		text_table_add(table, "block");
	else if (answer_is_true(exception, "unlimited"))
		text_table_add(table, "allow");
	else
		text_table_add(table, "%s%.*s%s%s%.*s",
			       units.kind == JSON_NULL   ? ""
			       : limit.kind == JSON_NULL ? "capacity="
							 : "limit=",
			       (int)units.text.len, (const char *)units.text.data,
			       units.kind == JSON_NULL || rate.kind == JSON_NULL ? "" : " ",
			       rate.kind == JSON_NULL ? "" : "refill_rate=", (int)rate.text.len,
			       (const char *)rate.text.data);
}

/* The names as they would be typed, and what the policy makes of them. */
static void add_names(struct text_table *table, struct json_value exception)
{
	struct json_value names = answer_field(exception, "names"), name, value;
	uint8_t *text = malloc(names.text.len + 1), *memory = malloc(names.text.len + 1);
	struct writer w = writer_on(text, names.text.len + 1);
	struct writer decoded = writer_on(memory, names.text.len + 1);

	if (text == NULL || memory == NULL)
		abort();
	while (names.kind == JSON_OBJECT && json_next_field(&names, &name, &value)) {
		if (w.len > 0)
			writer_put_u8(&w, ' ');
		writer_put(&w, json_string(&name, &decoded));
		writer_put_u8(&w, '=');
		writer_put(&w, json_string(&value, &decoded));
	}
	text_table_add_bytes(table, w.len == 0 ? BYTES("everybody") : writer_bytes(&w));
	free(memory);
	free(text);
}

static void add_exception(struct text_table *table, struct json_value exception)
{
	text_table_add_text(table, exception, "id");
	add_what(table, exception);
	if (answer_field(exception, "policy").kind == JSON_STRING)
		text_table_add_text(table, exception, "policy");
	else
		text_table_add(table, "(all)");
	add_names(table, exception);
	if (answer_field(exception, "until").kind == JSON_STRING)
		text_table_add_text(table, exception, "until");
	else
		text_table_add(table, "for ever");
	text_table_add_text(table, exception, "when");
	text_table_add_text(table, exception, "who");
	text_table_add(table, answer_is_true(exception, "void") ? "void" : "-");
	text_table_add_text(table, exception, "note");
}

static struct text_table *begin_table(void)
{
	static const char *const heads[] = {"ID",  "WHAT", "POLICY", "NAMES", "UNTIL",
					    "SET", "WHO",  "STATE",  "NOTE"};
	struct text_table *table = text_table_new(ARRAY_SIZE(heads));

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		text_table_add(table, "%s", heads[i]);
	return table;
}

static void print_overruling(struct json_value answer, FILE *to)
{
	struct json_value list = answer_field(answer, "overruled_by"), item;

	if (list.kind != JSON_ARRAY)
		return;
	while (json_next_item(&list, &item))
		fprintf(to, "overruled, at least for a part of its requests, by: %.*s\n",
			(int)item.text.len, (const char *)item.text.data);
}

static void print_change(struct json_value answer, FILE *to)
{
	struct text_table *table = begin_table();

	fputs(answer_is_true(answer, "removed") ? "removed on " : "set on ", to);
	answer_print_text(answer, "scope", to);
	fputs(":\n", to);
	add_exception(table, answer);
	text_table_print(table, to);
	print_overruling(answer, to);
}

static void print_list(struct json_value answer, FILE *to)
{
	struct json_value list = answer_field(answer, "exceptions"), exception;
	size_t count = 0;

	if (list.kind != JSON_ARRAY) { /* of --remove */
		print_change(answer, to);
		return;
	}
	struct text_table *table = begin_table();
	if (answer_is_true(answer, "stale"))
		fputs(ANSWER_IS_STALE, to);
	while (json_next_item(&list, &exception)) {
		add_exception(table, exception);
		count++;
	}
	text_table_print(table, to);
	if (count == 0)
		fputs("there is none\n", to);
}

/* ---- the list ---- */

static const char *choose_method(const struct command_line *line)
{
	return line->flags.removed != NULL ? "DELETE" : "GET";
}

static bool make_list(const struct command_line *line, char target[COMMAND_TARGET_MAX],
		      char **ret_body, struct err *err)
{
	struct writer w = writer_on(target, COMMAND_TARGET_MAX);
	const char *removed = line->flags.removed;

	(void)ret_body;
	if (removed != NULL && line->words[0] != NULL)
		return err_set(err, "accepted is --remove ID alone, or name=value...");
	writer_put_text(&w, "/exceptions");
	if (removed != NULL) {
		writer_put_text(&w, "?id=");
		command_put_encoded(&w, bytes_from_text(removed));
	} else if (!command_put_query(&w, line->words, err)) {
		return false;
	}
	if (w.full)
		return err_set(err, "the values are too long");
	(void)writer_text(&w);
	return true;
}

static bool make_next(const struct command_line *line, struct json_value answer,
		      char target[COMMAND_TARGET_MAX])
{
	struct json_value next = answer_field(answer, "next");
	struct writer w = writer_on(target, COMMAND_TARGET_MAX);
	struct err err;

	if (next.kind != JSON_STRING)
		return false;
	writer_put_text(&w, "/exceptions");
	if (!command_put_query(&w, line->words, &err))
		return false; /* it was put before */
	writer_put_text(&w, line->words[0] == NULL ? "?after=" : "&after=");
	command_put_encoded(&w, next.text);
	(void)writer_text(&w);
	return !w.full;
}

/* ---- the commands ---- */

#define HOW_LONG_OPTION                                                               \
	{                                                                             \
		.name = "for", .metavar = "DURATION",                                 \
		.meaning = "it ends after this time, such as 1h; without it and "     \
			   "without --until it never does",                           \
		.kind = OPTION_TEXT,                                                  \
		.offset = OPTION_FIELD(struct command_flags, how_long, const char *), \
		.accepted = "a duration"                                              \
	}
#define UNTIL_OPTION                                                               \
	{                                                                          \
		.name = "until", .metavar = "TIME",                                \
		.meaning = "it ends at this time, such as 2030-01-31T12:00:00Z",   \
		.kind = OPTION_TEXT,                                               \
		.offset = OPTION_FIELD(struct command_flags, until, const char *), \
		.accepted = "a time as RFC 3339 writes it"                         \
	}
#define NOTE_OPTION                                                                     \
	{                                                                               \
		.name = "note", .metavar = "TEXT",                                      \
		.meaning = "why, for whoever sees it in the list", .kind = OPTION_TEXT, \
		.offset = OPTION_FIELD(struct command_flags, note, const char *),       \
		.accepted = "a text"                                                    \
	}
#define WIDE_OPTION                                                                              \
	{                                                                                        \
		.name = "wide",                                                                  \
		.meaning = "it may be for a network wider than /8 (IPv4) or "                    \
			   "/24 (IPv6), or for a policy that counts everybody "                  \
			   "together",                                                           \
		.kind = OPTION_MARK, .offset = OPTION_FIELD(struct command_flags, is_wide, bool) \
	}

static const struct option set_options[] = {
	HOW_LONG_OPTION, UNTIL_OPTION, NOTE_OPTION, WIDE_OPTION, {.name = NULL},
};

static const struct option list_options[] = {
	{.name = "remove",
	 .metavar = "ID",
	 .meaning = "remove the exception with this id",
	 .kind = OPTION_TEXT,
	 .offset = OPTION_FIELD(struct command_flags, removed, const char *),
	 .accepted = "an id"},
	{.name = NULL},
};

#define WHO_MAY                                                                               \
	"\nIt needs a token of --admin-token-file, or a Unix socket of --admin-listen. With " \
	"Redis it acts\non all agents, with balances in memory on the agents that are asked."

const struct command command_block = {
	.name = "block",
	.arguments = "[POLICY] name=value...",
	.meaning = "denies a client, for a time or for ever",
	.help = "Denies the requests of a client: by POLICY, whose key the names are, or without "
		"POLICY\nwhatever policies there are, if a request has all of these attributes. "
		"Without POLICY an\naddress may be a network: src=203.0.113.0/24." WHO_MAY,
	.method = "PUT",
	.own_options = set_options,
	.make = make_block,
	.print = print_change,
};

const struct command command_allow = {
	.name = "allow",
	.arguments = "[POLICY] name=value...",
	.meaning = "lets a client through without a check",
	.help = "Lets the requests of a client through: POLICY, whose key the names are, does not "
		"check\nthem, or without POLICY no policy does, if a request has all of these "
		"attributes. Without\nPOLICY an address may be a network: "
		"src=203.0.113.0/24." WHO_MAY,
	.method = "PUT",
	.own_options = set_options,
	.make = make_allow,
	.print = print_change,
};

const struct command command_raise = {
	.name = "raise",
	.arguments = "POLICY name=value... limit=N",
	.meaning = "gives a client other numbers",
	.help = "Gives a key of POLICY other numbers: limit=N, or of a token bucket capacity=N and "
		"\nrefill_rate=RATE. The balance goes on: what is used stays used. Of POLICY "
		"inline "
		"the number\nthat is given twice is the new one." WHO_MAY,
	.method = "PUT",
	.own_options = set_options,
	.make = make_raise,
	.print = print_change,
};

const struct command command_exceptions = {
	.name = "exceptions",
	.arguments = "[name=value...] [--remove ID]",
	.meaning = "lists what block, allow and raise have set, or removes one",
	.help = "Lists all exceptions, or those that have these names with these values, or with "
		"networks\nthat hold them. With --remove it ends one, which needs a token of "
		"--admin-token-file, or a\nUnix socket of --admin-listen.",
	.choose_method = choose_method,
	.own_options = list_options,
	.make = make_list,
	.print = print_list,
	.make_next = make_next,
	.list = "exceptions",
};
