#include "app/replay/replay_options.h"

#include <string.h>

#include "app/options.h"
#include "base/clock.h"
#include "base/parse.h"

static bool read_zone(void *into, const char *value, struct err *err)
{
	struct replay_options *options = into;

	(void)err;
	return time_zone_set(&options->zone, value);
}

static bool read_log_format(void *into, const char *value, struct err *err)
{
	struct replay_options *options = into;

	options->has_log_format = true;
	return line_format_read(bytes_from_text(value), &options->line_format, err);
}

static bool read_captures(void *into, const char *value, struct err *err)
{
	struct replay_options *options = into;

	(void)err;
	return line_captures_read(bytes_from_text(value), &options->captures);
}

#define WINDOW_MAX_US (24 * 3600 * US_PER_SECOND)

static bool read_window(void *into, const char *value, struct err *err)
{
	struct replay_options *options = into;

	(void)err;
	options->window_us = strcmp(value, "0") == 0 ? 0 : -1;
	return options->window_us == 0 || strcmp(value, "auto") == 0 ||
	       (parse_duration(bytes_from_text(value), &options->window_us) &&
		options->window_us <= WINDOW_MAX_US);
}

#define FIELD(field, type) OPTION_FIELD(struct replay_options, field, type)

static const char *const formats[] = {"json", "haproxy", NULL};

const struct option replay_options_table[] = {
	{"format", "WORD", "json", "what the lines are: requests as JSON, or HAProxy's log",
	 .kind = OPTION_EITHER, .offset = FIELD(is_haproxy, bool), .names = formats},
	{"tz", "ZONE", "UTC", "the time zone of the dates in HAProxy's log", .kind = OPTION_OWN,
	 .read = read_zone, .accepted = TIME_ZONE_ACCEPTED},
	{"log-format", "FORMAT", NULL,
	 "what HAProxy's log-format is, when it is none that replay knows", .kind = OPTION_OWN,
	 .read = read_log_format, .accepted = "a log-format as in HAProxy's configuration"},
	{"captures", "NAMES", NULL,
	 "names for the captured request headers in HAProxy's log, in their order",
	 .kind = OPTION_OWN, .read = read_captures, .accepted = LINE_CAPTURES_ACCEPTED},
	{"window", "DURATION", "auto",
	 "how late a line may come; auto is 60s for HAProxy's log and for several files, else 0",
	 .kind = OPTION_OWN, .read = read_window, .accepted = "a duration from 0 to 24h, or auto"},
	{"against", "FILE", NULL,
	 "a second policy file: the summary and the picture show what it would change",
	 .kind = OPTION_TEXT, .offset = FIELD(against, const char *), .accepted = "a path"},
	{"plot", "FILE", NULL, "an SVG file for a picture of what each policy did over time",
	 .kind = OPTION_TEXT, .offset = FIELD(plot, const char *), .accepted = "a path"},
	{"json", NULL, NULL, "the summary as JSON, for programs", .kind = OPTION_MARK,
	 .offset = FIELD(json, bool)},
	{"keep-going", NULL, NULL,
	 "report a line that is not valid, and go on; the exit status is 1 then",
	 .kind = OPTION_MARK, .offset = FIELD(keep_going, bool)},
	{.name = NULL},
};

/* ---- the files ---- */

static bool add_file(struct replay_options *options, const char *name, struct err *err)
{
	if (options->file_count == REPLAY_FILES_MAX)
		return err_set(err, "%s: there are more than %d files", name, REPLAY_FILES_MAX);
	options->files[options->file_count++] = name;
	return true;
}

static bool is_file(const char *arg)
{
	return arg[0] != '-' || strcmp(arg, "-") == 0;
}

/* Moves the files out of the arguments, and leaves the options. */
static bool cut_files(struct replay_options *options, char **args, struct err *err)
{
	char **kept = args;
	bool all = false; /* "--" came */

	while (*args != NULL) {
		if (!all && strcmp(*args, "--") == 0) {
			all = true;
			args++;
		} else if (all || is_file(*args)) {
			if (!add_file(options, *args++, err))
				return false;
		} else {
			bool has_value = option_takes_next(options_table, *args) && args[1] != NULL;
			*kept++ = *args++;
			if (has_value)
				*kept++ = *args++;
		}
	}
	*kept = NULL;
	return true;
}

bool replay_options_read(char **args, struct replay_options *ret_options, struct err *err)
{
	*ret_options = (struct replay_options){.plot = NULL};
	if (!option_read_own_flags(replay_options_table, ret_options, args, err) ||
	    !cut_files(ret_options, args, err))
		return false;
	ret_options->is_haproxy |= ret_options->has_log_format;
	return true;
}
