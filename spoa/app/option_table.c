#include "app/option_table.h"

#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "net/spop/spop_map.h"
#include "store/memory.h"
#include "wire/spop_frame.h"

#define DURATION_MAX_US (INT64_C(86400) * US_PER_SECOND)

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

	if (store_target_parse(url, &options->store, err))
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

const struct option all_options[] = {
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
	{NULL, NULL, NULL, NULL, NULL},
};
