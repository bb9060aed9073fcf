/*
 * options.h - the agent's options, from the command line and the environment (docs/reference.md,
 * section Options).
 *
 * Every option is a flag and an environment variable: --spop-listen is RATELIMIT_SPOP_LISTEN, and
 * the flag wins. An unknown option or a wrong value is an error that names the option, the value,
 * and what is accepted.
 *
 * Secrets have no flag, because everybody on the machine can read a command line. RATELIMIT_STORE
 * may have a password in its URL; RATELIMIT_REDIS_USER, RATELIMIT_REDIS_PASSWORD and
 * RATELIMIT_REDIS_PASSWORD_FILE give user and password apart from it.
 */
#ifndef APP_OPTIONS_H
#define APP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "app/option.h"
#include "app/redis_login.h"
#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "limit/policy.h"
#include "net/http/http_access.h"
#include "store/store_target.h"

/* Which decisions are logged. */
enum log_decisions { LOG_DECISIONS_OFF = 0, LOG_DECISIONS_DENIED, LOG_DECISIONS_ALL };

/* --local-share; of `auto` the share is all until it is known how many agents there are. */
struct local_share {
	bool is_auto;
	struct ratio share;
};

#define POLICIES_IN_STORE "store:"

/* What systemd kept of the process before (systemd_sockets.h). The one who uses it closes it. */
#define STORED_MAX      8
#define STORED_NAME_MAX 40
struct stored_descriptor {
	int fd;
	char name[STORED_NAME_MAX];
};

struct options {
	struct address_list spop_listen;
	struct address_list http_listen;
	uint64_t http_max_connections;
	uint64_t http_max_per_address;
	struct address_list admin_listen;
	const char *http_token_file; /* a path, or NULL */
	struct http_tokens http_tokens;
	const char *admin_token_file; /* a path, or NULL */
	struct http_tokens admin_tokens;
	const char *policies; /* a path, or POLICIES_IN_STORE, or NULL */
	bool policies_watch;
	bool shadow_all;
	struct store_target store;
	const char *state_file; /* a path, or NULL */
	struct redis_login redis_login;
	struct redis_login sentinel_login;
	struct redis_tls_files redis_tls;
	const char *key_prefix;
	bool hash_keys;
	int64_t deny_cache_us; /* 0: off */
	int64_t store_timeout_us;
	enum on_error on_error;
	struct local_share local_share;
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
	struct stored_descriptor stored[STORED_MAX];
	size_t stored_count;
};

/*
 * Their rows, in the order of the help; secrets are variables only. The last row has no name. The
 * variables of options_of_commands are for the commands of an operator (app/operate/), and known to
 * all others, which do not read them.
 */
extern const struct option options_table[];
extern const struct option options_secrets[];
extern const struct option options_of_commands[];

/*
 * `args` are the flags, without the names of the program and of the command. The options point into
 * `args` and `environment`. *ret_help is true when --help is among the flags; then nothing else is
 * read, so that help can be had whatever is wrong, and the options are not complete.
 */
MUST_CHECK bool options_read(char **args, char **environment, struct options *ret_options,
			     bool *ret_help, struct err *err);
/*
 * The same for a command whose own flags were taken out of `args` before: `own` is their table, so
 * that one of them is suggested where it is misspelt.
 */
MUST_CHECK bool options_read_beside(const struct option *own, char **args, char **environment,
				    struct options *ret_options, bool *ret_help, struct err *err);
/* For a command that has no use for the options: are all RATELIMIT_* variables known? */
MUST_CHECK bool options_check_variables(char **environment, struct err *err);
/*
 * Checks what the store needs of this machine: that TLS is in the build and its files are good.
 * This check is no part of options_read, because `probe` reads the options too, and must not fail
 * while a file is being written.
 */
MUST_CHECK bool options_check_store(const struct options *options, struct err *err);
void options_print_help(FILE *to);

/* Whether the policy file is in the store (--policies store:). */
bool options_policies_are_stored(const struct options *options);

#endif
