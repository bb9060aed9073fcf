#include "app/operate/command.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/options.h"
#include "app/secret_file.h"
#include "base/memory_file.h"
#include "net/http/http_access.h"

#define EXIT_USAGE      2
#define ADMIN_SOCKET    "/run/ratelimit-spoa/admin.sock"
#define DEFAULT_ADDRESS "http://127.0.0.1:8080"
#define AGENT_VARIABLE  "RATELIMIT_AGENT="
#define TOKEN_VARIABLE  "RATELIMIT_TOKEN_FILE="
#define CLEAR_SCREEN    "\x1b[H\x1b[2J"
#define SECRET_MAX      (HTTP_TOKEN_NAME_MAX + HTTP_TOKEN_MAX + 2)

static const struct command *const commands[] = {
	&command_explain, &command_top,   &command_balance,    &command_reset,   &command_block,
	&command_allow,   &command_raise, &command_exceptions, &command_policies};
const char *const command_names[] = {"explain", "top",   "balance",    "reset",    "block",
				     "allow",   "raise", "exceptions", "policies", NULL};

_Static_assert(ARRAY_SIZE(command_names) == ARRAY_SIZE(commands) + 1, "a command has no name");

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

/* ---- flags ---- */

static bool add_agent(void *into, const char *value, struct err *err)
{
	struct command_flags *flags = into;

	if (flags->agent_count == COMMAND_AGENTS_MAX)
		return err_set(err, "more than %d agents", COMMAND_AGENTS_MAX);
	flags->agents[flags->agent_count++] = value;
	return agent_client_check_address(value, err);
}

static const struct option flags_table[] = {
	{.name = "agent",
	 .metavar = "ADDRESS",
	 .meaning =
		 "the agent to ask, http://host[:port] or unix:/path; may be repeated. Without it "
		 "RATELIMIT_AGENT, else " ADMIN_SOCKET
		 " where that is there, else " DEFAULT_ADDRESS,
	 .kind = OPTION_OWN,
	 .accepted = "http://host[:port] or unix:/path",
	 .read = add_agent},
	{.name = "token-file",
	 .metavar = "FILE",
	 .meaning = "a file whose first line is a token, or NAME TOKEN; without it "
		    "RATELIMIT_TOKEN_FILE",
	 .kind = OPTION_TEXT,
	 .offset = OPTION_FIELD(struct command_flags, token_file, const char *),
	 .accepted = "a path"},
	{.name = "json",
	 .meaning = "print the answers as they are, for programs: one line for each agent",
	 .kind = OPTION_MARK,
	 .offset = OPTION_FIELD(struct command_flags, json, bool)},
	{.name = NULL},
};

static const char *find_variable(char **environment, const char *name)
{
	for (; *environment != NULL; environment++)
		if (strncmp(*environment, name, strlen(name)) == 0 &&
		    (*environment)[strlen(name)] != '\0')
			return *environment + strlen(name);
	return NULL;
}

static bool is_socket(const char *path)
{
	struct stat found;

	return stat(path, &found) == 0 && S_ISSOCK(found.st_mode);
}

static bool set_default_agent(struct command_flags *flags, char **environment, struct err *err)
{
	const char *given = find_variable(environment, AGENT_VARIABLE);

	if (flags->agent_count > 0)
		return true;
	if (given != NULL)
		return add_agent(flags, given, err) || err_at(err, "RATELIMIT_AGENT: ");
	return add_agent(flags, is_socket(ADMIN_SOCKET) ? "unix:" ADMIN_SOCKET : DEFAULT_ADDRESS,
			 err);
}

/* "TOKEN", or "NAME TOKEN". Without a file the token is empty. */
static bool read_token(const struct command_flags *flags, char **environment, char *token,
		       size_t max, struct err *err)
{
	const char *path = flags->token_file != NULL ? flags->token_file
						     : find_variable(environment, TOKEN_VARIABLE);
	char line[SECRET_MAX];

	*token = '\0';
	if (path == NULL)
		return true;
	if (!secret_file_read(path, line, sizeof line, err))
		return err_at(err, "--token-file: ");
	struct bytes word = bytes_trim(bytes_from_text(line));
	size_t name_len = strcspn((const char *)word.data, " \t");
	if (name_len < word.len)
		word = bytes_trim(bytes_skip(word, name_len));
	for (size_t i = 0; i < word.len; i++)
		if (word.data[i] <= ' ' || word.data[i] >= 0x7f)
			word.len = 0;
	if (word.len == 0 || word.len >= max)
		return err_set(err,
			       "--token-file: %s: accepted is a first line TOKEN or NAME TOKEN of "
			       "printable characters",
			       path);
	memcpy(token, word.data, word.len);
	token[word.len] = '\0';
	return true;
}

static bool refuse_flags(const struct command *command, char **words, struct err *err)
{
	for (; *words != NULL; words++)
		if ((*words)[0] == '-')
			return err_set(err, "%s: no such option%s",
				       quoted(bytes_from_text(*words)).text,
				       option_suggest_flag(bytes_from_text(*words), flags_table,
							   command->own_options)
					       .text);
	return true;
}

/* ---- words ---- */

bool command_split(const char *word, struct bytes *ret_name, struct bytes *ret_value,
		   struct err *err)
{
	const char *equals = strchr(word, '=');

	if (equals == NULL || equals == word)
		return err_set(err, "%s: accepted is name=value",
			       quoted(bytes_from_text(word)).text);
	*ret_name = bytes_from(word, (size_t)(equals - word));
	*ret_value = bytes_from_text(equals + 1);
	return true;
}

void command_put_encoded(struct writer *w, struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    (c != '\0' && strchr("-._~", c) != NULL)) {
			writer_put_u8(w, c);
		} else {
			writer_put_u8(w, '%');
			writer_put_hex(w, bytes_from(&c, 1));
		}
	}
}

bool command_put_query(struct writer *w, char **words, struct err *err)
{
	struct bytes name, value;

	for (size_t i = 0; words[i] != NULL; i++) {
		if (!command_split(words[i], &name, &value, err))
			return false;
		writer_put_u8(w, i == 0 ? '?' : '&');
		command_put_encoded(w, name);
		writer_put_u8(w, '=');
		command_put_encoded(w, value);
	}
	return true;
}

/* ---- one agent ---- */

/* The texts of a list; false when there is none. */
static bool print_list(struct json_value list, FILE *to)
{
	struct json_value item;

	if (list.kind != JSON_ARRAY)
		return false;
	while (json_next_item(&list, &item)) {
		fputs("\n  ", to);
		answer_print_string(item, to);
	}
	return true;
}

/* With a list of problems, all of them are in place of `detail`, which has the first. */
void command_print_refusal(const char *agent, const struct agent_reply *reply)
{
	struct json_value root;
	struct err err;

	fprintf(stderr, "ratelimit-spoa: %s: %u ", agent, reply->status);
	if (json_read(bytes_from(reply->body, reply->len), &root, &err) &&
	    !print_list(answer_field(root, "problems"), stderr))
		answer_print_text(root, "detail", stderr);
	fputc('\n', stderr);
}

void command_print_reply(const struct command_line *line, const char *agent,
			 const struct agent_reply *reply)
{
	if (line->flags.agent_count > 1)
		printf("{\"agent\":\"%s\",\"answer\":", agent);
	(void)fwrite(reply->body, 1, reply->len, stdout);
	fputs(line->flags.agent_count > 1 ? "}\n" : "\n", stdout);
}

void command_print_warnings(const char *agent, struct json_value answer)
{
	struct json_value list = answer_field(answer, "warnings"), text;

	(void)fflush(stdout);
	while (list.kind == JSON_ARRAY && json_next_item(&list, &text))
		fprintf(stderr, "ratelimit-spoa: %s: warning: %.*s\n", agent, (int)text.text.len,
			(const char *)text.text.data);
}

/* False when the answer can't be read. */
static bool print_answer(const struct command *command, const struct command_line *line,
			 const char *agent, const struct agent_reply *reply, struct err *err)
{
	struct json_value root;

	if (!json_read(bytes_from(reply->body, reply->len), &root, err))
		return err_at(err, "the answer is no JSON: ");
	if (line->flags.json) {
		command_print_reply(line, agent, reply);
		return true;
	}
	if (line->flags.agent_count > 1)
		printf("%s:\n", agent);
	command->print(root, stdout);
	command_print_warnings(agent, root);
	return true;
}

/* ---- a list that the agent sends in several answers ---- */

void command_print_json(struct json_value value, FILE *to)
{
	static const char begins[] = {[JSON_STRING] = '"', [JSON_ARRAY] = '[', [JSON_OBJECT] = '{'};
	static const char ends[] = {[JSON_STRING] = '"', [JSON_ARRAY] = ']', [JSON_OBJECT] = '}'};
	bool is_enclosed = value.kind >= JSON_STRING;

	if (is_enclosed)
		fputc(begins[value.kind], to);
	(void)fwrite(value.text.data, 1, value.text.len, to);
	if (is_enclosed)
		fputc(ends[value.kind], to);
}

/* The last answer, with the items of all of them; `items` are they, with commas between. */
static void put_whole(const struct command *command, struct json_value answer, struct bytes items,
		      FILE *to)
{
	struct json_value name, value;

	fprintf(to, "{\"%s\":[", command->list);
	(void)fwrite(items.data, 1, items.len, to);
	fputc(']', to);
	while (json_next_field(&answer, &name, &value)) {
		if (bytes_equal(name.text, bytes_from_text(command->list)))
			continue;
		fprintf(to, ",\"%.*s\":", (int)name.text.len, (const char *)name.text.data);
		command_print_json(value, to);
	}
	fputc('}', to);
}

/* Puts the items of the piece behind those that came before, and says whether there are more. */
static bool take_piece(const struct command *command, const struct command_line *line,
		       const struct agent_reply *piece, FILE *items, char *target)
{
	struct json_value answer, list;
	struct err err;

	if (!json_read(bytes_from(piece->body, piece->len), &answer, &err))
		return false; /* print_answer will say why */
	list = answer_field(answer, command->list);
	if (list.text.len > 0 && ftell(items) > 0)
		fputc(',', items);
	(void)fwrite(list.text.data, 1, list.text.len, items);
	return command->make_next(line, answer, target);
}

/* In place of the last piece, *reply becomes all of them. */
static bool join_pieces(const struct command *command, struct agent_reply *reply,
			struct bytes items)
{
	struct json_value answer;
	struct memory_file file;
	struct err err;

	if (!json_read(bytes_from(reply->body, reply->len), &answer, &err))
		return true;
	if (memory_file_begin(&file))
		put_whole(command, answer, items, file.to);
	char *text = memory_file_end(&file);
	if (text == NULL)
		return false;
	free(reply->body);
	reply->body = text;
	reply->len = file.len;
	return true;
}

static bool ask_pieces(const struct command *command, const struct command_line *line,
		       const char *agent, const char *token, const struct agent_request *request,
		       struct agent_reply *ret_reply, struct err *err)
{
	char target[COMMAND_TARGET_MAX];
	struct agent_request next = *request;
	struct memory_file items;

	if (!memory_file_begin(&items))
		return err_set(err, "out of memory");
	next.target = target;
	bool is_asked = agent_client_ask(agent, token, request, ret_reply, err);
	while (is_asked && ret_reply->status == 200 &&
	       take_piece(command, line, ret_reply, items.to, target)) {
		free(ret_reply->body);
		is_asked = agent_client_ask(agent, token, &next, ret_reply, err);
	}
	char *text = memory_file_end(&items);
	if (is_asked && ret_reply->status == 200 &&
	    (text == NULL || !join_pieces(command, ret_reply, bytes_from(text, items.len)))) {
		free(ret_reply->body);
		is_asked = err_set(err, "out of memory");
	}
	free(text);
	return is_asked;
}

static bool ask_agent(const struct command *command, const struct command_line *line,
		      const char *agent, const char *token, const struct agent_request *request)
{
	struct agent_reply reply;
	struct err err;

	token = *token == '\0' ? NULL : token;
	bool is_asked = command->make_next != NULL && strcmp(request->method, "GET") == 0
				? ask_pieces(command, line, agent, token, request, &reply, &err)
				: agent_client_ask(agent, token, request, &reply, &err);
	if (!is_asked) {
		fprintf(stderr, "ratelimit-spoa: %s: %s\n", agent, err.text);
		return false;
	}
	bool is_good = reply.status == 200;
	if (!is_good) {
		command_print_refusal(agent, &reply);
	} else if (!print_answer(command, line, agent, &reply, &err)) {
		fprintf(stderr, "ratelimit-spoa: %s: %s\n", agent, err.text);
		is_good = false;
	}
	free(reply.body);
	return is_good;
}

static int ask_all(const struct command *command, const struct command_line *line,
		   const char *token, const char *target, const char *body)
{
	const struct agent_request request = {
		.method = command->choose_method != NULL ? command->choose_method(line)
							 : command->method,
		.target = target,
		.body = body == NULL ? (struct bytes){0} : bytes_from_text(body),
	};
	bool is_good = true, is_done = false;

	for (size_t i = 0; i < line->flags.agent_count && !is_done; i++) {
		const char *agent = line->flags.agents[i];
		is_good = (command->run != NULL
				   ? command->run(line, agent, *token == '\0' ? NULL : token,
						  &is_done)
				   : ask_agent(command, line, agent, token, &request)) &&
			  is_good;
	}
	return is_good && fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- the command ---- */

static int report_usage(const struct command *command, const struct err *err)
{
	fprintf(stderr, "ratelimit-spoa: %s: %s\n", command->name, err->text);
	return EXIT_USAGE;
}

static bool has_help(char **args)
{
	for (; *args != NULL; args++)
		if (strcmp(*args, "--help") == 0 || strcmp(*args, "-h") == 0)
			return true;
	return false;
}

static int print_help(const struct command *command)
{
	printf("usage: ratelimit-spoa %s %s [options]\n\n%s\n\n", command->name, command->arguments,
	       command->help);
	if (command->own_options != NULL)
		option_print_table(command->own_options, stdout);
	option_print_table(flags_table, stdout);
	return EXIT_SUCCESS;
}

void command_print_usages(FILE *to)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "       ratelimit-spoa %s %s [options]\n%45s%s\n", commands[i]->name,
			commands[i]->arguments, "", commands[i]->meaning);
}

int command_run(const struct command *command, char **args, char **environment)
{
	struct command_line line = {.words = args};
	char target[COMMAND_TARGET_MAX], token[HTTP_TOKEN_MAX + 1];
	char *body = NULL;
	struct err err;

	if (has_help(args))
		return print_help(command);
	if ((command->own_options != NULL &&
	     !option_read_own_flags(command->own_options, &line.flags, args, &err)) ||
	    !option_read_own_flags(flags_table, &line.flags, args, &err) ||
	    !refuse_flags(command, args, &err) || !options_check_variables(environment, &err) ||
	    !set_default_agent(&line.flags, environment, &err) ||
	    !read_token(&line.flags, environment, token, sizeof token, &err) ||
	    !command->make(&line, target, &body, &err)) {
		free(body); /* the names behind it may be what is wrong */
		return report_usage(command, &err);
	}
	int status = ask_all(command, &line, token, target, body);
	while (line.flags.watch) {
		(void)sleep(1);
		if (isatty(STDOUT_FILENO) && !line.flags.json)
			fputs(CLEAR_SCREEN, stdout);
		status = ask_all(command, &line, token, target, body);
	}
	free(body);
	return status;
}
