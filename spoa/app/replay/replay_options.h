/*
 * replay_options.h - the flags that only `ratelimit-spoa replay` has. They stand among those of
 * options.h and have no environment variables.
 */
#ifndef APP_REPLAY_OPTIONS_H
#define APP_REPLAY_OPTIONS_H

#include <stdbool.h>

#include "app/option.h"
#include "app/replay/line_captures.h"
#include "app/replay/line_format.h"
#include "app/replay/replay_files.h"
#include "app/replay/time_zone.h"
#include "base/compiler.h"
#include "base/err.h"

struct replay_options {
	bool is_haproxy;       /* the lines are those of HAProxy's log */
	struct time_zone zone; /* of their dates */
	bool has_log_format;
	const char *plot;    /* a path, or NULL */
	const char *against; /* a path, or NULL */
	bool json;           /* the summary */
	bool keep_going;
	int64_t window_us; /* below 0: replay chooses it */
	const char *files[REPLAY_FILES_MAX];
	size_t file_count; /* 0: standard input */
	/* These two must stay where they are: they point into themselves. */
	struct line_format line_format;
	struct line_captures captures;
};

extern const struct option replay_options_table[];

/*
 * Takes its own flags and the names of files out of `args`; what is left goes to options_read.
 * A file is each argument that is no flag and no flag's value, and all that stand behind "--".
 */
MUST_CHECK bool replay_options_read(char **args, struct replay_options *ret_options,
				    struct err *err);

#endif
