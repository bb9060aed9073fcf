#include "app/replay/replay_options.h"

#include <string.h>

/* False when the value is not accepted; without one for a flag that takes none. */
typedef bool take_fn(struct replay_options *options, const char *value);

static bool take_format(struct replay_options *options, const char *value)
{
	options->is_haproxy = strcmp(value, "haproxy") == 0;
	return options->is_haproxy || strcmp(value, "json") == 0;
}

static bool take_zone(struct replay_options *options, const char *value)
{
	return time_zone_set(&options->zone, value);
}

static bool take_plot(struct replay_options *options, const char *value)
{
	options->plot = value;
	return *value != '\0';
}

static bool take_keep_going(struct replay_options *options, const char *value)
{
	options->keep_going = true;
	return value == NULL;
}

static const struct option {
	const char *name;
	bool has_value;
	take_fn *take;
	const char *accepted;
	const char *help;
} all_options[] = {
	{"format", true, take_format, "json or haproxy",
	 "what the lines are: json (when it is not said), or haproxy, its log"},
	{"tz", true, take_zone, TIME_ZONE_ACCEPTED,
	 "the zone of the log's dates: UTC (when it is not said), +01:00, Europe/Berlin"},
	{"plot", true, take_plot, "a path", "an SVG file for a picture of each policy over time"},
	{"keep-going", false, take_keep_going, "no value",
	 "tells of a line that is not valid, goes on, and exits 1 at the end"},
};

void replay_options_print_help(FILE *to)
{
	fputs("\nreplay reads requests from standard input, and takes these flags too:\n\n", to);
	for (size_t i = 0; i < ARRAY_SIZE(all_options); i++)
		fprintf(to, "  --%-16s %s\n", all_options[i].name, all_options[i].help);
}

static const struct option *find(struct bytes name)
{
	for (size_t i = 0; i < ARRAY_SIZE(all_options); i++)
		if (bytes_equal(name, bytes_from_text(all_options[i].name)))
			return &all_options[i];
	return NULL;
}

static const struct option *option_of(const char *arg, const char **ret_value)
{
	struct bytes name = bytes_from_text(arg);
	const char *equals = strchr(arg, '=');

	if (!bytes_begin_with(name, BYTES("--")))
		return NULL;
	*ret_value = equals == NULL ? NULL : equals + 1;
	if (equals != NULL)
		name.len = (size_t)(equals - arg);
	return find(bytes_skip(name, 2));
}

static bool take(struct replay_options *options, const struct option *option, const char *value,
		 struct err *err)
{
	if (option->has_value && value == NULL)
		return err_set(err, "--%s: a value is missing; accepted is %s", option->name,
			       option->accepted);
	if (option->take(options, value))
		return true;
	return err_set(err, "--%s: %s is not accepted; accepted is %s", option->name,
		       quoted(bytes_from_text(value)).text, option->accepted);
}

bool replay_options_read(char **args, struct replay_options *ret_options, struct err *err)
{
	char **kept = args;

	*ret_options = (struct replay_options){.plot = NULL};
	while (*args != NULL) {
		const char *value;
		const struct option *option = option_of(*args, &value);
		if (option == NULL) {
			*kept++ = *args++;
			continue;
		}
		if (option->has_value && value == NULL)
			value = *++args;
		if (!take(ret_options, option, value, err))
			return false;
		args++;
	}
	*kept = NULL;
	return true;
}
