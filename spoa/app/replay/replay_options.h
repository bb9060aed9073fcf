/*
 * replay_options.h - what only `ratelimit-spoa replay` understands: flags without an environment
 * variable, among those of options.h.
 */
#ifndef APP_REPLAY_OPTIONS_H
#define APP_REPLAY_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "app/replay/time_zone.h"
#include "base/compiler.h"
#include "base/err.h"

struct replay_options {
	bool is_haproxy;       /* the lines are those of HAProxy's log */
	struct time_zone zone; /* of their dates */
	const char *plot;      /* a path, or NULL */
	bool keep_going;
};

/* Takes the flags that it knows out of `args`; those that are left go to options_read. */
MUST_CHECK bool replay_options_read(char **args, struct replay_options *ret_options,
				    struct err *err);
void replay_options_print_help(FILE *to);

#endif
