/*
 * policies: the policy file that is in the store (policies_http.h).
 *
 *     get [--version N]                    GET /policies
 *     put FILE --version N | --force       PUT /policies; --force asks which version is the latest
 *     history                              GET /policies/history
 *     rollback N                           GET of version N, and PUT of its text as the next one
 *
 * A change is made once: when the answer says that it is for all agents, no further agent is asked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/operate/command.h"
#include "app/operate/policy_versions.h"
#include "app/policies/text_file.h"
#include "base/parse.h"
#include "limit/quota.h"

#define PATH    "/policies"
#define HISTORY "/policies/history"
#define TRIES   5

/* ---- questions ---- */

/* Says what is wrong when there is no answer. */
static bool try_to_ask(const char *agent, const char *token, const struct agent_request *request,
		       struct agent_reply *ret_reply)
{
	struct err err;

	if (agent_client_ask(agent, token, request, ret_reply, &err))
		return true;
	fprintf(stderr, "ratelimit-spoa: %s: %s\n", agent, err.text);
	return false;
}

/* Says what a refusal says, and frees it. */
static bool check_granted(const char *agent, const struct agent_reply *reply)
{
	if (reply->status == 200)
		return true;
	command_print_refusal(agent, reply);
	free(reply->body);
	return false;
}

static bool ask(const char *agent, const char *token, const struct agent_request *request,
		struct agent_reply *ret_reply)
{
	return try_to_ask(agent, token, request, ret_reply) && check_granted(agent, ret_reply);
}

/* The latest version, or with `number` that one. */
static bool ask_version(const char *agent, const char *token, const char *number,
			struct agent_reply *ret_reply)
{
	char target[64];

	snprintf(target, sizeof target, PATH "%s%s",
		 number == NULL ? "" : "?version=", number == NULL ? "" : number);
	return ask(agent, token, &(struct agent_request){.method = "GET", .target = target},
		   ret_reply);
}

/* The number of the latest version, for If-Match. */
static bool ask_latest(const char *agent, const char *token, char latest[AGENT_ETAG_MAX])
{
	struct agent_reply reply;

	if (!ask_version(agent, token, NULL, &reply))
		return false;
	memcpy(latest, reply.etag, AGENT_ETAG_MAX);
	free(reply.body);
	return true;
}

static bool read_answer(const char *agent, const struct agent_reply *reply,
			struct json_value *ret_root)
{
	struct err err;

	if (json_read(bytes_from(reply->body, reply->len), ret_root, &err))
		return true;
	fprintf(stderr, "ratelimit-spoa: %s: the answer is no JSON: %s\n", agent, err.text);
	return false;
}

static void print_agent(const struct command_line *line, const char *agent)
{
	if (line->flags.agent_count > 1 && !line->flags.json)
		printf("%s:\n", agent);
}

/* ---- get ---- */

static bool run_get(const struct command_line *line, const char *agent, const char *token)
{
	struct agent_reply reply;

	if (!ask_version(agent, token, line->flags.version, &reply))
		return false;
	print_agent(line, agent);
	fprintf(stderr, "version %s\n", reply.etag);
	if (reply.is_stale)
		fputs(ANSWER_IS_STALE, stderr);
	(void)fwrite(reply.body, 1, reply.len, stdout);
	if (reply.len == 0 || reply.body[reply.len - 1] != '\n')
		fputc('\n', stdout);
	free(reply.body);
	return true;
}

/* ---- history ---- */

static void print_history(struct json_value answer, FILE *to)
{
	static const char *const heads[] = {"VERSION", "PUT", "WHO", "BYTES", "STATE"};
	struct json_value list = answer_field(answer, "versions"), version;
	struct json_value refused = answer_field(answer, "refused");
	struct text_table *table = text_table_new(ARRAY_SIZE(heads));
	int64_t used = answer_number(answer, "used");
	size_t count = 0;

	if (answer_is_true(answer, "stale"))
		fputs(ANSWER_IS_STALE, to);
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		text_table_add(table, "%s", heads[i]);
	while (list.kind == JSON_ARRAY && json_next_item(&list, &version)) {
		count++;
		text_table_add_number(table, version, "version");
		text_table_add_text(table, version, "when");
		text_table_add_text(table, version, "who");
		text_table_add_number(table, version, "bytes");
		text_table_add(table, answer_number(version, "version") == used ? "in use" : "-");
	}
	text_table_print(table, to);
	if (count == 0)
		fputs("there is none\n", to);
	if (refused.kind != JSON_OBJECT)
		return;
	fprintf(to, "this agent can't take version %lld: ",
		(long long)answer_number(refused, "version"));
	answer_print_text(refused, "reason", to);
	fputc('\n', to);
}

static bool run_history(const struct command_line *line, const char *agent, const char *token)
{
	struct agent_reply reply;
	struct json_value root;

	if (!ask(agent, token, &(struct agent_request){.method = "GET", .target = HISTORY}, &reply))
		return false;
	bool is_good = read_answer(agent, &reply, &root);
	if (is_good && line->flags.json) {
		command_print_reply(line, agent, &reply);
	} else if (is_good) {
		print_agent(line, agent);
		print_history(root, stdout);
		command_print_warnings(agent, root);
	}
	free(reply.body);
	return is_good;
}

/* ---- put and rollback ---- */

static void print_put(const struct command_line *line, const char *agent,
		      const struct agent_reply *reply, struct json_value answer)
{
	if (line->flags.json) {
		command_print_reply(line, agent, reply);
		return;
	}
	print_agent(line, agent);
	printf("version %lld is put, for ", (long long)answer_number(answer, "version"));
	answer_print_text(answer, "scope", stdout);
	putchar('\n');
	command_print_warnings(agent, answer);
}

/*
 * `expected` is a number, or empty for whatever is the latest version. An agent may not know the
 * latest one yet, which another agent has put. Its refusal names the latest one, so the question is
 * asked again with that, but not for ever.
 */
static bool send_text(const struct command_line *line, const char *agent, const char *token,
		      const char *expected, struct bytes text, bool *ret_is_done)
{
	struct agent_request request = {
		.method = "PUT", .target = PATH, .body = text, .if_match = expected};
	char latest[AGENT_ETAG_MAX];
	struct agent_reply reply;
	struct json_value root;
	bool is_forced = *expected == '\0';

	if (is_forced && !ask_latest(agent, token, latest))
		return false;
	if (is_forced)
		request.if_match = latest;
	bool is_asked = try_to_ask(agent, token, &request, &reply);
	for (int i = 1; is_asked && is_forced && reply.status == 412 && i < TRIES; i++) {
		memcpy(latest, reply.etag, sizeof latest);
		free(reply.body);
		is_asked = try_to_ask(agent, token, &request, &reply);
	}
	if (!is_asked || !check_granted(agent, &reply))
		return false;
	bool is_good = read_answer(agent, &reply, &root);
	if (is_good) {
		*ret_is_done = bytes_equal(answer_field(root, "scope").text, BYTES("all agents"));
		print_put(line, agent, &reply, root);
	}
	free(reply.body);
	return is_good;
}

static char *read_file(const char *path, size_t *ret_len)
{
	char *text = text_file_read(path, POLICY_TEXT_MAX + 1, ret_len);

	if (text == NULL)
		fprintf(stderr, "ratelimit-spoa: %s: %s\n", path,
			errno == EFBIG ? "it is larger than 1 MiB" : strerror(errno));
	return text;
}

static bool run_put(const struct command_line *line, const char *agent, const char *token,
		    bool *ret_is_done)
{
	const char *expected = line->flags.version == NULL ? "" : line->flags.version;
	size_t len;
	char *text = read_file(line->words[1], &len);
	bool is_good = text != NULL &&
		       send_text(line, agent, token, expected, bytes_from(text, len), ret_is_done);
	free(text);
	return is_good;
}

static bool run_rollback(const struct command_line *line, const char *agent, const char *token,
			 bool *ret_is_done)
{
	struct agent_reply reply;

	if (!ask_version(agent, token, line->words[1], &reply))
		return false;
	bool is_good =
		send_text(line, agent, token, "", bytes_from(reply.body, reply.len), ret_is_done);
	free(reply.body);
	return is_good;
}

/* ---- the words ---- */

static bool is_number(const char *text, uint64_t least)
{
	uint64_t number;

	return parse_whole(bytes_from_text(text), QUOTA_EXACT_MAX, &number) && number >= least;
}

static bool check_count(char **words, size_t count, const char *accepted, struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (words[i] == NULL)
			return err_set(err, "%s is missing", accepted);
	return words[count] == NULL ||
	       err_set(err, "%s is not accepted; accepted is %s",
		       quoted(bytes_from_text(words[count])).text, accepted);
}

static bool check_put(const struct command_line *line, struct err *err)
{
	if (!check_count(line->words, 2, "put FILE", err))
		return false;
	if (line->flags.version != NULL && line->flags.is_forced)
		return err_set(err, "accepted is one of --version and --force");
	return line->flags.version != NULL || line->flags.is_forced ||
	       err_set(err, "--version is missing; accepted is the number of the version that you "
			    "changed, or --force in its place");
}

static bool check_rollback(const struct command_line *line, struct err *err)
{
	return check_count(line->words, 2, "rollback N", err) &&
	       (is_number(line->words[1], 1) ||
		err_set(err, "%s is not the number of a version",
			quoted(bytes_from_text(line->words[1])).text));
}

static bool make(const struct command_line *line, char target[COMMAND_TARGET_MAX], char **ret_body,
		 struct err *err)
{
	const struct command_flags *flags = &line->flags;
	const char *verb = line->words[0] == NULL ? "" : line->words[0];
	bool is_put = strcmp(verb, "put") == 0, is_get = strcmp(verb, "get") == 0;

	(void)ret_body;
	*target = '\0';
	if (flags->version != NULL && !is_number(flags->version, is_get))
		return err_set(err, "--version: %s is not the number of a version",
			       quoted(bytes_from_text(flags->version)).text);
	if (flags->is_forced && !is_put)
		return err_set(err, "--force is for put alone");
	if (is_put)
		return check_put(line, err);
	if (is_get)
		return check_count(line->words, 1, "get", err);
	if (flags->version != NULL)
		return err_set(err, "--version is for get and put alone");
	if (strcmp(verb, "rollback") == 0)
		return check_rollback(line, err);
	if (strcmp(verb, "history") == 0)
		return check_count(line->words, 1, "history", err);
	return err_set(err, "%s%saccepted are get, put FILE, history and rollback N",
		       *verb == '\0' ? "" : quoted(bytes_from_text(verb)).text,
		       *verb == '\0' ? "" : " is not accepted; ");
}

static bool run(const struct command_line *line, const char *agent, const char *token,
		bool *ret_is_done)
{
	const char *verb = line->words[0];

	if (strcmp(verb, "put") == 0)
		return run_put(line, agent, token, ret_is_done);
	if (strcmp(verb, "rollback") == 0)
		return run_rollback(line, agent, token, ret_is_done);
	return strcmp(verb, "history") == 0 ? run_history(line, agent, token)
					    : run_get(line, agent, token);
}

static const struct option options[] = {
	{.name = "version",
	 .metavar = "N",
	 .meaning =
		 "put: the version that FILE was made of, which must still be the latest; 0 when "
		 "there is none. get: the version to print",
	 .kind = OPTION_TEXT,
	 .offset = OPTION_FIELD(struct command_flags, version, const char *),
	 .accepted = "the number of a version"},
	{.name = "force",
	 .meaning = "put: whatever the latest version is",
	 .kind = OPTION_MARK,
	 .offset = OPTION_FIELD(struct command_flags, is_forced, bool)},
	{.name = NULL},
};

const struct command command_policies = {
	.name = "policies",
	.arguments = "get|put FILE|history|rollback N",
	.meaning = "shows or changes the policies that are in the store",
	.help = "Of agents with --policies store: get prints the policy file, and its version on "
		"standard\nerror; put FILE --version N makes FILE the next version, if N is still "
		"the latest one;\nhistory lists the last 20 versions; rollback N puts the text of "
		"version N as the next one.\nput and rollback need a token of --admin-token-file, "
		"or a Unix socket of --admin-listen.\nWith Redis they act on all agents, with "
		"balances in memory on the agents that are asked.",
	.method = "GET",
	.own_options = options,
	.make = make,
	.run = run,
};
