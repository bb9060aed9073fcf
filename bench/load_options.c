#include "load_options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

/* A flag whose value is a whole number from `min` to `max`. */
struct number_flag {
	const char *name;
	size_t offset;
	uint64_t min, max;
	const char *help;
};

/* A flag with any other value; false when it is not accepted. */
struct text_flag {
	const char *name;
	bool (*take)(struct load_options *options, const char *value);
	const char *accepted;
	const char *help;
};

#define NUMBER(field) offsetof(struct load_options, field)

static const struct number_flag number_flags[] = {
	{"--connections", NUMBER(connections), 1, 10000, "connections (4)"},
	{"--in-flight", NUMBER(in_flight), 1, 100000,
	 "unanswered checks of each connection at most (20)"},
	{"--rate", NUMBER(rate), 1, 10000000,
	 "checks a second of all connections, whether answered or not"},
	{"--seconds", NUMBER(seconds), 1, 3600, "the measured time (5)"},
	{"--warmup", NUMBER(warmup_seconds), 0, 3600, "seconds before it that don't count (1)"},
	{"--checks", NUMBER(checks), 1, UINT64_C(1000000000),
	 "end after just so many checks instead"},
	{"--keys", NUMBER(keys), 0, 1 << 24, "random addresses from 10.0.0.0 on (10000); 0: none"},
};

static bool take_address(struct load_options *options, const char *value)
{
	options->address = value;
	return *value != '\0';
}

static bool take_key(struct load_options *options, const char *value)
{
	options->key = value;
	return *value != '\0';
}

static bool take_message(struct load_options *options, const char *value)
{
	options->message = value;
	return *value != '\0';
}

static bool take_argument(struct load_options *options, const char *value)
{
	const char *equals = strchr(value, '=');

	if (options->argument_count == LOAD_ARGUMENTS_MAX || equals == NULL || equals == value)
		return false;
	options->arguments[options->argument_count++] = (struct load_argument){
		.name = bytes_from(value, (size_t)(equals - value)),
		.value = bytes_from_text(equals + 1),
	};
	return true;
}

static bool take_pid(struct load_options *options, const char *value)
{
	uint64_t pid;

	if (options->pid_count == LOAD_PIDS_MAX ||
	    !parse_whole(bytes_from_text(value), INT32_MAX, &pid) || pid == 0)
		return false;
	options->pids[options->pid_count++] = (pid_t)pid;
	return true;
}

static const struct text_flag text_flags[] = {
	{"--address", take_address, "host:port, [v6]:port or unix:/path",
	 "where the agent listens (127.0.0.1:12345)"},
	{"--message", take_message, "a name", "the SPOE message (ratelimit-request)"},
	{"--key", take_key, "a name", "the argument that the random addresses come in (src)"},
	{"--arg", take_argument, "name=value, at most 16 times", "one more argument, a string"},
	{"--pid", take_pid, "a process id, at most 4 times",
	 "report this process: CPU time a check, memory"},
};

static bool take_number(const struct number_flag *flag, struct load_options *options,
			const char *value)
{
	uint64_t number;

	if (!parse_whole(bytes_from_text(value), flag->max, &number) || number < flag->min)
		return false;
	memcpy((char *)options + flag->offset, &number, sizeof number);
	return true;
}

static const struct number_flag *find_number_flag(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(number_flags); i++)
		if (strcmp(name, number_flags[i].name) == 0)
			return &number_flags[i];
	return NULL;
}

static const struct text_flag *find_text_flag(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(text_flags); i++)
		if (strcmp(name, text_flags[i].name) == 0)
			return &text_flags[i];
	return NULL;
}

static bool take_value(struct load_options *options, const char *name, const char *value,
		       struct err *err)
{
	const struct number_flag *number = find_number_flag(name);
	const struct text_flag *text = find_text_flag(name);

	if (number == NULL && text == NULL)
		return err_set(err, "%s: no such option; see --help",
			       quoted(bytes_from_text(name)).text);
	if (value == NULL)
		return err_set(err, "%s needs a value", name);
	if (number != NULL && !take_number(number, options, value))
		return err_set(err, "%s: %s; accepted is a whole number from %llu to %llu", name,
			       quoted(bytes_from_text(value)).text, (unsigned long long)number->min,
			       (unsigned long long)number->max);
	if (text != NULL && !text->take(options, value))
		return err_set(err, "%s: %s; accepted is %s", name,
			       quoted(bytes_from_text(value)).text, text->accepted);
	return true;
}

bool load_options_read(char **args, struct load_options *ret_options, struct err *err)
{
	*ret_options = (struct load_options){
		.address = "127.0.0.1:12345",
		.connections = 4,
		.in_flight = 20,
		.seconds = 5,
		.warmup_seconds = 1,
		.keys = 10000,
		.key = "src",
		.message = "ratelimit-request",
	};
	for (; *args != NULL; args++) {
		if (strcmp(*args, "--json") == 0) {
			ret_options->json = true;
		} else if (strcmp(*args, "--fill") == 0) {
			ret_options->fill = true;
		} else if (strcmp(*args, "--help") == 0) {
			ret_options->help = true;
		} else {
			if (!take_value(ret_options, args[0], args[1], err))
				return false;
			args++;
		}
	}
	return true;
}

void load_options_print_help(void)
{
	printf("usage: spop-load [flags]\n"
	       "Asks an SPOP agent as fast as it answers, or at a --rate, and reports the "
	       "answers.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(number_flags); i++)
		printf("  %-13s N      %s\n", number_flags[i].name, number_flags[i].help);
	for (size_t i = 0; i < ARRAY_SIZE(text_flags); i++)
		printf("  %-13s VALUE  %s\n", text_flags[i].name, text_flags[i].help);
	printf("  %-19s  the warm-up goes on until every address was asked about once\n", "--fill");
	printf("  %-19s  one JSON object instead of a table\n", "--json");
	printf("\nExit status: 0 done, 1 an answer was wrong or missing, 2 wrong usage.\n");
}
