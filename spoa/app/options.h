/*
 * options.h - the command line and the environment (INTERFACE.md section 1).
 *
 * Every option is a flag and an environment variable: --spop-listen is RATELIMIT_SPOP_LISTEN, and
 * the flag wins. What is unknown or wrong is an error that names the option, the value, and what is
 * accepted. Secrets have no flag: RATELIMIT_STORE may have a password in it, and
 * RATELIMIT_REDIS_USER, RATELIMIT_REDIS_PASSWORD and RATELIMIT_REDIS_PASSWORD_FILE say it apart.
 */
#ifndef APP_OPTIONS_H
#define APP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "app/redis_login.h"
#include "base/err.h"
#include "base/log.h"
#include "limit/policy.h"
#include "net/address.h"
#include "store/store_target.h"

#define OPTIONS_LISTEN_MAX 16

/* Which decisions are logged. */
enum log_decisions { LOG_DECISIONS_OFF = 0, LOG_DECISIONS_DENIED, LOG_DECISIONS_ALL };

struct address_list {
	struct address items[OPTIONS_LISTEN_MAX];
	size_t count;
};

#define OPTIONS_TOKEN_MAX  513
#define OPTIONS_PREFIX_MAX 64

struct options {
	struct address_list spop_listen;
	struct address_list http_listen;
	struct address_list admin_listen;
	const char *http_token_file; /* a path, or NULL */
	char http_token[OPTIONS_TOKEN_MAX];
	const char *policies; /* a path, or NULL */
	bool policies_watch;
	struct store_target store;
	struct redis_login redis_login;
	const char *key_prefix;
	bool hash_keys;
	int64_t store_timeout_us;
	enum on_error on_error;
	uint64_t memory_limit;
	uint64_t max_frame_size;
	uint64_t max_connections;
	uint64_t max_in_flight;
	unsigned spop_vars;
	int64_t drain_delay_us;
	int64_t drain_timeout_us;
	enum log_level log_level;
	enum log_format log_format;
	enum log_decisions log_decisions;
};

/*
 * `args` are the flags, without the program's and the sub-command's name; the strings outlive the
 * options. *ret_help when --help was among them.
 */
MUST_CHECK bool options_read(char **args, char **environment, struct options *ret_options,
			     bool *ret_help, struct err *err);
void options_print_help(FILE *to);

#endif
