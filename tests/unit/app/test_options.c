#include "app/options.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/spop/spop_map.h"
#include "store/redis/redis_tls.h"
#include "support/test.h"

#define SECOND INT64_C(1000000)
#define MANY   "18446744073709551616" /* 2^64 */

#define X16 "xxxxxxxxxxxxxxxx"
#define X64 X16 X16 X16 X16

#define ARGS(...) ((char *[]){__VA_ARGS__, NULL})
#define NOTHING   ((char *[]){NULL})

static struct options read_good(char **args, char **environment)
{
	struct options options;
	struct err err;
	bool help = true;

	if (!options_read(args, environment, &options, &help, &err))
		fail_msg("%s", err.text);
	assert_false(help);
	return options;
}

/* The error, in one printable line. */
static struct err read_bad(char **args, char **environment)
{
	struct options options;
	struct err err;
	bool help;

	if (options_read(args, environment, &options, &help, &err))
		fail_msg("%s %s is taken", args[0] != NULL ? args[0] : "",
			 environment[0] != NULL ? environment[0] : "");
	for (const char *c = err.text; *c != '\0'; c++)
		assert_in_range(*c, ' ', '~');
	return err;
}

static void assert_says(const struct err *err, const char *text)
{
	if (strstr(err->text, text) == NULL)
		fail_msg("\"%s\" does not say %s", err->text, text);
}

/* ---- defaults ---- */

TEST(options_read_nothing_is_the_defaults)
{
	struct options options = read_good(NOTHING, NOTHING);

	assert_int_equal(options.spop_listen.count, 1);
	assert_string_equal(options.spop_listen.items[0].text, "127.0.0.1:12345");
	assert_int_equal(options.http_listen.count, 1);
	assert_string_equal(options.http_listen.items[0].text, "127.0.0.1:8080");
	assert_int_equal(options.http_max_connections, 1024);
	assert_int_equal(options.http_max_per_address, 512);
	assert_int_equal(options.admin_listen.count, 0);
	assert_false(options.http_tokens.is_set);
	assert_false(options.admin_tokens.is_set);
	assert_null(options.policies);
	assert_true(options.store.is_memory);
	assert_string_equal(options.key_prefix, "rl:");
	assert_int_equal(options.deny_cache_us, SECOND);
	assert_int_equal(options.store_timeout_us, 2000);
	assert_int_equal(options.on_error, ON_ERROR_ALLOW);
	assert_true(options.local_share.is_auto);
	assert_int_equal(options.memory_limit, 256 << 20);
	assert_int_equal(options.max_frame_size, 65536);
	assert_int_equal(options.max_connections, 10000);
	assert_int_equal(options.max_in_flight, 65536);
	assert_int_equal(options.spop_vars, SPOP_VARS_ALL);
	assert_int_equal(options.drain_delay_us, 0);
	assert_int_equal(options.drain_timeout_us, 10 * SECOND);
	assert_int_equal(options.log_level, LOG_INFO);
	assert_int_equal(options.log_format, LOG_JSON);
	assert_int_equal(options.log_decisions, LOG_DECISIONS_OFF);
	assert_false(options.hash_keys);
	assert_false(options.shadow_all);
}

/* ---- every option: what is taken, what is not ---- */

#define VALUES_MAX 22

static const struct {
	const char *option;
	const char *good[VALUES_MAX];
	const char *bad[VALUES_MAX];
} all_options[] = {
	{"spop-listen",
	 {"127.0.0.1:1", "[::1]:65535", "[::]:12345", "0.0.0.0:0", "127.0.0.1:1,[::1]:2",
	  "127.0.0.1:1 , [::1]:2", "unix:/run/x.sock", "unix:/x?mode=0660", "unix:/x?mode=600",
	  "unix:/x,127.0.0.1:1", "off", "*:1", "unix:/x?user=root&group=0&mode=0660"},
	 {"",
	  "127.0.0.1",
	  "127.0.0.1:",
	  ":12345",
	  "127.0.0.1:65536",
	  "127.0.0.1:-1",
	  "127.0.0.1:http",
	  "::1:80",
	  "[::1]",
	  "[::1]80",
	  "[]:80",
	  "[127.0.0.1:80",
	  "unix:",
	  "unix:x.sock",
	  "unix:/x?mode=888",
	  "unix:/x?mode=1777",
	  "unix:/x?x=1",
	  "127.0.0.1:1,",
	  ",127.0.0.1:1",
	  "off,127.0.0.1:1",
	  "*"}},
	{"http-listen",
	 {"off", "127.0.0.1:8080", "[::]:0", "unix:/x?mode=0660", "127.0.0.1:1,[::1]:2"},
	 {"", "no", "OFF", "127.0.0.1", "off,127.0.0.1:1", "127.0.0.1:1,"}},
	{"http-max-connections",
	 {"1", "1024", "1000000"},
	 {"", "0", "-1", "x", "1.5", "10k", "1000001", MANY}},
	{"http-max-per-address",
	 {"1", "512", "1000000"},
	 {"", "0", "-1", "x", "1.5", "10k", "1000001", MANY}},
	{"admin-listen",
	 {"", "off", "127.0.0.1:9090", "unix:/x"},
	 {"OFF", "127.0.0.1", "127.0.0.1:1,"}},
	{"policies", {"", "x.json", "/x/y z.json"}, {NULL}},
	{"policies-watch", {"on", "off"}, {"", "yes", "OFF", "1"}},
	{"store",
	 {"memory:", "redis://h", "redis://h:1/2", "redis://[::1]", "redis+unix:///x",
	  "redis+unix:///x?db=1"},
	 {"", "memory", "Memory:", "file:x", "redis:", "http://x"}},
	{"deny-cache",
	 {"off", "1ms", "1.5s", "1m", "1h", "1d"},
	 {"", "0", "0s", "0.5ms", "-2ms", "2", "on", "Off", "2 ms", "2us", "2d", MANY "s"}},
	{"store-timeout",
	 {"1ms", "2ms", "1.5s", "1m", "1h", "1d"},
	 {"", "0", "0ms", "0.5ms", "-2ms", "2", "2 ms", "2us", "2x", "ms", "2d", "1e9d", MANY "s"}},
	{"on-error",
	 {"allow", "deny", "local"},
	 {"", "Allow", "allo", "allow ", "deny,allow", "fail"}},
	{"local-share",
	 {"auto", "1", "1/1", "1/4", "3/4", "0.25", "1.0", "2.5e-1", "1/1000000"},
	 {"", "0", "0/4", "4/0", "5/4", "1.01", "-1", "1/", "/4", "1/4/2", "Auto", "1 / 4", "25%",
	  "1/1000001", "1e-7", MANY}},
	{"key-prefix",
	 {"", "rl:", "a", "!~", "x-y_z.1/|%", X64, "{rl}:", "a{b}c", "{a}"},
	 {" ", "a b", "{", "a}", "}a{", "{}", "a{}", "{a}{b}", "{{a}", "{a}}", "{a b}", "\t",
	  "\x7f", "\xc3\xa4", "a\n", X64 "x"}},
	{"hash-keys", {"on", "off"}, {"", "On", "yes", "1"}},
	{"shadow-all", {"on", "off"}, {"", "ON", "true", "1", "90%"}},
	{"memory-limit",
	 {"64k", "256m", "1g", "1048576", "64K"},
	 {"", "0", "1k", "x", "-1m", "1.5m", "1t", "1mb", " 1m", "257g", MANY, "99999999999999g"}},
	{"max-frame-size",
	 {"256", "64k", "65536", "16m"},
	 {"", "0", "255", "-1", "x", "1.5k", "17m", MANY, "4g"}},
	{"max-connections",
	 {"1", "10000"},
	 {"", "0", "-1", "x", "1.5", "10k", "+1", " 1", "1000001", MANY}},
	{"max-in-flight",
	 {"1", "65536"},
	 {"", "0", "-1", "x", "1.5", "10k", "+1", " 1", "10000001", MANY}},
	{"spop-vars",
	 {"all", "none", "policy", "policy,limit,remaining,reset,ratelimit,ratelimit_policy"},
	 {"", "x", "policy,", "allowed", "all,policy", "Policy"}},
	{"drain-delay", {"0s", "0ms", "1.5s", "1d"}, {"", "0", "-1s", "5", "x", "2d", "1w"}},
	{"drain-timeout", {"0s", "0ms", "1.5s", "1d"}, {"", "0", "-1s", "5", "x", "2d", "1w"}},
	{"log-level", {"error", "warn", "info", "debug"}, {"", "Error", "warning", "trace", "3"}},
	{"log-format", {"json", "text"}, {"", "JSON", "plain", "logfmt"}},
	{"log-decisions", {"off", "denied", "all"}, {"", "on", "Denied", "blocked"}},
};

static void put_flag(char *flag, size_t max, const char *option, const char *value)
{
	snprintf(flag, max, "--%s=%s", option, value);
}

static void put_variable(char *variable, size_t max, const char *option, const char *value)
{
	snprintf(variable, max, "RATELIMIT_%s=%s", option, value);
	for (char *c = variable; *c != '='; c++)
		*c = (char)(*c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? *c - 32 : *c);
}

TEST(options_read_good_value_is_taken_from_flag_and_environment)
{
	char flag[256], variable[256];

	for (size_t i = 0; i < ARRAY_SIZE(all_options); i++)
		for (size_t k = 0; all_options[i].good[k] != NULL; k++) {
			put_flag(flag, sizeof flag, all_options[i].option, all_options[i].good[k]);
			put_variable(variable, sizeof variable, all_options[i].option,
				     all_options[i].good[k]);
			(void)read_good(ARGS(flag), NOTHING);
			(void)read_good(NOTHING, ARGS(variable));
		}
}

TEST(options_read_bad_flag_names_option_and_value)
{
	char flag[256], name[64];

	for (size_t i = 0; i < ARRAY_SIZE(all_options); i++)
		for (size_t k = 0; all_options[i].bad[k] != NULL; k++) {
			put_flag(flag, sizeof flag, all_options[i].option, all_options[i].bad[k]);
			struct err err = read_bad(ARGS(flag), NOTHING);
			snprintf(name, sizeof name, "--%s: ", all_options[i].option);
			assert_ptr_equal(strstr(err.text, name), err.text);
			assert_says(&err, "\"");
			assert_says(&err, "accepted is");
		}
}

TEST(options_read_bad_variable_names_variable_and_value)
{
	char variable[256], name[64];

	for (size_t i = 0; i < ARRAY_SIZE(all_options); i++)
		for (size_t k = 0; all_options[i].bad[k] != NULL; k++) {
			put_variable(variable, sizeof variable, all_options[i].option,
				     all_options[i].bad[k]);
			struct err err = read_bad(NOTHING, ARGS(variable));
			put_variable(name, sizeof name, all_options[i].option, "");
			*strchr(name, '=') = ':';
			assert_ptr_equal(strstr(err.text, name), err.text);
			assert_says(&err, "accepted is");
		}
}

TEST(options_read_bad_value_stands_in_the_error)
{
	struct err level = read_bad(ARGS("--log-level=trace"), NOTHING);
	struct err limit = read_bad(ARGS("--max-connections", "0"), NOTHING);

	assert_string_equal(level.text,
			    "--log-level: \"trace\" is not accepted; accepted is error, "
			    "warn, info or debug");
	assert_says(&limit, "--max-connections: \"0\" is not accepted; accepted is ");
}

TEST(options_read_bad_value_is_escaped)
{
	struct err flag = read_bad(ARGS("--log-level=a\nb\x1b[1m\xff"), NOTHING);
	struct err variable = read_bad(NOTHING, ARGS("RATELIMIT_LOG_LEVEL=a\nb"));
	struct err address = read_bad(ARGS("--spop-listen=a\nb"), NOTHING);

	assert_says(&flag, "\"a\\x0ab\\x1b[1m\\xff\"");
	assert_says(&variable, "\"a\\x0ab\"");
	assert_says(&address, "\"a\\x0ab\"");
}

/* ---- what the values come to ---- */

TEST(options_read_values_are_read)
{
	struct options options =
		read_good(ARGS("--policies=p.json", "--store-timeout=1.5s", "--deny-cache=2s",
			       "--on-error=local", "--memory-limit=64k", "--max-frame-size=256",
			       "--max-connections=7", "--max-in-flight=8",
			       "--spop-vars=policy,reset", "--drain-delay=3s", "--drain-timeout=1m",
			       "--log-level=debug", "--log-format=text", "--hash-keys=on",
			       "--shadow-all=on", "--log-decisions=denied", "--local-share=0.25"),
			  NOTHING);

	assert_string_equal(options.policies, "p.json");
	assert_int_equal(options.store_timeout_us, SECOND * 3 / 2);
	assert_int_equal(options.deny_cache_us, 2 * SECOND);
	assert_int_equal(options.on_error, ON_ERROR_LOCAL);
	assert_false(options.local_share.is_auto);
	assert_int_equal(options.local_share.share.num, 1);
	assert_int_equal(options.local_share.share.den, 4);
	assert_int_equal(options.memory_limit, 65536);
	assert_int_equal(options.max_frame_size, 256);
	assert_int_equal(options.max_connections, 7);
	assert_int_equal(options.max_in_flight, 8);
	assert_int_equal(options.spop_vars,
			 SPOP_VAR_BIT(SPOP_VAR_POLICY) | SPOP_VAR_BIT(SPOP_VAR_RESET));
	assert_int_equal(options.drain_delay_us, 3 * SECOND);
	assert_int_equal(options.drain_timeout_us, 60 * SECOND);
	assert_int_equal(options.log_level, LOG_DEBUG);
	assert_int_equal(options.log_format, LOG_PLAIN);
	assert_true(options.hash_keys);
	assert_true(options.shadow_all);
	assert_int_equal(options.log_decisions, LOG_DECISIONS_DENIED);
}

TEST(options_read_deny_cache_off_is_no_time)
{
	assert_int_equal(read_good(ARGS("--deny-cache=off"), NOTHING).deny_cache_us, 0);
}

TEST(options_read_on_error_and_levels_are_told_apart)
{
	assert_int_equal(read_good(ARGS("--on-error=allow"), NOTHING).on_error, ON_ERROR_ALLOW);
	assert_int_equal(read_good(ARGS("--on-error=deny"), NOTHING).on_error, ON_ERROR_DENY);
	assert_int_equal(read_good(ARGS("--log-level=error"), NOTHING).log_level, LOG_ERROR);
	assert_int_equal(read_good(ARGS("--log-level=warn"), NOTHING).log_level, LOG_WARN);
}

TEST(options_read_listen_list_is_in_order)
{
	struct options options = read_good(
		ARGS("--spop-listen", "127.0.0.1:1, [::1]:2 ,unix:/x?mode=0660"), NOTHING);

	assert_int_equal(options.spop_listen.count, 3);
	assert_int_equal(options.spop_listen.items[0].socket.ss_family, AF_INET);
	assert_int_equal(options.spop_listen.items[1].socket.ss_family, AF_INET6);
	assert_int_equal(options.spop_listen.items[2].socket.ss_family, AF_UNIX);
	assert_string_equal(options.spop_listen.items[1].text, "[::1]:2");
	assert_true(options.spop_listen.items[2].has_mode);
	assert_int_equal(options.spop_listen.items[2].mode, 0660);
}

TEST(options_read_listen_port_is_the_ports)
{
	struct options options = read_good(ARGS("--spop-listen=192.0.2.1:258"), NOTHING);
	const struct sockaddr_in *v4 =
		(const struct sockaddr_in *)&options.spop_listen.items[0].socket;

	assert_int_equal(ntohs(v4->sin_port), 258);
	assert_int_equal(ntohl(v4->sin_addr.s_addr), 0xc0000201);
}

TEST(options_read_more_addresses_than_fit_are_refused)
{
	char list[2 + 17 * 14] = "";

	for (int i = 0; i < ADDRESS_LIST_MAX; i++)
		strcat(list, i == 0 ? "127.0.0.1:1" : ",127.0.0.1:1");
	assert_int_equal(read_good(ARGS("--spop-listen", list), NOTHING).spop_listen.count,
			 ADDRESS_LIST_MAX);
	strcat(list, ",127.0.0.1:1");

	struct err err = read_bad(ARGS("--spop-listen", list), NOTHING);
	assert_says(&err, "--spop-listen");
	assert_says(&err, "\"127.0.0.1:1\": 16 addresses are the most; accepted is host:port");
}

TEST(options_read_unix_path_that_is_too_long_is_refused)
{
	char value[256] = "unix:/";

	memset(value + 6, 'x', 101); /* 107 bytes of path and a NUL, and one more */
	assert_int_equal(read_good(ARGS("--spop-listen", value), NOTHING).spop_listen.count, 1);
	memset(value + 6, 'x', 107);
	(void)read_bad(ARGS("--spop-listen", value), NOTHING);
}

/* ---- flags ---- */

TEST(options_read_flag_takes_both_notations)
{
	assert_int_equal(read_good(ARGS("--max-in-flight=5"), NOTHING).max_in_flight, 5);
	assert_int_equal(read_good(ARGS("--max-in-flight", "5"), NOTHING).max_in_flight, 5);
	assert_string_equal(read_good(ARGS("--policies=a=b"), NOTHING).policies, "a=b");
	assert_string_equal(read_good(ARGS("--policies", "--x"), NOTHING).policies, "--x");
}

TEST(options_read_repeated_flag_the_last_counts)
{
	struct options options =
		read_good(ARGS("--max-in-flight=5", "--max-in-flight=6",
			       "--spop-listen=127.0.0.1:1", "--spop-listen=127.0.0.1:2"),
			  NOTHING);

	assert_int_equal(options.max_in_flight, 6);
	assert_int_equal(options.spop_listen.count, 1);
	assert_string_equal(options.spop_listen.items[0].text, "127.0.0.1:2");
}

TEST(options_read_unknown_flag_is_refused)
{
	static char *const flags[] = {"--no-such",
				      "--",
				      "-",
				      "--log_level=info",
				      "--LOG-LEVEL=x",
				      "-log-level",
				      "--log-levels",
				      "--log-leve",
				      "--=x",
				      "--x\ny"};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		struct err err = read_bad(ARGS(flags[i], "info"), NOTHING);
		assert_says(&err, "no such option");
		assert_says(&err, "accepted are");
	}
}

TEST(options_read_word_that_is_no_flag_is_refused)
{
	static char *const words[] = {"", "serve", "log-level=info", "x\ny"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct err err = read_bad(ARGS(words[i], "info"), NOTHING);
		assert_says(&err, ": not accepted here");
		assert_says(&err, "accepted are options, those of");
	}
}

TEST(options_check_variables_looks_at_names_alone)
{
	struct err err;

	assert_true(options_check_variables(
		ARGS("RATELIMIT_STORE=x", "RATELIMIT_AGENT=x", "RATELIMIT_X_PORT=x", "PATH=x"),
		&err));
	assert_false(options_check_variables(ARGS("RATELIMIT_AGNET=x"), &err));
	assert_says(&err, "RATELIMIT_AGNET: no such option (did you mean RATELIMIT_AGENT?)");
}

TEST(options_read_flag_without_value_is_refused)
{
	struct err err = read_bad(ARGS("--max-in-flight=5", "--log-level"), NOTHING);

	assert_says(&err,
		    "--log-level: a value is missing; accepted is error, warn, info or debug");
}

TEST(options_read_misspelt_flag_is_suggested)
{
	static const struct option own[] = {{"json", .kind = OPTION_MARK}, {.name = NULL}};
	static const struct {
		char *flag;
		const char *meant;
	} cases[] = {
		{"--spop-liste", " (did you mean --spop-listen?)"},
		{"-store", " (did you mean --store?)"},
		{"log_level", " (did you mean --log-level?)"},
		{"--jsno=1", " (did you mean --json?)"},
	};
	struct options options;
	struct err err;
	bool help;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_false(options_read_beside(own, ARGS(cases[i].flag, "x"), NOTHING, &options,
						 &help, &err));
		assert_says(&err, cases[i].meant);
	}
	err = read_bad(ARGS("--jsno", "x"), NOTHING);
	assert_null(strstr(err.text, "did you mean"));
}

TEST(options_read_misspelt_variable_is_suggested)
{
	struct err err = read_bad(NOTHING, ARGS("RATELIMIT_STOR=1"));

	assert_says(&err, " (did you mean RATELIMIT_STORE?)");
	err = read_bad(NOTHING, ARGS("RATELIMIT_REDIS_PASWORD=1"));
	assert_says(&err, " (did you mean RATELIMIT_REDIS_PASSWORD?)");
	/* The beginning that all have makes none alike. */
	err = read_bad(NOTHING, ARGS("RATELIMIT_NOSUCH=1"));
	assert_null(strstr(err.text, "did you mean"));
}

TEST(options_read_help_wins_over_all_that_is_wrong)
{
	struct options options;
	struct err err;
	bool help = false;

	assert_true(options_read(ARGS("--no-such", "--log-level", "--help"),
				 ARGS("RATELIMIT_NO_SUCH=1"), &options, &help, &err));
	assert_true(help);
}

TEST(options_read_help_is_told)
{
	static char *const flags[] = {"--help", "-h"};
	struct options options;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		bool help = false;
		assert_true(options_read(ARGS("--log-level=info", flags[i], "--no-such"), NOTHING,
					 &options, &help, &err));
		assert_true(help);
	}
}

TEST(options_print_help_names_every_option)
{
	char *text = NULL, name[64];
	size_t len;
	FILE *file = open_memstream(&text, &len);

	options_print_help(file);
	(void)fclose(file);

	for (size_t i = 0; i < ARRAY_SIZE(all_options); i++) {
		snprintf(name, sizeof name, "--%s ", all_options[i].option);
		assert_non_null(strstr(text, name));
	}
	free(text);
}

/* ---- the environment ---- */

TEST(options_read_flag_wins_over_environment)
{
	char *environment[] = {"RATELIMIT_MAX_IN_FLIGHT=5", "RATELIMIT_MAX_CONNECTIONS=6", NULL};

	struct options options = read_good(ARGS("--max-in-flight=7"), environment);

	assert_int_equal(options.max_in_flight, 7);
	assert_int_equal(options.max_connections, 6);
}

/* docs/reference.md, section Command line: also when a flag overrides the variable. */
TEST(options_read_bad_variable_under_a_flag_is_refused)
{
	char *environment[] = {"RATELIMIT_LOG_LEVEL=trace", NULL};

	(void)read_bad(ARGS("--log-level=info"), environment);
}

TEST(options_read_unknown_variable_is_refused)
{
	static char *const variables[] = {
		"RATELIMIT_NO_SUCH=1",
		"RATELIMIT_=1",
		"RATELIMIT_=",
		"RATELIMIT_LOG_LEVELS=1",
		"RATELIMIT_LOG_LEVE=1",
		"RATELIMIT_log_level=info",
		"RATELIMIT_LOG-LEVEL=info",
		"RATELIMIT_SERVICE=1",
		"RATELIMIT_SPOP_LISTEN_=1",
		"RATELIMIT_HELP=1",
		"RATELIMIT_MYPORT=1",
		"RATELIMIT_X_HOST=1",
		"RATELIMIT_X_SERVICE_HOSTS=1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		struct err err = read_bad(NOTHING, ARGS(variables[i]));
		size_t len = strcspn(variables[i], "=");
		assert_memory_equal(err.text, variables[i], len);
		assert_says(&err, "no such option");
	}
}

TEST(options_read_other_variables_are_ignored)
{
	char *environment[] = {"PATH=/bin",
			       "RATELIMIT=1",
			       "RATELIMIT",
			       "XRATELIMIT_LOG_LEVEL=x",
			       "ratelimit_log_level=x",
			       "LOG_LEVEL=x",
			       "=",
			       "",
			       NULL};

	assert_int_equal(read_good(NOTHING, environment).log_level, LOG_INFO);
}

/* What Kubernetes sets in a pod for the services `ratelimit`, `ratelimit-spoa` and others. */
TEST(options_read_service_links_are_ignored)
{
	char *environment[] = {
		"RATELIMIT_SERVICE_HOST=10.0.0.1",
		"RATELIMIT_SERVICE_PORT=12345",
		"RATELIMIT_SERVICE_PORT_SPOP=12345",
		"RATELIMIT_PORT=tcp://10.0.0.1:12345",
		"RATELIMIT_PORT_12345_TCP=tcp://10.0.0.1:12345",
		"RATELIMIT_PORT_12345_TCP_PROTO=tcp",
		"RATELIMIT_PORT_12345_TCP_PORT=12345",
		"RATELIMIT_PORT_12345_TCP_ADDR=10.0.0.1",
		"RATELIMIT_SPOA_SERVICE_HOST=10.0.0.1",
		"RATELIMIT_SPOA_SERVICE_PORT=12345",
		"RATELIMIT_SPOA_SERVICE_PORT_HTTP_METRICS=8080",
		"RATELIMIT_SPOA_PORT=tcp://10.0.0.1:12345",
		"RATELIMIT_SPOA_PORT_12345_UDP=udp://10.0.0.1:12345",
		"RATELIMIT_SPOA_PORT_12345_SCTP_ADDR=10.0.0.1",
		NULL,
	};

	(void)read_good(NOTHING, environment);
}

/* A service may itself be called `ratelimit-port-map`. */
TEST(options_read_service_link_with_port_in_its_name_is_ignored)
{
	char *environment[] = {"RATELIMIT_PORT_MAP_SERVICE_HOST=10.0.0.1",
			       "RATELIMIT_PORT_MAP_PORT=tcp://10.0.0.1:80",
			       "RATELIMIT_PORT_MAP_PORT_80_TCP=tcp://10.0.0.1:80",
			       "RATELIMIT_PORT_MAP_PORT_80_TCP_ADDR=10.0.0.1", NULL};

	(void)read_good(NOTHING, environment);
}

/* docs/reference.md, section Command line: *_PORT_<n>_* is ignored, anything else is unknown. */
TEST(options_read_what_only_resembles_a_service_link_is_refused)
{
	static char *const variables[] = {"RATELIMIT_X_PORT_8X=1", "RATELIMIT_X_PORT_8=1",
					  "RATELIMIT_X_PORT_TCP=1", "RATELIMIT_X_PORT_=1"};

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		(void)read_bad(NOTHING, ARGS(variables[i]));
}

TEST(options_read_unknown_variable_is_escaped)
{
	(void)read_bad(NOTHING, ARGS("RATELIMIT_A\nB\x1b=1"));
}

TEST(options_read_unknown_variable_of_any_length_is_refused)
{
	char variable[4096];

	for (size_t len = 13; len < sizeof variable; len += 101) {
		memset(variable, 'X', sizeof variable);
		memcpy(variable, "RATELIMIT_", 10);
		strcpy(variable + len - 2, "=");
		(void)read_bad(NOTHING, ARGS(variable));
	}
}

/* ---- the store ---- */

TEST(options_read_store_is_the_target)
{
	struct options options =
		read_good(ARGS("--store=redis://h:1/2", "--key-prefix=x:"), NOTHING);

	assert_false(options.store.is_memory);
	assert_string_equal(options.store.redis.text, "redis://h:1/2");
	assert_string_equal(options.store.redis.password, "");
	assert_string_equal(options.key_prefix, "x:");
}

TEST(options_read_repeated_store_the_last_counts)
{
	assert_true(
		read_good(ARGS("--store=redis://h", "--store=memory:"), NOTHING).store.is_memory);
	assert_false(
		read_good(ARGS("--store=memory:", "--store=redis://h"), NOTHING).store.is_memory);
	struct options options =
		read_good(ARGS("--store=redis+unix:///x"), ARGS("RATELIMIT_STORE=redis://h"));
	assert_string_equal(options.store.redis.text, "redis+unix:///x?db=0");
	assert_true(read_good(ARGS("--store=memory:"), ARGS("RATELIMIT_STORE=redis://h"))
			    .store.is_memory);
}

TEST(options_read_store_of_every_topology_is_taken)
{
	static char *const values[] = {"redis+sentinel://h1:1,h2:2/name",
				       "redis+cluster://h1:1,h2:2"};
	char flag[128], variable[128];

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		put_flag(flag, sizeof flag, "store", values[i]);
		put_variable(variable, sizeof variable, "store", values[i]);
		struct options from_flag = read_good(ARGS(flag), NOTHING);
		struct options from_variable = read_good(NOTHING, ARGS(variable));
		assert_false(from_flag.store.is_memory);
		assert_string_equal(from_flag.store.redis.text, from_variable.store.redis.text);
	}
}

/* To guess what is meant would help nobody. */
TEST(options_read_store_of_an_unknown_topology_is_refused)
{
	static char *const values[] = {"redis+clusters://h1:1,h2:2", "rediss+ring://h1:1,h2:2"};
	char flag[128], variable[128];

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		put_flag(flag, sizeof flag, "store", values[i]);
		put_variable(variable, sizeof variable, "store", values[i]);
		struct err from_flag = read_bad(ARGS(flag), NOTHING);
		struct err from_variable = read_bad(NOTHING, ARGS(variable));
		assert_says(&from_flag, "--store: ");
		assert_says(&from_flag, "accepted is memory:, redis://");
		assert_says(&from_variable, "RATELIMIT_STORE: ");
	}
}

/* ---- TLS ---- */

TEST(options_read_tls_is_the_stores)
{
	struct options options =
		read_good(ARGS("--store=rediss://h", "--redis-ca-file=ca", "--redis-cert-file=cert",
			       "--redis-key-file=key", "--redis-tls-name=name"),
			  NOTHING);

	assert_true(options.store.redis.is_tls);
	assert_string_equal(options.store.redis.tls.ca_file, "ca");
	assert_string_equal(options.store.redis.tls.cert_file, "cert");
	assert_string_equal(options.store.redis.tls.key_file, "key");
	assert_string_equal(options.store.redis.tls.name, "name");
}

/* Whoever gives them counts on TLS. In memory there is nobody to connect to. */
TEST(options_read_tls_options_without_tls_are_refused)
{
	static const struct {
		char *flag;
		const char *says;
	} cases[] = {
		{"--redis-ca-file=x", "--redis-ca-file: --store is without TLS"},
		{"--redis-cert-file=x", "--redis-cert-file: --store is without TLS"},
		{"--redis-key-file=x", "--redis-key-file: --store is without TLS"},
		{"--redis-tls-name=x", "--redis-tls-name: --store is without TLS"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err tcp = read_bad(ARGS("--store=redis://h", cases[i].flag), NOTHING);
		struct err sock = read_bad(ARGS("--store=redis+unix:///x", cases[i].flag), NOTHING);
		assert_says(&tcp, cases[i].says);
		assert_says(&sock, "rediss://");
		(void)read_good(ARGS("--store=memory:", cases[i].flag), NOTHING);
	}
}

TEST(options_read_certificate_and_key_come_together)
{
	struct err no_key = read_bad(ARGS("--store=rediss://h", "--redis-cert-file=x"), NOTHING);
	struct err no_cert = read_bad(ARGS("--store=rediss://h", "--redis-key-file=x"), NOTHING);

	assert_says(&no_key, "--redis-key-file: not set");
	assert_says(&no_cert, "--redis-cert-file: not set");
}

TEST(options_read_tls_name_is_a_host_or_an_address)
{
	static char *const good[] = {"redis.example.org", "redis", "192.0.2.1", "2001:db8::1"};
	static char *const bad[] = {"redis.example.org:6379",
				    "[2001:db8::1]",
				    "2001:db8::x",
				    "rediss://redis",
				    "a b",
				    "a,b",
				    ("r\xc3\xa9"
				     "dis")};
	char longest[REDIS_HOST_MAX + 1], flag[REDIS_HOST_MAX + 32];

	memset(longest, 'x', sizeof longest);
	longest[REDIS_HOST_MAX] = '\0';
	put_flag(flag, sizeof flag, "redis-tls-name", longest);
	struct err too_long = read_bad(ARGS("--store=rediss://h", flag), NOTHING);
	assert_says(&too_long, "no host name of at most 255 characters");
	longest[REDIS_HOST_MAX - 1] = '\0';
	put_flag(flag, sizeof flag, "redis-tls-name", longest);
	(void)read_good(ARGS("--store=rediss://h", flag), NOTHING);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		put_flag(flag, sizeof flag, "redis-tls-name", good[i]);
		(void)read_good(ARGS("--store=rediss://h", flag), NOTHING);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put_flag(flag, sizeof flag, "redis-tls-name", bad[i]);
		struct err err = read_bad(ARGS("--store=rediss://h", flag), NOTHING);
		assert_says(&err, "--redis-tls-name: ");
	}
}

/* The files are read when a command needs them, and never for memory or without TLS. */
TEST(options_check_store_needs_the_files_of_tls_only)
{
	struct options plain = read_good(ARGS("--store=redis://h"), NOTHING);
	struct options memory = read_good(NOTHING, NOTHING);
	struct options tls =
		read_good(ARGS("--store=rediss://h", "--redis-ca-file=/nowhere"), NOTHING);
	struct err err;

	assert_true(options_check_store(&plain, &err));
	assert_true(options_check_store(&memory, &err));
	assert_false(options_check_store(&tls, &err));
	assert_says(&err, redis_tls_is_built() ? "--redis-ca-file: /nowhere: No such file"
					       : "--store: TLS (rediss) is not in this build");
}

/* ---- who logs in there ---- */

TEST(options_read_login_its_three_variables_are_read)
{
	char *environment[] = {"RATELIMIT_REDIS_USER=a", "RATELIMIT_REDIS_PASSWORD=b",
			       "RATELIMIT_REDIS_PASSWORD_FILE=c", NULL};

	struct options options = read_good(NOTHING, environment);

	assert_string_equal(options.redis_login.user, "a");
	assert_string_equal(options.redis_login.password, "b");
	assert_string_equal(options.redis_login.password_file, "c");
}

TEST(options_read_login_other_variables_are_refused)
{
	static char *const variables[] = {
		"RATELIMIT_=x",
		"RATELIMIT_REDIS=x",
		"RATELIMIT_REDIS_=x",
		"RATELIMIT_REDIS_USE=x",
		"RATELIMIT_REDIS_USER_=x",
		"RATELIMIT_REDIS_USERNAME=x",
		"RATELIMIT_redis_user=x",
		"RATELIMIT_REDIS_PASSWORD_=x",
		"RATELIMIT_REDIS_PASS=x",
		"RATELIMIT_REDIS_PASSWORD_FILES=x",
		"RATELIMIT_PASSWORD=x",
	};

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		struct err err = read_bad(NOTHING, ARGS(variables[i]));
		assert_says(&err, "no such option");
	}
	/* This one is an option, and not of the login. */
	assert_null(read_good(NOTHING, ARGS("RATELIMIT_STORE=memory:")).redis_login.user);
}

TEST(options_read_login_empty_values_are_none)
{
	char *environment[] = {"RATELIMIT_REDIS_USER=a",
			       "RATELIMIT_REDIS_PASSWORD=b",
			       "RATELIMIT_REDIS_PASSWORD_FILE=c",
			       "RATELIMIT_REDIS_USER=",
			       "RATELIMIT_REDIS_PASSWORD=",
			       "RATELIMIT_REDIS_PASSWORD_FILE=",
			       NULL};

	struct options options = read_good(NOTHING, environment);

	assert_null(options.redis_login.user);
	assert_null(options.redis_login.password);
	assert_null(options.redis_login.password_file);
}

TEST(options_read_login_of_the_environment_completes_the_store)
{
	char *environment[] = {"RATELIMIT_REDIS_USER=agent", "RATELIMIT_REDIS_PASSWORD=hunter2",
			       NULL};
	char *only_password[] = {"RATELIMIT_STORE=redis://agent@h",
				 "RATELIMIT_REDIS_PASSWORD=hunter2", NULL};

	struct options options = read_good(ARGS("--store=redis://h"), environment);
	assert_string_equal(options.store.redis.user, "agent");
	assert_string_equal(options.store.redis.password, "hunter2");
	assert_null(strstr(options.store.redis.text, "hunter2"));

	options = read_good(NOTHING, only_password);
	assert_string_equal(options.store.redis.user, "agent");
	assert_string_equal(options.store.redis.password, "hunter2");
}

/* It does not matter in which order the environment has them. */
TEST(options_read_login_before_or_after_the_store_is_the_same)
{
	char *before[] = {"RATELIMIT_REDIS_PASSWORD=hunter2", "RATELIMIT_STORE=redis://h", NULL};
	char *after[] = {"RATELIMIT_STORE=redis://h", "RATELIMIT_REDIS_PASSWORD=hunter2", NULL};

	assert_string_equal(read_good(NOTHING, before).store.redis.password, "hunter2");
	assert_string_equal(read_good(NOTHING, after).store.redis.password, "hunter2");
}

TEST(options_read_store_in_the_environment_may_have_a_password)
{
	struct options options =
		read_good(NOTHING, ARGS("RATELIMIT_STORE=redis://agent:hunter2@h"));

	assert_string_equal(options.store.redis.user, "agent");
	assert_string_equal(options.store.redis.password, "hunter2");
	assert_string_equal(options.store.redis.text, "redis://h:6379/0");
}

/* A flag that wins takes nothing of the URL that it wins over. */
TEST(options_read_store_flag_leaves_no_password_of_the_environment)
{
	struct options options = read_good(ARGS("--store=redis://other"),
					   ARGS("RATELIMIT_STORE=redis://agent:hunter2@h"));

	assert_string_equal(options.store.redis.user, "");
	assert_string_equal(options.store.redis.password, "");
}

TEST(options_read_login_without_redis_is_ignored)
{
	char *environment[] = {"RATELIMIT_REDIS_USER=agent",
			       "RATELIMIT_REDIS_PASSWORD_FILE=/nowhere", NULL};

	assert_true(read_good(NOTHING, environment).store.is_memory);
}

TEST(options_read_login_given_twice_or_in_part_is_refused)
{
	static const struct {
		char *environment[4];
		const char *says;
	} cases[] = {
		{{"RATELIMIT_STORE=redis://:hunter2@h", "RATELIMIT_REDIS_PASSWORD=hunter2"},
		 "RATELIMIT_REDIS_PASSWORD: "},
		{{"RATELIMIT_STORE=redis://a:hunter2@h", "RATELIMIT_REDIS_USER=b"},
		 "RATELIMIT_REDIS_USER: "},
		{{"RATELIMIT_STORE=redis://h", "RATELIMIT_REDIS_PASSWORD=hunter2",
		  "RATELIMIT_REDIS_PASSWORD_FILE=/nowhere"},
		 "RATELIMIT_REDIS_PASSWORD"},
		{{"RATELIMIT_STORE=redis://h", "RATELIMIT_REDIS_PASSWORD_FILE=/nowhere"},
		 "RATELIMIT_REDIS_PASSWORD_FILE: "},
		{{"RATELIMIT_STORE=redis://a@h"}, "RATELIMIT_REDIS_PASSWORD: not set"},
		{{"RATELIMIT_STORE=redis://h", "RATELIMIT_REDIS_USER=a"},
		 "RATELIMIT_REDIS_PASSWORD: not set"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = read_bad(NOTHING, (char **)cases[i].environment);
		assert_says(&err, cases[i].says);
		assert_null(strstr(err.text, "hunter2"));
	}
}

/* Of the store's options the login has no flag: those are seen by everybody. */
TEST(options_read_login_flags_do_not_exist)
{
	static char *const flags[] = {"--redis-user=a", "--redis-password=b",
				      "--redis-password-file=c"};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		struct err err = read_bad(ARGS(flags[i]), NOTHING);
		assert_says(&err, "no such option");
	}
}

/* ---- secrets ---- */

/* docs/reference.md, section Command line: the flag refuses a password, and no line has it. */
TEST(options_read_password_in_the_flag_is_refused_and_not_told)
{
	static char *const values[] = {"redis://:hunter2@h", "redis://agent:hunter2@h:1/2",
				       "redis://agent:hunter2@[::1]", "redis://a:%68unter2@h"};
	char flag[128];

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		put_flag(flag, sizeof flag, "store", values[i]);
		struct err err = read_bad(ARGS(flag), NOTHING);
		assert_says(&err, "--store: a password is not accepted in a flag");
		assert_says(&err, "RATELIMIT_REDIS_PASSWORD_FILE");
		assert_null(strstr(err.text, "unter2"));
		/* Also when a later one has none: it was seen. */
		(void)read_bad(ARGS(flag, "--store=memory:"), NOTHING);
	}
}

TEST(options_read_password_of_the_store_is_not_in_the_error)
{
	static char *const values[] = {
		"redis://:hunter2@h/x",
		"redis://user:hunter2@h:x/0",
		"rediss://user:hunter2@h:x",
		"rediss+cluster://user:hunter2@h:x",
		"rediss+cluster://user:hunter2@h/1",
		"redis://user:hunter2",
		"redis+sentinel://:hunter2@h1:1,h2:2",
		"redis+sentinel://:hunter2@h1:1,h2:x/NAME",
		"redis+unix://:hunter2@/run/redis.sock",
		"redis+unix:///run/redis.sock?password=hunter2",
		"redis://h/0?password=hunter2",
		"redis://h?password=hunter2",
	};
	char flag[128], variable[128];

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		put_flag(flag, sizeof flag, "store", values[i]);
		put_variable(variable, sizeof variable, "store", values[i]);
		struct err from_flag = read_bad(ARGS(flag), NOTHING);
		struct err from_variable = read_bad(NOTHING, ARGS(variable));
		assert_null(strstr(from_flag.text, "hunter2"));
		assert_null(strstr(from_variable.text, "hunter2"));
	}
}
