#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/load.h"
#include "app/operate/command.h"
#include "app/options.h"
#include "app/policies/policies_json.h"
#include "app/policies/policies_table.h"
#include "app/policies/policy_warnings.h"
#include "app/probe.h"
#include "app/replay/replay.h"
#include "app/serve.h"
#include "app/systemd_sockets.h"
#include "base/did_you_mean.h"
#include "base/log.h"
#include "version.h"

#define EXIT_USAGE   2
#define COMMANDS_MAX 32

/* Returns the exit status for wrong usage. */
static int report_usage(const char *why)
{
	fprintf(stderr, "%sratelimit-spoa: %s\n", log_priority(LOG_ERROR), why);
	return EXIT_USAGE;
}

static int report_command(const char *command)
{
	const char *names[COMMANDS_MAX] = {"serve", "check-config", "replay", "probe"};
	struct bytes given = bytes_from_text(command);
	char list[256] = "serve, check-config, replay, probe";
	size_t count = 4;
	struct err err;

	for (size_t i = 0; command_names[i] != NULL; i++) {
		ASSERT(count + 1 < COMMANDS_MAX);
		names[count++] = command_names[i];
		size_t len = strlen(list);
		snprintf(list + len, sizeof list - len, ", %s", command_names[i]);
	}
	names[count++] = "version";
	(void)err_set(&err, "%s: no such command%s; accepted are %s and version",
		      quoted(given).text, did_you_mean(given, names, count).text, list);
	return report_usage(err.text);
}

/* A line each, with its priority where standard error is the journal. */
static void print_problems(const struct problems *problems, enum log_level level, const char *kind)
{
	char prefix[64];

	snprintf(prefix, sizeof prefix, "%sratelimit-spoa: %s", log_priority(level), kind);
	problems_print(problems, prefix, stderr);
}

/* NULL when there are problems, which it has printed. The caller releases `ret_files`. */
static struct policies *load_with(const struct options *options, struct list_files *ret_files)
{
	struct problems problems;
	struct policies *policies = load_policies_with(options, ret_files, &problems);

	if (policies == NULL)
		print_problems(&problems, LOG_ERROR, "");
	return policies;
}

/*
 * A replay reads its policies from a file. Those of the store change, and its report could not say
 * which version it tried.
 */
static int report_stored(const char *command)
{
	struct err err;

	(void)err_set(&err,
		      "%s: --policies: " POLICIES_IN_STORE " is not accepted here; accepted is a "
		      "path, such as that of a file which `ratelimit-spoa policies get` wrote",
		      command);
	return report_usage(err.text);
}

static struct policies *load(const struct options *options)
{
	struct list_files files;
	struct policies *policies = load_with(options, &files);

	list_files_release(&files);
	return policies;
}

struct show_options {
	bool json;
};

static const struct option show_options_table[] = {
	{"json", NULL, NULL, "show the policies as JSON, for programs", .kind = OPTION_MARK,
	 .offset = OPTION_FIELD(struct show_options, json, bool)},
	{.name = NULL},
};

static int print_help(void)
{
	fputs("usage: ratelimit-spoa [serve] [options]      answers HAProxy and HTTP, in the "
	      "foreground\n"
	      "       ratelimit-spoa check-config [options] checks and shows what serve would use\n"
	      "       ratelimit-spoa replay [options] [FILE...]\n"
	      "                                             says what policies would have done\n"
	      "       ratelimit-spoa probe [ADDRESS]        asks a running agent; exits 0 or 1\n",
	      stdout);
	command_print_usages(stdout);
	fputs("       ratelimit-spoa version                says which version this is\n\n",
	      stdout);
	options_print_help(stdout);
	fputs("\ncheck-config has this flag too:\n\n", stdout);
	option_print_table(show_options_table, stdout);
	fputs("\nreplay reads requests from files, or from standard input when none is given, and\n"
	      "has these flags too:\n\n",
	      stdout);
	option_print_table(replay_options_table, stdout);
	return EXIT_SUCCESS;
}

/* ---- the help of one command ---- */

static int print_help_of_serve(void)
{
	fputs("usage: ratelimit-spoa [serve] [options]\n\n"
	      "Answers HAProxy and HTTP, in the foreground.\n\n",
	      stdout);
	options_print_help(stdout);
	return EXIT_SUCCESS;
}

static int print_help_of_check_config(void)
{
	static const char *const shared[] = {"policies", "shadow-all", "on-error", "hash-keys",
					     NULL};

	fputs("usage: ratelimit-spoa check-config [options]\n\n"
	      "Reads options and policies as serve does, opens no ports, and shows the "
	      "policies.\n\n",
	      stdout);
	option_print_table(show_options_table, stdout);
	fputs("\nIt takes all options of serve, so that the same ones can be checked; these change "
	      "what it shows:\n\n",
	      stdout);
	option_print_rows(options_table, shared, stdout);
	return EXIT_SUCCESS;
}

static int print_help_of_replay(void)
{
	static const char *const shared[] = {"policies",  "shadow-all",   "store", "key-prefix",
					     "hash-keys", "memory-limit", NULL};

	fputs("usage: ratelimit-spoa replay [options] [FILE...]\n\n"
	      "Reads requests from files, and says what policies would have done. Without FILE,\n"
	      "and where FILE is -, it reads standard input. Several files are merged by time.\n"
	      "Input that gzip compressed is decompressed.\n\n",
	      stdout);
	option_print_table(replay_options_table, stdout);
	fputs("\nIt takes all options of serve; these count here:\n\n", stdout);
	option_print_rows(options_table, shared, stdout);
	return EXIT_SUCCESS;
}

static int print_help_of_probe(void)
{
	static const char *const shared[] = {"spop-listen", NULL};

	fputs("usage: ratelimit-spoa probe [ADDRESS]\n\n"
	      "Asks a running agent and exits with 0 when it gives the good answer, else with 1.\n"
	      "ADDRESS is written as for --spop-listen and asked by the HELLO of a health check,\n"
	      "or it is http://host[:port]/path, such as http://127.0.0.1:8080/health, where the\n"
	      "good answer is 200.\n\n"
	      "Without ADDRESS it takes all options of serve, and asks the first of:\n\n",
	      stdout);
	option_print_rows(options_table, shared, stdout);
	return EXIT_SUCCESS;
}

static int print_help_of_version(void)
{
	fputs("usage: ratelimit-spoa version\n\n"
	      "Says which version this is. It has no options.\n",
	      stdout);
	return EXIT_SUCCESS;
}

static int report_probe(bool is_good, const struct err *err)
{
	if (is_good)
		return EXIT_SUCCESS;
	fprintf(stderr, "ratelimit-spoa: %s\n", err->text);
	return EXIT_FAILURE;
}

/* The address is given, or stands in the options. */
static int run_probe(char **args)
{
	int64_t until_us = probe_begin();
	bool has_address = args[0] != NULL && args[0][0] != '-';
	struct address_list given, addresses;
	struct options options;
	struct err err;
	bool help;

	if (has_address && args[1] != NULL)
		return report_usage("probe: more than one argument; accepted is one address");
	if (has_address && strncmp(args[0], PROBE_HTTP, strlen(PROBE_HTTP)) == 0) {
		if (!probe_check_url(args[0], &err))
			return report_usage(err.text);
		return report_probe(
			probe_http(args[0], until_us, &err) || err_at(&err, "%s: ", args[0]), &err);
	}
	if (has_address) {
		given.count = address_parse(bytes_from_text(args[0]), given.items, ADDRESS_LIST_MAX,
					    &err);
		if (given.count == 0)
			return report_usage(err.text);
	} else {
		if (!options_read(args, environ, &options, &help, &err))
			return report_usage(err.text);
		if (help)
			return print_help_of_probe();
		given = options.spop_listen;
	}
	if (given.count == 0)
		return report_usage("probe: --spop-listen is off, so there is no address to ask; "
				    "accepted is one as an argument, also http://host:port/health");
	addresses = address_list_first_reachable(&given);
	return report_probe(probe_spop(&addresses, until_us, &err), &err);
}

static int run_version(char **args)
{
	struct err err;

	if (args[0] != NULL && (strcmp(args[0], "--help") == 0 || strcmp(args[0], "-h") == 0))
		return print_help_of_version();
	if (args[0] != NULL) {
		(void)err_set(&err, "version: %s is not accepted; accepted are no arguments",
			      quoted(bytes_from_text(args[0])).text);
		return report_usage(err.text);
	}
	printf("ratelimit-spoa %s\n", RATELIMIT_VERSION);
	return EXIT_SUCCESS;
}

static int run_replay(char **args)
{
	struct replay_options own;
	struct options options;
	struct err err;
	bool help;

	if (!replay_options_read(args, &own, &err) ||
	    !options_read_beside(replay_options_table, args, environ, &options, &help, &err))
		return report_usage(err.text);
	if (help)
		return print_help_of_replay();
	if (!options_check_store(&options, &err))
		return report_usage(err.text);
	if (options_policies_are_stored(&options))
		return report_stored("replay");
	struct policies *policies = load(&options);
	return policies == NULL ? EXIT_USAGE : replay(&options, &own, policies);
}

/* A SIGHUP that comes before the loop watches for it waits, and makes one reload then. */
static void hold_back_sighup(void)
{
	sigset_t hup;

	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &hup, NULL);
}

/* A flag that stands in place of a command; main looks for it first. */
static const struct option version_flag[] = {
	{.name = "version", .kind = OPTION_MARK},
	{.name = NULL},
};

/*
 * When the name `serve` was left out, the help is that of all commands, and a misspelt flag may
 * have been meant for one of these.
 */
static int run_serve(char **args, bool is_named)
{
	struct options options;
	struct err err;
	bool help;

	hold_back_sighup();
	if (!options_read_beside(is_named ? NULL : version_flag, args, environ, &options, &help,
				 &err))
		return report_usage(err.text);
	if (help)
		return is_named ? print_help_of_serve() : print_help();
	if (!options_check_store(&options, &err))
		return report_usage(err.text);
	if (!systemd_sockets_take(&options, &err))
		return report_usage(err.text);
	struct list_files files;
	struct policies *policies = load_with(&options, &files);
	int status = policies == NULL ? EXIT_USAGE : serve(&options, policies, &files);
	list_files_release(&files);
	return status;
}

static bool put_table(const struct policies *policies, FILE *to)
{
	size_t count = policies_count(policies);
	size_t allowed = policies_get_list(policies, LISTED_ALLOW)->count;
	size_t blocked = policies_get_list(policies, LISTED_BLOCK)->count;

	policies_table_put(policies, to);
	fprintf(to, "the configuration is good: %zu %s", count, count == 1 ? "policy" : "policies");
	if (allowed + blocked > 0)
		fprintf(to, "; matches in allow: %zu, in block: %zu", allowed, blocked);
	fputc('\n', to);
	return true;
}

static void print_warnings(const struct policies *policies, const char *path)
{
	struct problems warnings;

	policy_warnings_find(policies, &warnings);
	if (path != NULL)
		problems_name_file(&warnings, path);
	print_problems(&warnings, LOG_WARN, "warning: ");
}

static int run_check_config(char **args)
{
	struct show_options own = {.json = false};
	struct options options;
	struct err err;
	bool help;

	if (!option_read_own_flags(show_options_table, &own, args, &err) ||
	    !options_read_beside(show_options_table, args, environ, &options, &help, &err))
		return report_usage(err.text);
	if (help)
		return print_help_of_check_config();
	if (!options_check_store(&options, &err))
		return report_usage(err.text);
	struct policies *policies = load(&options);
	if (policies == NULL)
		return EXIT_USAGE;
	print_warnings(policies, options.policies);
	if (options_policies_are_stored(&options))
		fputs("ratelimit-spoa: the policies are in the store; `ratelimit-spoa policies "
		      "get` shows them\n",
		      stderr);
	bool is_whole = (own.json ? policies_json_put : put_table)(policies, stdout);
	policies_unref(policies);
	if (!is_whole)
		fputs("ratelimit-spoa: out of memory\n", stderr);
	return is_whole && fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A descriptor that is opened later must not become standard error: log lines would go into it. */
static bool open_standard_descriptors(void)
{
	int fd = open("/dev/null", O_RDWR);

	while (fd >= 0 && fd <= STDERR_FILENO)
		fd = dup(fd);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";

	if (!open_standard_descriptors())
		return EXIT_FAILURE;

	if (sodium_init() < 0)
		return report_usage("the random number generator can't be opened");
	if (strcmp(command, "serve") == 0)
		return run_serve(argv + 2, true);
	if (strcmp(command, "check-config") == 0)
		return run_check_config(argv + 2);
	if (strcmp(command, "replay") == 0)
		return run_replay(argv + 2);
	if (strcmp(command, "probe") == 0)
		return run_probe(argv + 2);
	if (command_find(command) != NULL)
		return command_run(command_find(command), argv + 2, environ);
	if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0)
		return run_version(argv + 2);
	if (argc > 1 && command[0] != '-')
		return report_command(command);
	return run_serve(argv + 1, false);
}
