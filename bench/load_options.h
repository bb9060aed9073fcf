/*
 * load_options.h - the flags of spop-load, read strictly, and --help.
 *
 * All text points into argv.
 */
#ifndef BENCH_LOAD_OPTIONS_H
#define BENCH_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

#define LOAD_PIDS_MAX      4
#define LOAD_ARGUMENTS_MAX 16

struct load_argument {
	struct bytes name;
	struct bytes value;
};

struct load_options {
	const char *address;
	uint64_t connections;
	uint64_t in_flight; /* of each connection */
	uint64_t rate;      /* checks a second, however many are unanswered; 0: as answered */
	uint64_t seconds;
	uint64_t warmup_seconds;
	uint64_t checks; /* end after so many checks; 0: end after `seconds` */
	uint64_t keys;   /* how many different addresses; 0: no key argument */
	const char *key; /* the name of the argument that has the address */
	const char *message;
	struct load_argument arguments[LOAD_ARGUMENTS_MAX];
	size_t argument_count;
	pid_t pids[LOAD_PIDS_MAX];
	size_t pid_count;
	bool fill; /* the warm-up asks for every address once */
	bool json;
	bool help;
};

/* `args` ends with a NULL and does not begin with the program's name. */
MUST_CHECK bool load_options_read(char **args, struct load_options *ret_options, struct err *err);
void load_options_print_help(void);

#endif
