/*
 * option_table.h - every option: its name, its default, how its value is taken, and what the help
 * says.
 */
#ifndef APP_OPTION_TABLE_H
#define APP_OPTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "app/options.h"
#include "base/err.h"

struct option {
	const char *name;
	const char *fallback; /* the default, as a user would write it */
	/*
	 * Takes the value, which is good for the life of the options; false when it is not
	 * accepted. Then `err` is set by those that know better than `accepted` what is wrong.
	 */
	bool (*take)(struct options *options, const char *value, struct err *err);
	const char *accepted;
	const char *help;
};

/* In the order of the help; the last one has no name. */
extern const struct option all_options[];

#endif
