#include "app/replay/replay_options.h"

static bool read_zone(void *into, const char *value, struct err *err)
{
	struct replay_options *options = into;

	(void)err;
	return time_zone_set(&options->zone, value);
}

#define FIELD(field, type) OPTION_FIELD(struct replay_options, field, type)

static const char *const formats[] = {"json", "haproxy", NULL};

const struct option replay_options_table[] = {
	{"format", "WORD", "json", "what the lines are: requests as JSON, or HAProxy's log",
	 .kind = OPTION_EITHER, .offset = FIELD(is_haproxy, bool), .names = formats},
	{"tz", "ZONE", "UTC", "the time zone of the dates in HAProxy's log", .kind = OPTION_OWN,
	 .read = read_zone, .accepted = TIME_ZONE_ACCEPTED},
	{"plot", "FILE", NULL, "an SVG file for a picture of what each policy did over time",
	 .kind = OPTION_TEXT, .offset = FIELD(plot, const char *), .accepted = "a path"},
	{"keep-going", NULL, NULL,
	 "report a line that is not valid, and go on; the exit status is 1 then",
	 .kind = OPTION_MARK, .offset = FIELD(keep_going, bool)},
	{.name = NULL},
};

bool replay_options_read(char **args, struct replay_options *ret_options, struct err *err)
{
	*ret_options = (struct replay_options){.plot = NULL};
	return option_read_own_flags(replay_options_table, ret_options, args, err);
}
