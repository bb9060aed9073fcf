/*
 * command.h - the commands of an operator: they ask running agents over HTTP (operate.h) and print
 * the answers, for people as aligned text, for programs as JSON.
 */
#ifndef APP_OPERATE_COMMAND_H
#define APP_OPERATE_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

#include "app/operate/agent_client.h"
#include "app/option.h"
#include "base/err.h"
#include "base/json_reader.h"

#define COMMAND_AGENTS_MAX 16

/* The flags of all commands. Those that a command has not stay as they are. */
struct command_flags {
	const char *agents[COMMAND_AGENTS_MAX];
	size_t agent_count;
	const char *token_file; /* NULL: none */
	bool json;
	unsigned by, last; /* of top: positions of their names */
	bool watch;
	/* Of exceptions; NULL: not given. */
	const char *how_long, *until, *note, *removed;
	bool is_wide;
	/* Of policies. */
	const char *version;
	bool is_forced;
};

/* What stands behind the command. */
struct command_line {
	struct command_flags flags;
	char **words; /* without flags; NULL ends them */
};

/* The target of a request, with its NUL. */
#define COMMAND_TARGET_MAX 8192

struct command {
	const char *name;
	const char *arguments; /* as the usage has them */
	const char *meaning;   /* in one line */
	const char *help;      /* more lines */
	const char *method;
	/* NULL, or says what the method is in place of `method`. */
	const char *(*choose_method)(const struct command_line *line);
	const struct option *own_options; /* NULL: none but those of all commands */
	/*
	 * Makes the target, and a body if the request has one, which is from malloc. False when the
	 * words are none that the command takes.
	 */
	bool (*make)(const struct command_line *line, char target[COMMAND_TARGET_MAX],
		     char **ret_body, struct err *err);
	/* Prints an answer for people. */
	void (*print)(struct json_value answer, FILE *to);
	/*
	 * Of an answer that comes in pieces, else NULL: it says whether there is another piece, and
	 * makes the target that asks for that piece. The lists of all pieces become one list, in
	 * the last answer.
	 */
	bool (*make_next)(const struct command_line *line, struct json_value answer,
			  char target[COMMAND_TARGET_MAX]);
	const char *list;
	/*
	 * Of a command that asks an agent several questions, else NULL. `make` then only looks at
	 * the words. False when something was refused, which it has said. *ret_is_done: no other
	 * agent needs to be asked.
	 */
	bool (*run)(const struct command_line *line, const char *agent, const char *token,
		    bool *ret_is_done);
};

extern const struct command command_explain, command_top, command_balance, command_reset,
	command_block, command_allow, command_raise, command_exceptions, command_policies;

/* NULL when no command of an operator has the name. */
const struct command *command_find(const char *name);
/* The names for the error of a command that is unknown; the last one is NULL. */
extern const char *const command_names[];
/* Runs it. `args` are the arguments behind its name. Returns the exit status. */
int command_run(const struct command *command, char **args, char **environment);
/* Two lines for each command, for the help of all. */
void command_print_usages(FILE *to);

/* ---- for the commands ---- */

/* Splits "name=value" at its first `=`. False, with the error, when it has none. */
MUST_CHECK bool command_split(const char *word, struct bytes *ret_name, struct bytes *ret_value,
			      struct err *err);
/* Puts the words as a query behind `w`; the first separator is `?`. */
MUST_CHECK bool command_put_query(struct writer *w, char **words, struct err *err);
/* For machines: the answer of the agent as it is, with the agent if several are asked. */
void command_print_reply(const struct command_line *line, const char *agent,
			 const struct agent_reply *reply);
/* The value of a JSON field that may stand in an answer as it is. */
void command_print_json(struct json_value value, FILE *to);
void command_put_encoded(struct writer *w, struct bytes text);

/* Says what a problem says (RFC 9457), on standard error. */
void command_print_refusal(const char *agent, const struct agent_reply *reply);
/* Says on standard error what is to be mended at the store, though the command did its work. */
void command_print_warnings(const char *agent, struct json_value answer);

/* ---- of answers, for people ---- */

#define ANSWER_IS_STALE "stale: the store does not answer, and this is what the agent knew last\n"

/* The value of the field; null when there is none. */
struct json_value answer_field(struct json_value object, const char *name);
int64_t answer_number(struct json_value object, const char *name);
bool answer_is_true(struct json_value object, const char *name);
/* Prints a text; control characters are printed as \x1b. */
void answer_print_text(struct json_value object, const char *name, FILE *to);
void answer_print_string(struct json_value value, FILE *to);

#define CELL_MAX 160

/* Text in columns: cells are added row by row, and printed as wide as the widest of each column. */
struct text_table;

struct text_table *text_table_new(size_t columns);
void text_table_add(struct text_table *table, const char *format, ...) PRINTF_LIKE(2, 3);
void text_table_add_text(struct text_table *table, struct json_value object, const char *name);
/* A text that may have control characters; it may be long. */
void text_table_add_bytes(struct text_table *table, struct bytes text);
/* "29.4s", "12m 30s", "never" for -1, "-" without the field. */
void text_table_add_ms(struct text_table *table, struct json_value object, const char *name);
void text_table_add_number(struct text_table *table, struct json_value object, const char *name);
/* Prints and frees it. */
void text_table_print(struct text_table *table, FILE *to);

#endif
