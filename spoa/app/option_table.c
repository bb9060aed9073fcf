/*
 * The rows of the agent's options: everything that is known about each, once. docs/reference.md
 * repeats name, default, accepted values and meaning for readers; a test compares the two.
 */
#include <string.h>

#include "app/options.h"
#include "app/policies/policy_text.h"
#include "base/clock.h"
#include "base/parse.h"
#include "limit/share.h"
#include "net/spop/spop_map.h"
#include "store/memory.h"
#include "wire/spop_frame.h"

#define DAY_US         ((uint64_t)86400 * US_PER_SECOND)
#define MILLION        1000000
#define KEY_PREFIX_MAX 64
#define FRAME_SIZE_MAX (16 << 20)
#define AS_TEXT(macro) AS_TEXT_(macro)
#define AS_TEXT_(text) #text

#define KEY_PREFIX_ACCEPTED                                                                       \
	"at most " AS_TEXT(KEY_PREFIX_MAX) " printable characters, no spaces, and braces around " \
					   "one hash tag only, as in {rl}:"

/* ---- values that only one option has ---- */

#define STORE_ACCEPTED                                                                  \
	"memory:, redis://[user:password@]host[:port][/db], "                           \
	"redis+sentinel://host[:port],.../NAME[/db], redis+cluster://host[:port],..., " \
	"all three with rediss for TLS, or redis+unix:///path[?db=N]"

/* The value is not shown: any part of it may be a password. */
static bool read_store(void *into, const char *value, struct err *err)
{
	struct options *options = into;

	if (store_target_parse(bytes_from_text(value), &options->store, err))
		return true;
	struct err why = *err;
	return err_set(err, "%.300s; accepted is " STORE_ACCEPTED, why.text);
}

/*
 * What is wrong with the braces of a prefix; NULL: nothing. Redis Cluster makes the slot of a key
 * from what stands between its first { and the } that follows. A prefix with half of that would
 * leave the other half to the key, and one with two would look as if the second meant something.
 */
static const char *find_fault_of_braces(const char *prefix)
{
	const char *open = strchr(prefix, '{'), *close = strchr(prefix, '}');

	if (open == NULL && close == NULL)
		return NULL;
	if (open == NULL || close == NULL || close < open)
		return "a brace has no partner";
	if (close == open + 1)
		return "the hash tag is empty, which is none for Redis";
	if (strpbrk(open + 1, "{") != NULL || strpbrk(close + 1, "}") != NULL)
		return "there is more than one hash tag";
	return NULL;
}

/* The prefix has printable characters only, and no spaces: people type keys into redis-cli. */
static bool read_key_prefix(void *into, const char *value, struct err *err)
{
	struct options *options = into;
	const char *fault = find_fault_of_braces(value);

	options->key_prefix = value;
	for (const char *c = value; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f)
			return false;
	if (strlen(value) > KEY_PREFIX_MAX)
		return false;
	if (fault != NULL)
		return err_set(err, "%s is not accepted: %s; accepted is " KEY_PREFIX_ACCEPTED,
			       quoted(bytes_from_text(value)).text, fault);
	return true;
}

static bool read_deny_cache(void *into, const char *value, struct err *err)
{
	struct options *options = into;
	struct bytes text = bytes_from_text(value);

	(void)err;
	options->deny_cache_us = 0;
	return bytes_equal(text, BYTES("off")) ||
	       (parse_duration(text, &options->deny_cache_us) &&
		options->deny_cache_us >= US_PER_MS && options->deny_cache_us <= (int64_t)DAY_US);
}

static bool read_local_share(void *into, const char *value, struct err *err)
{
	struct options *options = into;
	struct local_share *local = &options->local_share;

	(void)err;
	*local = (struct local_share){.is_auto = strcmp(value, "auto") == 0, .share = {1, 1}};
	return local->is_auto || share_parse(bytes_from_text(value), &local->share);
}

static bool read_spop_vars(void *into, const char *value, struct err *err)
{
	struct options *options = into;

	(void)err;
	return spop_map_parse_vars(bytes_from_text(value), &options->spop_vars);
}

static const char *const off_on[] = {"off", "on", NULL};
static const char *const log_levels[] = {[LOG_ERROR] = "error",
					 [LOG_WARN] = "warn",
					 [LOG_INFO] = "info",
					 [LOG_DEBUG] = "debug",
					 NULL};
static const char *const log_formats[] = {[LOG_JSON] = "json", [LOG_PLAIN] = "text", NULL};
static const char *const log_decisions[] = {[LOG_DECISIONS_OFF] = "off",
					    [LOG_DECISIONS_DENIED] = "denied",
					    [LOG_DECISIONS_ALL] = "all",
					    NULL};

/* ---- the rows ---- */

#define FIELD(field, type) OPTION_FIELD(struct options, field, type)

#define ADDRESSES(field) .kind = OPTION_ADDRESSES, .offset = FIELD(field, struct address_list)
#define PATH(field)      .kind = OPTION_TEXT, .offset = FIELD(field, const char *), .accepted = "a path"
#define TEXT(field)      .kind = OPTION_TEXT, .offset = FIELD(field, const char *), .accepted = "text"
#define SWITCH(field)    .kind = OPTION_EITHER, .offset = FIELD(field, bool), .names = off_on
#define CHOICE(field, choices) \
	.kind = OPTION_CHOICE, .offset = OPTION_ENUM_FIELD(struct options, field), .names = choices
#define NUMBER(field, from, to) \
	.kind = OPTION_NUMBER, .offset = FIELD(field, uint64_t), .min = from, .max = to
#define SIZE(field, from, to) \
	.kind = OPTION_SIZE, .offset = FIELD(field, uint64_t), .min = from, .max = to
#define DURATION(field, from, to) \
	.kind = OPTION_DURATION, .offset = FIELD(field, int64_t), .min = from, .max = to
#define OWN(function, words) .kind = OPTION_OWN, .read = function, .accepted = words

const struct option options_table[] = {
	{"spop-listen", "ADDRESS,...", "127.0.0.1:12345", "where HAProxy connects",
	 ADDRESSES(spop_listen)},
	{"http-listen", "ADDRESS,...", "127.0.0.1:8080",
	 "where /check, /auth, /health and /ready are, and the pages that show the agent",
	 ADDRESSES(http_listen)},
	{"http-max-connections", "NUMBER", "1024", "the most HTTP connections at once",
	 NUMBER(http_max_connections, 1, MILLION)},
	{"http-max-per-address", "NUMBER", "512",
	 "the most HTTP connections of one client address at once",
	 NUMBER(http_max_per_address, 1, MILLION)},
	{"admin-listen", "ADDRESS,...", OPTION_NONE,
	 "where the pages that show the agent are, in place of --http-listen",
	 ADDRESSES(admin_listen)},
	{"http-token-file", "FILE", OPTION_NONE,
	 "a file whose first line is the bearer token that /check and /metrics ask for, and the "
	 "pages too without --admin-token-file; read again when it changes",
	 PATH(http_token_file)},
	{"admin-token-file", "FILE", OPTION_NONE,
	 "a file of lines NAME TOKEN: each token opens the pages that show the agent and what "
	 "changes something; read again when it changes",
	 PATH(admin_token_file)},
	{"policies", "FILE", OPTION_NONE,
	 "the policy file, or " POLICIES_IN_STORE " for the one that policies put keeps in the "
	 "store; without it only inline policies exist",
	 PATH(policies)},
	{"policies-watch", "WORD", "on",
	 "reload when the policy file changes, and not only on SIGHUP", SWITCH(policies_watch)},
	{"shadow-all", "WORD", "off",
	 "put every policy in shadow, whatever the file says: nobody is denied",
	 SWITCH(shadow_all)},
	{"store", "URL", "memory:", "where balances are kept: in the agent's memory or in Redis",
	 OWN(read_store, STORE_ACCEPTED)},
	{"state-file", "FILE", OPTION_NONE,
	 "where this agent keeps what operators changed, and balances in memory, for its next "
	 "start",
	 PATH(state_file)},
	{"redis-ca-file", "FILE", OPTION_NONE,
	 "TLS to Redis: the CAs that are trusted, in place of the system's",
	 PATH(redis_tls.ca_file)},
	{"redis-cert-file", "FILE", OPTION_NONE, "TLS to Redis: the certificate of this agent",
	 PATH(redis_tls.cert_file)},
	{"redis-key-file", "FILE", OPTION_NONE, "TLS to Redis: the key of that certificate",
	 PATH(redis_tls.key_file)},
	{"redis-tls-name", "NAME", OPTION_NONE,
	 "TLS to Redis: the name that the server's certificate must have, if not the host of "
	 "--store",
	 TEXT(redis_tls.name)},
	{"deny-cache", "DURATION", "1s",
	 "the longest that the agent answers for Redis that somebody is above the limit",
	 OWN(read_deny_cache, "a duration from 1ms to 1d, or off")},
	{"store-timeout", "DURATION", "2ms", "the longest that a request waits for the store",
	 DURATION(store_timeout_us, US_PER_MS, DAY_US)},
	{"on-error", "WORD", "allow",
	 "what a check gets when the store can't answer; local: the agent's memory decides",
	 CHOICE(on_error, on_error_names)},
	{"local-share", "SHARE", "auto",
	 "with on_error local: the part of each limit that this agent grants while Redis is away",
	 OWN(read_local_share, "auto, or a share of at most 1 such as 1/4, 0.25 or 1")},
	{"key-prefix", "TEXT", "rl:", "the beginning of every key in Redis",
	 OWN(read_key_prefix, KEY_PREFIX_ACCEPTED)},
	{"hash-keys", "WORD", "off", "show and store only the SHA-256 of what policies count by",
	 SWITCH(hash_keys)},
	{"memory-limit", "SIZE", "256m", "the most memory that balances take in the agent",
	 SIZE(memory_limit, MEMORY_LIMIT_MIN, MEMORY_LIMIT_MAX)},
	{"max-frame-size", "SIZE", "65536", "the largest SPOP frame that the agent accepts",
	 SIZE(max_frame_size, SPOP_FRAME_LIMIT_MIN, FRAME_SIZE_MAX)},
	{"max-connections", "NUMBER", "10000",
	 "the most SPOP connections at once; up to 64 more get no decisions",
	 NUMBER(max_connections, 1, MILLION)},
	{"max-in-flight", "NUMBER", "65536",
	 "the most checks that wait for the store at once; --on-error decides the others",
	 NUMBER(max_in_flight, 1, 10 * MILLION)},
	{"spop-vars", "NAME,...", "all", "which of the optional variables HAProxy gets",
	 OWN(read_spop_vars, "all, none, or some of "), .put_accepted = spop_map_put_var_names},
	{"drain-delay", "DURATION", "0s",
	 "how long the agent goes on to serve after SIGTERM, while health checks fail",
	 DURATION(drain_delay_us, 0, DAY_US)},
	{"drain-timeout", "DURATION", "10s",
	 "the longest that the agent waits for connections to end after that",
	 DURATION(drain_timeout_us, 0, DAY_US)},
	{"log-level", "WORD", "info", "the least important events that are logged",
	 CHOICE(log_level, log_levels)},
	{"log-format", "WORD", "json", "how the lines of the log are written",
	 CHOICE(log_format, log_formats)},
	{"log-decisions", "WORD", "off",
	 "which decisions are logged, a line each, at most 100 a second",
	 CHOICE(log_decisions, log_decisions)},
	{.name = NULL},
};

const struct option options_secrets[] = {
	{"redis-user", "TEXT", OPTION_NONE, "the user for Redis, if it is not the default user",
	 TEXT(redis_login.user)},
	{"redis-password", "TEXT", OPTION_NONE, "the password for Redis",
	 TEXT(redis_login.password)},
	{"redis-password-file", "FILE", OPTION_NONE,
	 "a file whose first line is the password for Redis; it is read again when it changes",
	 PATH(redis_login.password_file)},
	{"sentinel-user", "TEXT", OPTION_NONE,
	 "the user for the Sentinels, if it is not their default user", TEXT(sentinel_login.user)},
	{"sentinel-password", "TEXT", OPTION_NONE, "the password for the Sentinels",
	 TEXT(sentinel_login.password)},
	{"sentinel-password-file", "FILE", OPTION_NONE,
	 "a file whose first line is the password for the Sentinels; it is read again when it "
	 "changes",
	 PATH(sentinel_login.password_file)},
	{.name = NULL},
};

/* No field: app/operate/ has its own. */
const struct option options_of_commands[] = {
	{.name = "agent"},
	{.name = "token-file"},
	{.name = NULL},
};
