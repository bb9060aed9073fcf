#include "app/options.h"

#include <ctype.h>
#include <string.h>

#include "app/secret_file.h"
#include "base/clock.h"
#include "base/parse.h"
#include "net/spop_map.h"
#include "store/memory.h"
#include "wire/spop_frame.h"

#define ENVIRONMENT_PREFIX "RATELIMIT_"
#define DURATION_MAX_US    (INT64_C(86400) * US_PER_SECOND)

/* Takes the value, which is good for the life of the options; false when it is not accepted. */
typedef bool take_fn(struct options *options, const char *value, struct err *err);

static bool take_list(struct address_list *list, const char *value, struct err *err)
{
	struct bytes rest = bytes_from_text(value), item;

	list->count = 0;
	while (bytes_next_item(&rest, ',', &item)) {
		if (list->count == OPTIONS_LISTEN_MAX)
			return err_set(err, "more than %d addresses", OPTIONS_LISTEN_MAX);
		if (!address_parse(bytes_trim(item), &list->items[list->count], err))
			return false;
		list->count++;
	}
	return true;
}

/* `err` is for those that know better than `accepted` what is wrong. */
static bool take_spop_listen(struct options *options, const char *value, struct err *err)
{
	return take_list(&options->spop_listen, value, err);
}

static bool take_http_listen(struct options *options, const char *value, struct err *err)
{
	if (strcmp(value, "off") == 0) {
		options->http_listen.count = 0;
		return true;
	}
	if (take_list(&options->http_listen, value, err))
		return true;
	char why[ERR_TEXT_MAX];
	memcpy(why, err->text, sizeof why);
	return err_set(err, "%.*s, or off", 500, why);
}

static bool take_admin_listen(struct options *options, const char *value, struct err *err)
{
	options->admin_listen.count = 0;
	return *value == '\0' || take_list(&options->admin_listen, value, err);
}

static bool take_http_token_file(struct options *options, const char *value, struct err *err)
{
	(void)err;
	options->http_token_file = *value == '\0' ? NULL : value;
	return true;
}

static bool take_policies(struct options *options, const char *value, struct err *err)
{
	(void)err;
	options->policies = *value == '\0' ? NULL : value;
	return true;
}

#define STORE_ACCEPTED                                                      \
	"accepted is memory:, redis://[user:password@]host[:port][/db] or " \
	"redis+unix:///path[?db=N]"

/* No part of the value is shown that may be a password. */
static bool take_store(struct options *options, const char *value, struct err *err)
{
	struct bytes url = bytes_from_text(value);

	options->is_redis = strcmp(value, "memory:") != 0;
	if (!options->is_redis || redis_target_parse(url, &options->store, err))
		return true;
	char why[ERR_TEXT_MAX];
	memcpy(why, err->text, sizeof why);
	return err_set(err, "%.*s; " STORE_ACCEPTED, 300, why);
}

static bool take_key_prefix(struct options *options, const char *value, struct err *err)
{
	(void)err;
	options->key_prefix = value;
	for (const char *c = value; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f || *c == '{' || *c == '}')
			return false;
	return strlen(value) <= OPTIONS_PREFIX_MAX;
}

static bool take_duration(const char *value, int64_t min_us, int64_t *ret_us)
{
	int64_t us;

	if (!parse_duration(bytes_from_text(value), &us) || us < min_us || us > DURATION_MAX_US)
		return false;
	*ret_us = us;
	return true;
}

static bool take_store_timeout(struct options *options, const char *value, struct err *err)
{
	(void)err;
	return take_duration(value, US_PER_MS, &options->store_timeout_us);
}

static bool take_drain_delay(struct options *options, const char *value, struct err *err)
{
	(void)err;
	return take_duration(value, 0, &options->drain_delay_us);
}

static bool take_drain_timeout(struct options *options, const char *value, struct err *err)
{
	(void)err;
	return take_duration(value, 0, &options->drain_timeout_us);
}

/* The position of `value` among the names, or -1. */
static int find_name(const char *value, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(value, names[i]) == 0)
			return (int)i;
	return -1;
}

static bool take_on_error(struct options *options, const char *value, struct err *err)
{
	static const char *const names[] = {"allow", "deny", "local"};
	int found = find_name(value, names, ARRAY_SIZE(names));

	(void)err;
	options->on_error = (enum on_error)found;
	return found >= 0;
}

static bool take_on_off(const char *value, bool *ret_is_on)
{
	static const char *const names[] = {"off", "on"};
	int found = find_name(value, names, ARRAY_SIZE(names));

	*ret_is_on = found == 1;
	return found >= 0;
}

static bool take_policies_watch(struct options *options, const char *value, struct err *err)
{
	(void)err;
	return take_on_off(value, &options->policies_watch);
}

static bool take_hash_keys(struct options *options, const char *value, struct err *err)
{
	(void)err;
	return take_on_off(value, &options->hash_keys);
}

static bool take_memory_limit(struct options *options, const char *value, struct err *err)
{
	(void)err;
	return parse_size(bytes_from_text(value), MEMORY_LIMIT_MAX, &options->memory_limit) &&
	       options->memory_limit >= MEMORY_LIMIT_MIN;
}

static bool take_max_frame_size(struct options *options, const char *value, struct err *err)
{
	(void)err;
	return parse_size(bytes_from_text(value), 1 << 24, &options->max_frame_size) &&
	       options->max_frame_size >= SPOP_FRAME_LIMIT_MIN;
}

static bool take_max_connections(struct options *options, const char *value, struct err *err)
{
	(void)err;
	return parse_whole(bytes_from_text(value), 1000000, &options->max_connections) &&
	       options->max_connections > 0;
}

static bool take_max_in_flight(struct options *options, const char *value, struct err *err)
{
	(void)err;
	return parse_whole(bytes_from_text(value), 10000000, &options->max_in_flight) &&
	       options->max_in_flight > 0;
}

static bool take_spop_vars(struct options *options, const char *value, struct err *err)
{
	(void)err;
	return spop_map_parse_vars(bytes_from_text(value), &options->spop_vars);
}

static bool take_log_level(struct options *options, const char *value, struct err *err)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	int found = find_name(value, names, ARRAY_SIZE(names));

	(void)err;
	options->log_level = (enum log_level)found;
	return found >= 0;
}

static bool take_log_format(struct options *options, const char *value, struct err *err)
{
	static const char *const names[] = {"json", "text"};
	int found = find_name(value, names, ARRAY_SIZE(names));

	(void)err;
	options->log_format = (enum log_format)found;
	return found >= 0;
}

static bool take_log_decisions(struct options *options, const char *value, struct err *err)
{
	static const char *const names[] = {"off", "denied", "all"};
	int found = find_name(value, names, ARRAY_SIZE(names));

	(void)err;
	options->log_decisions = (enum log_decisions)found;
	return found >= 0;
}

static const struct option {
	const char *name;
	const char *fallback; /* the default, as a user would write it */
	take_fn *take;
	const char *accepted;
	const char *help;
} all_options[] = {
	{"spop-listen", "127.0.0.1:12345", take_spop_listen,
	 "host:port, [v6]:port or unix:/path[?mode=0660], comma-separated",
	 "where HAProxy connects"},
	{"http-listen", "127.0.0.1:8080", take_http_listen,
	 "host:port, [v6]:port or unix:/path[?mode=0660], comma-separated, or off",
	 "/check, /health, /ready, and what shows the agent; off turns it off"},
	{"admin-listen", "", take_admin_listen,
	 "host:port, [v6]:port or unix:/path[?mode=0660], comma-separated",
	 "where the agent shows itself, instead of there"},
	{"http-token-file", "", take_http_token_file, "a path",
	 "a file whose first line is the bearer token that /check and those pages want"},
	{"policies", "", take_policies, "a path", "the policy file"},
	{"policies-watch", "on", take_policies_watch, "on or off",
	 "reload when the policy file changes, not by SIGHUP alone"},
	{"store", "memory:", take_store, "memory:, or the URL of a Redis",
	 "where balances live: memory:, redis://host[:port][/db], redis+unix:///path[?db=N]"},
	{"store-timeout", "2ms", take_store_timeout, "a duration from 1ms to 1d",
	 "the longest that a request waits for the store"},
	{"on-error", "allow", take_on_error, "allow, deny or local",
	 "what a check gets when the store can't answer"},
	{"key-prefix", "rl:", take_key_prefix, "at most 64 printable characters, no braces",
	 "starts every key in Redis"},
	{"hash-keys", "off", take_hash_keys, "on or off",
	 "what is counted by is seen nowhere, only its SHA-256"},
	{"memory-limit", "256m", take_memory_limit, "a size from 64k to 128g",
	 "the most memory that the memory store takes"},
	{"max-frame-size", "65536", take_max_frame_size, "a size from 256 to 16m",
	 "the largest SPOP frame taken"},
	{"max-connections", "10000", take_max_connections, "a whole number from 1 to 1000000",
	 "SPOP connections; more wait in the backlog"},
	{"max-in-flight", "65536", take_max_in_flight, "a whole number from 1 to 10000000",
	 "checks that wait for the store at once"},
	{"spop-vars", "all", take_spop_vars,
	 "all, none, or some of policy,limit,remaining,reset,ratelimit,ratelimit_policy",
	 "which optional variables are set"},
	{"drain-delay", "0s", take_drain_delay, "a duration from 0s to 1d",
	 "traffic is served on for so long after SIGTERM"},
	{"drain-timeout", "10s", take_drain_timeout, "a duration from 0s to 1d",
	 "the longest that connections are waited for then"},
	{"log-level", "info", take_log_level, "error, warn, info or debug",
	 "the least that is logged"},
	{"log-format", "json", take_log_format, "json or text", "how it is logged"},
	{"log-decisions", "off", take_log_decisions, "off, denied or all",
	 "a line for each request, at most 100 a second"},
};

void options_print_help(FILE *to)
{
	fputs("usage: ratelimit-spoa [serve] [options]     answers HAProxy, in the foreground\n"
	      "       ratelimit-spoa check-config [--json] [options]\n"
	      "                                           shows the policies, opens no ports\n"
	      "       ratelimit-spoa replay [options]     what policies would have done\n"
	      "       ratelimit-spoa probe [ADDRESS]      asks a running agent; exits 0 or 1\n"
	      "       ratelimit-spoa version\n\n"
	      "Each option is also an environment variable: --spop-listen is "
	      "RATELIMIT_SPOP_LISTEN.\n\n",
	      to);
	for (size_t i = 0; i < ARRAY_SIZE(all_options); i++)
		fprintf(to, "  --%-16s %s (default: %s)\n", all_options[i].name,
			all_options[i].help,
			*all_options[i].fallback == '\0' ? "none" : all_options[i].fallback);
}

static bool take(const struct option *option, struct options *options, const char *value,
		 const char *called, struct err *err)
{
	err->text[0] = '\0';
	if (option->take(options, value, err))
		return true;
	if (err->text[0] != '\0')
		return err_at(err, "%s: ", called);
	return err_set(err, "%s: %s is not accepted; accepted is %s", called,
		       quoted(bytes_from_text(value)).text, option->accepted);
}

static bool take_defaults(struct options *options, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(all_options); i++)
		if (!take(&all_options[i], options, all_options[i].fallback, all_options[i].name,
			  err))
			return false;
	return true;
}

/* ---- the environment ---- */

/* Whether `name`, without the prefix, is what `option` is called in the environment. */
static bool is_variable_of(const struct option *option, struct bytes name)
{
	if (strlen(option->name) != name.len)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		int c = option->name[i] == '-' ? '_' : toupper((unsigned char)option->name[i]);
		if (name.data[i] != c)
			return false;
	}
	return true;
}

static bool ends_with(struct bytes name, struct bytes end)
{
	return name.len >= end.len && bytes_equal(bytes_skip(name, name.len - end.len), end);
}

/* "..._PORT_12345_TCP_ADDR": a number between a _PORT_ and another underscore. */
static bool has_port_number(const char *name)
{
	while ((name = strstr(name, "_PORT_")) != NULL) {
		name += strlen("_PORT_");
		size_t digits = strspn(name, "0123456789");
		if (digits > 0 && name[digits] == '_')
			return true;
		name--; /* the underscore may begin the next one */
	}
	return false;
}

/*
 * What Kubernetes sets in every pod for a service whose name begins with "ratelimit":
 * *_SERVICE_HOST, *_SERVICE_PORT*, *_PORT, *_PORT_<n>_*.
 */
static bool is_service_link(const char *name)
{
	struct bytes bytes = bytes_from_text(name);

	return ends_with(bytes, BYTES("_SERVICE_HOST")) || ends_with(bytes, BYTES("_PORT")) ||
	       strstr(name, "_SERVICE_PORT") != NULL || has_port_number(name);
}

static bool take_variable(struct options *options, const char *variable, struct err *err)
{
	const char *equals = strchr(variable, '=');
	size_t prefix = strlen(ENVIRONMENT_PREFIX);

	if (equals == NULL || strncmp(variable, ENVIRONMENT_PREFIX, prefix) != 0)
		return true;
	struct bytes name = bytes_from(variable + prefix, (size_t)(equals - variable) - prefix);
	char called[128];
	snprintf(called, sizeof called, "%.*s", (int)(equals - variable), variable);
	for (size_t i = 0; i < ARRAY_SIZE(all_options); i++)
		if (is_variable_of(&all_options[i], name))
			return take(&all_options[i], options, equals + 1, called, err);
	if (redis_login_take(&options->redis_login, name, equals + 1) || is_service_link(called))
		return true;
	return err_set(err, "%s: no such option; accepted are those of ratelimit-spoa --help",
		       quoted_unless_plain(bytes_from_text(called)).text);
}

/* ---- the command line ---- */

static const struct option *find_flag(struct bytes name)
{
	for (size_t i = 0; i < ARRAY_SIZE(all_options); i++)
		if (bytes_equal(name, bytes_from_text(all_options[i].name)))
			return &all_options[i];
	return NULL;
}

/* A command line is seen by everybody on the machine. */
static bool has_no_secret(const struct option *option, const struct options *options,
			  const char *called, struct err *err)
{
	if (option->take != take_store || !options->is_redis || *options->store.password == '\0')
		return true;
	return err_set(err,
		       "%s: a password is not accepted in a flag; accepted are RATELIMIT_STORE, "
		       "RATELIMIT_REDIS_PASSWORD and RATELIMIT_REDIS_PASSWORD_FILE",
		       called);
}

/* Takes "--name=value", or "--name" and the argument behind it; returns how many, 0 on error. */
static int take_flag(struct options *options, char **args, struct err *err)
{
	struct bytes name = bytes_from_text(args[0]);
	const char *equals = strchr(args[0], '=');
	const char *value = equals == NULL ? args[1] : equals + 1;

	if (equals != NULL)
		name.len = (size_t)(equals - args[0]);
	const struct option *option =
		bytes_begin_with(name, BYTES("--")) ? find_flag(bytes_skip(name, 2)) : NULL;
	if (option == NULL)
		(void)err_set(err,
			      "%s: no such option; accepted are those of ratelimit-spoa --help",
			      quoted_unless_plain(name).text);
	else if (value == NULL)
		(void)err_set(err, "--%s: a value is missing; accepted is %s", option->name,
			      option->accepted);
	else {
		char called[64];
		snprintf(called, sizeof called, "--%s", option->name);
		if (take(option, options, value, called, err) &&
		    has_no_secret(option, options, called, err))
			return equals == NULL ? 2 : 1;
	}
	return 0;
}

/* Visible ASCII, as it stands in a header field. */
static bool read_token(struct options *options, struct err *err)
{
	*options->http_token = '\0';
	if (options->http_token_file == NULL)
		return true;
	if (!secret_file_read(options->http_token_file, options->http_token,
			      sizeof options->http_token, err))
		return err_at(err, "--http-token-file: ");
	for (const char *c = options->http_token; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f)
			return err_set(err,
				       "--http-token-file: %s: accepted are printable characters "
				       "without spaces",
				       options->http_token_file);
	return true;
}

bool options_read(char **args, char **environment, struct options *ret_options, bool *ret_help,
		  struct err *err)
{
	*ret_help = false;
	ret_options->redis_login = (struct redis_login){0};
	if (!take_defaults(ret_options, err))
		return false;
	for (; *environment != NULL; environment++)
		if (!take_variable(ret_options, *environment, err))
			return false;
	while (*args != NULL) {
		if (strcmp(*args, "--help") == 0 || strcmp(*args, "-h") == 0) {
			*ret_help = true;
			return true;
		}
		int taken = take_flag(ret_options, args, err);
		if (taken == 0)
			return false;
		args += taken;
	}
	return read_token(ret_options, err) &&
	       (!ret_options->is_redis ||
		redis_login_apply(&ret_options->redis_login, &ret_options->store, err));
}
